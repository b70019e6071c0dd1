"""Alerts as the page shows them: from the book that the watch keeps, grouped, worst first; and acknowledging them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.errors import NeedsHuman
from tasks.alerts.book import Book, ChannelStanding, Look
from tasks.alerts.composite import FARM
from tasks.alerts.life_cycle import Alert, acknowledge
from tasks.alerts.rule import About
from tasks.alerts.rules import RULES

PERSON = "the page"
"""By whom an alert is acknowledged that is acknowledged here: the page knows a password, not people."""


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert that fires, since Unix seconds ``since``. ``quiet`` where nobody is told of it: muted, or
    acknowledged."""

    id: str
    level: str
    subject: str
    why: str
    since: float
    notes: tuple[str, ...]
    miner_id: str | None
    quiet: bool
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts of one rule at one site that are all quiet, or all not; the worst first. ``level`` is the worst's."""

    rule: str
    site: str
    level: str
    quiet: bool
    lines: tuple[AlertLine, ...]

    @property
    def name(self) -> str:
        """The rule in words."""
        return self.rule.replace("_", " ")

    @property
    def to_acknowledge(self) -> tuple[str, ...]:
        """Ids of those that nobody acknowledged."""
        return tuple(line.id for line in self.lines if not line.acknowledged)


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts that fire, worst and loudest first, and when the watch last looked; None: it never did. ``channels``: how
    each stands on which alerts are told."""

    groups: tuple[AlertGroup, ...]
    looked: float | None
    channels: tuple[ChannelStanding, ...] = ()

    @property
    def firing(self) -> int:
        """How many fire."""
        return sum(len(group.lines) for group in self.groups)

    @property
    def loud(self) -> int:
        """How many are neither muted nor acknowledged."""
        return sum(len(group.lines) for group in self.groups if not group.quiet)


def read_alerts(state: Path, channels: Sequence[str] = ()) -> Alerts:
    """Alerts of the book under ``state``; none where there is no book. ``channels``: names of those configured.

    Raises:
        NeedsHuman: the book cannot be opened.
    """
    book = Book.look_into(state)
    if book is None:
        return Alerts((), None, standing_of([], channels))
    try:
        held, look, tried = book.alerts(), book.last_look(), book.channels()
    finally:
        book.close()
    return Alerts(groups_of(held, look), None if look is None else look.at, standing_of(tried, channels))


def standing_of(tried: Sequence[ChannelStanding], configured: Sequence[str]) -> tuple[ChannelStanding, ...]:
    """Channels that are configured, those that were never tried too; without a configuration all that were tried."""
    found = {one.name: one for one in tried}
    untried = {
        name: ChannelStanding(name=name, last_success=None, last_failure=None, trouble=None, waiting=0)
        for name in configured
    }
    return tuple(found.get(name, one) for name, one in untried.items()) if configured else tuple(tried)


def groups_of(held: Mapping[str, Alert], look: Look | None) -> tuple[AlertGroup, ...]:
    """What the page shows of ``held``; pure."""
    muted = look.muted if look is not None else {}
    firing = [alert for alert in held.values() if alert.firing]
    firing.sort(key=lambda one: (_is_quiet(one, muted), -one.level.rank, one.fired or 0.0, one.subject))
    groups: dict[tuple[str, str, bool], list[Alert]] = {}
    for alert in firing:
        groups.setdefault((alert.rule, alert.site, _is_quiet(alert, muted)), []).append(alert)
    return tuple(
        AlertGroup(rule, site, str(members[0].level), quiet, tuple(_line(one, muted) for one in members))
        for (rule, site, quiet), members in groups.items()
    )


def acknowledge_alerts(state: Path, alert_ids: Sequence[str], now: float, hours: float) -> int:
    """Acknowledge those of ``alert_ids`` that fire, all or none; how many these are.

    Raises:
        NeedsHuman: there is no book, or it cannot be opened.
    """
    book = Book.look_into(state)
    if book is None:
        raise NeedsHuman("there is no book of alerts", remedy="Start flow watch-alerts on this host")
    try:
        with book.transaction():
            held = book.alerts()
            firing = [alert for name in alert_ids if (alert := held.get(name)) is not None and alert.firing]
            for alert in firing:
                known, change = acknowledge(alert, by=PERSON, now=now, hours=hours)
                book.put_alert(known)
                book.add_changes([change])
        return len(firing)
    finally:
        book.close()


def _is_quiet(alert: Alert, muted: Mapping[str, str]) -> bool:
    return alert.id in muted or alert.acknowledged is not None


def _miner_of(alert: Alert) -> str | None:
    """The miner that it is about. Rules that are not declared are composites of the configuration: theirs are about a
    miner, or the farm."""
    rule = RULES.get(alert.rule)
    if rule is None:
        return alert.entity if alert.entity != FARM else None
    return alert.entity if rule.about is About.MINER else None


def _line(alert: Alert, muted: Mapping[str, str]) -> AlertLine:
    notes = [
        *(["flapping"] if alert.flapping else []),
        *([f"acknowledged by {alert.acknowledged_by}"] if alert.acknowledged is not None else []),
        *([muted[alert.id]] if alert.id in muted else []),
    ]
    return AlertLine(
        id=alert.id,
        level=str(alert.level),
        subject=alert.subject,
        why=alert.message,
        since=alert.since,
        notes=tuple(notes),
        miner_id=_miner_of(alert),
        quiet=_is_quiet(alert, muted),
        acknowledged=alert.acknowledged is not None,
    )
