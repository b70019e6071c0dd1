"""From the lake into an InfluxDB that was restored: what it lacks since its own backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.frame import Frame, build_frame
from storage.sink import Sink
from storage.spool.record import Batch, SpoolRecord
from storage.store import Store

SLICE_S = 900
"""Seconds of rows that are read and sent at one time: some 15,000 rows for 1,000 miners."""

BOOKS = frozenset({"window_touched", "window_rolled", "window_held"})
"""What each store says of its own roll-ups; the sink marks the hours anew that it gets rows of."""


def refill(
    lake: Store, influx: Sink, start: int, stop: int, told: Callable[[str, int], None] = lambda *_: None
) -> Mapping[str, int]:
    """Send raw rows of ``[start, stop)`` (Unix seconds) again; rows by measurement. The same again changes nothing.

    Their hours are rolled up again by the next run of the roll-up.

    Raises:
        TryAgain: a store does not answer.
        NeedsHuman: InfluxDB refuses, or the lake is damaged.
    """
    sent: dict[str, int] = {}
    for measurement in MEASUREMENTS.values():
        if Tier.RAW not in measurement.buckets or not measurement.in_influx or measurement.name in BOOKS:
            continue
        for at in range(start - start % SLICE_S, stop, SLICE_S):
            frame = _frame(lake, measurement, max(at, start), min(at + SLICE_S, stop))
            if len(frame):
                batch = Batch(f"refill/{measurement.name}/{at}", at, "refill", [frame])
                influx.deliver([SpoolRecord("refill", 1, 0, batch)])
                sent[measurement.name] = sent.get(measurement.name, 0) + len(frame)
                told(measurement.name, len(frame))
    return sent


def _frame(lake: Store, measurement: Measurement, start: int, stop: int) -> Frame:
    rows = lake.read(measurement, Tier.RAW, start, stop)
    times = [int(at.timestamp()) for at in rows["time"].to_pylist()]
    columns = {name: rows[name].to_pylist() for name in rows.column_names if name != "time"}
    return build_frame(measurement.name, times, columns)
