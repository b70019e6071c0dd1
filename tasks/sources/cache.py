"""Answers kept for a while, with their ages: what several ask for is asked for once, also over a restart."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


class Kept(msgspec.Struct, frozen=True):
    """An answer as JSON value, and Unix time in ms when it came."""

    key: str
    received_ms: int
    data: Any


class AnswerCache:
    """Answers of ``source`` under ``folder``, one file each; the newest of a key replaces the one before."""

    def __init__(self, folder: Path, source: str, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder / source
        self._clock = clock

    def take(self, key: str, fresh_s: float) -> Kept | None:
        """The answer kept for ``key`` if it is at most ``fresh_s`` old. One from the future is not fresh."""
        kept = self.newest(key)
        if kept is None:
            return None
        age_s = self._clock() - kept.received_ms / 1000
        return kept if 0 <= age_s <= fresh_s else None

    def newest(self, key: str) -> Kept | None:
        """The answer kept for ``key``, however old."""
        try:
            kept = msgspec.json.decode(self._path(key).read_bytes(), type=Kept)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return kept if kept.key == key else None

    def keep(self, key: str, data: Any, received_ms: int) -> None:
        """Keep ``data``, which has no secret in it, for ``key``, which has none either."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(key)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        draft.write_bytes(msgspec.json.encode(Kept(key, received_ms, data)))
        draft.replace(path)

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
