"""Events of miners: what happened to one, at the poll that showed it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from storage.frame import Frame, build_frame
from storage.records.miner import Miner


class MinerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event; fields as declared in measurement ``miner_event``. ``time`` is the slot of the poll that showed it.

    Of one miner and slot there is one event of a ``kind`` and ``subject`` at most: they are its key.
    """

    time: int
    miner: Miner
    kind: str
    subject: str
    severity: str
    message: str
    old: str | None = None
    new: str | None = None


def event_frames(events: Sequence[MinerEvent]) -> list[Frame]:
    """The frame of ``miner_event``, or none where there is no event."""
    if not events:
        return []
    columns: dict[str, list[str | None]] = {
        "miner_id": [event.miner.miner_id for event in events],
        "model": [event.miner.model for event in events],
        "site": [event.miner.site for event in events],
    }
    for name in ("kind", "subject", "severity", "message", "old", "new"):
        columns[name] = [getattr(event, name) for event in events]
    return [build_frame("miner_event", [event.time for event in events], columns)]
