"""The book of responses: ``<data>/state/responses.sqlite``, what was intended, done, and came of it.

The intent is on the disk before the act begins. Evidence is a file each, ``<data>/state/responses/<id>.json``, on the
disk before the intent is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from storage.errors import NeedsHuman
from storage.spool.durable import replace_file, sync_directory
from storage.sqlite_book import open_book, transaction
from tasks.responses.response import Happened, Response

FILE_NAME = "responses.sqlite"
EVIDENCE = "responses"
_KEPT_S = 365 * 86_400

_TABLES = """
CREATE TABLE response (id TEXT PRIMARY KEY, planned REAL NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE happened (number INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL,
  stored INTEGER NOT NULL DEFAULT 0);
CREATE TABLE held (alert TEXT PRIMARY KEY, at REAL NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
"""
_LAYOUTS = (_TABLES,)
"""By version, the first one first."""


class ResponseBook:
    """An open book. One thread; several processes may have it open, each write is one transaction."""

    def __init__(self, connection: sqlite3.Connection, state: Path) -> None:
        self._db = connection
        self._folder = state / EVIDENCE

    @classmethod
    def open(cls, state: Path) -> ResponseBook:
        """Open the book under ``state`` (``<data>/state``), made where there is none.

        Raises:
            NeedsHuman: the file is damaged, of a newer Lodeline, or may not be written.
        """
        connection = open_book(
            state / FILE_NAME, _LAYOUTS, name="the book of responses", without="limits then count anew"
        )
        return cls(connection, state)

    @classmethod
    def look_into(cls, state: Path) -> ResponseBook | None:
        """Open the book under ``state`` where there is one; a look alone makes none. Raises as :meth:`open` does."""
        return cls.open(state) if (state / FILE_NAME).exists() else None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing of what is read and written within; others wait."""
        return transaction(self._db)

    def responses(self, since: float = 0.0) -> list[Response]:
        """Responses planned since Unix seconds ``since``, oldest first."""
        rows = self._db.execute("SELECT body FROM response WHERE planned >= ? ORDER BY planned, id", (since,))
        return [msgspec.json.decode(body, type=Response) for (body,) in rows]

    def response(self, response_id: str) -> Response | None:
        """The response of that id."""
        row = self._db.execute("SELECT body FROM response WHERE id = ?", (response_id,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Response)

    def unfinished(self) -> list[Response]:
        """Responses of which it is not known what came of them, and those that want somebody, oldest first."""
        return [one for one in self.responses() if one.is_open or one.wants_human]

    def note(self, response: Response, event: str, at: float, *, person: str = "") -> None:
        """Hold ``response`` as it is now, and that ``event`` made it so; durable when it returns."""
        happened = Happened(event=event, at=at, response=response, person=person)
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO response VALUES (?, ?, ?)", (response.id, response.planned, _text(response))
            )
            self._db.execute("INSERT INTO happened (at, body) VALUES (?, ?)", (at, _text(happened)))

    def unstored(self, at_most: int = 5_000) -> list[tuple[int, Happened]]:
        """What happened and is not in the store yet, by number."""
        rows = self._db.execute(
            "SELECT number, body FROM happened WHERE stored = 0 ORDER BY number LIMIT ?", (at_most,)
        )
        return [(number, msgspec.json.decode(body, type=Happened)) for number, body in rows]

    def note_stored(self, numbers: Iterable[int]) -> None:
        """These are in the store."""
        with self.transaction():
            self._db.executemany("UPDATE happened SET stored = 1 WHERE number = ?", [(number,) for number in numbers])

    def held_back(self) -> dict[str, str]:
        """Alerts that were not answered at the newest look though an action is for them: why, by id of alert."""
        return dict(self._db.execute("SELECT alert, why FROM held ORDER BY alert"))

    def note_look(self, held: Mapping[str, str], now: float) -> None:
        """Remember why alerts were not answered, and forget what is older than a year, with its evidence."""
        with self.transaction():
            self._db.execute("DELETE FROM held")
            self._db.executemany("INSERT INTO held VALUES (?, ?, ?)", [(key, now, why) for key, why in held.items()])
            old = [key for (key,) in self._db.execute("SELECT id FROM response WHERE planned < ?", (now - _KEPT_S,))]
            self._db.executemany("DELETE FROM response WHERE id = ?", [(key,) for key in old])
            self._db.execute("DELETE FROM happened WHERE stored = 1 AND at < ?", (now - _KEPT_S,))
        for key in old:
            self._evidence_of(key).unlink(missing_ok=True)

    def save_evidence(self, response_id: str, evidence: Mapping[str, Any]) -> None:
        """Keep what was known before the act; durable when it returns.

        Raises:
            NeedsHuman: it cannot be written; then nothing may be done.
        """
        try:
            made = not self._folder.is_dir()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if made:
                sync_directory(self._folder.parent)
            replace_file(self._evidence_of(response_id), msgspec.json.format(msgspec.json.encode(evidence), indent=1))
        except OSError as error:
            raise NeedsHuman(
                f"evidence cannot be kept in {self._folder} ({error.strerror or error})",
                remedy="Free space on its volume or grant the right; nothing is done without evidence",
            ) from error

    def evidence(self, response_id: str) -> dict[str, Any] | None:
        """What was known before the act; None where it is gone."""
        try:
            found: dict[str, Any] = msgspec.json.decode(self._evidence_of(response_id).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return found

    def _evidence_of(self, response_id: str) -> Path:
        return self._folder / f"{response_id}.json"


def _text(struct: msgspec.Struct) -> str:
    return msgspec.json.encode(struct).decode()
