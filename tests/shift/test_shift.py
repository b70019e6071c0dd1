"""Ends of a shift that need no second process, the watchdog's quiet side, and the journal."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from tasks.miners.report import MinerStanding, TickReport
from tasks.shift import journal as journal_module
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal
from tasks.shift.shift import End, RunSeen, Terms, serve
from tasks.shift.slots import Slots
from tasks.shift.watchdog import Watchdog


@pytest.mark.parametrize(
    ("seen", "longest_s", "expected"),
    [
        pytest.param([RunSeen.UNKNOWN, RunSeen.CANCELLED], 99, End.CANCELLED, id="cancelled after an outage"),
        pytest.param([RunSeen.UNKNOWN] * 3 + [RunSeen.GOES_ON], 0, End.OVERDUE, id="overdue once the server is back"),
    ],
)
async def test_the_run_is_looked_after(tmp_path, seen, longest_s, expected):
    answers: Iterator[RunSeen] = iter(seen)

    async def look() -> RunSeen:
        return next(answers)

    async def tick(_slot: object) -> None:
        pass

    terms = Terms(longest_s=longest_s, look_every_s=0.01)
    with Watchdog(60, tmp_path / "stacks") as watchdog:
        end = await serve(Baton(tmp_path, "x"), Slots(1), tick, look=look, watchdog=watchdog, terms=terms)
    assert end is expected
    assert next(answers, None) is None


def test_a_watchdog_that_is_fed_stays_quiet(tmp_path):
    ends: list[int] = []
    with Watchdog(0.2, tmp_path / "stacks", end=ends.append) as watchdog:
        for _ in range(40):
            watchdog.tick_finished()
            watchdog._over.wait(0.01)
    assert not ends
    assert not (tmp_path / "stacks").exists()


def test_a_watchdog_ends_the_process_even_when_stacks_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    ended: list[int] = []
    watchdog = Watchdog(0.0, tmp_path / "file" / "stacks", end=ended.append)
    with pytest.raises((NotADirectoryError, FileExistsError)):
        watchdog._watch()
    assert ended == [70]


def report(slot: int) -> TickReport:
    standing = MinerStanding(
        miner_id="m1", last_polled=slot, last_success=slot, failures_in_a_row=0, failure=None, driver="vnish-rest"
    )
    return TickReport(
        lane="miners", host="h", slot=slot, finished=slot + 0.5, polled=1, failed=0, failed_by_reason={}, points=5,
        points_accepted=5, points_stored=5, points_dead_lettered=0, points_shed=0, backlog=0, tick_s=0.5,
        loop_lag_ms=1.0, store="embedded", miners=(standing,),
    )  # fmt: skip


def test_journal_keeps_the_newest_whole_and_all_without_miners(tmp_path):
    journal = Journal(tmp_path / "state", "miners")
    assert journal.newest() is None
    assert journal.since(0) == []
    for slot in (10, 20, 30):
        journal.write(report(slot))
    assert journal.newest() == report(30)
    assert journal.since(10.5) == [msgspec.structs.replace(report(slot), miners=()) for slot in (20, 30)]


def test_journal_rotates_and_loses_no_newer_tick(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "ROTATE_BYTES", 1500)
    journal = Journal(tmp_path, "miners")
    seen: list[int] = []
    newest = 0.0
    for slot in range(10, 300, 10):
        journal.write(report(slot))
        for found in journal.since(newest):
            seen.append(found.slot)
            newest = found.finished
    assert seen == list(range(10, 300, 10))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) < 2 * 2000


@pytest.mark.parametrize("garbage", [b"", b"{", b'{"lane": 5}', b'\xff"'])
def test_journal_reads_over_what_it_does_not_know(tmp_path, garbage):
    journal = Journal(tmp_path, "miners")
    journal.write(report(10))
    (tmp_path / "miners.json").write_bytes(garbage)
    with (tmp_path / "miners.ticks.jsonl").open("ab") as file:
        file.write(garbage + b"\n")
    journal_of_next = Journal(tmp_path, "miners")
    assert journal_of_next.newest() is None
    journal_of_next.write(report(20))
    assert [found.slot for found in journal.since(0)] == [10, 20]
