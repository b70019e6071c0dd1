"""``lodeline alerts``: what is wrong now, who knows of it, and can they be told?"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.alert_channels import show_channels, test_channels
from deployments.command.alert_rules import explain, show_rules
from deployments.command.options import ConfigOption, JsonOption, person

if TYPE_CHECKING:
    from deployments.settings import Settings
    from tasks.alerts.book import Book, Look
    from tasks.alerts.life_cycle import Alert, Change
    from tasks.alerts.muting import Silence


class Action(StrEnum):
    """What to do with alerts."""

    LIST = "list"
    HISTORY = "history"
    ACK = "ack"
    SILENCE = "silence"
    UNSILENCE = "unsilence"
    CHANNELS = "channels"
    TEST = "test"
    RULES = "rules"
    EXPLAIN = "explain"


FIRING = 1
LONGEST_HOURS = 366 * 24


def alerts(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: what fires, and what is about to. history: what happened in the last hours. ack: say that you "
            "know. silence, unsilence: be told nothing of what fits, for a while. channels: how they stand. test: send "
            "a test to each channel. rules: what is watched, as configured. explain: why an alert is one."
        ),
    ] = Action.LIST,
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="With ack: ids of alerts, or all; with explain: of alerts. With unsilence: of silences."),
    ] = None,
    *,
    rule: Annotated[str, typer.Option("--rule", help="With silence: rules, with * for any text.")] = "*",
    entity: Annotated[str, typer.Option("--entity", help="With silence: miners, pools or lanes, with *.")] = "*",
    site: Annotated[str, typer.Option("--site", help="With silence: sites, with *.")] = "*",
    hours: Annotated[
        float | None,
        typer.Option(
            "--hours",
            help="How long: of ack and silence, a year at most, or back in history.",
            min=0.01,
            max=float(LONGEST_HOURS),
        ),
    ] = None,
    why: Annotated[str, typer.Option("--why", help="With silence: why, for those who read it.")] = "",
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="With test: only this one; may come again.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show alerts of this host, acknowledge or silence them, and test the channels that tell of them.

    Flow watch-alerts finds them; docs/alerts.md explains every rule. An acknowledged alert is not told again and not
    escalated until it gets worse or the acknowledgement expires; a silenced one is not told at all.

    Exit code 0: nothing fires that is not muted, or what was asked for is done. 1: with list, something fires; with
    test, a channel did not take it. 2: a mistake.

    Example: lodeline alerts ack 3f0a91c2de
    """
    import time
    from secrets import token_hex

    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    if ids and action not in {Action.ACK, Action.UNSILENCE, Action.EXPLAIN}:
        raise NeedsHuman(f"{action} takes no ids", remedy="See lodeline alerts --help")
    settings = load_settings(config)
    if action is Action.TEST:
        test_channels(settings, channel or [])
        return
    if action is Action.RULES:
        show_rules(settings, as_json=as_json)
        return
    from tasks.alerts.book import Book
    from tasks.alerts.muting import Silence

    state = settings.host.data_directory / "state"
    # a look makes no files: they would be those of whoever looks, and the watch could not write them
    book = Book.open(state) if action is Action.SILENCE else Book.look_into(state) or Book.blank()
    try:
        if action is Action.LIST:
            _list(settings, book, as_json=as_json)
        elif action is Action.HISTORY:
            _history(book, 24.0 if hours is None else hours, as_json=as_json)
        elif action is Action.ACK:
            _acknowledge(settings, book, ids or [], hours)
        elif action is Action.SILENCE:
            now = time.time()
            until = now + (2.0 if hours is None else hours) * 3_600
            wanted = Silence(
                id=token_hex(3), by=person(), made=now, until=until, rule=rule, entity=entity, site=site, why=why
            )
            _silence(settings, book, wanted)
        elif action is Action.UNSILENCE:
            _unsilence(settings, book, ids or [])
        elif action is Action.EXPLAIN:
            explain(settings, book, ids or [], as_json=as_json)
        else:
            show_channels(book, as_json=as_json)
    finally:
        book.close()


def _list(settings: Settings, book: Book, *, as_json: bool) -> None:
    import time

    import msgspec

    from tasks.alerts.life_cycle import Phase

    now, look = time.time(), book.last_look()
    found = sorted(
        (alert for alert in book.alerts().values() if alert.phase is not Phase.RESOLVED),
        key=lambda alert: (not alert.firing, -alert.level.rank, alert.rule, alert.subject),
    )
    muted = look.muted if look is not None else {}
    if as_json:
        typer.echo(
            msgspec.json.encode(
                {"look": look, "silences": book.silences(), "alerts": [_with_mute(one, muted) for one in found]}
            ).decode()
        )
    else:
        typer.echo("\n".join(in_words(found, look, now, settings.collection.alerts.check_interval_seconds)))
    if any(alert.firing and alert.id not in muted for alert in found):
        raise typer.Exit(FIRING)


def _with_mute(alert: Alert, muted: dict[str, str]) -> dict[str, object]:
    import msgspec

    return {**msgspec.structs.asdict(alert), "muted": muted.get(alert.id)}


