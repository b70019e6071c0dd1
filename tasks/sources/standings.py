"""Standings of all requests of a lane: which are due, what an answer changes, what is kept for the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random

import msgspec

from tasks.sources.asked import Asked
from tasks.sources.failure import SourceFailureKind
from tasks.sources.pacing import AGAIN_S, as_of, is_due, next_due, wait_after
from tasks.sources.source import Request, Source
from tasks.sources.standing import RequestStanding, RequestTally, StandingsFile

Key = tuple[str, str]
"""Source and request."""

OF_A_REQUEST = frozenset({SourceFailureKind.UNEXPECTED, SourceFailureKind.NOT_JSON, SourceFailureKind.BUDGET})
"""Failures that say nothing of the other requests of the same source."""


class Standings:
    """How each request of a lane stands, in ``file`` over restarts. ``clock`` says how long one that failed waits.

    What was refused is asked again soon in a new run: somebody may have put the key right, and sees what came of it.
    """

    def __init__(self, file: StandingsFile, random: Random, clock: Callable[[], float]) -> None:
        self._file = file
        self._random = random
        self._clock = clock
        soon = clock() + AGAIN_S
        self._known: dict[Key, RequestStanding] = {
            (one.source, one.request): msgspec.structs.replace(one, not_before=min(one.not_before, soon))
            if one.failure == SourceFailureKind.REFUSED
            else one
            for one in file.read()
        }

    def follow_clock(self, slot: int) -> None:
        """Take ``slot`` for now, however late the clock said that it was before."""
        self._known = {key: as_of(one, slot) for key, one in self._known.items()}

    def due(self, source: Source, slot: int) -> list[Request]:
        """Requests of ``source`` that are to be asked at ``slot``."""
        if slot < self._held_until(source.name, self._known):
            return []
        return [
            request
            for request in source.requests
            if is_due(source.name, request, self._known.get((source.name, request.name)), slot)
        ]

    def next_due(
        self, sources: Iterable[Source], slot: int, grid_s: int, noted: Mapping[Key, RequestStanding]
    ) -> int | None:
        """The first slot after ``slot`` at which anything of ``sources`` will be due if nothing happens, with ``noted``
        in the place of what is known."""
        known = {**self._known, **noted}
        due = [
            next_due(
                source.name, request, known.get((source.name, request.name)), slot, grid_s=grid_s,
                held_until=self._held_until(source.name, known),
            )
            for source in sources
            for request in source.requests
        ]  # fmt: skip
        return min((one for one in due if one is not None), default=None)

    def after(self, asked: Iterable[Asked]) -> dict[Key, RequestStanding]:
        """Standings after ``asked``, which :meth:`take` takes once that is durable."""
        return {(one.source, one.request.name): self._after(one) for one in asked}

    def take(self, noted: Mapping[Key, RequestStanding]) -> None:
        """Let ``noted`` be what is known."""
        self._known.update(noted)

    def covered_anew(self, source: Source) -> list[RequestStanding]:
        """Standings of requests of ``source`` that are covered since just now."""
        found = []
        for request in source.requests:
            before = self._known.get((source.name, request.name))
            if request.covered_by is not None and (before is None or before.covered_by != request.covered_by):
                fresh = RequestStanding(source=source.name, request=request.name, every_s=request.every_s)
                success, tally = (before.success_slot, before.tally) if before is not None else (None, RequestTally())
                covered = request.covered_by
                found.append(msgspec.structs.replace(fresh, success_slot=success, covered_by=covered, tally=tally))
        return found

    def write(self, sources: Iterable[Source]) -> None:
        """Keep the standings of ``sources``; of requests that are not configured any more nothing is kept."""
        asked = {(source.name, request.name) for source in sources for request in source.requests}
        self._file.write([one for key, one in self._known.items() if key in asked])

    def _after(self, one: Asked) -> RequestStanding:
        before = self._known.get((one.source, one.request.name))
        tally = (before.tally if before else RequestTally()).plus(
            one.latency_ms / 1e3, None if one.failure is None else str(one.failure.kind)
        )
        if one.failure is None:
            return RequestStanding(
                source=one.source,
                request=one.request.name,
                every_s=one.request.every_s,
                cost=one.request.cost,
                asked_slot=one.slot,
                success_slot=one.slot,
                rows=one.rows,
                latency_ms=one.latency_ms,
                credits_left=one.credits_left,
                tally=tally,
            )
        failures = (before.failures_in_a_row if before else 0) + 1
        wait = wait_after(one.failure, failures, one.request.every_s, self._random)
        return msgspec.structs.replace(
            before or RequestStanding(source=one.source, request=one.request.name, every_s=one.request.every_s),
            every_s=one.request.every_s,
            cost=one.request.cost,
            asked_slot=one.slot,
            failures_in_a_row=failures,
            failure=str(one.failure.kind),
            message=str(one.failure),
            covered_by=None,
            not_before=self._clock() + wait,
            credits_left=one.credits_left,
            tally=tally,
        )

    @staticmethod
    def _held_until(source: str, known: Mapping[Key, RequestStanding]) -> float:
        """Where the source failed, and not just the one request, its others wait as long."""
        return max(
            (
                one.not_before
                for one in known.values()
                if one.source == source and one.failure is not None and one.failure not in OF_A_REQUEST
            ),
            default=0.0,
        )
