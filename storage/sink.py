"""The port between the spool and a store: a sink takes spool records and says what became of every point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.spool.record import SpoolRecord


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One point that a store will never take: its ``line`` as sent, and the store's own ``reason`` (64 KiB at most)."""

    measurement: str
    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the records handed over: ``stored`` + ``len(dead)`` = points in them."""

    stored: int
    dead: list[DeadLetter] = field(default_factory=list)


class Sink(Protocol):
    """A store as the delivery sees it. Blocking; called from one thread at a time per lane."""

    @property
    def name(self) -> str:
        """Stable name: the key of its mark, e.g. ``influx`` or ``lake``."""
        ...

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        """Make ``records`` (one lane, rising sequence) durable in the store; the same again changes nothing.

        Raises:
            TryAgain: unknown or no outcome; the same records come again after a back-off.
            NeedsHuman: they are held and an alarm is raised until somebody acts.
        """
        ...
