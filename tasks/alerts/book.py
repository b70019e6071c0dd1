"""The book of alerts: one SQLite file of this host that the watch and the command line share.

``<data>/state/alerts.sqlite``, WAL mode. A look is one transaction: state, history and messages to send change
together, so that a kill between any two leaves neither a lost nor a doubled message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import msgspec

from storage.sqlite_book import blank_book, open_book, transaction
from tasks.alerts.composite import Held, Memory
from tasks.alerts.life_cycle import Alert, Change
from tasks.alerts.muting import Silence
from tasks.alerts.telling import Message, Told

FILE_NAME = "alerts.sqlite"
_KEPT_S = 7 * 86_400

_TABLES = """
CREATE TABLE alert (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE told (alert TEXT NOT NULL, channel TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (alert, channel))
  WITHOUT ROWID;
CREATE TABLE silence (id TEXT PRIMARY KEY, body TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE change (number INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL,
  stored INTEGER NOT NULL DEFAULT 0);
CREATE TABLE outbox (number INTEGER PRIMARY KEY, channel TEXT NOT NULL, made REAL NOT NULL, body TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL, sent REAL, given_up REAL, trouble TEXT);
CREATE TABLE channel (name TEXT PRIMARY KEY, last_success REAL, last_failure REAL, trouble TEXT) WITHOUT ROWID;
CREATE TABLE look (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL, body TEXT NOT NULL);
"""
_COMPOSITE = "CREATE TABLE composite (rule TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID"
_LAYOUTS = (_TABLES, _COMPOSITE)
"""By version, the first one first."""

Struct = TypeVar("Struct", bound=msgspec.Struct)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The newest look: when, why each muted alert is not told, and rules that could not be asked with the reason."""

    at: float
    muted: dict[str, str] = {}
    not_asked: dict[str, str] = {}


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is not sent yet."""

    number: int
    made: float
    tries: int
    message: Message


class ChannelStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel stands: Unix seconds of its last success and failure, and what the failure was."""

    name: str
    last_success: float | None
    last_failure: float | None
    trouble: str | None
    waiting: int


class Book:
    """An open book. One thread; several processes may have it open, each write is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, state: Path) -> Book:
        """Open the book under ``state`` (``<data>/state``), made where there is none.

        Raises:
            NeedsHuman: the file is damaged, of a newer Lodeline, or may not be written.
        """
        connection = open_book(state / FILE_NAME, _LAYOUTS, name="the book of alerts", without="alerts begin anew")
        return cls(connection)

    @classmethod
    def look_into(cls, state: Path) -> Book | None:
        """Open the book under ``state`` where there is one; a look alone makes none. Raises as :meth:`open` does."""
        return cls.open(state) if (state / FILE_NAME).exists() else None

    @classmethod
    def blank(cls) -> Book:
        """A book of nothing, kept nowhere."""
        return cls(blank_book(_LAYOUTS))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing of what is read and written within; others wait."""
        return transaction(self._db)

    def alerts(self) -> dict[str, Alert]:
        """All alerts that are held, resolved ones of the last day too, by id."""
        rows = self._db.execute("SELECT id, body FROM alert")
        return {key: msgspec.json.decode(body, type=Alert) for key, body in rows}

    def replace_alerts(self, alerts: Iterable[Alert]) -> None:
        """Hold exactly ``alerts``; what channels were told of others is forgotten."""
        self._db.execute("DELETE FROM alert")
        self._db.executemany("INSERT INTO alert VALUES (?, ?)", [(alert.id, _text(alert)) for alert in alerts])
        self._db.execute("DELETE FROM told WHERE alert NOT IN (SELECT id FROM alert)")

    def put_alert(self, alert: Alert) -> None:
        """Replace one alert."""
        self._db.execute("INSERT OR REPLACE INTO alert VALUES (?, ?)", (alert.id, _text(alert)))

    def told(self, channel: str) -> dict[str, Told]:
        """What ``channel`` was last told, by alert."""
        rows = self._db.execute("SELECT alert, body FROM told WHERE channel = ?", (channel,))
        return {key: msgspec.json.decode(body, type=Told) for key, body in rows}

    def note_told(self, told: Iterable[Told]) -> None:
        """Remember what channels were told."""
        rows = [(one.alert, one.channel, _text(one)) for one in told]
        self._db.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", rows)

    def silences(self) -> list[Silence]:
        """All silences that are kept, oldest first."""
        rows = self._db.execute("SELECT body FROM silence ORDER BY until")
        return [msgspec.json.decode(body, type=Silence) for (body,) in rows]

    def put_silence(self, silence: Silence) -> None:
        """Add a silence, or replace the one of that id."""
        self._db.execute("INSERT OR REPLACE INTO silence VALUES (?, ?, ?)", (silence.id, _text(silence), silence.until))

    def end_silence(self, silence: str) -> bool:
        """Take a silence away; whether there was one of that id."""
        return self._db.execute("DELETE FROM silence WHERE id = ?", (silence,)).rowcount > 0

    def add_changes(self, changes: Iterable[Change]) -> None:
        """Append to the history; it waits here until it is in the store."""
        self._db.executemany("INSERT INTO change (at, body) VALUES (?, ?)", [(one.at, _text(one)) for one in changes])

    def unstored(self, at_most: int = 5_000) -> list[tuple[int, Change]]:
        """Changes that are not in the store yet, by number."""
        rows = self._db.execute("SELECT number, body FROM change WHERE stored = 0 ORDER BY number LIMIT ?", (at_most,))
        return [(number, msgspec.json.decode(body, type=Change)) for number, body in rows]

    def note_stored(self, numbers: Iterable[int]) -> None:
        """These changes are in the store."""
        self._db.executemany("UPDATE change SET stored = 1 WHERE number = ?", [(number,) for number in numbers])

    def changes(self, since: float) -> list[Change]:
        """History since Unix seconds ``since``, oldest first; a week is kept here, a year in the store."""
        rows = self._db.execute("SELECT body FROM change WHERE at >= ? ORDER BY number", (since,))
        return [msgspec.json.decode(body, type=Change) for (body,) in rows]

    def post(self, messages: Sequence[Message], now: float) -> None:
        """Put messages into the outbox, to be sent at once."""
        rows = [(one.channel, now, _text(one), now) for one in messages]
        self._db.executemany("INSERT INTO outbox (channel, made, body, next_try) VALUES (?, ?, ?, ?)", rows)

    def posted_since(self, channel: str, since: float) -> int:
        """Messages put into the outbox for ``channel`` since Unix seconds ``since``."""
        row = self._db.execute("SELECT count(*) FROM outbox WHERE channel = ? AND made > ?", (channel, since))
        return int(row.fetchone()[0])

    def outgoing(self, now: float) -> list[Outgoing]:
        """Messages whose next try is due, oldest first. One waits while an earlier one of the same alert does: its end
        must not be told before its beginning."""
        rows = self._db.execute(
            "SELECT number, made, tries, body, next_try FROM outbox WHERE sent IS NULL AND given_up IS NULL "
            "ORDER BY number"
        )
        found, waiting = [], set[tuple[str, str]]()
        for number, made, tries, body, next_try in rows:
            message = msgspec.json.decode(body, type=Message)
            about = {(message.channel, alert) for alert in message.alerts}
            if next_try > now or about & waiting:
                waiting |= about
            else:
                found.append(Outgoing(number=number, made=made, tries=tries, message=message))
        return found

    def note_sent(self, outgoing: Outgoing, now: float) -> None:
        """A message is sent."""
        with self.transaction():
            self._db.execute("UPDATE outbox SET sent = ?, trouble = NULL WHERE number = ?", (now, outgoing.number))
            self._note_channel(outgoing.message.channel, now, None)

    def note_failed(self, outgoing: Outgoing, now: float, trouble: str, *, next_try: float | None) -> None:
        """A try failed with ``trouble``; without a ``next_try`` it was the last."""
        with self.transaction():
            self._db.execute(
                "UPDATE outbox SET tries = tries + 1, trouble = ?, next_try = ?, given_up = ? WHERE number = ?",
                (trouble, next_try or now, None if next_try else now, outgoing.number),
            )
            self._note_channel(outgoing.message.channel, now, trouble)

    def note_channel(self, channel: str, now: float, trouble: str | None) -> None:
        """How a try on ``channel`` went, with ``trouble`` where it failed."""
        with self.transaction():
            self._note_channel(channel, now, trouble)

    def _note_channel(self, channel: str, now: float, trouble: str | None) -> None:
        success, failure = (now, None) if trouble is None else (None, now)
        self._db.execute(
            "INSERT INTO channel (name, last_success, last_failure, trouble) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET last_success = coalesce(excluded.last_success, last_success), "
            "last_failure = coalesce(excluded.last_failure, last_failure), trouble = excluded.trouble",
            (channel, success, failure, trouble),
        )

    def channels(self) -> list[ChannelStanding]:
        """How every channel stands that was ever tried or has messages waiting."""
        rows = self._db.execute(
            "SELECT name, max(last_success), max(last_failure), max(trouble), sum(waiting) FROM ("
            "SELECT name, last_success, last_failure, trouble, 0 AS waiting FROM channel UNION ALL "
            "SELECT channel, NULL, NULL, NULL, count(*) FROM outbox WHERE sent IS NULL AND given_up IS NULL "
            "GROUP BY channel) GROUP BY name ORDER BY name"
        )
        return [
            ChannelStanding(name=name, last_success=success, last_failure=failure, trouble=trouble, waiting=waiting)
            for name, success, failure, trouble, waiting in rows
        ]

    def composites(self) -> Memory:
        """What the parts of composite rules said at the newest look, by rule."""
        rows = self._db.execute("SELECT rule, body FROM composite")
        return {rule: msgspec.json.decode(body, type=list[dict[str, Held]]) for rule, body in rows}

    def replace_composites(self, memory: Memory) -> None:
        """Remember exactly ``memory``."""
        self._db.execute("DELETE FROM composite")
        rows = [(rule, msgspec.json.encode(parts).decode()) for rule, parts in memory.items()]
        self._db.executemany("INSERT INTO composite VALUES (?, ?)", rows)

    def last_look(self) -> Look | None:
        """The newest look, None before the first."""
        row = self._db.execute("SELECT body FROM look").fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Look)

    def note_look(self, look: Look) -> None:
        """Remember the newest look, and forget what is older than a week."""
        self._db.execute("INSERT OR REPLACE INTO look VALUES (1, ?, ?)", (look.at, _text(look)))
        old = look.at - _KEPT_S
        self._db.execute("DELETE FROM change WHERE stored = 1 AND at < ?", (old,))
        self._db.execute("DELETE FROM outbox WHERE (sent IS NOT NULL OR given_up IS NOT NULL) AND made < ?", (old,))
        self._db.execute("DELETE FROM silence WHERE until < ?", (old,))


def _text(struct: msgspec.Struct) -> str:
    return msgspec.json.encode(struct).decode()
