"""Tick reports on disk: how the processes of one host tell each other what the last ticks did.

``<lane>.json`` is the newest report, replaced atomically. ``<lane>.ticks.jsonl`` has one report a line without the
standing of single miners; it is rotated to ``<lane>.ticks.1.jsonl``.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tasks.miners.report import TickReport

ROTATE_BYTES = 1 << 20


class Journal:
    """Reports of ``lane`` under ``folder`` (``<data>/state``). One process writes, any number read."""

    def __init__(self, folder: Path, lane: str) -> None:
        self._newest = folder / f"{lane}.json"
        self._ticks = folder / f"{lane}.ticks.jsonl"
        self._rotated = folder / f"{lane}.ticks.1.jsonl"

    def write(self, report: TickReport) -> None:
        """Make ``report`` the newest. Not fsynced: after a power cut the spool knows better."""
        self._newest.parent.mkdir(parents=True, exist_ok=True)
        draft = self._newest.with_suffix(".json.new")
        draft.write_bytes(msgspec.json.encode(report))
        draft.replace(self._newest)
        if self._ticks.exists() and self._ticks.stat().st_size >= ROTATE_BYTES:
            self._ticks.replace(self._rotated)
        line = msgspec.json.encode(msgspec.structs.replace(report, miners=())) + b"\n"
        descriptor = os.open(self._ticks, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line)  # one write, so that a reader sees whole lines
        finally:
            os.close(descriptor)

    def retire(self) -> None:
        """Take the newest report away: nobody is to tick this lane any more, so that it does not stand still."""
        self._newest.unlink(missing_ok=True)

    def newest(self) -> TickReport | None:
        """The newest report; None before the first tick, or where the file is not one of this version."""
        try:
            return _decoded(self._newest.read_bytes())
        except FileNotFoundError:
            return None

    def written_ns(self) -> int:
        """When the newest report was written, in nanoseconds; 0 before the first. Asking costs next to nothing."""
        try:
            return self._newest.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def since(self, finished: float) -> list[TickReport]:
        """Reports of ticks that finished later than ``finished`` (Unix seconds), oldest first, without miners."""
        reports: dict[float, TickReport] = {}
        for path in (self._ticks, self._rotated):  # in this order a rotation in between doubles lines, and loses none
            try:
                lines = path.read_bytes().splitlines(keepends=True)
            except FileNotFoundError:
                continue
            for line in lines:
                report = _decoded(line)
                if report is not None and report.finished > finished:
                    reports[report.finished] = report
        return [reports[at] for at in sorted(reports)]


def _decoded(document: bytes) -> TickReport | None:
    """The report in ``document``; None where a kill cut it off or another version wrote it."""
    try:
        return msgspec.json.decode(document, type=TickReport)
    except msgspec.DecodeError:
        return None
