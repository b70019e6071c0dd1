"""Data files of an object store for DuckDB, which has no client of its own without an extension from the network.

DuckDB asks through ``fsspec``: where is the file, how long is it, these bytes of it. It opens a file several times in
one query; files never change once they are written, so small ones are got whole and kept for a while.
"""

from __future__ import annotations

import datetime
import io
import threading
from collections import OrderedDict
from typing import Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from storage.lake.object_store import READ_SCHEME, ObjectLocation, ObjectStore

WHOLE_BYTES = 4 * 2**20
"""Of files up to this size all is got at once: every request costs tens of milliseconds, a megabyte not one."""

KEPT_BYTES = 128 * 2**20

_ANY_DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class ObjectReads(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The bucket of ``store``, read-only, under ``lake://``."""

    protocol = READ_SCHEME
    cachable = False

    def __init__(self, store: ObjectStore) -> None:
        super().__init__()
        self._store = store
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._guard = threading.Lock()

    def glob(self, path: str, **_: Any) -> list[str]:
        """Every path is one file: nothing in it is a pattern."""
        return [path]

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        """The file, to be read and sought in; with its ``size``."""
        if mode != "rb":
            raise OSError(f"{path}: the lake is only read here")
        key = str(self._strip_protocol(path)).partition("/")[2]
        with self._guard:
            content = self._kept.get(key)
            if content is not None:
                self._kept.move_to_end(key)
        if content is None:
            file = self._store.files.open_input_file(ObjectLocation(self._store, key).address)
            if file.size() > WHOLE_BYTES:
                return file
            content = file.read()
            self._keep(key, content)
        return io.BytesIO(content)

    def size(self, path: str) -> int:
        """Bytes of the file."""
        with self.open(path) as file:
            return int(file.seek(0, io.SEEK_END))

    def modified(self, path: str) -> datetime.datetime:  # noqa: ARG002
        """Always the same: no file of the lake is written twice."""
        return _ANY_DAY

    def _keep(self, key: str, content: bytes) -> None:
        with self._guard:
            if key not in self._kept:
                self._kept_bytes += len(content)
            self._kept[key] = content
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
