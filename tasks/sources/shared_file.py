"""A small JSON document that several processes of a host change one after another."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

Content = TypeVar("Content", bound=msgspec.Struct)


class SharedFile(Generic[Content]):
    """The document at ``path``, of type ``kind``; ``kind()`` where there is none, or one that cannot be read.

    Not fsynced: after a power cut an older one may be back, which costs a request too many and no data.
    """

    def __init__(self, path: Path, kind: type[Content]) -> None:
        self._path = path
        self._kind = kind

    def read(self) -> Content:
        """The document as it is now."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=self._kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return self._kind()

    def write(self, content: Content) -> None:
        """Replace it in one piece. Inside :meth:`held` unless nobody else writes it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        draft.write_bytes(msgspec.json.encode(content))
        draft.replace(self._path)

    @contextmanager
    def held(self) -> Iterator[Content]:
        """The document, which nobody else changes meanwhile. Hold it for microseconds: others wait in their loop."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.read()
        finally:
            os.close(descriptor)
