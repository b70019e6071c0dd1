"""Rows for the store of a real server."""

from __future__ import annotations

from datetime import UTC, datetime

from storage.declaration import MEASUREMENTS
from storage.frame import Frame
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.spool.record import Batch, SpoolRecord

T = 1795478400  # 2026-11-24T00:00Z
NOWHERE = InfluxSettings(url="http://127.0.0.1:9")  # the discard port: asking it would fail otherwise
TELEMETRY, BOARD, FAN, POOL = (MEASUREMENTS[f"miner_{name}"] for name in ("telemetry", "board", "fan", "pool"))


def record(*frames: Frame, sequence: int = 1) -> SpoolRecord:
    return SpoolRecord("miners", sequence, 0, Batch(f"batch-{sequence}", T, "run", list(frames)))


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def put(sink: InfluxSink, *frames: Frame) -> None:
    receipt = sink.deliver([record(*frames)])
    assert (receipt.stored, receipt.dead) == (sum(map(len, frames)), [])
