"""Whether a model is trained again now, and why or why not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.abacus.settings import RetrainingSettings

DAY_S = 86_400
GOING_ON = frozenset({"PENDING", "TRAINING"})
STARTED_WITHIN_S = 3600
"""The service may tell another start of a training than the one that is noted here, by its queue and its clock."""

OVER = frozenset({"COMPLETE", "FAILED", "CANCELLED"})


class Training(NamedTuple):
    """A version at the service: its word for how it stands, and when (Unix seconds) its training began, if told."""

    version: str
    status: str
    started_at: int | None


class DriftedDay(NamedTuple):
    """A day (Unix seconds of its start), the group's features that drifted on it, and who says so."""

    day: int
    features: tuple[str, ...]
    by: str = ""


class Decision(NamedTuple):
    """``due``: a training is started, ``why`` is the reason; else ``why`` says what is against it."""

    due: bool
    why: str


def decide(
    settings: RetrainingSettings,
    trainings: Sequence[Training],
    own_starts: Sequence[int],
    drifted: Sequence[DriftedDay],
    now: int,
) -> Decision:
    """``trainings``: newest first. ``own_starts``: Unix seconds when we began some. ``drifted``: the newest day of
    everybody whose word counts; any of them may ask for a training. A status that is not known counts
    as going on where it is the newest's: rather one training too few than two at once.
    """
    going = [one for one in trainings if one.status in GOING_ON]
    if not going and trainings and trainings[0].status not in OVER:
        going = [trainings[0]]
    if going:
        return Decision(False, f"version {going[0].version} is {going[0].status}")
    told = [one.started_at for one in trainings if one.started_at is not None]
    last = max([*told, *own_starts], default=None)
    cause = _cause(settings, last, drifted, now)
    newest = trainings[0] if trainings else None
    if newest is not None and newest.status == "FAILED" and _is_own(newest, own_starts):
        cause = "; ".join([f"version {newest.version}, which was begun here, failed", *([cause] if cause else [])])
    if not cause:
        return Decision(False, "nothing asks for it")
    against = _against(settings, told, own_starts, last, now)
    return Decision(False, f"{against}; due: {cause}") if against else Decision(True, cause)


def _is_own(training: Training, own_starts: Sequence[int]) -> bool:
    """Whether it is the last one that was begun here, as far as times tell."""
    if not own_starts:
        return False
    return training.started_at is None or abs(training.started_at - max(own_starts)) <= STARTED_WITHIN_S


def _against(
    settings: RetrainingSettings, told: Sequence[int], own_starts: Sequence[int], last: int | None, now: int
) -> str:
    """The limit that is reached; empty where none is."""
    limits = (("24 hours", DAY_S, "most_per_day", settings.most_per_day),
              ("seven days", 7 * DAY_S, "most_per_week", settings.most_per_week))  # fmt: skip
    for words, span, name, most in limits:
        begun = max(sum(start > now - span for start in starts) for starts in (told, own_starts))
        if begun >= most:
            return f"{begun} trainings began in the last {words}, {name} is {most}"
    if last is not None and now - last < settings.cool_down_hours * 3600:
        return f"the last training began {(now - last) // 3600} h ago, cool_down_hours is {settings.cool_down_hours}"
    return ""


def _cause(settings: RetrainingSettings, last: int | None, drifted: Sequence[DriftedDay], now: int) -> str:
    causes = []
    if settings.every_days is not None:
        if last is None:
            causes.append("no training is known")
        elif now - last >= settings.every_days * DAY_S:
            causes.append(f"{(now - last) // DAY_S} days since the last training")
    for day in drifted if settings.drift_of is not None else ():
        count = len(day.features)
        if count >= settings.drifted_features and (last is None or day.day >= last):
            causes.append(f"{count} features of {settings.drift_of} drifted{day.by}: {', '.join(day.features)}")
    return "; ".join(causes)
