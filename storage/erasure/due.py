"""Windows that an erasure cut: they went whole, and are made due so that what is left in them is rolled up again.

An hour that ``[start, stop)`` cuts is touched as a late delivery would touch it, so all that is made of hours (days,
derived values, facts) follows by itself. A day that is cut between two hours is touched in the hour beside the cut. A
day whose raw rows have ended is made due by itself: it is made of hours, which are kept longer.
"""

from __future__ import annotations

import time

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.books import REDO, rolled_windows, touched_hours
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.erasure.entity import END_OF_TIME_S, WINDOW_S, Entity
from storage.frame import Frame, build_frame
from storage.store import Store

HOUR_S, DAY_S = WINDOW_S[Tier.HOURLY], WINDOW_S[Tier.DAILY]


def make_due(store: Store, entity: Entity, host: str) -> int:
    """Make the windows due that ``entity`` cuts, in all measurements that it may be in; their number.

    Call it when the rows are gone. The same again does no harm: a window is rolled up once more.

    Raises:
        TryAgain: the store does not answer.
    """
    frames: list[Frame] = []
    for name in ROLLED_MEASUREMENTS:
        if not entity.wants(MEASUREMENTS[name]):
            continue
        for hour in _hours_beside_cuts(entity):
            day = hour // DAY_S * DAY_S
            if touched_hours(store, MEASUREMENTS[name], day, day + DAY_S):
                frames.append(
                    build_frame(
                        "window_touched",
                        [hour],
                        {"host": [host], "measurement": [name], "touched_ns": [time.time_ns()]},
                    )
                )
            if rolled_windows(store, MEASUREMENTS[name], Tier.DAILY, day, day + DAY_S):
                frames.append(
                    build_frame(
                        "window_rolled",
                        [day],
                        {"measurement": [name], "tier": [Tier.DAILY.value], "covered": [REDO]},
                    )
                )
    if frames:
        store.write(frames)
    return sum(frame.measurement == "window_touched" for frame in frames)


def _hours_beside_cuts(entity: Entity) -> list[int]:
    """Starts of the hours that an end of the range lies in, or between which it cuts a day."""
    hours = set()
    if entity.start > 0 and entity.start % DAY_S:
        hours.add((entity.start - 1) // HOUR_S * HOUR_S)
    if entity.stop < END_OF_TIME_S and entity.stop % DAY_S:
        hours.add(entity.stop // HOUR_S * HOUR_S)
    return sorted(hours)
