"""Which alerts are answered now, and why the others are not. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from tasks.alerts.book import Look
from tasks.alerts.life_cycle import Alert
from tasks.overrides.override import Overrides
from tasks.quantity import age
from tasks.responses.response import OF_MINERS, Act, Phase, Response
from tasks.responses.settings import ResponseActionSettings, ResponseSettings

DAY_S = 86_400.0
_LATE_LOOKS = 2.0
"""A look older than so many intervals says nothing of now."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alert that is to be answered, and how."""

    alert: Alert
    action: ResponseActionSettings


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All that is known when it is decided.

    ``muted``: why alerts are not told now, by id. ``earlier``: responses of the last day at least. ``site_of`` and
    ``site_sizes`` are of the configured miners. ``fresh``: miners whose newest reading is fresh and was answered;
    nobody knows them while there is ``store_trouble``.
    """

    now: float
    look: Look
    look_every_s: float
    earlier: Sequence[Response]
    by_hand: Overrides
    site_of: Mapping[str, str]
    site_sizes: Mapping[str, int]
    fresh: frozenset[str]
    store_trouble: str | None = None


def decide(
    settings: ResponseSettings, alerts: Iterable[Alert], known: Circumstances
) -> tuple[list[Wanted], dict[str, str]]:
    """Alerts that are answered now, the worst and the oldest first; and by id of alert why others are not, though an
    action is for their rule."""
    wanted: list[Wanted] = []
    held: dict[str, str] = {}
    mine = [one for one in known.earlier if one.mode is settings.mode]
    touched: list[tuple[str, str | None]] = []
    for alert in sorted(alerts, key=lambda alert: (-alert.level.rank, alert.fired or alert.since, alert.id)):
        if not alert.firing:
            continue
        actions = [action for action in settings.actions if action.rule == alert.rule]
        if not actions:
            continue
        why = _not_now(alert, known)
        fitting = [action for action in actions if not action.sites or alert.site in action.sites]
        if why is None and not fitting:
            why = f"no action is for site {alert.site or '(unnamed)'}"
        for action in fitting if why is None else ():
            why = _not_so(alert, action, known) or _limited(alert, action, settings, known, mine=mine, touched=touched)
            if why is None:
                wanted.append(Wanted(alert, action))
                touched.append((alert.entity, alert.site if action.action in OF_MINERS else None))
                break
        if why is not None:
            held[alert.id] = why
    return wanted, held


def _not_now(alert: Alert, known: Circumstances) -> str | None:
    """What holds for an alert whichever action answers it."""
    if known.now - known.look.at > _LATE_LOOKS * known.look_every_s:
        return f"the last look was {age(known.now - known.look.at)} ago"
    if alert.seen < known.look.at:
        return "it was not seen at the last look: whether it still is so is not known"
    if alert.id in known.look.muted:
        return f"muted: {known.look.muted[alert.id]}"
    if alert.acknowledged is not None:
        return f"{alert.acknowledged_by} has acknowledged it"
    return None


def _not_so(alert: Alert, action: ResponseActionSettings, known: Circumstances) -> str | None:
    """What of the alert's subject, and of the time of day, is against an action."""
    if action.action in OF_MINERS:
        if known.store_trouble is not None:
            return f"the store does not answer: {known.store_trouble}"
        if alert.entity not in known.site_of:
            return f"no miner {alert.entity} is configured"
        if alert.entity not in known.fresh:
            return "its newest reading is not fresh"
        override = known.by_hand.of_miner(alert.entity)
    elif action.action is Act.PAUSE_SOURCE:
        override = known.by_hand.paused_source(alert.entity)
    else:
        override = known.by_hand.shed(alert.entity)
    if override is not None:
        return override.in_words()
    fired_s = known.now - (alert.fired or known.now)
    if fired_s < 60 * action.fires_for_minutes:
        return f"{action.name}: it fires for {age(fired_s)} only"
    here = datetime.fromtimestamp(known.now, ZoneInfo(action.timezone)).hour
    inside = action.from_hour <= here < action.to_hour
    if action.from_hour > action.to_hour:
        inside = here >= action.from_hour or here < action.to_hour
    return None if inside else f"{action.name}: only from {action.from_hour} to {action.to_hour} h {action.timezone}"


def _limited(
    alert: Alert,
    action: ResponseActionSettings,
    settings: ResponseSettings,
    known: Circumstances,
    *,
    mine: Sequence[Response],
    touched: Sequence[tuple[str, str | None]],
) -> str | None:
    """Which limit is reached by earlier responses of the same mode, and by those of this look (``touched``)."""
    now, subject = known.now, alert.entity
    same = [one for one in mine if one.subject == subject]
    if any(one.phase is Phase.UNCLEAR and not one.settled_by for one in same):
        return "an earlier response is unclear: lodeline responses settle ID says that somebody has looked"
    if any(_is_open(one, now) for one in same) or any(entity == subject for entity, _ in touched):
        return "an earlier response is not judged yet"
    last = max((one.ended or one.planned for one in same), default=-math.inf)
    if now - last < 60 * action.cooldown_minutes:
        return f"{action.name}: the last response to it was {age(now - last)} ago"
    of_day = [one for one in mine if now - one.planned < DAY_S]
    done = sum(one.subject == subject and one.name == action.name for one in of_day)
    if done >= action.per_miner_per_day:
        return f"{action.name}: {done} of {action.per_miner_per_day} a day are done"
    if action.action not in OF_MINERS:
        return None
    open_here = sum(_is_open(one, now) and one.act in OF_MINERS and one.site == alert.site for one in mine)
    open_here += sum(site == alert.site for _, site in touched)
    if open_here >= settings.at_once_per_site:
        return f"{open_here} at once at this site are not judged yet"
    miners = {one.subject for one in of_day if one.act in OF_MINERS and one.site == alert.site}
    miners |= {entity for entity, site in touched if site == alert.site}
    most = max(1, math.floor(settings.fleet_share * known.site_sizes.get(alert.site, 0)))
    if len(miners | {subject}) > most:
        return f"{len(miners)} miners of this site were touched within a day, {most} is the most"
    return None


def _is_open(response: Response, now: float) -> bool:
    """Whether it is not known yet what came of it; of one that was not done, whether it would be."""
    would_be = response.phase is Phase.DRY_RUN and response.judge_at is not None and now < response.judge_at
    return response.is_open or would_be


def judged(response: Response, alert: Alert | None, look: Look, now: float) -> tuple[Phase, str] | None:
    """What came of a response that was done: its new phase and why; None while it is too early to say.

    It helped where its alert is over. Where the alert could not be seen, it is waited for, half an hour at most.
    """
    if response.phase is not Phase.DONE or response.judge_at is None or now < response.judge_at:
        return None
    if alert is None or not alert.firing:
        return Phase.HELPED, f"{response.rule} is over"
    if alert.seen >= look.at and now - look.at < 300:
        return Phase.NO_HELP, f"{response.rule} goes on: {alert.message}"
    if now - response.judge_at < response.keep_s + 1_800:
        return None
    return Phase.NOT_KNOWN, f"whether {response.rule} goes on cannot be seen"
