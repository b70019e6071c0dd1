"""The port between the spool and a store: a sink takes spool records and says what became of every point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.declaration import MEASUREMENTS
from storage.errors import NeedsHuman
from storage.frame import Frame
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


def refuse_undeclared(record: SpoolRecord, frame: Frame) -> None:
    """Check that this version of Lodeline knows the measurement of ``frame`` and all its columns: another may have
    written the record, and what it knew is not to be dropped.

    Raises:
        NeedsHuman: it does not.
    """
    declared = MEASUREMENTS.get(frame.measurement)
    known = () if declared is None else (*declared.tag_names, *declared.field_by_name)
    unknown = [name for name in frame.columns if name not in known]
    if declared is None or unknown:
        raise NeedsHuman(
            f"record {record.sequence} of lane {record.lane} holds {frame.measurement}"
            f"{f' with {unknown}' if declared is not None else ''}, which this version of Lodeline does not declare",
            remedy="Deliver this spool with the version that wrote it, or a newer one",
        )
