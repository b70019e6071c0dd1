"""State files that are none: a month writes 50,000 times, and that files hold what is written is tested elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.sources.cache import AnswerCache, Kept
from tasks.sources.shared_file import SharedFile


def keep_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every SharedFile keep its document here, by its path, and every AnswerCache its answers."""
    kept: dict[Path, Any] = {}
    answers: dict[Path, Kept] = {}

    def keep(self: AnswerCache, key: str, data: Any, received_ms: int) -> None:
        answers[self._path(key)] = Kept(key, received_ms, data)

    def read(self: SharedFile[Any]) -> Any:
        return kept.get(self._path) or self._kind()

    @contextmanager
    def held(self: SharedFile[Any]) -> Iterator[Any]:
        yield read(self)

    monkeypatch.setattr(SharedFile, "read", read)
    monkeypatch.setattr(SharedFile, "write", lambda self, content: kept.update({self._path: content}))
    monkeypatch.setattr(SharedFile, "held", held)
    monkeypatch.setattr(AnswerCache, "newest", lambda self, key: answers.get(self._path(key)))
    monkeypatch.setattr(AnswerCache, "keep", keep)
