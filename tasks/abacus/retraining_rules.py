"""Whether a model is trained again now, and why or why not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.abacus.settings import RetrainingSettings

DAY_S = 86_400
GOING_ON = frozenset({"PENDING", "TRAINING"})
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
    week = now - 7 * DAY_S
    begun = max(sum(start > week for start in told), sum(start > week for start in own_starts))
    last = max([*told, *own_starts], default=None)
    cause = _cause(settings, last, drifted, now)
    if not cause:
        return Decision(False, "nothing asks for it")
    if begun >= settings.most_per_week:
        return Decision(False, f"{begun} trainings began in the last seven days, most_per_week is "
                        f"{settings.most_per_week}; due: {cause}")  # fmt: skip
    return Decision(True, cause)


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
