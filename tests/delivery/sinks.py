"""Sinks for tests: in memory, idempotent by point as stores are, and failing on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.delivery.books import Books, books_of_lane
from storage.sink import DeadLetter, Receipt
from storage.spool.record import SpoolRecord
from tests.spool.batches import points_in


class MemorySink:
    """Stores points by name. ``is_dead`` picks those it will never take; ``failures`` are raised first, in turn."""

    def __init__(self, name: str = "influx", is_dead: Callable[[str], bool] = lambda _: False) -> None:
        self.name = name
        self.is_dead = is_dead
        self.failures: list[BaseException] = []
        self.stored: set[str] = set()
        self.calls: list[list[int]] = []
        self.called = threading.Semaphore(0)

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        self.calls.append([record.sequence for record in records])
        self.called.release()
        if self.failures:
            raise self.failures.pop(0)
        points = points_in(records)
        dead = [point for point in points if self.is_dead(point)]
        self.stored |= set(points) - set(dead)
        return Receipt(len(points) - len(dead), [DeadLetter("miner_telemetry", point, "no") for point in dead])


def the_books(root: Path, sink: str = "influx", lane: str = "miners") -> Books:
    """Books of one sink, checked to balance."""
    found = books_of_lane(root / lane)[sink]
    assert found.accepted == found.stored + found.dead_lettered + found.shed + found.backlog
    return found
