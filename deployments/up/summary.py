"""What a run of ``lodeline up`` did: a line per tick, and the sum at its end."""

from __future__ import annotations

import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from storage.delivery.books import lanes_of
from storage.delivery.delivery import Delivery
from storage.opening import open_sinks
from storage.settings import StorageSettings
from storage.spool.lane import LaneReader
from tasks.miners.collection import LANE
from tasks.miners.report import TickReport
from tasks.shift.recorder import LaneBooks


@dataclass
class Requests:
    """Requests to the sources of one lane."""

    asked: int = 0
    failed: int = 0


@dataclass
class Summary:
    """Counts of one run. Points count over the life of the spool, in which an earlier run may have left some.

    ``requests`` are those to pools and markets, by lane; ``simulated`` is what of the world is not the real one.
    ``fake_abacus``: rows that the fake of Abacus.AI holds, by feature group; None: there is none. ``fake_predicted``:
    rows that it predicted, by no model.
    """

    host: StorageSettings
    began: float = field(default_factory=time.time)
    ticks: int = 0
    polls: int = 0
    polls_failed: int = 0
    requests: dict[str, Requests] = field(default_factory=dict)
    flow_runs: dict[str, int] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    simulated: list[str] = field(default_factory=list)
    fake_abacus: dict[str, int] | None = None
    fake_predicted: int = 0

    def __post_init__(self) -> None:
        self._newest: dict[str, float] = {}
        self._accepted_before = self._accepted()
        self._books = LaneBooks(0, 0, 0, 0, 0, None)

    def newest_tick(self, lane: str) -> float:
        """When the newest tick of ``lane`` that was counted had finished; the begin where none was."""
        return self._newest.get(lane, self.began)

    def add(self, report: TickReport) -> None:
        """Count a tick."""
        self._newest[report.lane] = max(self.newest_tick(report.lane), report.finished)
        if report.lane != LANE:
            sums = self.requests.setdefault(report.lane, Requests())
            sums.asked += report.polled
            sums.failed += report.failed
            return
        self.ticks += 1
        self.polls += report.polled
        self.polls_failed += report.failed

    def close_books(self, for_s: float) -> None:
        """Deliver what is still spooled, for at most ``for_s`` seconds, and close the books. Blocks."""
        sinks = open_sinks(self.host, socket.gethostname())
        delivery = Delivery(self.host.spool_directory, sinks, socket.gethostname())
        delivery.flush(for_s)
        delivery.close()
        names = [sink.name for sink in sinks]
        lanes = [
            LaneBooks.of(lane, names, LaneReader(lane).points_accepted) for lane in lanes_of(self.host.spool_directory)
        ]
        self._books = LaneBooks(
            accepted=sum(lane.accepted for lane in lanes),
            stored=sum(lane.stored for lane in lanes),
            dead_lettered=sum(lane.dead_lettered for lane in lanes),
            shed=sum(lane.shed for lane in lanes),
            backlog=sum(lane.backlog for lane in lanes),
            trouble="; ".join(lane.trouble for lane in lanes if lane.trouble) or None,
        )

    @property
    def all_stored(self) -> bool:
        """Whether this run collected something, and every point ever accepted is stored."""
        books = self._books
        return books.accepted > self._accepted_before and books.stored == books.accepted and books.backlog == 0

    def as_json(self) -> dict[str, Any]:
        """The last line of ``lodeline up --for``."""
        return {
            "ticks": self.ticks,
            "polls": self.polls,
            "polls_failed": self.polls_failed,
            "requests": {lane: asdict(sums) for lane, sums in self.requests.items()},
            "points_accepted": self._books.accepted,
            "points_stored": self._books.stored,
            "points_dead_lettered": self._books.dead_lettered,
            "backlog": self._books.backlog,
            "flow_runs": self.flow_runs,
            "store": "embedded" if self.host.influx is None else "influxdb",
            "simulated": self.simulated,
            **self._faked(),
            "urls": self.urls,
        }

    def in_words(self) -> str:
        """The end for a human."""
        books = self._books
        trouble = f" ({books.trouble})" if books.trouble else ""
        asked = "".join(
            f" {sums.asked} requests to {lane}, {sums.failed} failed;" for lane, sums in self.requests.items()
        )
        return (
            f"{self.ticks} ticks, {self.polls} polls, {self.polls_failed} failed;{asked} of {books.accepted} points "
            f"{books.stored} are stored, {books.dead_lettered} dead letters, {books.backlog} wait{trouble}"
            f"{self._faked_in_words()}"
        )

    def _faked(self) -> dict[str, object]:
        if self.fake_abacus is None:
            return {}
        return {"fake_abacus": self.fake_abacus, "fake_predicted": self.fake_predicted}

    def _faked_in_words(self) -> str:
        if self.fake_abacus is None:
            return ""
        groups = ", ".join(f"{rows} rows of {name}" for name, rows in self.fake_abacus.items())
        predicted = f"; it predicted {self.fake_predicted} values, by no model" if self.fake_predicted else ""
        return f"\nThe FAKE of Abacus.AI holds {groups or 'nothing yet'}{predicted}"

    def _accepted(self) -> int:
        return sum(LaneReader(lane).points_accepted for lane in lanes_of(self.host.spool_directory))


def tick_line(report: TickReport) -> str:
    """One tick for a human; its time is UTC, as everywhere."""
    at = time.strftime("%H:%M:%SZ", time.gmtime(report.slot))
    reasons = ", ".join(f"{kind} {number}" for kind, number in sorted(report.failed_by_reason.items()))
    missed = f"  {report.missed} slots missed before" if report.missed else ""
    trouble = f"  {report.store_trouble}" if report.store_trouble else ""
    asked = f"polled {report.polled}" if report.lane == LANE else f"{report.lane}: asked {report.polled}"
    return (
        f"{at}  {asked}  failed {report.failed}{f' ({reasons})' if reasons else ''}  "
        f"stored {report.points_stored}  backlog {report.backlog}  tick {report.tick_s:.2f} s{missed}{trouble}"
    )
