"""Which hours got data: what tells the roll-up that a window, however old, must be done (again).

A sink writes the touched rows *after* the data and *before* its mark moves. Killed in between, it delivers again and
touches again; so no data can be in a store without its hour being touched, on whichever host the roll-up runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import Frame, build_frame
from storage.spool.record import SpoolRecord

HOUR_S = 3600

ROLLED_MEASUREMENTS = tuple(name for name, declared in MEASUREMENTS.items() if Tier.HOURLY in declared.buckets)
"""Measurements that have an hourly tier."""


def touched_frame(records: Iterable[SpoolRecord], host: str, now_ns: int) -> Frame | None:
    """Rows of ``window_touched`` for every (measurement, hour) in ``records``; None where nothing is rolled up.

    ``now_ns`` is the time of delivery, in Unix nanoseconds: a later delivery into the same hour has a larger one.
    """
    touched = sorted(
        {
            (frame.measurement, time - time % HOUR_S)
            for record in records
            for frame in record.batch.frames
            if frame.measurement in ROLLED_MEASUREMENTS
            for time in set(frame.times)
        }
    )
    if not touched:
        return None
    return build_frame(
        "window_touched",
        [hour for _, hour in touched],
        {
            "host": [host] * len(touched),
            "measurement": [measurement for measurement, _ in touched],
            "touched_ns": [now_ns] * len(touched),
        },
    )
