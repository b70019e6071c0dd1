"""One Delta table: opening it fresh, appending exactly once, swapping files, all durable when the call returns.

The recipe (reference/lake.md 2.2): lock → open fresh → is the transaction in already? → write Parquet, fsync file and
folder → commit with the transaction → fsync the commit, the one before it, and the log's folder → unlock. The Delta
library itself calls no fsync and never checks transaction versions; both are done here, inside the lock, which the
kernel frees when a process dies.

On an object store there is neither lock nor fsync: what is put is durable, and of two commits of one version the store
refuses the second. Its writer begins again from a fresh handle, so its transaction is looked for again too: a commit
whose answer got lost counts as its own. Files of a lost race stay for the vacuum; one of them may be that commit's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake._internal import RemoveAction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from storage.arrow_schema import INGEST_MS, INGEST_VERSION, PARTITION, file_schema, integers, numbers
from storage.declaration import Measurement, Tier
from storage.errors import NeedsHuman, StoreError
from storage.lake import doctor
from storage.lake.layout import Layout, table_folder
from storage.lake.location import (
    LakeLocation,
    entries,
    explained,
    locked,
    make_folder,
    open_table,
    storage_options,
    sync,
)
from storage.lake.merge import merged
from storage.lake.parquet import Encoding, write_file
from storage.lake.snapshot import Part, Snapshot

PROPERTIES: Mapping[str, str] = {
    "delta.checkpointInterval": "1000000000",  # maintenance makes the checkpoints, durable ones
    "delta.enableExpiredLogCleanup": "false",
    # Of a table on an object store; on a disk history.py keeps the log.
    "delta.logRetentionDuration": "interval 24 hours",
    # Longer than vacuum's 24 h: a checkpoint forgets removed files after this, and only what it remembers is deleted.
    "delta.deletedFileRetentionDuration": "interval 25 hours",
}

NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Neither checkpoints nor clean-ups behind our back: those would not be durable."""

