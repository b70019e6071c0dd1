"""``lodeline override``: pause a miner or a source, force a state, for a while."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption, person

if TYPE_CHECKING:
    from pathlib import Path

    from deployments.settings import Settings
    from storage.audit.trail import AuditKind
    from tasks.overrides.override import Kind, Target

LONGEST_HOURS = 30 * 24


class Action(StrEnum):
    """What to do."""

    LIST = "list"
    PAUSE = "pause"
    FORCE = "force"
    REDETECT = "redetect"
    SHED = "shed"
    END = "end"


def override(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: what holds. pause: ask a miner or source nothing. force: say that a miner is in a state. "
            "redetect: let the driver of a miner of driver auto be found out anew. shed: leave out configurations and "
            "raw payloads on this host. end: take one back."
        ),
    ] = Action.LIST,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="miner ID, or source ID; with shed: host; with end: the id of the override."),
    ] = None,
    *,
    state: Annotated[
        str | None, typer.Option("--state", help="With force: maintenance, stopped or failed.", show_default=False)
    ] = None,
    hours: Annotated[
        float,
        typer.Option("--hours", help="How long it holds.", min=0.01, max=float(LONGEST_HOURS)),
    ] = 4.0,
    why: Annotated[str, typer.Option("--why", help="Why, for those who read it; needed.", show_default=False)] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pause a miner or a source, or force a miner's state: for some hours, with a reason, in your name.

    Shifts of this host follow within a tick, from a file alone, so that it works while everything else is down. What
    another host asks, by its site, has to be set there; this command says where. A
    miner that is paused is not asked and gives no rows; one that is forced to a state is asked as ever. Neither is
    judged by alerts, and no automated response touches it. It ends by itself; docs/operations.md has more.

    Exit code 0: done. 2: a mistake, and nothing was changed.

    Example: lodeline override pause miner miner_0001 --hours 4 --why "fan swap"
    """
    import time

    from deployments.settings import load_settings

    settings, now = load_settings(config), time.time()
    if action is Action.LIST:
        _list(settings, names or [], now, as_json=as_json)
    elif action is Action.END:
        _end(settings, names or [], now)
    else:
        _set(settings, action, names or [], state=state, hours=hours, why=why.strip(), now=now)


def _list(settings: Settings, names: list[str], now: float, *, as_json: bool) -> None:
    import msgspec

    from storage.errors import NeedsHuman
    from tasks.overrides.file import OverrideFile
    from tasks.overrides.override import Overrides

    if names:
        raise NeedsHuman("list takes no names", remedy="See lodeline override --help")
    found = Overrides.at(OverrideFile(_state(settings)).read(), now).all
    if as_json:
        typer.echo(msgspec.json.encode({"overrides": found}).decode())
        return
    for one in found:
        typer.echo(f"{one.id}  {one.target} {one.subject}: {one.in_words()}")
    if not found:
        typer.echo("Nothing is set by hand")


def _end(settings: Settings, ids: list[str], now: float) -> None:
    from storage.audit.trail import AuditKind
    from storage.errors import NeedsHuman
    from tasks.overrides.file import OverrideFile

    if not ids:
        raise NeedsHuman("end needs the id of an override", remedy="lodeline override list shows them")
    file = OverrideFile(_state(settings))
    for one in ids:
        ended = file.end(one, now)
        if ended is None:
            raise NeedsHuman(f"no override {one} holds", remedy="lodeline override list shows those that do")
        _audit(settings, AuditKind.OVERRIDE_ENDED, f"override {one}", {"subject": ended.subject, "what": ended.what})
        typer.echo(f"{ended.target} {ended.subject} is not {ended.what} any more")


