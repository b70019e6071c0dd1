"""One feature group to the service: rows since the watermark, as a file, in parts, each step noted before the next.

The order decides everything. A file is durable before an upload is opened; an upload is noted before a part is sent; a
part is noted once the service told the MD5 of what we sent; the upload is joined when all are there; its version counts
when the service's row count, and the rows it rejected, add up to ours. Then, in one write, the watermark moves and the
batch is over. Killed anywhere, the next run reads the journal and goes on; what a lost answer left behind over there,
an upload that nobody knows, holds no rows and is cancelled. A version that came out wrong is deleted before the file is
sent again. So every row is over there once.

``upload_file`` of the SDK is not used: it does the parts in threads whose errors nobody sees, and reports success.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

import pyarrow as pa

from storage.errors import NeedsHuman, TryAgain
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import RECORD, Definition
from tasks.abacus.journal import Batch, Journal, JournalFile, Rejection
from tasks.abacus.registration import Registered
from tasks.abacus.rows import file_bytes, file_rows, group_rows

PART_BYTES = 8 << 20
"""Bytes of a part; the service takes none below 5 MB but the last."""

STEP_S = 31 * 86400
"""Known time that one file goes over at most."""

POLLS_S = 1_800.0
"""Longest wait for joining, and for importing; a later run waits on."""

_FIRST_POLL_S, _LONGEST_POLL_S = 0.5, 15.0
_JOINING = frozenset({"PENDING", "JOINING"})
_IMPORTING = frozenset({"PENDING", "UPLOADING", "IMPORTING", "CONVERTING", "INSPECTING"})

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


class _SendAgain(Exception):
    """The file has to be uploaded anew, and why."""


class _Imported(NamedTuple):
    rows: int
    rejections: list[Rejection]


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
        self._tries = tries
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
        why = ""
        for _ in range(self._tries):
            try:
                self._discard(journal, batch)
                self._open(journal, batch)
                if not batch.marked:
                    self._send_parts(journal, batch, content)
                self._join(journal, batch)
                imported = self._imported(batch, content)
            except _SendAgain as again:
                why = str(again)
                _log.warning("%s, batch %d: sent again: %s", self._registered.table, batch.number, why)
                self._forget_upload(journal, batch)
                continue
            self._finish(journal, batch, imported)
            return
        raise NeedsHuman(
            f"Batch {batch.number} of {self._registered.table} came out wrong {self._tries} times; last: {why}",
            remedy=f"Look at the dataset at Abacus.AI and at {self._file.folder}; the next export tries again",
        )

    def _start_over(self, journal: Journal, batch: Batch, why: str) -> None:
        """Give a batch up whose file cannot be sent: its window is made into a file anew."""
        _log.warning("%s, batch %d: made anew: %s", self._registered.table, batch.number, why)
        self._forget_upload(journal, batch)  # it may be joined already, without our having noted that
        self._discard(journal, batch)
        journal.batch = None  # an upload that is open is cancelled when the next is opened
        self._file.save(journal)

    def _forget_upload(self, journal: Journal, batch: Batch) -> None:
        if batch.dataset_version is not None:
            batch.discard = [*batch.discard, batch.dataset_version]
        batch.upload_id, batch.dataset_version, batch.parts, batch.marked = None, None, {}, False
        self._file.save(journal)

    def _discard(self, journal: Journal, batch: Batch) -> None:
        """Delete versions that came out wrong; one that is gone already was deleted by a run that was killed."""
        for version in batch.discard:
            self._unless_missing(f"deleting version {version}", methodcaller("delete_dataset_version", version))
        if batch.discard:
            batch.discard = []
            self._file.save(journal)

    def _open(self, journal: Journal, batch: Batch) -> None:
        if batch.upload_id is not None:
            return
        dataset, table = self._registered.dataset_id, self._registered.table
        for upload in self._abacus.call("listing uploads", lambda sdk: sdk.list_uploads()) or []:
            if upload.dataset_id == dataset:  # its answer was lost, or its file could not be sent
                self._unless_missing(f"cancelling {upload.upload_id}", methodcaller("cancel_upload", upload.upload_id))
        opened = self._abacus.call(
            f"opening an upload for {table}",
            lambda sdk: sdk.create_dataset_version_from_upload(dataset, file_format=batch.file_format),
        )
        batch.upload_id, batch.dataset_version = opened.upload_id, opened.dataset_version
        self._file.save(journal)

    def _send_parts(self, journal: Journal, batch: Batch, content: bytes) -> None:
        upload = batch.upload_id
        for number, offset in enumerate(range(0, batch.size, batch.part_bytes), start=1):
            part = content[offset : offset + batch.part_bytes]
            digest = hashlib.md5(part, usedforsecurity=False).hexdigest()
            if batch.parts.get(number) == digest:
                continue
            for _ in range(self._tries):
                try:
                    kept = self._abacus.call(f"part {number} of {upload}", partial(_upload_part, upload, number, part))
                except Refusal as refusal:
                    raise _SendAgain(str(refusal)) from refusal
                self._report.parts += 1
                if kept is not None and kept.md5 == digest:
                    batch.parts[number] = digest
                    self._file.save(journal)
                    break
            else:
                raise TryAgain(
                    f"{self._registered.table}: part {number} of {upload} arrived damaged {self._tries} times (MD5)"
                )

    def _join(self, journal: Journal, batch: Batch) -> None:
        upload = batch.upload_id
        if not batch.marked:
            try:
                self._abacus.call(f"completing {upload}", lambda sdk: sdk.mark_upload_complete(upload))
            except Refusal as refusal:
                if not refusal.is_there_already:  # it was marked, and the answer was lost
                    raise _SendAgain(str(refusal)) from refusal
            batch.marked = True
            self._file.save(journal)
        try:
            done = self._watch(f"joining {upload}", lambda sdk: sdk.describe_upload(upload), _JOINING)
        except Refusal as refusal:
            if refusal.is_missing and batch.dataset_version is not None:
                return  # forgotten after it was joined; its version tells
            raise _SendAgain(str(refusal)) from refusal
        if done.status != "COMPLETE":
            raise _SendAgain(f"{upload} ended as {done.status}")
        if done.dataset_version is not None and done.dataset_version != batch.dataset_version:
            batch.dataset_version = done.dataset_version
            self._file.save(journal)
        if batch.dataset_version is None:
            raise NeedsHuman(
                f"Abacus.AI does not say which version {upload} became", remedy="Delete that upload's version there"
            )

    def _imported(self, batch: Batch, content: bytes) -> _Imported:
        """What became of the file.

        Raises:
            _SendAgain: rows are missing, and the service does not say why.
        """
        name = batch.dataset_version
        try:
            version = self._watch(f"importing {name}", lambda sdk: sdk.describe_dataset_version(name), _IMPORTING)
        except Refusal as refusal:
            if refusal.is_missing:
                raise _SendAgain(str(refusal)) from refusal
            raise
        if version.status != "COMPLETE":
            raise _SendAgain(f"{name} ended as {version.status}: {version.error}")
        told = _rejections(version.invalid_records)
        count = version.row_count
        if count is None or int(count) + len(told) != batch.rows or any(at >= batch.rows for at in told):
            said = f"; invalidRecords: {version.invalid_records!r:.200}" if version.invalid_records else ""
            raise _SendAgain(f"{name} has {count} rows of {batch.rows}{said}")
        if not told:
            return _Imported(int(count), [])
        rows = file_rows(content, batch.file_format, sorted(told))
        return _Imported(
            int(count),
            [
                Rejection(record_id=str(row.get(RECORD)), reason=told[at], by="service", row=row)
                for at, row in zip(sorted(told), rows, strict=True)
            ],
        )

    def _finish(self, journal: Journal, batch: Batch, imported: _Imported) -> None:
        here = sum(letter.by == "lodeline" for letter in self._file.rejected(batch.number))
        self._file.write_rejected(batch.number, imported.rejections, by="service")
        rejected = here + len(imported.rejections)
        journal.watermark = batch.until
        journal.batches = batch.number
        journal.rows_sent += imported.rows
        journal.rows_rejected += rejected
        journal.batch = None
        journal.snapshot_due = True
        journal.finished_at = int(self._clock())
        self._file.save(journal)
        self._file.sweep([])
        self._report.batches += 1
        self._report.rows += imported.rows
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

    # Asking

    def _unless_missing(self, what: str, function: Callable[[Any], Any]) -> None:
        try:
            self._abacus.call(what, function)
        except Refusal as refusal:
            if not refusal.is_missing:
                raise

    def _watch(self, what: str, ask: Callable[[Any], Any], going_on: frozenset[str]) -> Any:
        """Ask until the status is none of ``going_on``."""
        waited, pause = 0.0, _FIRST_POLL_S
        while True:
            found = self._abacus.call(what, ask)
            if found is None or found.status not in going_on:
                if found is None:
                    raise TryAgain(f"{self._registered.table}: {what}: the service told nothing")
                return found
            if waited >= POLLS_S:
                raise TryAgain(f"{self._registered.table}: {what}: still {found.status} after {waited:.0f} s")
            self._abacus.wait(pause)
            waited += pause
            pause = min(pause * 1.5, _LONGEST_POLL_S)


def _upload_part(upload: str | None, number: int, part: bytes, sdk: Any) -> Any:
    return sdk.upload_part(upload, number, io.BytesIO(part))  # read anew at every try


def _rejections(told: str | None) -> dict[int, str]:
    """Reasons by position in the file, as far as ``invalidRecords`` says them: a JSON list of {row, error}.

    The package says of that field no more than its name; another form gives none, and then the counts do not agree.
    """
    try:
        records = json.loads(told) if told else []
        return {int(record["row"]): str(record["error"]) for record in records}
    except (ValueError, TypeError, KeyError):
        return {}
