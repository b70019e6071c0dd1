"""``lodeline responses``: what Lodeline did by itself about alerts, with its evidence."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from deployments.settings import Settings
    from tasks.responses.book import ResponseBook
    from tasks.responses.response import Response


class Action(StrEnum):
    """What to do."""

    LIST = "list"
    SHOW = "show"
    SETTLE = "settle"
    RULES = "rules"


WANTS_HUMAN = 1


def responses(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: what was done in the last hours, and why alerts are not answered. show: one with its evidence. "
            "settle: say that you have looked at one that failed, did not help, or is unclear. rules: what is "
            "configured."
        ),
    ] = Action.LIST,
    ids: Annotated[list[str] | None, typer.Argument(help="With show and settle: ids of responses.")] = None,
    *,
    hours: Annotated[float, typer.Option("--hours", help="With list: how far back.", min=0.01)] = 48.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show automated responses of this host, their evidence and what came of them.

    Flow watch-alerts answers alerts as section responses says: off by default, dry_run first. docs/responses.md has
    the acts, the limits and what is kept.

    Exit code 0: nothing wants anybody, or what was asked for is done. 1: with list, a response failed, did not help or
    is unclear, and nobody has settled it. 2: a mistake.

    Example: lodeline responses show 3f0a91c2
    """
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman
    from tasks.responses.book import ResponseBook

    settings = load_settings(config)
    if action in {Action.LIST, Action.RULES} and ids:
        raise NeedsHuman(f"{action} takes no ids", remedy="See lodeline responses --help")
    if action in {Action.SHOW, Action.SETTLE} and not ids:
        raise NeedsHuman(f"{action} needs the id of a response", remedy="lodeline responses list shows them")
    if action is Action.RULES:
        _rules(settings, as_json=as_json)
        return
    book = ResponseBook.look_into(settings.host.data_directory / "state")
    try:
        if action is Action.LIST:
            _list(settings, book, hours, as_json=as_json)
            return
        found = [_one(book, one) for one in ids or []]
        for response in found:
            if action is Action.SHOW:
                _show(book, response)
            else:
                _settle(settings, book, response)
    finally:
        if book is not None:
            book.close()


def _list(settings: Settings, book: ResponseBook | None, hours: float, *, as_json: bool) -> None:
    import time

    import msgspec

    from tasks.quantity import clock

    since = time.time() - 3_600 * hours
    mode = settings.collection.responses.mode
    found = [] if book is None else [one for one in book.responses() if one.planned >= since or one.wants_human]
    held = {} if book is None else book.held_back()
    if as_json:
        typer.echo(msgspec.json.encode({"mode": mode, "responses": found, "held_back": held}).decode())
    else:
        typer.echo(f"Responses are {'in a dry run' if mode == 'dry_run' else mode}")
        for one in found:
            typer.echo(f"{one.id}  {clock(one.planned)}  {_marked(one)}")
        for alert, why in held.items():
            typer.echo(f"alert {alert} is not answered: {why}")
        if not found:
            typer.echo(f"Nothing was done in the last {hours:g} hours")
    if any(one.wants_human for one in found):
        raise typer.Exit(WANTS_HUMAN)


def _marked(response: Response) -> str:
    settled = f" (settled by {response.settled_by})" if response.settled_by else ""
    return f"{response.in_words}{settled}{'; look at it' if response.wants_human else ''}"


def _one(book: ResponseBook | None, response_id: str) -> Response:
    from storage.errors import NeedsHuman

    found = None if book is None else book.response(response_id)
    if found is None:
        raise NeedsHuman(f"there is no response {response_id}", remedy="lodeline responses list shows them")
    return found


def _show(book: ResponseBook | None, response: Response) -> None:
    import msgspec

    evidence = None if book is None else book.evidence(response.id)
    shown = {"response": response, "evidence": evidence}
    typer.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


def _settle(settings: Settings, book: ResponseBook | None, response: Response) -> None:
    import socket
    import time

    import msgspec

    from deployments.command.options import person
    from storage.audit.trail import AuditKind, Trail
    from storage.errors import NeedsHuman

    if book is None or not response.wants_human:
        raise NeedsHuman(
            f"response {response.id} wants nobody: it is {response.phase.replace('_', ' ')}"
            + (f", settled by {response.settled_by}" if response.settled_by else ""),
            remedy="Nothing was changed",
        )
    who = person()
    book.note(msgspec.structs.replace(response, settled_by=who), "settled", time.time(), person=who)
    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    trail.record(AuditKind.RESPONSE_SETTLED, f"response {response.id}", actor=f"{who} by lodeline responses")
    typer.echo(f"Response {response.id} is settled by {who}")


def _rules(settings: Settings, *, as_json: bool) -> None:
    import msgspec

    wanted = settings.collection.responses
    if as_json:
        typer.echo(msgspec.json.encode(wanted.model_dump(mode="json")).decode())
        return
    typer.echo(
        f"Responses are {wanted.mode}; at most {wanted.at_once_per_site} at once at a site, and "
        f"{wanted.fleet_share:.0%} of its miners a day"
    )
    for one in wanted.actions:
        hours = (
            "" if (one.from_hour, one.to_hour) == (0, 24) else f", {one.from_hour} to {one.to_hour} h {one.timezone}"
        )
        sites = f", at {', '.join(one.sites)}" if one.sites else ""
        typer.echo(
            f"{one.name}: {one.rule} -> {one.action}, at most {one.per_miner_per_day} a day, "
            f"{one.cooldown_minutes:g} min apart{hours}{sites}; judged after {one.judge_after_minutes:g} min"
        )
