"""What the fake remembers, in one SQLite file or in memory: objects by kind and id, and files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

Item = dict[str, Any]


class Shelf:
    """Objects in the order in which they came, and bytes by name. Its user sees to it that one thread is at it."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = OFF")  # a fake may lose what it has in a power cut
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS item (number INTEGER PRIMARY KEY, kind TEXT, id TEXT, value TEXT, "
            "UNIQUE (kind, id))"
        )
        self._connection.execute("CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, content BLOB)")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def put(self, kind: str, key: str, value: Item) -> None:
        """Keep ``value``, over an older one where there is one."""
        self._connection.execute(
            "INSERT INTO item (kind, id, value) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET value = "
            "excluded.value",
            (kind, key, json.dumps(value)),
        )

    def get(self, kind: str, key: str) -> Item | None:
        """The object, or None."""
        row = self._connection.execute("SELECT value FROM item WHERE kind = ? AND id = ?", (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def every(self, kind: str) -> list[Item]:
        """All objects of a kind, oldest first."""
        rows = self._connection.execute("SELECT value FROM item WHERE kind = ? ORDER BY number", (kind,)).fetchall()
        return [json.loads(value) for (value,) in rows]

    def drop(self, kind: str, key: str) -> None:
        """Forget an object."""
        self._connection.execute("DELETE FROM item WHERE kind = ? AND id = ?", (kind, key))

    def fresh_id(self, kind: str) -> str:
        """An id that no object of that kind ever had."""
        counted = (self.get("counter", kind) or {"value": 0})["value"] + 1
        self.put("counter", kind, {"value": counted})
        return f"{kind}_{counted}"

    def put_file(self, name: str, content: bytes) -> None:
        """Keep bytes, over older ones."""
        self._connection.execute("INSERT OR REPLACE INTO file VALUES (?, ?)", (name, content))

    def file(self, name: str) -> bytes | None:
        """The bytes, or None."""
        row = self._connection.execute("SELECT content FROM file WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def drop_files(self, prefix: str) -> None:
        """Forget all files whose name begins so."""
        self._connection.execute("DELETE FROM file WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
