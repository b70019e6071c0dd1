"""From entries of a trail to rows of ``audit_event``, by a spool lane of their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import msgspec

from storage.audit.entry import AuditEntry, canonical
from storage.declaration.audit import AUDIT_EVENT
from storage.frame import Frame, build_frame
from storage.spool.durable import replace_file
from storage.spool.lane import Lane
from storage.spool.record import Batch

LANE_CAP_BYTES = 64 * 2**20
"""Some 100,000 entries; the trail's file keeps all of them in any case."""

PLACES = 1000
"""Tag ``place`` is the sequence modulo this: it tells entries of one second apart at a bounded number of series."""

ERASED = "erased"
"""Stands in rows for a content that a secure deletion took out."""


def rows_of(entries: Iterable[AuditEntry]) -> Frame:
    """Rows of ``audit_event``: key (host, kind, place, second)."""
    listed = list(entries)
    return build_frame(
        AUDIT_EVENT.name,
        [entry.time_ms // 1000 for entry in listed],
        {
            "host": [entry.host for entry in listed],
            "kind": [entry.kind for entry in listed],
            "place": [str(entry.sequence % PLACES) for entry in listed],
            "sequence": [entry.sequence for entry in listed],
            "actor": [entry.actor for entry in listed],
            "subject": [ERASED if entry.subject is None else entry.subject for entry in listed],
            "detail": [ERASED if entry.detail is None else canonical(entry.detail).decode() for entry in listed],
            "hash": [entry.hash for entry in listed],
        },
    )


class AuditLane:
    """Lane ``audit-<name>`` under the spool folder ``spool``; the caller holds the trail's lock."""

    def __init__(self, spool: Path, host: str, name: str) -> None:
        self._spool = spool
        self._name = f"audit-{name}"
        self._host = host
        self._mark = spool.parent / "audit" / f".{name}.spooled.json"

    def spool(self, newest_first: Iterable[AuditEntry]) -> None:
        """Append a row for every entry after the last one spooled. Killed anywhere: a batch twice is one batch.

        Raises:
            LodelineError: the lane is busy or the disk is full.
        """
        done = self._done()
        waiting = [*itertools.takewhile(lambda entry: entry.sequence > done, newest_first)][::-1]
        if not waiting:
            return
        with Lane.open(self._spool, self._name, cap_bytes=LANE_CAP_BYTES) as lane:
            for entry in waiting:
                batch_id = f"audit/{self._host}/{entry.sequence}/{entry.hash[:16]}"
                lane.append(Batch(batch_id, entry.time_ms // 1000, "audit", [rows_of([entry])]))
        replace_file(self._mark, msgspec.json.encode(waiting[-1].sequence))

    def _done(self) -> int:
        try:
            return msgspec.json.decode(self._mark.read_bytes(), type=int)
        except (FileNotFoundError, msgspec.DecodeError):
            return 0  # all are spooled again, which changes nothing