def in_words(found: list[Alert], look: Look | None, now: float, usual_s: float) -> list[str]:
    """The alerts as lines of text, firing ones first; and whether anybody looks at all."""
    from tasks.quantity import age

    if look is None:
        return ["Nobody has looked yet: flow watch-alerts does, on the host that it is deployed to"]
    lines = []
    if now - look.at > 3 * usual_s + 60:
        lines.append(f"The last look was {age(now - look.at)} ago: is flow watch-alerts running?")
    lines += [f"Rule {rule} was not asked: {why}" for rule, why in _alike(look.not_asked)]
    for alert in found:
        notes = [
            f"for {age(now - alert.since)}",
            *(["pending"] if not alert.firing else []),
            *(["flapping"] if alert.flapping else []),
            *([f"acknowledged by {alert.acknowledged_by}"] if alert.acknowledged is not None else []),
            *([f"muted: {look.muted[alert.id]}"] if alert.id in look.muted else []),
        ]
        where = f" at {alert.site}" if alert.site and alert.site not in alert.subject else ""
        lines.append(
            f"{alert.id}  {alert.level!s:<8}  {alert.rule}: {alert.subject}{where}: {alert.message} "
            f"({', '.join(notes)})"
        )
    return lines if found else [*lines, f"No alerts; last look {age(now - look.at)} ago"]


def _alike(not_asked: dict[str, str]) -> list[tuple[str, str]]:
    by_reason: dict[str, list[str]] = {}
    for rule, why in not_asked.items():
        by_reason.setdefault(why, []).append(rule)
    return [
        (", ".join(rules) if len(rules) < 4 else f"{rules[0]} and {len(rules) - 1} more", why)
        for why, rules in by_reason.items()
    ]


def _history(book: Book, hours: float, *, as_json: bool) -> None:
    import time

    import msgspec

    changes = book.changes(time.time() - hours * 3_600)
    if as_json:
        typer.echo(msgspec.json.encode(changes).decode())
        return
    typer.echo("\n".join(map(_change_in_words, changes)) or f"Nothing happened in the last {hours:g} hours")


def _change_in_words(change: Change) -> str:
    from tasks.quantity import clock

    by = f" by {change.by}" if change.by else ""
    event = str(change.event).replace("_", " ")
    return f"{clock(change.at)}  {event}{by}  {change.alert.rule}: {change.alert.subject}: {change.alert.message}"


def _acknowledge(settings: Settings, book: Book, ids: list[str], hours: float | None) -> None:
    import time

    from storage.errors import NeedsHuman
    from tasks.alerts.life_cycle import acknowledge

    if not ids:
        raise NeedsHuman("ack needs the ids of alerts", remedy="lodeline alerts list shows them; or write all")
    who, now = person(), time.time()
    valid = settings.collection.alerts.acknowledgement_hours if hours is None else hours
    done = []
    with book.transaction():
        firing = {key: alert for key, alert in book.alerts().items() if alert.firing}
        wanted = list(firing) if ids == ["all"] else ids
        unknown = [one for one in wanted if one not in firing]
        if unknown:
            raise NeedsHuman(f"no alert {', '.join(unknown)} fires", remedy="lodeline alerts list shows those that do")
        for key in wanted:
            known, change = acknowledge(firing[key], by=who, now=now, hours=valid)
            book.put_alert(known)
            book.add_changes([change])
            done.append(known)
    for alert in done:
        typer.echo(f"{alert.rule}: {alert.subject} is acknowledged by {who} for {valid:g} hours")
    if not done:
        typer.echo("Nothing fires")


def _silence(settings: Settings, book: Book, silence: Silence) -> None:
    from fnmatch import fnmatchcase

    from storage.errors import NeedsHuman
    from tasks.quantity import clock

    if (silence.rule, silence.entity, silence.site) == ("*", "*", "*"):
        raise NeedsHuman("that would silence everything", remedy="Give --rule, --entity or --site")
    if not any(fnmatchcase(name, silence.rule) for name in settings.collection.alerts.rules_in_force()):
        raise NeedsHuman(f"no rule fits {silence.rule!r}", remedy="lodeline alerts rules lists them")
    with book.transaction():
        book.put_silence(silence)
    _audit(
        settings,
        f"alerts silence {silence.id}",
        {
            "rule": silence.rule,
            "entity": silence.entity,
            "site": silence.site,
            "until": int(silence.until),
            "why": silence.why,
        },
    )
    typer.echo(f"Silence {silence.id} until {clock(silence.until)}; lodeline alerts unsilence {silence.id} ends it")


def _unsilence(settings: Settings, book: Book, ids: list[str]) -> None:
    from storage.errors import NeedsHuman

    if not ids:
        raise NeedsHuman("unsilence needs the id of a silence", remedy="lodeline alerts list --json shows them")
    with book.transaction():
        unknown = [one for one in ids if not book.end_silence(one)]
        if unknown:
            raise NeedsHuman(
                f"there is no silence {', '.join(unknown)}", remedy="lodeline alerts list --json shows them"
            )
    _audit(settings, f"alerts unsilence {', '.join(ids)}", {})
    typer.echo(f"Silence {', '.join(ids)} is over")


def _audit(settings: Settings, what: str, detail: dict[str, str | float]) -> None:
    import socket

    from storage.audit.trail import AuditKind, Trail

    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    trail.record(AuditKind.OVERRIDE_SET, what, actor=f"{person()} by lodeline alerts", detail=detail)
