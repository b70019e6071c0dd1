"""The life of an alert: pending, firing, resolved. Pure: properties can be tested, and a restart changes nothing.

Semantics follow Prometheus (``for`` and ``keep_firing_for`` of alerting rules) with what a farm needs beside them:
what cannot be known now holds an alert as it is, an acknowledgement expires, flapping is one thing and not many.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from tasks.alerts.rule import Finding, Found, Level, Rule, fingerprint

FLAP_WINDOW_S = 1_800
FLAP_CHANGES = 4
"""An alert that fired or was resolved so often within FLAP_WINDOW_S flaps, and its further changes are not told."""
FORGET_S = 86_400
"""How long a resolved alert is held, for its flapping and for the list."""
SLACK_S = 60
"""Beyond three usual looks: after a longer hole, between looks or in what is known, a pending alert begins again."""


class Phase(StrEnum):
    """Where an alert is in its life."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Event(StrEnum):
    """What can happen to an alert."""

    FIRED = "fired"
    RAISED = "raised"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    FLAPPING = "flapping"
    STEADY = "steady"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. Times are Unix seconds.

    ``since``: when the present spell was first seen; ``seen``: when it was last seen to be so. ``changes``: when it
    fired or was resolved, as far back as flapping is judged.
    """

    id: str
    rule: str
    subject: str
    entity: str
    site: str
    rack: str
    within: str
    level: Level
    phase: Phase
    since: float
    seen: float
    message: str
    value: float | None = None
    fired: float | None = None
    resolved: float | None = None
    acknowledged: float | None = None
    acknowledged_by: str = ""
    acknowledged_until: float | None = None
    flapping: bool = False
    changes: tuple[float, ...] = ()

    @property
    def firing(self) -> bool:
        """Whether it fires now."""
        return self.phase is Phase.FIRING


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an alert, as it was right after it. ``by`` is a person, where one did it."""

    event: Event
    at: float
    alert: Alert
    by: str = ""


def advance(
    held: Mapping[str, Alert],
    found: Mapping[str, Found],
    rules: Mapping[str, Rule],
    *,
    now: float,
    last_look: float | None,
    usual_s: float,
) -> tuple[dict[str, Alert], list[Change]]:
    """Take in what rules found at ``now``; the alerts after it, by id, and what happened to them.

    Args:
        held: alerts after the look before, by id.
        found: by rule. A rule that is absent could not be asked: nothing is known of its alerts.
        rules: those in force, with the level and times that configuration gave them. Alerts of others are resolved.
        now: Unix seconds of this look.
        last_look: of the look before, None at the first.
        usual_s: seconds between looks. After a longer hole nobody knows that a pending alert held all the time.
    """
    patience_s = 3 * usual_s + SLACK_S
    broken = last_look is None or not 0 <= now - last_look <= patience_s
    after = _After(now, broken, patience_s)
    wrong = {
        fingerprint(name, finding.subject): (rules[name], finding)
        for name, result in found.items()
        if name in rules
        for finding in result.findings
    }
    for key, (rule, finding) in wrong.items():
        after.still_wrong(held.get(key), rule, finding)
    for key, alert in held.items():
        if key in wrong:
            continue
        rule_now = rules.get(alert.rule)
        result = found.get(alert.rule)
        unknown = rule_now is not None and (result is None or alert.entity in result.unknown)
        after.not_wrong(alert, rule_now, unknown=unknown)
    settled = {key: _settled(alert, now, after.changes) for key, alert in after.alerts.items()}
    return settled, after.changes


def acknowledge(alert: Alert, *, by: str, now: float, hours: float) -> tuple[Alert, Change]:
    """``alert`` acknowledged by somebody until ``hours`` from ``now``, and the change."""
    known = msgspec.structs.replace(alert, acknowledged=now, acknowledged_by=by, acknowledged_until=now + hours * 3_600)
    return known, Change(event=Event.ACKNOWLEDGED, at=now, alert=known, by=by)


class _After:
    """Alerts after a look, in the making, and what happened to them."""

    def __init__(self, now: float, broken: bool, patience_s: float) -> None:
        self.alerts: dict[str, Alert] = {}
        self.changes: list[Change] = []
        self._now = now
        self._broken = broken
        self._patience_s = patience_s

    def still_wrong(self, alert: Alert | None, rule: Rule, finding: Finding) -> None:
        now = self._now
        if alert is None or alert.phase is Phase.RESOLVED or (alert.phase is Phase.PENDING and self._broken):
            alert = Alert(
                id=fingerprint(rule.name, finding.subject),
                rule=rule.name,
                subject=finding.subject,
                entity=finding.entity,
                site=finding.site,
                rack=finding.rack,
                within=finding.within,
                level=finding.level or rule.level,
                phase=Phase.PENDING,
                since=now,
                seen=now,
                message=finding.message,
                flapping=alert is not None and alert.flapping,
                changes=alert.changes if alert is not None else (),
            )
        level = finding.level or rule.level
        worse = alert.firing and level.rank > alert.level.rank
        alert = msgspec.structs.replace(
            alert,
            seen=now,
            message=finding.message,
            value=finding.value,
            level=level,
            site=finding.site,
            rack=finding.rack,
        )
        if worse:
            alert = _unacknowledged(alert)
            self.changes.append(Change(event=Event.RAISED, at=now, alert=alert))
        if alert.phase is Phase.PENDING and now - alert.since >= rule.for_s:
            alert = msgspec.structs.replace(alert, phase=Phase.FIRING, fired=now, changes=(*alert.changes, now))
            self.changes.append(Change(event=Event.FIRED, at=now, alert=alert))
        self.alerts[alert.id] = alert

    def not_wrong(self, alert: Alert, rule: Rule | None, *, unknown: bool) -> None:
        now, after = self._now, self.alerts
        if alert.phase is Phase.PENDING:
            if unknown and 0 <= now - alert.seen <= self._patience_s:
                after[alert.id] = alert
            elif alert.changes:  # it fired before: what flaps is remembered
                after[alert.id] = msgspec.structs.replace(alert, phase=Phase.RESOLVED, resolved=now)
        elif alert.phase is Phase.RESOLVED:
            if now - (alert.resolved or now) < FORGET_S:
                after[alert.id] = alert
        elif unknown or (rule is not None and now - alert.seen < rule.keep_s):
            after[alert.id] = alert
        else:
            over = msgspec.structs.replace(
                _unacknowledged(alert), phase=Phase.RESOLVED, resolved=now, changes=(*alert.changes, now)
            )
            self.changes.append(Change(event=Event.RESOLVED, at=now, alert=over))
            after[alert.id] = over


def _settled(alert: Alert, now: float, changes: list[Change]) -> Alert:
    """With acknowledgement and flapping as of ``now``."""
    if alert.acknowledged_until is not None and now >= alert.acknowledged_until:
        alert = _unacknowledged(alert)
        if alert.firing:
            changes.append(Change(event=Event.ACKNOWLEDGEMENT_EXPIRED, at=now, alert=alert))
    recent = tuple(at for at in alert.changes if 0 <= now - at < FLAP_WINDOW_S)
    flapping = len(recent) >= FLAP_CHANGES or (alert.flapping and len(recent) >= FLAP_CHANGES // 2)
    if recent == alert.changes and flapping == alert.flapping:
        return alert
    settled = msgspec.structs.replace(alert, changes=recent, flapping=flapping)
    if flapping != alert.flapping:
        changes.append(Change(event=Event.FLAPPING if flapping else Event.STEADY, at=now, alert=settled))
    return settled


def _unacknowledged(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert, acknowledged=None, acknowledged_by="", acknowledged_until=None)
