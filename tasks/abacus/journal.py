"""What an export remembers of one feature group, so that any kill leaves something to go on from.

In ``<data>/abacus/<environment>/<table>/``: ``journal.json``, replaced as a whole at every step;
``batch-<n>.<format>``, what is being sent; ``rejected/<n>.jsonl``, rows that did not go, each with its reason, the
newest hundred batches of them.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from storage.errors import NeedsHuman
from storage.lake.disk import explained, make_folder
from storage.spool.durable import replace_file

KEPT_REJECTED = 100

_log = logging.getLogger(__name__)


class Batch(msgspec.Struct, kw_only=True):
    """One file on its way: rows that became known in ``(after, until]``.

    ``parts``: MD5 of each part that is over there whole. ``dataset_version`` is what the upload becomes. ``marked``:
    the service was told that all parts are there. ``discard``: versions that came out wrong and have to go before the
    file is sent once more.
    """

    number: int
    after: int
    until: int
    rows: int
    file: str
    file_format: str
    size: int
    sha256: str
    part_bytes: int
    upload_id: str | None = None
    dataset_version: str | None = None
    parts: dict[int, str] = {}
    marked: bool = False
    discard: list[str] = []


class Journal(msgspec.Struct, kw_only=True):
    """State of one table. ``watermark``: every row known by then (Unix seconds) is over there once; None: none yet."""

    table: str
    dataset_id: str | None = None
    watermark: int | None = None
    batch: Batch | None = None
    batches: int = 0
    rows_sent: int = 0
    rows_rejected: int = 0
    snapshot_due: bool = False
    finished_at: int | None = None


class StreamJournal(msgspec.Struct, kw_only=True):
    """State of one stream. ``watermark``: windows that end by then (Unix seconds) are over there or in ``waiting``,
    files of micro-batches, oldest first. ``trying``: one that was appended, nobody knows yet with what outcome.
    ``writer``: by which the group over there knows that it is this host that streams.
    """

    table: str
    writer: str = ""
    watermark: int | None = None
    waiting: list[str] = []
    trying: str | None = None
    batches: int = 0
    rows_sent: int = 0
    rows_rejected: int = 0
    windows_skipped: int = 0


class PredictionJournal(msgspec.Struct, kw_only=True):
    """State of one prediction. ``slot``: the last stretch of its cycle for which a batch was started. ``starting``: one
    was asked for, nobody knows yet whether it came to be; ``before`` was the newest until then. ``version``: the one
    that is under way, ``started_at`` (Unix seconds) when it was asked for, ``offset`` how many bytes of its result are
    here. ``failures``, ``short``: how often in a row batches failed, and results were too short.
    """

    table: str
    slot: int | None = None
    starting: bool = False
    before: str | None = None
    version: str | None = None
    started_at: int = 0
    offset: int = 0
    failures: int = 0
    short: int = 0
    batches: int = 0
    rows: int = 0
    rows_rejected: int = 0
    finished_at: int | None = None


class RetrainingJournal(msgspec.Struct, kw_only=True):
    """State of one model's retraining. ``starts``: when (Unix seconds) we began trainings, oldest first, the newest
    hundred. ``reason``: why one is being started, of which nobody knows yet whether it came to be; ``before`` was the
    newest version until then; empty: none is.
    """

    table: str
    starts: list[int] = []
    reason: str = ""
    before: str | None = None


class MonitorJournal(msgspec.Struct, kw_only=True):
    """State of one drift monitor. ``day``: start (Unix seconds) of the last day whose drift was fetched. ``going``: the
    day under way. ``materialised``: versions of the two groups that are compared, taken for it, by table. ``starting``:
    a run was asked for, nobody knows yet whether it came to be; ``before`` was the newest until then. ``version``: the
    run under way. ``failures``: how often in a row runs failed.
    """

    table: str
    day: int | None = None
    going: int | None = None
    materialised: dict[str, str] = {}
    starting: bool = False
    before: str | None = None
    version: str | None = None
    failures: int = 0
    finished_at: int | None = None


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A row that did not go. ``by``: ``lodeline``, before it was sent, or ``service``."""

    record_id: str
    reason: str
    by: str
    row: dict[str, Any] = {}


Kept = TypeVar("Kept", Journal, StreamJournal, PredictionJournal, RetrainingJournal, MonitorJournal)


