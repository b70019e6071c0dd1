"""How far the export of each feature group is, from this host's own notes and lake: nobody over there is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim

from storage.declaration.pipeline import EXPORT_STATE
from storage.errors import LodelineError
from storage.features.table import feature_table, published
from storage.features.view import FeatureView
from storage.frame import Frame, Value, build_frame
from storage.lake.location import LakeLocation
from storage.opening import lake_location
from storage.settings import StorageSettings
from tasks.abacus.definition import Definition, definitions_of
from tasks.abacus.exporting import DAY_S, is_streamed, journal_folder
from tasks.abacus.journal import JournalFile
from tasks.abacus.run_notes import RunNote, Way, note_key, read_runs
from tasks.abacus.settings import AbacusSettings

STREAM_EVERY_S = 300
"""A stream is due so long after it went well: flow stream-features runs every five minutes."""


@dataclass(frozen=True, slots=True)
class ExportState:
    """How far one group is, one way. Times are Unix seconds.

    Attributes:
        table: over there, None where no run got that far.
        watermark: all that became known by then (stream: of windows that end by then) is over there; None: nothing is.
        rows_behind: rows that are known here and not over there; of a stream those of micro-batches that wait. None:
            ``reason`` says why nobody knows.
        dead_letters: rows that did not go and are kept with the reason.
        due_at: when the run after the last good one was due.
        note: how runs went.
    """

    group: str
    way: Way
    table: str | None
    watermark: int | None
    rows_behind: int | None
    reason: str
    rows_sent: int
    rows_rejected: int
    dead_letters: int
    due_at: int
    note: RunNote

    def overdue_s(self, now: int) -> int:
        """Seconds since a run should have gone well; 0 where none is due."""
        return max(0, now - self.due_at)


def export_states(settings: AbacusSettings, storage: StorageSettings) -> list[ExportState]:
    """Every group that this host ever tried to export or stream, by the configuration of now.

    Raises:
        ConfigurationError: groups that no view has. NeedsHuman: a journal cannot be read.
    """
    folder = journal_folder(settings, storage)
    notes = read_runs(folder)
    root = lake_location(storage)
    states = []
    for definition in definitions_of(settings.feature_groups):
        batch = notes.get(note_key(Way.BATCH, definition.name))
        if batch is not None:
            states.append(_batch(settings, root, JournalFile(folder, batch.table or ""), definition, batch))
        stream = notes.get(note_key(Way.STREAM, definition.name))
        if stream is not None and settings.real_time.enabled and is_streamed(definition):
            file = JournalFile(folder, stream.table or "")
            states.append(_stream(settings.real_time.streaming_window_seconds, file, definition, stream))
    return states


def _batch(
    settings: AbacusSettings, root: LakeLocation, file: JournalFile, definition: Definition, note: RunNote
) -> ExportState:
    journal = file.load() if note.table else None
    watermark = journal.watermark if journal is not None else None
    batches = settings.batch_processing
    after = watermark
    if after is None:
        back = batches.lookback_days * DAY_S if batches.feature_computation.include_historical else 0
        after = note.since - back
    reason = ""
    behind: int | None = None
    try:
        behind = _known_after(root, definition.view, after)
    except LodelineError as error:
        reason = str(error)
    return ExportState(
        group=definition.name,
        way=Way.BATCH,
        table=note.table,
        watermark=watermark,
        rows_behind=behind,
        reason=reason,
        rows_sent=journal.rows_sent if journal is not None else 0,
        rows_rejected=journal.rows_rejected if journal is not None else 0,
        dead_letters=len(file.rejected()) if note.table else 0,
        due_at=_next(batches.schedule, note.well_at or note.since),
        note=note,
    )


def _known_after(root: LakeLocation, view: FeatureView, after: int) -> int:
    table = feature_table(root, view)
    return published(table, view, columns=[], known_after=after).num_rows if table.exists() else 0


def _next(schedule: str, moment: int) -> int:
    """Unix seconds of the first run by ``schedule`` (UTC) after ``moment``."""
    return int(next(CronSim(schedule, datetime.fromtimestamp(moment, UTC))).timestamp())


def _stream(window_s: int, file: JournalFile, definition: Definition, note: RunNote) -> ExportState:
    journal = file.load_stream() if note.table else None
    watermark = journal.watermark if journal is not None else None
    waiting = 0
    for name in journal.waiting if journal is not None else ():
        for row in file.read_rows(name) or ():
            waiting += 1
            end = int(datetime.fromisoformat(str(row[definition.time])).timestamp())
            watermark = end - window_s if watermark is None else min(watermark, end - window_s)
    return ExportState(
        group=definition.name,
        way=Way.STREAM,
        table=note.table,
        watermark=watermark,
        rows_behind=waiting,
        reason="",
        rows_sent=journal.rows_sent if journal is not None else 0,
        rows_rejected=journal.rows_rejected if journal is not None else 0,
        dead_letters=len(file.rejected()) if note.table else 0,
        due_at=(note.well_at or note.since) + STREAM_EVERY_S,
        note=note,
    )


def state_frame(states: Sequence[ExportState], host: str, now: int) -> Frame:
    """Rows of ``export_state`` at ``now`` (Unix seconds)."""
    columns: dict[str, list[Value]] = {
        "host": [host] * len(states),
        "feature_group": [state.group for state in states],
        "way": [str(state.way) for state in states],
        "watermark_age_s": [None if state.watermark is None else now - state.watermark for state in states],
        "rows_behind": [state.rows_behind for state in states],
        "overdue_s": [state.overdue_s(now) for state in states],
        "failures": [state.note.failures for state in states],
        "rows_sent": [state.rows_sent for state in states],
        "rows_rejected": [state.rows_rejected for state in states],
        "dead_letters": [state.dead_letters for state in states],
        "failure": [state.note.failure for state in states],
        "reason": [state.reason for state in states],
    }
    return build_frame(EXPORT_STATE.name, [now] * len(states), columns)
