"""What one tick did, for the line on the console, the page, ``lodeline status`` and measurement ``collector_tick``.

Two files per lane under ``<data>/state/``: ``<lane>.json`` holds the newest report (replaced atomically each tick) and
``<lane>.ticks.jsonl`` one report a line without its miners (rotated; tasks/shift/journal.py writes both). They are how
processes of one host tell each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from storage.histogram import SECONDS, Histogram, continued, empty


class MinerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How one miner stands after a tick: when it last answered and why it does not, and when it is asked again.

    With an open ``breaker`` it is not asked, and gives no row, until ``next_poll``; see tasks/miners/breaker.py.
    """

    miner_id: str
    last_polled: int
    last_success: int | None
    failures_in_a_row: int
    failure: str | None
    driver: str
    interval_s: int | None = None
    breaker: str = "closed"
    open_since: float | None = None
    next_poll: float | None = None


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What ticks gave over the life of a lane's report, restarts included; ``answers`` by the time that they took."""

    ticks: int = 0
    missed: int = 0
    asked: int = 0
    failed: dict[str, int] = {}
    answers: Histogram = empty(SECONDS)

    def plus(self, *, missed: int, asked: int, failed: Mapping[str, int], answers_s: Iterable[float]) -> Tally:
        """With one tick more."""
        return Tally(
            ticks=self.ticks + 1,
            missed=self.missed + missed,
            asked=self.asked + asked,
            failed={
                reason: self.failed.get(reason, 0) + failed.get(reason, 0) for reason in sorted({*self.failed, *failed})
            },
            answers=continued(self.answers, SECONDS).plus(answers_s),
        )


class TickReport(msgspec.Struct, frozen=True, kw_only=True):
    """One tick of one lane. Times are Unix seconds; ``points_*`` and ``backlog`` count over the life of the lane.

    ``missed`` counts the slots since the tick before that nobody ticked. ``next_slot`` is when the next tick is due.
    ``left_alone`` miners were not asked since their breaker is open; ``configurations_dropped`` were due and not read
    since the host had no time for them, and the answers of ``payloads_dropped`` polls were not kept for that. ``tally``
    is what all ticks gave so far.
    """

    lane: str
    host: str
    slot: int
    finished: float
    polled: int
    failed: int
    failed_by_reason: dict[str, int]
    points: int
    points_accepted: int
    points_stored: int
    points_dead_lettered: int
    points_shed: int
    backlog: int
    tick_s: float
    loop_lag_ms: float
    store: str
    store_trouble: str | None = None
    missed: int = 0
    next_slot: int | None = None
    left_alone: int = 0
    configurations_dropped: int = 0
    payloads_dropped: int = 0
    run_id: str = ""
    miners: tuple[MinerStanding, ...] = ()
    tally: Tally = Tally()


class _Whose(msgspec.Struct):
    """Other rooms keep files in the same folder; only a report names a lane."""

    lane: str | None = None


def newest_reports(state: Path) -> tuple[dict[Path, TickReport], dict[Path, str]]:
    """The newest report of every lane under ``state`` by its file, and files that cannot be read with the reason."""
    reports: dict[Path, TickReport] = {}
    faults: dict[Path, str] = {}
    for file in sorted(state.glob("*.json")):
        if "." in file.stem:  # what else is kept of a lane or a source, e.g. pools.sources.json
            continue
        try:
            content = file.read_bytes()
            if msgspec.json.decode(content, type=_Whose).lane is not None:
                reports[file] = msgspec.json.decode(content, type=TickReport)
        except (OSError, msgspec.MsgspecError) as error:
            faults[file] = str(error)
    return reports, faults
