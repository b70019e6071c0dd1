"""Alerts that fire and are not told: inhibited by another, within maintenance, silenced, or of what an override is
about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import About, Rule
from tasks.alerts.rules.crowd import crowd_name
from tasks.alerts.settings import MaintenanceSettings
from tasks.overrides.override import NOTHING_BY_HAND, Overrides


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to hear nothing of until ``until`` (Unix seconds). Patterns have ``*`` for any text."""

    id: str
    by: str
    made: float
    until: float
    rule: str = "*"
    entity: str = "*"
    site: str = "*"
    why: str = ""

    def fits(self, alert: Alert) -> bool:
        """Whether ``alert`` is meant."""
        return _fits(alert, self.rule, self.entity, self.site)


def muted(
    alerts: Mapping[str, Alert],
    rules: Mapping[str, Rule],
    *,
    silences: Iterable[Silence],
    maintenance: Sequence[MaintenanceSettings],
    now: float,
    by_hand: Overrides = NOTHING_BY_HAND,
) -> dict[str, str]:
    """Ids of firing alerts that are not told now, with the reason in words.

    An alert is inhibited by one for the same entity, or for what the entity belongs to, that its rule names; by one of
    the pipeline that its rule names, whatever it is for; and by a crowd of its own rule, or of one that its rule names,
    at its site or rack. Pending ones inhibit too: what is about to fire as the cause is not overtaken by its effects.
    """
    alive = [alert for alert in alerts.values() if alert.phase is not Phase.RESOLVED and alert.rule in rules]
    entities = {(alert.rule, alert.entity) for alert in alive}
    everywhere = {alert.rule for alert in alive if rules[alert.rule].about is About.PIPELINE}
    crowds = {(alert.rule, alert.site, alert.rack): alert for alert in alive if rules[alert.rule].about is About.SITE}
    valid = [silence for silence in silences if silence.made <= now < silence.until]
    open_now = [window for window in maintenance if is_open(window, now)]
    found: dict[str, str] = {}
    for alert in alive:
        if not alert.firing:
            continue
        reason = _inhibited(alert, rules[alert.rule], entities, everywhere, crowds)
        if reason is None:
            reason = _by_hand(alert, rules[alert.rule], by_hand)
        for silence in valid:
            if reason is None and silence.fits(alert):
                reason = f"silenced by {silence.by}"
        for window in open_now:
            if reason is None and _fits(alert, window.rule, window.entity, window.site):
                reason = f"maintenance {window.name}"
        if reason is not None:
            found[alert.id] = reason
    return found


def is_open(window: MaintenanceSettings, now: float) -> bool:
    """Whether ``now`` lies in ``window``; its end is outside."""
    if window.on is not None:
        return 0 <= now - window.on.timestamp() < window.minutes * 60
    if window.start is None:
        return False
    earliest = now - window.minutes * 60
    # forward: in the hour that clocks tell twice a search backwards misses what began in its first run
    for begin in CronSim(window.start, datetime.fromtimestamp(earliest, ZoneInfo(window.timezone))):
        if begin.timestamp() > now:
            break
        if begin.timestamp() > earliest:
            return True
    return False


def _inhibited(
    alert: Alert,
    rule: Rule,
    entities: set[tuple[str, str]],
    everywhere: set[str],
    crowds: Mapping[tuple[str, str, str], Alert],
) -> str | None:
    for other in sorted(rule.muted_by):
        if other in everywhere:
            return f"{other} is the cause"
        if (other, alert.entity) in entities or (alert.within and (other, alert.within) in entities):
            return f"{other} of the same says it"
    if rule.about is About.MINER:
        for other in (rule.name, *sorted(rule.muted_by)):
            for rack in ("", alert.rack):
                crowd = crowds.get((crowd_name(other), alert.site, rack))
                if crowd is not None:
                    return f"{crowd.subject}: {crowd.message} alike"
    return None


def _by_hand(alert: Alert, rule: Rule, by_hand: Overrides) -> str | None:
    if rule.about is About.MINER:
        override = by_hand.of_miner(alert.entity)
    elif rule.about in (About.POOL, About.MARKET):
        override = by_hand.paused_source(alert.entity) or by_hand.paused_source(alert.within)
    else:
        override = None
    return None if override is None else override.in_words()


def _fits(alert: Alert, rule: str, entity: str, site: str) -> bool:
    return fnmatchcase(alert.rule, rule) and fnmatchcase(alert.entity, entity) and fnmatchcase(alert.site, site)
