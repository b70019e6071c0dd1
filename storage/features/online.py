"""Online store: the newest row of each entity, in one SQLite file that any process of the host may read.

WAL with synchronous=FULL: what a run has written is there after a power cut. A row is replaced only by one that is
newer by (event time, known time), so a run that is late, repeated or of another process never takes a value back.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pyarrow as pa

from storage.errors import NeedsHuman, StoreError, TryAgain
from storage.features.reading import Reading, reading_of
from storage.features.rows import seconds
from storage.features.view import ENTITY, KNOWN, FeatureView

_PUT = """
INSERT INTO latest (view, entity, event, known, features) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (view, entity) DO UPDATE SET event = excluded.event, known = excluded.known, features = excluded.features
WHERE (excluded.event, excluded.known) > (latest.event, latest.known)
"""
_KNOW = """
INSERT INTO taken (view, known) VALUES (?, ?) ON CONFLICT (view) DO UPDATE SET known = max(known, excluded.known)
"""
_GET = "SELECT event, known, features FROM latest WHERE view = ? AND entity = ?"
_ANEW = "Delete the file: the next publication fills it anew"
CLOCK_SLACK_S = 60
"""So much may the clock that asks be behind the one that published."""

_DECODE = msgspec.json.Decoder(list[Any]).decode


class OnlineStore:
    """The file ``path``, made where it is missing. Threads may share one. ``wait_s`` bounds a wait for other writers.

    Raises:
        NeedsHuman: the file is no such store, or cannot be opened.
    """

    def __init__(self, path: Path, wait_s: float = 30) -> None:
        self._path = path
        self._guard = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS latest (view TEXT, entity TEXT, event INTEGER NOT NULL, "
                "known INTEGER NOT NULL, features BLOB NOT NULL, PRIMARY KEY (view, entity)) WITHOUT ROWID"
            )
            self._connection.execute("CREATE TABLE IF NOT EXISTS taken (view TEXT PRIMARY KEY, known INTEGER NOT NULL)")
        except (sqlite3.Error, OSError) as error:
            raise NeedsHuman(f"The online feature store {path} cannot be opened: {error}", remedy=_ANEW) from error

    def __enter__(self) -> OnlineStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def get(self, view: FeatureView, entity: str, at: int) -> Reading:
        """Newest row of ``entity`` as a question at ``at`` (Unix seconds: now) may use it.

        Raises:
            NeedsHuman: the row was not known yet at ``at``. What was before it only the offline store knows.
            StoreError: the file cannot be read.
        """
        rows = self._rows(_GET, view.stored_name, entity)
        if not rows:
            return reading_of(view, entity, at, None)
        ((event, known, features),) = rows
        if known > at + CLOCK_SLACK_S:
            raise NeedsHuman(
                f"The newest row of {entity} is known from {known} on, and asked is {at} (Unix seconds)",
                remedy="Ask the offline store for the past; if it was asked now, set this host's clock right",
            )
        return reading_of(view, entity, at, (event, known, _DECODE(features)))

    def entities(self, view: FeatureView) -> list[str]:
        """Every entity that has a row.

        Raises:
            StoreError: the file cannot be read.
        """
        asked = "SELECT entity FROM latest WHERE view = ? ORDER BY entity"
        return [entity for (entity,) in self._rows(asked, view.stored_name)]

    def put(self, view: FeatureView, rows: pa.Table, known_until: int = -1) -> int:
        """Take ``rows`` of a published table in, those that are newer; how many were. All or none, durably.

        ``known_until``: with them all is taken in that was known by then (Unix seconds), see :meth:`known_until`.
        """
        with self.writing() as put:
            return put(view, rows, known_until)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[FeatureView, pa.Table, int], int]]:
        """Be the only one to write from now on, and :meth:`put` with what this gives, all or none: what is read of
        tables meanwhile is not erased before it is here.

        Raises:
            StoreError: somebody else writes for too long, or the file cannot be written. NeedsHuman: it is damaged.
        """
        try:
            with self._guard:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._put
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failure("written", error) from error

    def _put(self, view: FeatureView, rows: pa.Table, known_until: int) -> int:
        entities, known = rows[ENTITY].to_pylist(), rows[KNOWN].to_pylist()
        columns = [rows[name].to_pylist() for name in view.feature_names]
        values: Sequence[tuple[Any, ...]] = list(zip(*columns, strict=True))
        keyed = zip(entities, seconds(rows).tolist(), known, values, strict=True)
        encode = msgspec.json.Encoder().encode
        batch = [(view.stored_name, entity, event, since, encode(told)) for entity, event, since, told in keyed]
        before = self._connection.total_changes
        self._connection.executemany(_PUT, batch)
        taken = self._connection.total_changes - before
        if known_until >= 0:
            self._connection.execute(_KNOW, (view.stored_name, known_until))
        return taken

    def known_until(self, view: FeatureView) -> int | None:
        """Through when (Unix seconds) all that became known was taken in; None: nothing ever was.

        Raises:
            StoreError: the file cannot be read.
        """
        rows = self._rows("SELECT known FROM taken WHERE view = ?", view.stored_name)
        return int(rows[0][0]) if rows else None

    def _rows(self, question: str, *values: str) -> list[Any]:
        try:
            with self._guard:
                return self._connection.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise self._failure("read", error) from error

    def _failure(self, done: str, error: sqlite3.Error) -> StoreError | NeedsHuman:
        what = f"The online feature store {self._path} cannot be {done}: {error}"
        if isinstance(error, sqlite3.OperationalError):  # busy, full, away
            return StoreError(what)
        return NeedsHuman(what, remedy=_ANEW)

    def forget(self, is_meant: Callable[[str, str, int, Sequence[Any]], bool]) -> int:
        """Take out the rows of which ``is_meant`` (stored name of the view, entity, event time, features); how many.

        Their bytes are overwritten, in the file and in its log.

        Raises:
            TryAgain: a reader still needs the log as it was.
            StoreError: the file cannot be written.
        """
        try:
            with self._guard:
                self._connection.execute("PRAGMA secure_delete = ON")
            with self.writing():
                rows = self._connection.execute("SELECT view, entity, event, features FROM latest").fetchall()
                meant = [(view, entity) for view, entity, event, told in rows
                         if is_meant(view, entity, event, _DECODE(told))]  # fmt: skip
                self._connection.executemany("DELETE FROM latest WHERE view = ? AND entity = ?", meant)
            with self._guard:
                (is_busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise self._failure("written", error) from error
        if is_busy:
            raise TryAgain(f"The online feature store {self._path} is being read; its log could not be emptied")
        return len(meant)
