"""A connection and a journal that step before and after every call and every save: points at which a test may kill."""

from __future__ import annotations

from typing import Any, Protocol

from tasks.abacus.connection import Abacus
from tasks.abacus.journal import JournalFile


class Stepping(Protocol):
    """Whoever counts the points, and dies at one of them."""

    def step(self) -> None:
        """One more point."""
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
