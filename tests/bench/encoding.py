"""Line protocol: our encoder against influxdb-client's Point objects, for the same rows."""

from __future__ import annotations

from typing import Any

import influxdb_client

from storage.frame import Frame
from storage.line_protocol import encode
from tests.bench.figure import Figure, median_cost
from tests.bench.fleet import ticks

START = 1795478400

_client: Any = influxdb_client  # it has no types


def as_points(frame: Frame) -> list[str]:
    """The rows of ``frame`` as influxdb-client writes them."""
    tags = frame.declared.tag_names
    lines = []
    for row, time in enumerate(frame.times):
        point = _client.Point(frame.measurement)
        for name, column in frame.columns.items():
            if name in tags:
                point.tag(name, column[row])
            elif column[row] is not None:
                point.field(name, column[row])
        lines.append(point.time(time, _client.WritePrecision.S).to_line_protocol())
    return lines


def figures() -> list[Figure]:
    """Points per second by both ways on one tick of 1,000 miners."""
    (_, frames), *_ = ticks(1000, START, 1)
    points = sum(len(frame) for frame in frames)
    ours = median_cost(lambda: [encode(frame) for frame in frames]).cpu_s
    theirs = median_cost(lambda: [as_points(frame) for frame in frames], runs=3).cpu_s
    ratio = theirs / ours
    note = f"{points / ours:,.0f} points/s against {points / theirs:,.0f}; {points} points of 4 measurements"
    return [Figure(name="line_protocol_speed", ratio=round(ratio, 2), target="at least 8", ok=ratio >= 8, note=note)]
