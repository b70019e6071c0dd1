"""Which alerts are due to be told on which channel, and in what words. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Level, Rule
from tasks.alerts.settings import AlertSettings, ChannelSettings

NAMED = 20
"""Subjects that a message names; of more it says how many."""
SEPARATE = 5
"""Messages of one look to one channel; more come as one."""


class Reason(StrEnum):
    """Why an alert is told."""

    NEW = "new"
    WORSE = "worse"
    AGAIN = "still"
    FLAPPING = "flapping"
    UNACKNOWLEDGED = "not acknowledged"
    OVER = "resolved"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel was last told of an alert: of which spell (by when it fired), when, and as what."""

    alert: str
    channel: str
    fired: float
    at: float
    level: Level
    flapping: bool = False
    over: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one channel. ``alerts`` are their ids."""

    channel: str
    title: str
    body: str
    level: Level
    over: bool
    alerts: tuple[str, ...]


class Due(msgspec.Struct, frozen=True):
    """An alert that a channel is to be told of now, and why."""

    alert: Alert
    reason: Reason


def due(
    channel: ChannelSettings,
    settings: AlertSettings,
    alerts: Iterable[Alert],
    muted: Mapping[str, str],
    told: Mapping[str, Told],
    *,
    now: float,
) -> list[Due]:
    """Alerts that ``channel`` is to be told of now, worst first.

    Args:
        muted: alerts that are not told, by id.
        told: what this channel was told, by alert.
    """
    found = []
    for alert in alerts:
        reason = _reason(channel, settings, alert, told.get(alert.id), now) if alert.id not in muted else None
        if reason is not None:
            found.append(Due(alert, reason))
    return sorted(found, key=lambda one: (-one.alert.level.rank, one.alert.rule, one.alert.site, one.alert.subject))


def _reason(
    channel: ChannelSettings, settings: AlertSettings, alert: Alert, last: Told | None, now: float
) -> Reason | None:
    if alert.fired is None or (channel.sites and alert.site and alert.site not in channel.sites):
        return None
    of_this_spell = last is not None and last.fired == alert.fired
    if alert.phase is Phase.RESOLVED:
        # told as over only where it was told at all; what flaps is told when it is steady again
        over = last is not None and not last.over and channel.resolved and not alert.flapping
        return Reason.OVER if over else None
    if not alert.firing or alert.level not in channel.levels:
        return None
    if channel.step:
        wait_s = 60 * settings.escalation_minutes[channel.step - 1]
        if alert.level is not Level.CRITICAL or now - alert.fired < wait_s:
            return None
        if alert.acknowledged is not None:
            return None
    if last is not None and last.flapping and alert.flapping and now - last.at < settings.repeat_hours * 3_600:
        return None
    if not of_this_spell or last is None:
        if alert.flapping:
            return Reason.FLAPPING
        return Reason.UNACKNOWLEDGED if channel.step else Reason.NEW
    if alert.level.rank > last.level.rank:
        return Reason.WORSE
    if alert.flapping and not last.flapping:
        return Reason.FLAPPING
    if alert.acknowledged is None and now - last.at >= settings.repeat_hours * 3_600:
        return Reason.AGAIN
    return None


def worded(
    channel: str, found: Sequence[Due], rules: Mapping[str, Rule], *, at_most: int, apart: bool = False
) -> list[Message]:
    """Messages that tell ``found``: one for each rule and site, or a single one where those were more than SEPARATE or
    than ``at_most``; none where not one is left. ``apart``: one for each alert, the first ``at_most``. What is not told
    stays due."""
    if not found or at_most < 1:
        return []
    if apart:
        return [_message(channel, [one], rules) for one in found[:at_most]]
    groups: dict[tuple[bool, str, str], list[Due]] = defaultdict(list)
    for one in found:
        groups[one.reason is Reason.OVER, one.alert.rule, one.alert.site].append(one)
    if len(groups) <= min(SEPARATE, at_most):
        return [_message(channel, group, rules) for group in groups.values()]
    return [_digest(channel, list(groups.values()))]


def _message(channel: str, group: Sequence[Due], rules: Mapping[str, Rule]) -> Message:
    first = group[0].alert
    over = group[0].reason is Reason.OVER
    what = first.subject if len(group) == 1 else f"{len(group)} at {first.site}" if first.site else str(len(group))
    word = "resolved" if over else str(first.level)
    lines = [_line(one) for one in group[:NAMED]]
    if len(group) > NAMED:
        lines.append(f"and {len(group) - NAMED} more: lodeline alerts list")
    rule = rules.get(first.rule)
    if rule is not None and not over:
        lines += ["", rule.meaning, rule.remedy, f"docs/alerts.md#{rule.name}"]
    return Message(
        channel=channel,
        title=f"[{word}] {first.rule}: {what}",
        body="\n".join(lines),
        level=first.level,
        over=over,
        alerts=tuple(one.alert.id for one in group),
    )


def _digest(channel: str, groups: Sequence[Sequence[Due]]) -> Message:
    alerts = [one for group in groups for one in group]
    worst = max((one.alert.level for one in alerts if one.reason is not Reason.OVER), default=Level.INFO, key=_rank)
    lines = []
    for group in groups:
        first = group[0]
        over = first.reason is Reason.OVER
        where = f" at {first.alert.site}" if first.alert.site else ""
        word = "resolved" if over else str(first.alert.level)
        subjects = ", ".join(one.alert.subject for one in group[:3]) + (", …" if len(group) > 3 else "")
        lines.append(f"[{word}] {first.alert.rule}{where}: {len(group)} ({subjects})")
    return Message(
        channel=channel,
        title=f"[{worst}] {len(alerts)} alerts of {len(groups)} kinds",
        body="\n".join([*lines[: 2 * NAMED], *(["…"] if len(lines) > 2 * NAMED else []), "", "lodeline alerts list"]),
        level=worst,
        over=all(one.reason is Reason.OVER for one in alerts),
        alerts=tuple(one.alert.id for one in alerts),
    )


def _rank(level: Level) -> int:
    return level.rank


def _line(one: Due) -> str:
    why = "" if one.reason in {Reason.NEW, Reason.OVER} else f" ({one.reason})"
    return f"{one.alert.subject}: {one.alert.message}{why} [{one.alert.id}]"