class JournalFile:
    """The folder of one table under ``root``. For one process, which holds the lock of the export."""

    def __init__(self, root: Path, table: str) -> None:
        self.folder = root / table
        self.path = self.folder / "journal.json"
        self._table = table

    def load(self) -> Journal:
        """The journal; a new one where there is none.

        Raises:
            NeedsHuman: it cannot be read.
        """
        return self._load(Journal) or Journal(table=self._table)

    def load_stream(self) -> StreamJournal:
        """The journal of a stream; a new one where there is none.

        Raises:
            NeedsHuman: it cannot be read.
        """
        return self._load(StreamJournal) or StreamJournal(table=self._table)

    def writer(self) -> str:
        """By which the group over there knows this host's stream; chosen once, durable on return.

        Raises:
            NeedsHuman: the journal cannot be read.
        """
        journal = self.load_stream()
        if not journal.writer:
            journal.writer = uuid.uuid4().hex[:12]
            self.save(journal)
        return journal.writer

    def load_prediction(self) -> PredictionJournal:
        """The journal of a prediction; a new one where there is none.

        Raises:
            NeedsHuman: it cannot be read.
        """
        return self._load(PredictionJournal) or PredictionJournal(table=self._table)

    def load_retraining(self) -> RetrainingJournal:
        """The journal of a model's retraining; a new one where there is none.

        Raises:
            NeedsHuman: it cannot be read.
        """
        return self._load(RetrainingJournal) or RetrainingJournal(table=self._table)

    def load_monitor(self) -> MonitorJournal:
        """The journal of a drift monitor; a new one where there is none.

        Raises:
            NeedsHuman: it cannot be read.
        """
        return self._load(MonitorJournal) or MonitorJournal(table=self._table)

    def _load(self, kind: type[Kept]) -> Kept | None:
        content = self._read(self.path)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise NeedsHuman(
                f"The journal of the export, {self.path}, cannot be read: {error}",
                remedy="Restore it from a backup: without it nobody knows what Abacus.AI has already",
            ) from error

    def save(self, journal: Journal | StreamJournal | PredictionJournal | RetrainingJournal | MonitorJournal) -> None:
        """Make ``journal`` durable.

        Raises:
            NeedsHuman, StoreError: the disk is full, or may not be written. So do all that write.
        """
        with self._explained():
            make_folder(self.folder)
            replace_file(self.path, msgspec.json.format(msgspec.json.encode(journal), indent=1))

    def write_batch(self, name: str, content: bytes) -> None:
        """Make the file of a batch durable."""
        with self._explained():
            make_folder(self.folder)
            replace_file(self.folder / name, content)

    def extend_batch(self, name: str, offset: int, content: bytes) -> None:
        """Make ``content`` durable at ``offset`` of the file of a batch; what stood from there on is gone."""
        with self._explained():
            make_folder(self.folder)
        with self._explained(), (self.folder / name).open("r+b" if offset else "wb") as file:
            file.truncate(offset)
            file.seek(offset)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def batch_size(self, name: str) -> int:
        """Bytes of the file of a batch; 0 where there is none."""
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0

    def read_batch(self, name: str) -> bytes | None:
        """The file of a batch; None where it is gone."""
        return self._read(self.folder / name)

    def read_rows(self, name: str) -> list[dict[str, Any]] | None:
        """Rows of a file of JSON lines; None where it is gone or damaged."""
        content = self._read(self.folder / name)
        if content is None:
            return None
        try:
            return msgspec.json.Decoder(dict[str, Any]).decode_lines(content)
        except msgspec.MsgspecError:
            return None

    def sweep(self, kept: Collection[str]) -> None:
        """Delete files of batches that are over: all but ``kept``."""
        with self._explained():
            for path in self.folder.glob("batch-*"):
                if path.name not in kept:
                    path.unlink()

    def write_rejected(self, number: int, rejections: list[Rejection], *, by: str) -> None:
        """Make the rejections of batch ``number`` by one side durable, in place of what that side had before."""
        folder = self.folder / "rejected"
        path = folder / f"{number:08d}.jsonl"
        others = [letter for letter in self.rejected(number) if letter.by != by]
        if not others and not rejections and not path.exists():
            return
        with self._explained():
            make_folder(folder)
            replace_file(path, msgspec.json.Encoder().encode_lines([*others, *rejections]))
        for oldest in sorted(folder.glob("*.jsonl"))[:-KEPT_REJECTED]:
            _log.warning("%s: dropped, rejected rows of more than %d batches", oldest, KEPT_REJECTED)
            oldest.unlink()

    def rejected(self, number: int | None = None) -> list[Rejection]:
        """Rows that did not go: of one batch, or of all that are kept, oldest first."""
        name = "*" if number is None else f"{number:08d}"
        paths = sorted((self.folder / "rejected").glob(f"{name}.jsonl"))
        return [row for path in paths for row in msgspec.json.Decoder(Rejection).decode_lines(path.read_bytes())]

    def _read(self, path: Path) -> bytes | None:
        with self._explained():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _explained(self) -> AbstractContextManager[None]:
        return explained(f"what is remembered of exports, {self.folder}")