RACES = 12
"""How often a commit is begun again on an object store: with what is waited in between, for up to half a minute."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 4.0

Answer = TypeVar("Answer")


class LakeTable:
    """The table of one tier of one measurement under ``root``. Any number of processes and threads may use it."""

    despite_damage = False
    """Open it although files are missing or of another size: for who takes those out."""

    def __init__(self, root: LakeLocation, measurement: Measurement, tier: Tier) -> None:
        name = f"{measurement.buckets[tier]}/{measurement.stored_name(tier)}"
        folder = table_folder(root.absolute(), measurement, tier)
        layout = Layout.of(measurement, tier)
        self._be(measurement, tier, name, folder=folder, schema=file_schema(measurement, tier), layout=layout)

    @classmethod
    def undeclared(
        cls, root: LakeLocation, identity: Measurement, folder: str, schema: pa.Schema, layout: Layout
    ) -> LakeTable:
        """A table of rows that are never stamped with their arrival; ``identity`` has its name and tags, nothing else.

        It lies in ``folder`` under ``root``, and files hold ``schema``.
        """
        table = cls.__new__(cls)
        place: LakeLocation = root.absolute() / folder / identity.name
        table._be(identity, Tier.HOURLY, f"{folder}/{identity.name}", folder=place, schema=schema, layout=layout)
        return table

    def _be(
        self,
        measurement: Measurement,
        tier: Tier,
        name: str,
        *,
        folder: LakeLocation,
        schema: pa.Schema,
        layout: Layout,
    ) -> None:
        self.measurement = measurement
        self.tier = tier
        self.name = name
        self.folder = folder
        self.schema = schema
        self.encoding = Encoding.of(measurement, tier, schema)
        self._lie(layout)
        self._lock_path = folder.parent / f".{folder.name}.lock"
        self._log = folder / "_delta_log"
        self._examined = False
        self._snapshot: Snapshot | None = None
        self._guard = threading.Lock()

    @property
    def layout(self) -> Layout:
        """How rows that are written now will lie."""
        return Layout(self.period, self.order, self.encoding.compression)

    def _lie(self, layout: Layout) -> None:
        self.period, self.order = layout.period, layout.order
        self.encoding = dataclasses.replace(self.encoding, compression=layout.compression)

    def exists(self) -> bool:
        """Whether anything was ever committed."""
        with explained(f"lake table {self.name}", self.folder):
            return any(path.suffix == ".json" and path.stem.isdigit() for path in entries(self._log))

    # Reading

    def snapshot(self, *, fresh: bool = False) -> Snapshot | None:
        """The newest version, or None where the table does not exist yet.

        What was read last time is taken again while no newer commit stands beside it, unless ``fresh``.

        Raises:
            NeedsHuman: the table is damaged.
            StoreError: it cannot be opened.
        """
        with self._guard, explained(f"lake table {self.name}", self.folder):
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
                self._lie(self.layout.follow(self._snapshot.handle.metadata().configuration))
            return self._snapshot

    # Writing

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the table's lock; every commit is made inside it. The first time in a process the doctor looks first.

        On an object store nothing is locked: others may commit meanwhile, see :meth:`exclusively`.
        """
        with explained(f"lake table {self.name}", self.folder), locked(self._lock_path):
            if not self._examined:
                doctor.examine(self.folder, self.name, files=not self.despite_damage)
                for folder in (self._log, self.folder, self.folder.parent):
                    if isinstance(folder, Path) and folder.is_dir():
                        sync(folder.parent)  # who made them may have died before the fsync
                self._examined = True
            yield

    def exclusively(self, work: Callable[[], Answer]) -> Answer:
        """What ``work`` returns, which opens the table afresh and commits once, as if nobody else wrote meanwhile.

        On a disk it is done once, inside the lock. On an object store it is done again when another commit came first,
        after a wait that grows and that chance shortens, so that the same writers do not meet again.

        Raises:
            StoreError: others were always faster.
        """
        if isinstance(self.folder, Path):
            with self.locked(), self.failures():
                return work()
        for race in range(RACES):
            if race:
                clock.sleep(random.uniform(0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**race)))
            with self.locked(), self.failures(), contextlib.suppress(CommitFailedError):
                return work()
        raise StoreError(f"lake table {self.name}: {RACES} commits in a row lost the race against other writers")

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

        def add() -> int:
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

        return self.exclusively(add)

    def stamped(self, rows: pa.Table, version: int) -> pa.Table:
        """``rows`` with the ingest columns where the tier has them."""
        if self.tier is not Tier.RAW:
            return rows
        for name, value in ((INGEST_MS, clock.time_ns() // 1_000_000), (INGEST_VERSION, version)):
            rows = rows.append_column(self.schema.field(name), integers(np.full(rows.num_rows, value)))
        return rows

    def lay_out(self, layout: Layout) -> bool:
        """Make ``layout`` the table's for all that is written from now on; whether that changed anything."""

        def change() -> bool:
            handle = self._ready_for_writing()
            if self.layout == layout:
                return False
            before = handle.version()
            handle.alter.set_table_properties(
                layout.properties, raise_if_not_exists=False, post_commithook_properties=NO_HOOKS
            )
            self.make_durable(before)
            self._lie(layout)
            return True

        return self.exclusively(change)

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
        *,
        strict: bool = False,
    ) -> None:
        """Commit through ``handle``, make it durable. Only inside :meth:`locked`. ``handle`` is stale afterwards.

        Others may have added rows since ``handle`` was opened where files are removed, unless ``strict``.

        Raises:
            CommitFailedError: others have committed, or ``removed`` are no longer all there; nothing was committed. On
                an object store it may have been, and its answer got lost.
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
            commit_properties=CommitProperties(
                app_transactions=list(marks), max_commit_retries=None if removed and not strict else 0
            ),
            post_commithook_properties=NO_HOOKS,
        )
        self.make_durable(before)

    def make_durable(self, since: int) -> None:
        """Fsync commits from version ``since`` on, and the log's folder. ``since`` itself: its writer may have died
        between its commit and its fsync."""
        if not isinstance(self._log, Path):
            return
        version = since
        while (path := self._commit_path(version)).exists() or version == since:
            if path.exists():
                sync(path)
            version += 1
        sync(self._log)

    def _commit_path(self, version: int) -> LakeLocation:
        return self._log / f"{version:020}.json"

    def _is_newest(self, version: int) -> bool:
        """Its own commit must be there too: after a long idle time clean-up has taken it and the next."""
        return self._commit_path(version).exists() and not self._commit_path(version + 1).exists()

    def _delta_schema(self) -> Schema:
        columns = [field.remove_metadata() for field in self.schema]
        return Schema.from_arrow(pa.schema([*columns, pa.field(PARTITION, pa.date32())]))

    def _ready_for_writing(self) -> DeltaTable:
        """A fresh handle of a table that exists and has every declared column."""
        if not self.exists():
            make_folder(self.folder)
            self._create()
            sync(self.folder)
            self.make_durable(0)
        handle = open_table(self.folder)
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
            handle = open_table(self.folder)
        self._lie(self.layout.follow(handle.metadata().configuration))
        return handle

    def _create(self) -> None:
        try:
            DeltaTable.create(
                str(self.folder),
                self._delta_schema(),
                partition_by=[PARTITION],
                configuration=dict(PROPERTIES),
                storage_options=storage_options(self.folder),
            )
        except DeltaError:
            if isinstance(self.folder, Path) or not self.exists():  # else another writer was faster
                raise

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Turn errors of the Delta library into a StoreError that names the table."""
        with explained(f"lake table {self.name}", self.folder):
            try:
                yield
            except DeltaError as error:
                if isinstance(self.folder, Path):
                    raise StoreError(f"lake table {self.name}: {error}") from error
                raise
