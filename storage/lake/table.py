"""One Delta table: opening it fresh, appending exactly once, swapping files, all durable when the call returns.

The recipe (reference/lake.md 2.2): lock → open fresh → is the transaction in already? → write Parquet, fsync file and
folder → commit with the transaction → fsync the commit, the one before it, and the log's folder → unlock. The Delta
library itself calls no fsync and never checks transaction versions; both are done here, inside the lock, which the
kernel frees when a process dies.
"""

from __future__ import annotations

import contextlib
import threading
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake._internal import RemoveAction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from storage.arrow_schema import INGEST_MS, INGEST_VERSION, PARTITION, file_schema, integers, numbers
from storage.declaration import Measurement, Tier
from storage.errors import NeedsHuman, StoreError
from storage.lake import doctor
from storage.lake.disk import explained, locked, make_folder, sync
from storage.lake.layout import partition_period, row_order, table_folder
from storage.lake.merge import merged
from storage.lake.parquet import Encoding, write_file
from storage.lake.snapshot import Part, Snapshot

PROPERTIES: Mapping[str, str] = {
    "delta.checkpointInterval": "1000000000",  # maintenance makes the checkpoints, durable ones
    "delta.enableExpiredLogCleanup": "false",
    # How far back time travel reaches. A day of one-minute commits with hourly checkpoints would be 4 MB a table.
    "delta.logRetentionDuration": "interval 6 hours",
    # Longer than vacuum's 24 h: a checkpoint forgets removed files after this, and only what it remembers is deleted.
    "delta.deletedFileRetentionDuration": "interval 25 hours",
}

NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Neither checkpoints nor clean-ups behind our back: those would not be durable."""


class LakeTable:
    """The table of one tier of one measurement under ``root``. Any number of processes and threads may use it."""

    def __init__(self, root: Path, measurement: Measurement, tier: Tier) -> None:
        self.measurement = measurement
        self.tier = tier
        self.name = f"{measurement.buckets[tier]}/{measurement.stored_name(tier)}"
        self.folder = table_folder(root.absolute(), measurement, tier)
        self.period = partition_period(measurement, tier)
        self.order = row_order(measurement)
        self.schema = file_schema(measurement, tier)
        self.encoding = Encoding.of(measurement, tier, self.schema)
        self._lock_path = self.folder.parent / f".{self.folder.name}.lock"
        self._log = self.folder / "_delta_log"
        self._examined = False
        self._snapshot: Snapshot | None = None
        self._guard = threading.Lock()

    def exists(self) -> bool:
        """Whether anything was ever committed."""
        return self._log.is_dir() and any(
            path.suffix == ".json" and path.stem.isdigit() for path in self._log.iterdir()
        )

    # Reading

    def snapshot(self, *, fresh: bool = False) -> Snapshot | None:
        """The newest version, or None where the table does not exist yet.

        What was read last time is taken again while no newer commit stands beside it, unless ``fresh``.

        Raises:
            NeedsHuman: the table is damaged.
            StoreError: it cannot be opened.
        """
        with self._guard:
            known = self._snapshot
            if known is not None and not fresh and self._is_newest(known.version):
                return known
            if not self.exists():
                return None
            if not self._examined:
                with self.locked():
                    pass  # the doctor has been there
            with self.failures():
                self._snapshot = Snapshot.of(self.folder, self.measurement.tag_names)
            return self._snapshot

    # Writing

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the table's lock; every commit is made inside it. The first time in a process the doctor looks first."""
        with explained(f"lake table {self.name}"), locked(self._lock_path):
            if not self._examined:
                doctor.examine(self.folder, self.name)
                for folder in (self._log, self.folder, self.folder.parent):
                    if folder.is_dir():
                        sync(folder.parent)  # who made them may have died before the fsync
                self._examined = True
            yield

    def opened_for_writing(self) -> Snapshot:
        """A fresh version of the table, made and extended as declared. Only inside :meth:`locked`."""
        self._ready_for_writing()
        return Snapshot.of(self.folder, self.measurement.tag_names)

    def append(self, batches: Sequence[tuple[int, pa.Table]], *, app: str | None = None) -> int:
        """Commit ``batches`` of (sequence, rows in ``row_schema``), newest last, in one version; durable on return.

        With ``app``, batches whose sequence that application has committed already are left out, and the last sequence
        becomes its mark: the same call again changes nothing. Returns the number of rows written.

        Raises:
            NeedsHuman: the table is damaged, of another type than declared, or the disk is full.
            StoreError: no outcome or an unknown one; the same call again is safe when ``app`` is given.
        """
        with self.locked(), self.failures():
            handle = self._ready_for_writing()
            seen = None if app is None else handle.transaction_version(app)
            committed = -1 if seen is None else seen
            tables = [rows for sequence, rows in batches if sequence > committed]
            rows = pa.concat_tables(tables) if tables else None
            if rows is None or not rows.num_rows:
                self.make_durable(handle.version())  # who committed them may have died before the fsync
                return 0
            marks = [] if app is None else [Transaction(app, batches[-1][0], clock.time_ns() // 1_000_000)]
            self.commit(handle, self.write(self.stamped(rows, handle.version() + 1)), [], marks)
            return int(rows.num_rows)

    def stamped(self, rows: pa.Table, version: int) -> pa.Table:
        """``rows`` with the ingest columns where the tier has them."""
        if self.tier is not Tier.RAW:
            return rows
        for name, value in ((INGEST_MS, clock.time_ns() // 1_000_000), (INGEST_VERSION, version)):
            rows = rows.append_column(self.schema.field(name), integers(np.full(rows.num_rows, value)))
        return rows

    def write(self, rows: pa.Table) -> list[AddAction]:
        """Write ``rows`` (file schema) into one durable file per partition; nothing refers to them before a commit."""
        rows = merged(rows, self.order)
        starts = self.period.starts(numbers(rows["time"]) // 1_000_000)
        partitions = np.unique(starts).tolist()
        return [
            write_file(
                self.folder,
                rows if len(partitions) == 1 else rows.take(integers(np.flatnonzero(starts == partition))),
                self.encoding,
                self.measurement.tag_names,
                partition,
            )
            for partition in partitions
        ]

    def commit(
        self,
        handle: DeltaTable,
        added: Sequence[AddAction],
        removed: Sequence[Part],
        marks: Sequence[Transaction] = (),
    ) -> None:
        """Commit through ``handle``, make it durable. Only inside :meth:`locked`. ``handle`` is stale afterwards.

        Raises:
            CommitFailedError: ``removed`` are no longer all there; nothing was committed.
        """
        before = handle.version()
        now_ms = clock.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [*added]
        for part in removed:
            actions.append(RemoveAction(part.relative, True, now_ms, part.size, {PARTITION: part.date}))
        handle.create_write_transaction(
            actions,
            mode="append",
            schema=self._delta_schema(),
            partition_by=[PARTITION],
            commit_properties=CommitProperties(app_transactions=list(marks), max_commit_retries=None if removed else 0),
            post_commithook_properties=NO_HOOKS,
        )
        self.make_durable(before)

    def make_durable(self, since: int) -> None:
        """Fsync commits from version ``since`` on, and the log's folder. ``since`` itself: its writer may have died
        between its commit and its fsync."""
        version = since
        while (path := self._commit_path(version)).exists() or version == since:
            if path.exists():
                sync(path)
            version += 1
        sync(self._log)

    def _commit_path(self, version: int) -> Path:
        return self._log / f"{version:020}.json"

    def _is_newest(self, version: int) -> bool:
        """Its own commit must be there too: after a long idle time clean-up has taken it and the next."""
        return self._commit_path(version).exists() and not self._commit_path(version + 1).exists()

    def _delta_schema(self) -> Schema:
        return Schema.from_arrow(self.schema.append(pa.field(PARTITION, pa.date32())))

    def _ready_for_writing(self) -> DeltaTable:
        """A fresh handle of a table that exists and has every declared column."""
        if not self.exists():
            make_folder(self.folder)
            DeltaTable.create(
                str(self.folder), self._delta_schema(), partition_by=[PARTITION], configuration=dict(PROPERTIES)
            )
            sync(self.folder)
            self.make_durable(0)
        handle = DeltaTable(str(self.folder))
        stored = {field.name: field for field in handle.schema().fields}
        declared = self._delta_schema().fields
        changed = [field.name for field in declared if field.name in stored and stored[field.name].type != field.type]
        if changed:
            raise NeedsHuman(
                f"lake table {self.name}: columns {changed} are stored with another type than declared",
                remedy="A column never changes its type: declare the new one under a new name",
            )
        missing = [field for field in declared if field.name not in stored]
        if missing:
            before = handle.version()
            handle.alter.add_columns(missing, post_commithook_properties=NO_HOOKS)
            self.make_durable(before)
            handle = DeltaTable(str(self.folder))
        return handle

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Turn errors of the Delta library into a StoreError that names the table."""
        try:
            yield
        except DeltaError as error:
            raise StoreError(f"lake table {self.name}: {error}") from error
