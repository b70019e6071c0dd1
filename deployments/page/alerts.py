"""Alerts as the page shows them: from the book that the watch keeps, worst first; and acknowledging one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from storage.errors import NeedsHuman
from tasks import quantity
from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, acknowledge
from tasks.alerts.rule import About
from tasks.alerts.rules import RULES

PERSON = "the page"
"""By whom an alert is acknowledged that is acknowledged here: the page knows a password, not people."""


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert that fires. ``quiet`` where nobody is told of it: muted, or acknowledged."""

    id: str
    level: str
    what: str
    why: str
    notes: tuple[str, ...]
    miner_id: str | None
    quiet: bool
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts that fire, worst and loudest first, and when the watch last looked; None: it never did."""

    lines: tuple[AlertLine, ...]
    looked: float | None

    @property
    def loud(self) -> int:
        """How many are neither muted nor acknowledged."""
        return sum(not line.quiet for line in self.lines)


def read_alerts(state: Path) -> Alerts:
    """Alerts of the book under ``state``; none where there is no book.

    Raises:
        NeedsHuman: the book cannot be opened.
    """
    book = Book.look_into(state)
    if book is None:
        return Alerts((), None)
    try:
        return alerts_of(book.alerts(), book.last_look())
    finally:
        book.close()


def alerts_of(held: Mapping[str, Alert], look: Look | None) -> Alerts:
    """What the page shows of ``held``; pure."""
    muted = look.muted if look is not None else {}
    firing = [alert for alert in held.values() if alert.firing]
    firing.sort(key=lambda one: (_is_quiet(one, muted), -one.level.rank, one.fired or 0.0, one.subject))
    return Alerts(tuple(_line(one, muted) for one in firing), None if look is None else look.at)


def acknowledge_alert(state: Path, alert_id: str, now: float, hours: float) -> bool:
    """Acknowledge the alert of that id; False where it does not fire.

    Raises:
        NeedsHuman: there is no book, or it cannot be opened.
    """
    book = Book.look_into(state)
    if book is None:
        raise NeedsHuman("there is no book of alerts", remedy="Start flow watch-alerts on this host")
    try:
        with book.transaction():
            alert = book.alerts().get(alert_id)
            if alert is None or not alert.firing:
                return False
            known, change = acknowledge(alert, by=PERSON, now=now, hours=hours)
            book.put_alert(known)
            book.add_changes([change])
        return True
    finally:
        book.close()


def _is_quiet(alert: Alert, muted: Mapping[str, str]) -> bool:
    return alert.id in muted or alert.acknowledged is not None


def _line(alert: Alert, muted: Mapping[str, str]) -> AlertLine:
    rule = RULES.get(alert.rule)
    notes = [
        f"since {quantity.clock(alert.since)}",
        *([alert.site] if alert.site and alert.site not in alert.subject else []),
        *(["flapping"] if alert.flapping else []),
        *([f"acknowledged by {alert.acknowledged_by}"] if alert.acknowledged is not None else []),
        *([muted[alert.id]] if alert.id in muted else []),
    ]
    return AlertLine(
        id=alert.id,
        level=str(alert.level),
        what=f"{alert.rule.replace('_', ' ')}: {alert.subject}",
        why=alert.message,
        notes=tuple(notes),
        miner_id=alert.entity if rule is not None and rule.about is About.MINER else None,
        quiet=_is_quiet(alert, muted),
        acknowledged=alert.acknowledged is not None,
    )
