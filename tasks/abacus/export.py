"""One feature group to the service: rows since the watermark, as files, each of them there once.

The order decides everything. A file is durable before an upload is opened (upload.py); once its version counts, the
watermark moves and the batch is over, in one write. Killed anywhere, the next run reads the journal and goes on. So
every row is over there once.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from storage.errors import NeedsHuman
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import RECORD, Definition
from tasks.abacus.journal import Batch, Journal, JournalFile, Rejection
from tasks.abacus.registration import Registered
from tasks.abacus.rows import file_bytes, file_rows, group_rows
from tasks.abacus.upload import Imported, Upload

PART_BYTES = 8 << 20
"""Bytes of a part; the service takes none below 5 MB but the last."""

STEP_S = 31 * 86400
"""Known time that one file goes over at most."""

Source = Callable[[int, int], pa.Table]
"""Rows of a view that became known in (after, until]; the same call gives the same rows (storage/features/changes.py).
"""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExportReport:
    """What one run did for one group. ``watermark``: all that became known by then is over there."""

    table: str
    batches: int = 0
    rows: int = 0
    rejected: int = 0
    parts: int = 0
    watermark: int | None = None
    note: str = ""


class Export:
    """The export of one group.

    Args:
        file_format: of files that are begun now; one that is on its way keeps its own.
        tries: uploads of one file in one run, before somebody has to look.
        source: rows of the group's view.
        clock: Unix seconds, for the note when a batch was over.
    """

    def __init__(
        self,
        abacus: Abacus,
        definition: Definition,
        registered: Registered,
        file: JournalFile,
        source: Source,
        *,
        file_format: str = "PARQUET",
        part_bytes: int = PART_BYTES,
        tries: int = 4,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._abacus = abacus
        self._definition = definition
        self._registered = registered
        self._file = file
        self._source = source
        self._file_format = file_format
        self._part_bytes = part_bytes
        self._upload = Upload(abacus, registered, file, tries)
        self._clock = clock
        self._report = ExportReport(registered.table)

    def run(self, until: int, first: int) -> ExportReport:
        """Send what became known up to ``until`` (Unix seconds); a group that was never exported begins after ``first``
        (Unix seconds as well).

        Raises:
            TryAgain: the service is away or slow; nothing is lost, the next run goes on.
            NeedsHuman: it refuses, or keeps coming out wrong.
        """
        journal = self._file.load()
        self._require_same_dataset(journal)
        self._file.sweep([journal.batch.file] if journal.batch else [])
        while True:
            if journal.batch is not None:
                self._send(journal, journal.batch)
            after = first if journal.watermark is None else journal.watermark
            if until <= after:
                if journal.watermark is None:  # nothing from before is wanted
                    journal.watermark = until
                    self._file.save(journal)
                break
            self._begin(journal, after, min(until, after + STEP_S))
        if journal.snapshot_due:
            self._snapshot(journal)
        self._report.watermark = journal.watermark
        return self._report

    def _require_same_dataset(self, journal: Journal) -> None:
        table, dataset = self._registered.table, self._registered.dataset_id
        if journal.dataset_id == dataset:
            return
        if journal.dataset_id is not None:
            raise NeedsHuman(
                f"Abacus.AI has another dataset for {table} ({dataset}) than the one exported to "
                f"({journal.dataset_id}): somebody deleted it",
                remedy=f"Move {self._file.folder} aside; the export then begins anew",
            )
        versions = self._abacus.call(
            f"listing versions of {table}", lambda sdk: sdk.list_dataset_versions(dataset, limit=100)
        )
        if any(version.status == "COMPLETE" for version in versions or []):
            raise NeedsHuman(
                f"Abacus.AI has rows of {table} that this host does not know of ({self._file.path} is not there)",
                remedy="Restore that folder, let only one host export, or delete the dataset there to begin anew",
            )
        journal.dataset_id = dataset
        self._file.save(journal)

    # A new batch

    def _begin(self, journal: Journal, after: int, until: int) -> None:
        """Have a file of the rows in ``(after, until]`` on its way; without rows the watermark moves at once."""
        number = journal.batches + 1
        content, rows, rejections = self._content(after, until)
        self._file.write_rejected(number, rejections, by="lodeline")
        if not rows:
            journal.watermark = until
            journal.rows_rejected += len(rejections)
            journal.batches += bool(rejections)  # its rejected rows are kept under its number
            self._report.rejected += len(rejections)
            self._file.save(journal)
            return
        name = f"batch-{number:08d}.{self._file_format.lower()}"
        self._file.write_batch(name, content)
        journal.batch = Batch(
            number=number,
            after=after,
            until=until,
            rows=rows,
            file=name,
            file_format=self._file_format,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            part_bytes=self._part_bytes,
        )
        self._file.save(journal)

    def _content(self, after: int, until: int) -> tuple[bytes, int, list[Rejection]]:
        rows, rejected = group_rows(self._definition, self._source(after, until))
        rejections = [Rejection(record_id=row.record, reason=row.reason, by="lodeline") for row in rejected]
        return file_bytes(rows, self._file_format) if rows.num_rows else b"", rows.num_rows, rejections

    # A batch on its way

    def _send(self, journal: Journal, batch: Batch) -> None:
        content = self._file.read_batch(batch.file)
        if content is None or hashlib.sha256(content).hexdigest() != batch.sha256:
            self._start_over(journal, batch, "its file is gone or damaged")
            return
        imported = self._upload.send(journal, batch, content)
        self._report.parts = self._upload.parts
        self._finish(journal, batch, self._rejections(batch, content, imported), imported.rows)

    def _rejections(self, batch: Batch, content: bytes, imported: Imported) -> list[Rejection]:
        if not imported.rejected:
            return []
        positions = sorted(imported.rejected)
        rows = file_rows(content, batch.file_format, positions, self._definition)
        return [
            Rejection(record_id=str(row.get(RECORD)), reason=imported.rejected[at], by="service", row=row)
            for at, row in zip(positions, rows, strict=True)
        ]

    def _start_over(self, journal: Journal, batch: Batch, why: str) -> None:
        """Give a batch up whose file cannot be sent: its window is made into a file anew."""
        _log.warning("%s, batch %d: made anew: %s", self._registered.table, batch.number, why)
        self._upload.give_up(journal, batch)
        journal.batch = None
        self._file.save(journal)

    def _finish(self, journal: Journal, batch: Batch, rejections: list[Rejection], rows: int) -> None:
        here = sum(letter.by == "lodeline" for letter in self._file.rejected(batch.number))
        self._file.write_rejected(batch.number, rejections, by="service")
        rejected = here + len(rejections)
        journal.watermark = batch.until
        journal.batches = batch.number
        journal.rows_sent += rows
        journal.rows_rejected += rejected
        journal.batch = None
        journal.snapshot_due = True
        journal.finished_at = int(self._clock())
        self._file.save(journal)
        self._file.sweep([])
        self._report.batches += 1
        self._report.rows += rows
        self._report.rejected += rejected

    def _snapshot(self, journal: Journal) -> None:
        """Have the merged group taken anew, for those who train from its versions. Once too often is harmless."""
        group = self._registered.group_id
        try:
            self._abacus.call(
                f"a version of {self._registered.table}", lambda sdk: sdk.create_feature_group_version(group)
            )
        except Refusal as refusal:
            self._report.note = f"rows are there, no new version of the feature group yet: {refusal}"
            return
        journal.snapshot_due = False
        self._file.save(journal)
