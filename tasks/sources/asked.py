"""One request that was asked, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.frame import Frame
from tasks.sources.failure import SourceFailure
from tasks.sources.source import Answer, Gathered, Request


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of ``source``, and ``gathered`` or ``failure``. ``credits_left``: None without a budget."""

    source: str
    request: Request
    slot: int
    latency_ms: float
    gathered: Gathered | None
    failure: SourceFailure | None
    credits_left: float | None

    @property
    def frames(self) -> Sequence[Frame]:
        """Rows to spool. A failure may have some too."""
        if self.gathered is not None:
            return self.gathered.frames
        return self.failure.frames if self.failure is not None else ()

    @property
    def answers(self) -> Sequence[Answer]:
        """What the rows were made from; of a failure the parts that came before it."""
        if self.gathered is not None:
            return self.gathered.answers
        return self.failure.answers if self.failure is not None else ()

    @property
    def rows(self) -> int | None:
        """Rows made of the answer; None where none came."""
        return None if self.gathered is None else sum(len(frame) for frame in self.gathered.frames)

    @property
    def from_cache(self) -> bool | None:
        """Whether an answer was one kept from before; None without any."""
        return any(answer.from_cache for answer in self.answers) if self.gathered and self.answers else None

    @property
    def age_s(self) -> float | None:
        """Age of the oldest answer; None without any."""
        return max((answer.age_s for answer in self.answers), default=None) if self.gathered else None
