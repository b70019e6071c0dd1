"""Sources that are paused by hand, or by a response: told once when it begins and once when it ends, over restarts.

The rows of ``source_event`` are what explains the hole afterwards; tasks/overrides/stretches.py reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from storage.frame import Frame, build_frame
from tasks.overrides.override import Overrides
from tasks.sources.shared_file import SharedFile

BEGAN, ENDED = "override_began", "override_ended"


class _Told(msgspec.Struct, frozen=True):
    pauses: dict[str, str] = msgspec.field(default_factory=dict)


class Pauses:
    """Pauses of the sources of ``lane`` on ``host``, as told last; kept in ``folder`` (``<data>/state``)."""

    def __init__(self, folder: Path, lane: str, host: str) -> None:
        self._file = SharedFile(folder / f"{lane}.pauses.json", _Told)
        self._host = host
        self._told: Mapping[str, str] = self._file.read().pauses

    def now(self, overrides: Overrides, sources: Sequence[str]) -> dict[str, str]:
        """Those of ``sources`` that are paused by ``overrides``, with the pause in words."""
        held = {source: overrides.paused_source(source) for source in sources} if overrides.all else {}
        return {source: pause.in_words() for source, pause in held.items() if pause is not None}

    def are_news(self, now: Mapping[str, str]) -> bool:
        """Whether ``now`` is other than what was told."""
        return now != self._told

    def frames(self, now: Mapping[str, str], slot: int) -> list[Frame]:
        """Rows of ``source_event`` that tell what changed by ``slot``."""
        changed = sorted(name for name in {*now, *self._told} if now.get(name) != self._told.get(name))
        if not changed:
            return []
        olds, news = ([told.get(name) for name in changed] for told in (self._told, now))
        columns: dict[str, list[str | None]] = {
            "host": [self._host] * len(changed),
            "source": list(changed),
            "kind": [ENDED if new is None else BEGAN for new in news],
            "severity": ["info"] * len(changed),
            "message": [f"over: {old}" if new is None else new for old, new in zip(olds, news, strict=True)],
            "old": olds,
            "new": news,
        }
        return [build_frame("source_event", [slot] * len(changed), columns)]

    def take(self, now: Mapping[str, str]) -> None:
        """``now`` is told: its rows are durable. Killed before, the next run tells it again, at its own slot."""
        if self.are_news(now):
            self._told = dict(now)
            self._file.write(_Told(dict(now)))
