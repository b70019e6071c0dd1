"""When runs for each feature group went well last, and when and why they failed, whichever table the group has.

In ``<data>/abacus/<environment>/runs.json``. The journals say what is over there; this says how it went, also where the
service never answered and no table is known. Losing the file loses no row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from storage.lake.disk import locked, make_folder
from storage.spool.durable import replace_file

RUNS = "runs.json"
_LONGEST = 500

_log = logging.getLogger(__name__)


class Way(StrEnum):
    """How rows of a group go there."""

    BATCH = "batch"
    STREAM = "stream"


class RunNote(msgspec.Struct, kw_only=True):
    """How runs for one group went. Times are Unix seconds. ``since``: the first run. ``well_at``: the last that went
    well; None: none did. ``failure``: why the last one failed; empty where it went well. ``failures``: so many failed
    in a row. ``table``: the table over there, as far as it is known.
    """

    since: int
    table: str | None = None
    well_at: int | None = None
    failed_at: int | None = None
    failure: str = ""
    failures: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of one run for one group. ``trouble`` is empty where it went well."""

    group: str
    trouble: str
    table: str | None = None


def note_runs(folder: Path, way: Way, outcomes: Iterable[Outcome], now: int) -> None:
    """Add what came of a run at ``now`` (Unix seconds) to the notes in ``folder``. A disk that does not take them is
    told in the log: it holds up no export.
    """
    try:
        _note(folder, way, outcomes, now)
    except OSError as error:
        _log.warning("%s cannot be written: %s", folder / RUNS, error)


def _note(folder: Path, way: Way, outcomes: Iterable[Outcome], now: int) -> None:
    make_folder(folder)
    with locked(folder / ".runs.lock"):
        notes = read_runs(folder)
        for outcome in outcomes:
            key = note_key(way, outcome.group)
            note = notes.get(key) or RunNote(since=now)
            note.table = outcome.table or note.table
            if outcome.trouble:
                note.failed_at, note.failure, note.failures = now, outcome.trouble[:_LONGEST], note.failures + 1
            else:
                note.well_at, note.failure, note.failures = now, "", 0
            notes[key] = note
        replace_file(folder / RUNS, msgspec.json.format(msgspec.json.encode(notes), indent=1))


def note_key(way: Way, group: str) -> str:
    """Under which the note of a group is kept."""
    return f"{way}/{group}"


def read_runs(folder: Path) -> dict[str, RunNote]:
    """The notes by :func:`note_key`; none where nothing ever ran. A damaged file is told in the log and begun anew."""
    path = folder / RUNS
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, RunNote])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        _log.warning("%s cannot be read, it is begun anew: %s", path, error)
        return {}
