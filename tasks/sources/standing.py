"""How each request of each source stands: what the next run goes on from, and what status and page show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from storage.histogram import SECONDS, Histogram, continued, empty


class RequestTally(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request so often as it was asked; ``answers`` by the time that they took."""

    asked: int = 0
    failed: dict[str, int] = {}
    answers: Histogram = empty(SECONDS)

    def plus(self, latency_s: float, failure: str | None) -> RequestTally:
        """With one try more."""
        if failure is not None:
            failed = {**self.failed, failure: self.failed.get(failure, 0) + 1}
            return RequestTally(asked=self.asked + 1, failed=failed, answers=self.answers)
        answers = continued(self.answers, SECONDS).plus([latency_s])
        return RequestTally(asked=self.asked + 1, failed=self.failed, answers=answers)


class RequestStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One request after it was asked. Times are Unix seconds, slots where they say so.

    ``not_before``: the source, its budget or the back-off forbids to ask earlier. ``failure`` is a
    tasks.sources.failure.SourceFailureKind and ``message`` its text; both None after a success. ``rows`` and
    ``latency_ms`` are of the newest success. ``cost``: credits that a success takes, where the account has a budget.
    ``covered_by``: not asked now, since that brings the same. ``tally``: all tries so far, restarts included.
    """

    source: str
    request: str
    every_s: int
    cost: float = 1.0
    asked_slot: int | None = None
    success_slot: int | None = None
    failures_in_a_row: int = 0
    failure: str | None = None
    message: str | None = None
    not_before: float = 0.0
    rows: int | None = None
    latency_ms: float | None = None
    credits_left: float | None = None
    covered_by: str | None = None
    tally: RequestTally = RequestTally()


class StandingsFile:
    """Standings of ``lane`` under ``folder`` (``<data>/state``). One process writes, any number read."""

    def __init__(self, folder: Path, lane: str) -> None:
        self._path = folder / f"{lane}.sources.json"

    def read(self) -> list[RequestStanding]:
        """What was written last; nothing where there is none, or one of another version."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[RequestStanding])
        except (FileNotFoundError, msgspec.DecodeError):
            return []

    def write(self, standings: Iterable[RequestStanding]) -> None:
        """Replace the file in one piece. Not fsynced: after a power cut a request is asked once too often."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".json.new")
        draft.write_bytes(msgspec.json.encode(list(standings)))
        draft.replace(self._path)