def _set(
    settings: Settings, action: Action, names: list[str], *, state: str | None, hours: float, why: str, now: float
) -> None:
    from secrets import token_hex

    from storage.audit.trail import AuditKind
    from storage.errors import NeedsHuman
    from tasks.overrides.file import OverrideFile
    from tasks.overrides.override import STATES, Kind, Override, Target

    kind = Kind(action.value)
    target, subject = _subject(settings, kind, names)
    if not why:
        raise NeedsHuman("an override needs a reason", remedy='Give one, e.g. --why "fan swap"')
    if kind is Kind.FORCE and state not in STATES:
        said = "none is given" if state is None else f"not {state!r}"
        raise NeedsHuman(f"--state is one of {', '.join(STATES)}; {said}", remedy="Nothing was changed")
    if kind is not Kind.FORCE and state is not None:
        raise NeedsHuman("--state belongs to force", remedy="Nothing was changed")
    if target is not Target.HOST:
        _refuse_elsewhere(settings, target, subject, now)
    driver = _driver(settings, subject) if kind is Kind.REDETECT else "auto"
    if driver != "auto":
        raise NeedsHuman(
            f"the driver of miner {subject} is configured to be {driver}: there is nothing to detect",
            remedy="Set driver: auto for it, or correct the driver",
        )
    wanted = Override(
        id=token_hex(3),
        kind=kind,
        target=Target(target),
        subject=subject,
        made=now,
        until=now + hours * 3_600,
        by=person(),
        why=why,
        state=state or "",
    )
    file = OverrideFile(_state(settings))
    file.read()  # a file that cannot be read is told before anything is noted
    detail: dict[str, str | float] = {"subject": subject, "what": wanted.what, "until": int(wanted.until), "why": why}
    _audit(settings, AuditKind.OVERRIDE_SET, f"override {wanted.id}", detail)
    file.put(wanted)
    typer.echo(f"{target} {subject}: {wanted.in_words()}. lodeline override end {wanted.id} ends it")


def _subject(settings: Settings, kind: Kind, names: list[str]) -> tuple[Target, str]:
    import socket

    from storage.configuration.section import nearest
    from storage.errors import NeedsHuman
    from tasks.overrides.override import TARGETS, Target

    fitting = TARGETS[kind]
    if fitting == (Target.HOST,):
        if names != [Target.HOST]:
            raise NeedsHuman(f"{kind} is of this host", remedy=f"Write lodeline override {kind} host --why ...")
        return Target.HOST, socket.gethostname()
    if len(names) != 2 or names[0] not in fitting:
        form = " or ".join(f"{kind} {target} ID" for target in fitting)
        raise NeedsHuman(f"expected {form}", remedy="See lodeline override --help")
    target, subject = Target(names[0]), names[1]
    known = [miner.id for miner in settings.collection.miners] if target is Target.MINER else _sources(settings)
    if subject not in known:
        meant = nearest(subject, known)
        hint = f"Did you mean {meant}?" if meant else f"There are {', '.join(sorted(known)[:10]) or 'none'}"
        raise NeedsHuman(f"no {target} {subject!r} is configured", remedy=hint)
    return target, subject


def _refuse_elsewhere(settings: Settings, target: Target, subject: str, now: float) -> None:
    """Refuse what another host asks: nobody there would read it, and the miner would be asked on."""
    import socket

    from storage.errors import NeedsHuman
    from storage.opening import open_store
    from tasks.miners.sites import lane_of
    from tasks.overrides.hosts import asking
    from tasks.overrides.override import Target
    from tasks.sources.lanes import MARKET, POOLS

    sites = settings.collection.sites
    site = next((miner.site for miner in settings.collection.miners if miner.id == subject), "")
    lanes = {POOLS, MARKET} if target is Target.SOURCE else {lane_of(None), lane_of(site)}
    host = socket.gethostname()
    found = asking(lanes, _state(settings), lambda: open_store(settings.host), host=host, now=now)
    if found.elsewhere is not None:
        raise NeedsHuman(
            f"{target} {subject} is asked by host {found.elsewhere}, and this is {host}: nothing would follow",
            remedy=f"Say it on {found.elsewhere}",
        )
    if sites and not found.here and target is Target.MINER:
        raise NeedsHuman(
            f"miner {subject} stands at site {site}, and {host} has never polled there: nothing would follow",
            remedy=f"Say it on the host of site {site}",
        )


def _sources(settings: Settings) -> list[str]:
    """Sources that this configuration asks, and those that shifts of this host have asked."""
    from tasks.market.sources import market_rates
    from tasks.sources.lanes import MARKET, POOLS
    from tasks.sources.standing import StandingsFile

    asked = {one.source for lane in (POOLS, MARKET) for one in StandingsFile(_state(settings), lane).read()}
    return sorted(asked | settings.collection.pool_ids | set(market_rates(settings.collection.market_data)))


def _driver(settings: Settings, miner_id: str) -> str:
    return next(miner.driver for miner in settings.collection.miners if miner.id == miner_id)


def _state(settings: Settings) -> Path:
    return settings.host.data_directory / "state"


def _audit(settings: Settings, kind: AuditKind, what: str, detail: dict[str, str | float]) -> None:
    import socket

    from storage.audit.trail import Trail

    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    trail.record(kind, what, actor=f"{person()} by lodeline override", detail=detail)
