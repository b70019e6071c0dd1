"""The rate of a source holds whoever asks: one process, several, after a restart, with a clock set back."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pace import HostPace


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def pace(folder: Path, clock: Clock, *, per_minute: float = 30, burst: int = 1, longest_wait_s: float = 60) -> HostPace:
    return HostPace(
        folder, "some", per_minute=per_minute, burst=burst, longest_wait_s=longest_wait_s, clock=clock,
        sleep=clock.sleep,
    )  # fmt: skip


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate(tmp_path: Path) -> None:
    clock = Clock()
    limited = pace(tmp_path, clock, per_minute=30, burst=3)
    began, sent = clock.now, []
    for _ in range(6):
        await limited.wait()
        sent.append(clock.now - began)
    assert sent == pytest.approx([0, 0, 0, 2, 4, 6])


@given(st.lists(st.floats(0, 30), min_size=1, max_size=80), st.integers(1, 5), st.integers(1, 120))
def test_no_minute_has_more_than_the_rate_and_a_burst(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[float], burst: int, per_minute: int
) -> None:
    clock = Clock()
    limited = pace(tmp_path_factory.mktemp("pace"), clock, per_minute=per_minute, burst=burst, longest_wait_s=1e6)
    sent = []
    for pause in pauses:
        clock.now += pause
        sent.append(clock.now + limited.take())
    for first in sent:
        assert len([at for at in sent if first <= at < first + 60 - 1e-3]) <= per_minute + burst


async def test_two_processes_and_a_restart_share_the_rate(tmp_path: Path) -> None:
    clock = Clock()
    waits = [pace(tmp_path, clock).take() for _ in range(3)]  # each a new one, as after a restart
    assert waits == pytest.approx([0, 2, 4])


def _take(folder: str, times: int, out: multiprocessing.Queue[list[float]]) -> None:
    now = 1_800_000_000.0
    limited = HostPace(Path(folder), "some", per_minute=60, longest_wait_s=1e6, clock=lambda: now)
    out.put([limited.take() for _ in range(times)])


def test_real_processes_never_get_the_same_place(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[float]] = context.Queue()
    racers = [context.Process(target=_take, args=(str(tmp_path), 50, out)) for _ in range(3)]
    for racer in racers:
        racer.start()
    waits = sorted(wait for _ in racers for wait in out.get())
    for racer in racers:
        racer.join()
    assert waits == pytest.approx([float(place) for place in range(150)])


async def test_a_wait_too_long_is_refused_and_takes_no_place(tmp_path: Path) -> None:
    clock = Clock()
    limited = pace(tmp_path, clock, per_minute=1, longest_wait_s=90)
    assert [limited.take(), limited.take()] == pytest.approx([0, 60])
    for _ in range(3):
        with pytest.raises(SourceFailure) as caught:
            limited.take()
        assert caught.value.kind is SourceFailureKind.RATE_LIMITED
        assert caught.value.retry_after_s == pytest.approx(120)


async def test_what_the_source_says_closes_it_for_all(tmp_path: Path) -> None:
    clock = Clock()
    pace(tmp_path, clock).close_for(40)
    other = pace(tmp_path, clock)
    assert other.take() == pytest.approx(40)
    pace(tmp_path, clock).close_for(10)  # a shorter one does not open it earlier
    assert other.take() == pytest.approx(40)
    clock.now += 41
    assert other.take() == 0


async def test_a_clock_set_back_empties_the_bucket_and_no_more(tmp_path: Path) -> None:
    clock = Clock()
    pace(tmp_path, clock).take()
    clock.now -= 86_400
    assert pace(tmp_path, clock).take() == pytest.approx(2)
    assert pace(tmp_path, clock).take() == pytest.approx(4)


async def test_what_was_closed_by_a_clock_that_ran_ahead_is_open(tmp_path: Path) -> None:
    clock = Clock()
    clock.now += 365 * 86_400
    pace(tmp_path, clock).close_for(3_600)
    clock.now -= 365 * 86_400
    assert pace(tmp_path, clock).take() <= 2
    pace(tmp_path, clock).close_for(40)
    assert pace(tmp_path, clock).take() == pytest.approx(40)


def test_a_torn_file_is_a_full_bucket(tmp_path: Path) -> None:
    (tmp_path / "some.pace.json").write_bytes(b'{"full_at": 1')
    assert pace(tmp_path, Clock()).take() == 0
