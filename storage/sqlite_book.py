"""Books of a host in SQLite: opened, made and brought to this version's layout in the same way, whatever is in them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from storage.errors import NeedsHuman

_BUSY_S = 20.0
"""Several processes may have a book open; each write is one transaction, and others wait for it so long."""


def open_book(file: Path, layouts: Sequence[str], *, name: str, without: str) -> sqlite3.Connection:
    """Open ``file``, made with its folder where there is none, only for this user, and fsynced at each commit.

    ``layouts`` are SQL scripts: the first makes version 1, each further one brings the version before to the next. A
    book of an older version is brought up in one transaction. ``name`` and ``without`` stand in errors: what it is,
    and what follows where it is moved away.

    Raises:
        NeedsHuman: the file is damaged, of a newer Lodeline, or may not be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        made = not file.exists()
        connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)
        if made:
            os.chmod(file, 0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = _bring_up(connection, layouts)
    except (sqlite3.Error, OSError) as error:
        raise NeedsHuman(
            f"{name} {file} cannot be opened: {error}",
            remedy=f"Give this user the right to write it; where it is damaged, move it away: {without}",
        ) from error
    if version > len(layouts):
        connection.close()
        raise NeedsHuman(
            f"{name} {file} is of version {version}, this Lodeline knows {len(layouts)}",
            remedy=f"Run the newer Lodeline, or move the file away: {without}",
        )
    return connection


def blank_book(layouts: Sequence[str]) -> sqlite3.Connection:
    """A book of nothing, kept nowhere: for a look at one that was never begun."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _bring_up(connection, layouts)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what is read and written within; other processes wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _bring_up(connection: sqlite3.Connection, layouts: Sequence[str]) -> int:
    """The version that the book was of; it is of this one now, unless it is newer."""
    with transaction(connection):
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version < len(layouts):
            for layout in layouts[version:]:
                for statement in layout.split(";"):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(layouts)}")
    return version
