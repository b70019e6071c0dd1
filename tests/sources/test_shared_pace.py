"""Hosts that share a rate: places of the shared limit, and each by itself while it is away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tasks.sources.failure import HeldBack
from tasks.sources.pace import HostPace
from tasks.sources.paces import Paces, Rate
from tasks.sources.shared_pace import ASKED_AGAIN_AFTER_S, LimitAway, SharedPace


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Limit:
    """Answers what it was given, in order, and then gives places; ``asked`` counts."""

    def __init__(self, answers: Sequence[float | LimitAway] = ()) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.away = False

    async def __call__(self, name: str) -> float:
        self.asked.append(name)
        answer = LimitAway("the server sleeps") if self.away else self.answers.pop(0) if self.answers else 0.0
        if isinstance(answer, LimitAway):
            raise answer
        return answer


def shared(folder: Path, limit: Limit, clock: Clock, *, per_minute: float = 60, hosts: int = 4) -> SharedPace:
    own, alone = (
        HostPace(folder, name, per_minute=rate, clock=clock, sleep=clock.sleep)
        for name, rate in (("some", per_minute), ("some.alone", per_minute / hosts))
    )
    return SharedPace("some", "lodeline-some", limit, own=own, alone=alone, clock=clock, sleep=clock.sleep)


async def sent(pace: SharedPace, clock: Clock, times: int) -> list[float]:
    began, found = clock.now, []
    for _ in range(times):
        await pace.wait()
        found.append(clock.now - began)
    return found


async def test_a_request_waits_for_its_host_and_for_the_limit(tmp_path: Path) -> None:
    clock, limit = Clock(), Limit([0.0, 2.5, 0.0])
    assert await sent(shared(tmp_path, limit, clock), clock, 3) == pytest.approx([0, 3.5, 3.5])
    assert set(limit.asked) == {"lodeline-some"}


async def test_a_limit_that_is_full_for_long_holds_back(tmp_path: Path) -> None:
    clock, limit = Clock(), Limit([40.0, 40.0])
    with pytest.raises(HeldBack, match=r"its hosts have asked as often as they may together \(limit lodeline-some\)"):
        await shared(tmp_path, limit, clock).wait()
    assert clock.now == 1_800_000_040.0


async def test_while_the_limit_is_away_a_host_keeps_to_its_part_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, limit = Clock(), Limit()
    pace = shared(tmp_path, limit, clock)
    with caplog.at_level(logging.WARNING):
        await pace.wait()
        limit.away = True
        times = await sent(pace, clock, 8)
    # a fourth of 60 a minute is one every 4 s
    assert [after - before for before, after in pairwise(times)] == pytest.approx([4.0] * 7, abs=1)
    assert times[-1] >= 7 * 4
    assert len(limit.asked) == 2, "a server that is away is left alone for a while"
    assert caplog.text.count("keeps to its own part of it, 15 requests a minute: the server sleeps") == 1
    limit.away = False
    clock.now += ASKED_AGAIN_AFTER_S
    with caplog.at_level(logging.WARNING):
        times = await sent(pace, clock, 4)
    assert times == pytest.approx([0, 1, 2, 3])
    assert caplog.text.count("shared with other hosts again, by limit lodeline-some") == 1


async def test_two_processes_of_one_host_share_its_part(tmp_path: Path) -> None:
    clock, limit = Clock(), Limit()
    limit.away = True
    one, two = shared(tmp_path, limit, clock), shared(tmp_path, limit, clock)
    began = clock.now
    for pace in (one, two, one, two):
        await pace.wait()
    assert clock.now - began >= 3 * 4


async def test_what_the_source_says_closes_this_host(tmp_path: Path) -> None:
    clock, limit = Clock(), Limit()
    pace = shared(tmp_path, limit, clock)
    pace.close_for(30)
    assert await sent(pace, clock, 1) == pytest.approx([30])


def test_only_hosts_that_share_ask_the_limit(tmp_path: Path) -> None:
    assert isinstance(Paces(tmp_path, hosts=2).of("some", Rate(30)), HostPace)
    pace = Paces(tmp_path, hosts=3, ask=Limit()).of("some", Rate(30, burst=2))
    assert isinstance(pace, SharedPace)
    assert pace._alone.per_minute == 10
    with pytest.raises(ValueError, match="hosts must be positive"):
        Paces(tmp_path, hosts=0)
