"""One tick over a fleet: what is gathered while it runs, and what it gives in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from storage.errors import FrameError
from storage.frame import Frame
from storage.records.events import MinerEvent
from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners.driver import PollFailure
from tasks.miners.loop_lag import LoopLag
from tasks.miners.member import Member
from tasks.miners.memory import MinerMemory
from tasks.miners.payloads import PolledPayloads
from tasks.miners.report import MinerStanding

_NOT_STORABLE = (FrameError, TypeError, ValueError)
"""What a record raises on its way to a frame when it does not fit the declaration; values of another type too."""

Record = TypeVar("Record", MinerTelemetry, MinerConfiguration)


@dataclass(frozen=True, slots=True)
class TickOutcome:
    """What one tick did. ``polled`` miners were asked, ``failed`` of them gave no telemetry.

    ``failed_by_reason`` counts failure kinds, ``skipped`` too, which are not in ``polled``. ``left_alone`` miners were
    not asked since their breaker is open. ``memories`` are those of all miners, asked or not: the next Fleet goes on
    from them. ``next_slot`` is when the next poll is due.
    """

    slot: int
    frames: list[Frame]
    polled: int
    failed: int
    skipped: int
    failed_by_reason: dict[str, int]
    configurations: int
    configurations_failed: int
    configurations_dropped: int
    payloads_dropped: int
    left_alone: int
    events: tuple[MinerEvent, ...]
    memories: tuple[MinerMemory, ...]
    next_slot: int | None
    tick_s: float
    loop_lag_ms: float

    @property
    def points(self) -> int:
        """Rows over all frames."""
        return sum(len(frame) for frame in self.frames)

    @property
    def standings(self) -> tuple[MinerStanding, ...]:
        """How every miner stands."""
        return tuple(memory.standing(self.slot) for memory in self.memories)


@dataclass(slots=True)
class Tick:
    """What is gathered while a tick runs. It ``began`` and ``ends`` by the fleet's clock; after that no poll is begun.

    ``waiting`` miners of the first lane are due and not yet asked. Of those whose configuration is wanted, some are
    read ``at_any_rate``, however short of time the host is. ``sheds``: it was told to be.
    """

    slot: int
    began: float
    ends: float
    lag: LoopLag
    waiting: int
    wants_configuration: frozenset[str]
    at_any_rate: frozenset[str]
    sheds: bool
    telemetry: list[MinerTelemetry] = field(default_factory=list)
    configurations: list[MinerConfiguration] = field(default_factory=list)
    configurations_failed: int = 0
    configurations_dropped: int = 0
    payloads_dropped: int = 0
    polled: int = 0
    skipped: int = 0
    failures: list[tuple[Member, PollFailure]] = field(default_factory=list)
    events: list[MinerEvent] = field(default_factory=list)
    payloads: list[PolledPayloads] = field(default_factory=list)


def storable(
    records: Sequence[Record],
    frames_of: Callable[[Sequence[Record]], list[Frame]],
    instead: Callable[[Record, PollFailure], Record | None],
) -> list[Frame]:
    """Frames of all ``records``; one that does not fit the declaration costs itself alone, and is replaced by what
    ``instead`` gives."""
    try:
        return frames_of(records)
    except _NOT_STORABLE:
        pass
    kept = []
    for record in records:
        try:
            frames_of([record])
        except _NOT_STORABLE as error:
            failure = PollFailure("schema", f"the driver made a record that cannot be stored: {error}")
            other = instead(record, failure)
            if other is not None:
                kept.append(other)
        else:
            kept.append(record)
    return frames_of(kept)
