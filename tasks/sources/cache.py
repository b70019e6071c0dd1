"""Answers kept for a while: what is asked again before it is renewed is not sent again, also over a restart."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import msgspec

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """An answer as JSON value, and Unix time in ms when it came."""

    key: str
    received_ms: int
    data: Any


class AnswerCache:
    """Answers of ``source`` under ``folder``, one file each; the newest of a key replaces the one before."""

    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder / source

    def take(self, key: str, fresh_s: float, now: float) -> Kept | None:
        """The answer kept for ``key`` if it is at most ``fresh_s`` old at ``now``. One from the future is not fresh."""
        kept = self.newest(key)
        return kept if kept is not None and 0 <= now - kept.received_ms / 1000 <= fresh_s else None

    def newest(self, key: str) -> Kept | None:
        """The answer kept for ``key``, however old."""
        try:
            kept = msgspec.json.decode(self._path(key).read_bytes(), type=Kept)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return kept if kept.key == key else None

    def keep(self, key: str, data: Any, received_ms: int) -> None:
        """Keep ``data``, which has no secret in it, for ``key``, which has none either; on a full disk it is logged."""
        path = self._path(key)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(Kept(key, received_ms, data)))
            draft.replace(path)
        except OSError as error:  # the answer itself counts for more than its copy
            _log.error("an answer cannot be kept in %s: %s", self._folder, error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
