"""How late a sink gets what was read: ``lag.<sink>.json`` of a lane, counted on over restarts.

Not fsynced: after a power cut some deliveries are missing in the counts, and none in the books.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from storage.histogram import DELAYS, Histogram, continued
from storage.spool.record import SpoolRecord

_PREFIX, _SUFFIX = "lag.", ".json"


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """Points that a sink took by the seconds from their reading until then. ``slot``: of the newest, Unix seconds."""

    slot: int
    delays: Histogram


def noted(kept: Lag | None, records: Sequence[SpoolRecord], now: float) -> Lag:
    """``kept`` with ``records`` (at least one) that a sink took at ``now`` (Unix seconds)."""
    delays = continued(kept.delays if kept else None, DELAYS)
    for record in records:
        delays = delays.plus([max(0.0, now - record.batch.slot)], record.batch.points)
    return Lag(slot=max(record.batch.slot for record in records), delays=delays)


def save_lag(lane: Path, sink: str, lag: Lag) -> None:
    """Replace the file in one piece."""
    draft = _path(lane, sink).with_suffix(".json.new")
    draft.write_bytes(msgspec.json.encode(lag))
    draft.replace(_path(lane, sink))


def lag_of(lane: Path, sink: str) -> Lag | None:
    """What was kept last; None where nothing was delivered since it is counted, or by another version."""
    try:
        return msgspec.json.decode(_path(lane, sink).read_bytes(), type=Lag)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _path(lane: Path, sink: str) -> Path:
    return lane / f"{_PREFIX}{sink}{_SUFFIX}"
