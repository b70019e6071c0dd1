"""From what a tick gave to what is durable: its batches in the spool, one report for everybody who asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from storage.delivery.books import Books, books_of_lane
from storage.frame import Frame, build_frame
from storage.spool.lane import Lane, LaneReader
from storage.spool.record import Batch, SpoolRecord
from tasks.miners.report import MinerStanding, Tally, TickReport
from tasks.shift.journal import Journal
from tasks.shift.parts import miners_in, parts_of, without
from tasks.shift.slots import Slot

PERCENTILES = (50, 95, 99)


class Outcome(Protocol):
    """What one poll of one slot gave; see tasks.miners.fleet.TickOutcome."""

    @property
    def frames(self) -> Sequence[Frame]:
        """Rows to spool."""
        ...

    @property
    def polled(self) -> int:
        """Entities asked."""
        ...

    @property
    def failed(self) -> int:
        """Of these, entities that gave no reading."""
        ...

    @property
    def failed_by_reason(self) -> Mapping[str, int]:
        """Entities without a reading, asked or not, by the kind of failure."""
        ...

    @property
    def standings(self) -> Sequence[MinerStanding]:
        """How every entity stands."""
        ...

    @property
    def left_alone(self) -> int:
        """Entities that were not asked since their breaker is open."""
        ...

    @property
    def configurations_dropped(self) -> int:
        """Configurations that were due and not read since the host had no time for them."""
        ...

    @property
    def payloads_dropped(self) -> int:
        """Polls whose answers were not kept since the host had no time for them."""
        ...

    @property
    def next_slot(self) -> int | None:
        """When the next poll is due."""
        ...

    @property
    def tick_s(self) -> float:
        """Time that the poll took, in seconds."""
        ...

    @property
    def loop_lag_ms(self) -> float:
        """Worst delay of the event loop, in ms."""
        ...


@dataclass(frozen=True, slots=True)
class LaneBooks:
    """Books of a lane over several sinks: a point counts as stored when the slowest of them has it.

    ``accepted = stored + backlog + dead_lettered + shed`` for one sink, and for several that fare alike.
    """

    accepted: int
    stored: int
    dead_lettered: int
    shed: int
    backlog: int
    trouble: str | None

    @staticmethod
    def of(lane: Path, sinks: Sequence[str], accepted: int) -> LaneBooks:
        """Read the books in folder ``lane``, which has taken ``accepted`` points; what ``sinks`` do not name is old."""
        kept = books_of_lane(lane)
        by_sink = {sink: kept.get(sink) or Books(accepted, 0, 0, 0, accepted, None) for sink in sinks}
        troubles = [f"{sink}: {books.trouble}" for sink, books in by_sink.items() if books.trouble]
        return LaneBooks(
            accepted=accepted,
            stored=min(accepted - b.backlog - b.dead_lettered - b.shed for b in by_sink.values()),
            dead_lettered=max(books.dead_lettered for books in by_sink.values()),
            shed=max(books.shed for books in by_sink.values()),
            backlog=max(books.backlog for books in by_sink.values()),
            trouble="; ".join(troubles) or None,
        )


_ANSWERED = {"miner_telemetry": ("reachable", "poll_ms"), "source_request": ("ok", "latency_ms")}
"""By measurement the column that tells whether an answer came, and the one that tells how long it took."""


def answers_ms_of(frames: Sequence[Frame]) -> list[float]:
    """How long each of the answers in ``frames`` took, milliseconds; who did not answer has no time."""
    found: list[float] = []
    for frame in frames:
        came, took = (frame.columns.get(name, ()) for name in _ANSWERED.get(frame.measurement, ("", "")))
        found += [took_ms for ok, took_ms in zip(came, took, strict=False) if ok and took_ms is not None]
    return found


def _percentiles(values: Sequence[float]) -> dict[int, float | None]:
    if not values:
        return dict.fromkeys(PERCENTILES)
    return dict(zip(PERCENTILES, np.percentile(values, PERCENTILES).tolist(), strict=True))


class Recorder:
    """Writes the ticks of ``lane``, which lies in ``folder`` and is delivered to ``sinks``, by run ``run_id``.

    ``store`` is what readers of reports are told of where the data goes.
    """

    def __init__(
        self, lane: Lane, folder: Path, journal: Journal, *, host: str, store: str, sinks: Sequence[str], run_id: str
    ) -> None:
        self._lane = lane
        self._folder = folder
        self._journal = journal
        self._host = host
        self._store = store
        self._sinks = sinks
        self._run_id = run_id
        reader = LaneReader(folder)
        self._accepted, self._sequence = reader.points_accepted, reader.last_sequence
        newest = journal.newest()
        self._tally = newest.tally if newest is not None else Tally()

    def record(self, slot: Slot, outcome: Outcome) -> TickReport:
        """Spool ``outcome`` in its parts and report the tick once all are in.

        The same slot again is spooled once (``batch_id``), also after a failure between two parts. The first part has
        ``collector_tick``, which names it; miners that do not fit follow in the records after it.

        Raises:
            NeedsHuman: the spool cannot take it: the disk is full or failing.
        """
        before = LaneBooks.of(self._folder, self._sinks, self._accepted)
        points = sum(len(frame) for frame in outcome.frames) + 1
        answers_ms = answers_ms_of(outcome.frames)
        tick = build_frame(
            "collector_tick",
            [slot.time],
            {
                "host": [self._host],
                "lane": [self._folder.name],
                "polled": [outcome.polled],
                "failed": [outcome.failed],
                "failed_by_reason": [",".join(f"{k}={n}" for k, n in sorted(outcome.failed_by_reason.items())) or None],
                "points": [points],
                "backlog": [before.backlog],
                "tick_s": [outcome.tick_s],
                "loop_lag_ms": [outcome.loop_lag_ms],
                **{f"latency_p{part}_ms": [value] for part, value in _percentiles(answers_ms).items()},
                "missed": [slot.missed],
                "left_alone": [outcome.left_alone],
                "configurations_dropped": [outcome.configurations_dropped],
                "payloads_dropped": [outcome.payloads_dropped],
                "batch_id": [self._batch_id(slot, 0)],
                "sequence": [self._sequence + 1],
                "run_id": [self._run_id],
            },
        )
        spooled = self._spool(slot, parts_of(outcome.frames), tick)
        after = LaneBooks.of(self._folder, self._sinks, self._accepted)
        report = TickReport(
            lane=self._folder.name,
            host=self._host,
            slot=slot.time,
            finished=time.time(),
            polled=outcome.polled,
            failed=outcome.failed,
            failed_by_reason=dict(outcome.failed_by_reason),
            points=spooled,
            points_accepted=after.accepted,
            points_stored=after.stored,
            points_dead_lettered=after.dead_lettered,
            points_shed=after.shed,
            backlog=after.backlog,
            tick_s=outcome.tick_s,
            loop_lag_ms=outcome.loop_lag_ms,
            missed=slot.missed,
            next_slot=outcome.next_slot,
            left_alone=outcome.left_alone,
            configurations_dropped=outcome.configurations_dropped,
            payloads_dropped=outcome.payloads_dropped,
            store=self._store,
            store_trouble=after.trouble,
            run_id=self._run_id,
            miners=tuple(outcome.standings),
            tally=self._tally.plus(
                missed=slot.missed,
                asked=outcome.polled,
                failed=outcome.failed_by_reason,
                answers_s=(milliseconds / 1e3 for milliseconds in answers_ms),
            ),
        )
        self._journal.write(report)
        self._tally = report.tally
        return report

    def _spool(self, slot: Slot, parts: Iterable[list[Frame]], tick: Frame) -> int:
        """Spool all ``parts``, the first with ``tick``; how many points that are.

        What a run that was killed in this slot has spooled of its own poll stands: of the miners in it nothing is
        added, so that a miner's rows of a slot are of one poll.
        """
        number = points = 0
        theirs: set[str] | None = None
        for part in parts:
            is_in = False
            while not is_in:
                mine = part if theirs is None else without(part, theirs)
                if number and not mine:
                    break
                frames = mine if number else [*mine, tick]
                batch = Batch(self._batch_id(slot, number), slot.time, self._run_id, frames)
                spooled = self._append(batch, follows=number > 0).batch
                number, points = number + 1, points + spooled.points
                found = [frame for frame in spooled.frames if frame.measurement != tick.measurement]
                is_in = found == mine
                if not is_in:
                    theirs = (theirs or set()) | miners_in(found)
        return points

    def _batch_id(self, slot: Slot, number: int) -> str:
        return f"{self._folder.name}/{slot.time}/{number}"

    def push(self, frames: Sequence[Frame]) -> SpoolRecord:
        """Spool what came on its own, outside of any slot.

        Raises:
            NeedsHuman: the spool cannot take it.
        """
        now_ns = time.time_ns()
        batch_id = f"{self._folder.name}/push/{now_ns}/{self._sequence}"
        return self._append(Batch(batch_id, now_ns // 1_000_000_000, self._run_id, list(frames)))

    def _append(self, batch: Batch, *, follows: bool = False) -> SpoolRecord:
        spooled = self._lane.append(batch, follows=follows)
        self._accepted = max(self._accepted, spooled.points_after)
        self._sequence = max(self._sequence, spooled.sequence)
        return spooled
