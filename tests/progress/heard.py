"""What work told while it ran."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from storage.progress import listening


@contextmanager
def heard() -> Iterator[list[tuple[float, str]]]:
    """What is told in here, in order."""
    told: list[tuple[float, str]] = []
    with listening(lambda part, what: told.append((part, what))):
        yield told


def rises(told: list[tuple[float, str]], *, at_least: int = 2) -> bool:
    """Whether it only ever went on, between 0 and 1, in ``at_least`` steps."""
    parts = [part for part, _ in told]
    return len(set(parts)) >= at_least and parts == sorted(parts) and 0 <= parts[0] <= parts[-1] <= 1
