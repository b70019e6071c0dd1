"""Hand-over between real processes: every slot is ticked once, whoever ends in whichever way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.shift.baton import Baton

ENDS_WITHIN_S = 30


class Ticks:
    """Processes on the shift of one folder, and what they wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.baton = Baton(folder / "locks", "miners")
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.shift.ticker", str(self.folder), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        self.started.append(process)
        return process

    def rows(self) -> list[tuple[int, int]]:
        file = self.folder / "ticks"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(slot), int(pid)) for slot, pid in (line.split() for line in lines)]

    def slots(self) -> list[int]:
        return [slot for slot, _ in self.rows()]

    def of(self, process: subprocess.Popen[str]) -> list[int]:
        return [slot for slot, pid in self.rows() if pid == process.pid]

    def await_ticks(self, process: subprocess.Popen[str], number: int) -> None:
        until(lambda: len(self.of(process)) >= number)


def until(condition) -> None:
    give_up = time.monotonic() + ENDS_WITHIN_S
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def consecutive(slots: list[int]) -> bool:
    return slots == list(range(slots[0], slots[0] + len(slots)))


@pytest.fixture
def ticks(tmp_path):
    ticks = Ticks(tmp_path)
    yield ticks
    for process in ticks.started:
        process.kill()
        process.communicate()


def test_no_slot_is_missed_or_doubled_over_hand_overs(ticks):
    shift = ticks.start()
    ticks.await_ticks(shift, 2)
    for _ in range(2):
        successor = ticks.start()
        out, _ = shift.communicate(timeout=ENDS_WITHIN_S)
        assert out.strip() == "relieved by the next shift"
        ticks.await_ticks(successor, 2)
        shift = successor
    assert consecutive(ticks.slots())


def test_a_killed_holder_lets_go_at_once(ticks):
    first = ticks.start()
    ticks.await_ticks(first, 1)
    os.kill(first.pid, signal.SIGSTOP)  # cannot hand over, as a hung process
    successor = ticks.start()
    until(lambda: ticks.baton.wanted)
    first.kill()
    ticks.await_ticks(successor, 2)
    assert consecutive(ticks.of(successor))
    assert ticks.baton.holder == successor.pid


def test_a_second_successor_is_not_needed(ticks):
    first = ticks.start()
    ticks.await_ticks(first, 1)
    os.kill(first.pid, signal.SIGSTOP)
    ticks.start()
    until(lambda: ticks.baton.wanted)
    out, _ = ticks.start().communicate(timeout=ENDS_WITHIN_S)
    assert out.strip() == "not needed"


def test_a_stopped_shift_ends_without_successor_and_none_begins(ticks):
    shift = ticks.start()
    ticks.await_ticks(shift, 1)
    with ticks.baton.stopping():
        out, _ = shift.communicate(timeout=ENDS_WITHIN_S)
        assert out.strip() == "stopped without a successor"
        out, _ = ticks.start().communicate(timeout=ENDS_WITHIN_S)
        assert out.strip() == "not needed"
        assert not ticks.baton.taken
    after = ticks.start()
    ticks.await_ticks(after, 1)


def test_a_stopped_shift_is_not_taken_over_by_who_waits_already(ticks):
    shift = ticks.start()
    ticks.await_ticks(shift, 1)
    os.kill(shift.pid, signal.SIGSTOP)
    successor = ticks.start()
    until(lambda: ticks.baton.wanted)
    with ticks.baton.stopping():
        os.kill(shift.pid, signal.SIGCONT)
        out, _ = successor.communicate(timeout=ENDS_WITHIN_S)
        assert out.strip() == "not needed"
        shift.communicate(timeout=ENDS_WITHIN_S)
    assert ticks.of(successor) == []


def test_looking_at_the_locks_takes_none(ticks):
    """Two who look at once do not take each other for a holder, and a shift can begin meanwhile."""
    shift = ticks.start()
    seen = [(ticks.baton.stopped, ticks.baton.wanted) for _ in range(2000)]
    ticks.await_ticks(shift, 1)
    assert not any(stopped for stopped, _ in seen)
    assert ticks.baton.taken


def test_a_hung_shift_is_ended_with_its_stacks(ticks):
    shift = ticks.start("hang")
    shift.communicate(timeout=ENDS_WITHIN_S)
    assert shift.returncode == 70
    stacks = (ticks.folder / "stacks.txt").read_text()
    assert "no tick finished for" in stacks
    assert "in tick" in stacks
    successor = ticks.start()
    ticks.await_ticks(successor, 1)
