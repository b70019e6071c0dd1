"""A connection and a journal that step before and after every call and every save: points at which a process dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tasks.abacus.connection import Abacus
from tasks.abacus.journal import JournalFile


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends the process at the point after ``points`` others. ``seen``: points that came."""

    def __init__(self, points: int) -> None:
        self.points, self.seen = points, 0

    def __call__(self) -> None:
        self.seen += 1
        if self.seen > self.points:
            raise Killed


class Stepping(Protocol):
    """A process of ours that may be killed, and begun anew."""

    @property
    def step(self) -> Callable[[], None]:
        """Called at each point."""
        ...


class SteppedAbacus(Abacus):
    """Steps around each call to the service."""

    host: Stepping

    def call(self, what: str, function: Any, *, once: bool = False) -> Any:
        self.host.step()
        result = super().call(what, function, once=once)
        self.host.step()
        return result


class SteppedFile(JournalFile):
    """Steps around each write of the journal."""

    host: Stepping

    def save(self, journal: Any) -> None:
        self.host.step()
        super().save(journal)
        self.host.step()
