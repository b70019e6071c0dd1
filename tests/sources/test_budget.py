"""A month's credits are never overdrawn, and last for the month."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.sources.budget import Budget
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Request
from tests.sources.in_memory import keep_in_memory

LISTINGS = Request("listings", 900)
GLOBAL = Request("global_metrics", 3600, rank=1)


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_in_memory(monkeypatch)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def spend(budget: Budget, request: Request) -> bool:
    try:
        budget.reserve(request)
    except SourceFailure:
        return False
    return True


def simulate(folder: Path, requests: list[Request], credits_a_month: float) -> dict[str, int]:
    """July, 31 days: every request at its interval, by two processes in turn; how many of each went."""
    now = at("2026-07-01")
    pair = [Budget(folder, "some", credits_a_month, clock=lambda: now) for _ in range(2)]
    went = dict.fromkeys((request.name for request in requests), 0)
    while now < at("2026-08-01"):
        for request in requests:
            if now % request.every_s == 0:
                went[request.name] += spend(pair[int(now // 300) % 2], request)
        now += 300
    return went


def test_a_clock_that_is_set_to_another_month_and_back_forgets_nothing(tmp_path: Path) -> None:
    clock = [at("2026-07-20T12:00")]
    budget = Budget(tmp_path, "some", 10_000, clock=lambda: clock[0])
    for _ in range(500):
        budget.reserve(LISTINGS)
    budget.reserve(GLOBAL)
    for moved in ("1970-01-01T00:10", "2036-03-03"):
        clock[0] = at(moved)
        assert budget.account([]).used == 0
        budget.reserve(GLOBAL)
    clock[0] = at("2026-07-20T12:05")
    assert budget.account([]).used == 501
    budget.reserve(LISTINGS)
    assert budget.account([]).by_request == {"listings": 501.0, "global_metrics": 1.0}


@pytest.mark.usefixtures("in_memory")
def test_a_month_at_the_templates_intervals_stays_within_its_credits(tmp_path: Path) -> None:
    went = simulate(tmp_path, [LISTINGS, GLOBAL], 10_000)
    assert went == {"listings": 31 * 96, "global_metrics": 31 * 24}  # 3,720 of 10,000: nothing is refused
    account = Budget(tmp_path, "some", 10_000, clock=lambda: at("2026-07-31T23:59")).account([LISTINGS, GLOBAL])
    assert account.used == 3_720
    assert account.by_request == {"listings": 2_976.0, "global_metrics": 744.0}
    assert account.left == 6_280


@pytest.mark.usefixtures("in_memory")
def test_a_month_that_asks_for_too_much_is_spread_and_never_overdrawn(tmp_path: Path) -> None:
    """5-minute listings cost 8,928, twice that with a second convert: 17,856 of 10,000."""
    greedy = [Request("listings", 300, cost=2), GLOBAL]
    went = simulate(tmp_path, greedy, 10_000)
    used = 2 * went["listings"] + went["global_metrics"]
    assert 9_900 < used <= 10_000
    assert went["listings"] > went["global_metrics"]


@pytest.mark.usefixtures("in_memory")
def test_the_last_day_still_has_credits(tmp_path: Path) -> None:
    now = at("2026-07-01")
    budget = Budget(tmp_path, "some", 3_100, clock=lambda: now)
    days = []
    for day in range(31):
        sent = 0
        for minute in range(0, 1440, 5):
            now = at("2026-07-01") + day * 86_400 + minute * 60
            sent += spend(budget, Request("prices", 300))
        days.append(sent)
    assert sum(days) <= 3_100
    assert min(days) > 90  # of 100 a day on average; 288 were wanted


def test_a_refusal_says_when_there_is_credit_again(tmp_path: Path) -> None:
    now = at("2026-07-10")
    budget = Budget(tmp_path, "some", 100, clock=lambda: now)
    while spend(budget, LISTINGS):
        pass
    with pytest.raises(
        SourceFailure, match=r"some: listings is not asked: .* of 100 credits of 2026-07 are used"
    ) as caught:
        budget.reserve(LISTINGS)
    assert caught.value.kind is SourceFailureKind.BUDGET
    now += caught.value.retry_after_s or 0
    assert spend(budget, LISTINGS)


def test_a_new_month_has_its_credits_anew(tmp_path: Path) -> None:
    now = at("2026-12-31T23:59")
    budget = Budget(tmp_path, "some", 10, clock=lambda: now)
    while spend(budget, LISTINGS):
        pass
    now = at("2027-01-04")
    assert spend(budget, LISTINGS)
    assert budget.account([]).used == 1


def test_what_it_really_took_counts(tmp_path: Path) -> None:
    now = at("2026-07-10")
    budget = Budget(tmp_path, "some", 1_000, clock=lambda: now)
    budget.reserve(LISTINGS)
    budget.settle(LISTINGS, 20)
    assert budget.account([]).used == 20
    budget.reserve(LISTINGS)
    budget.settle(LISTINGS, 0)  # refused by the service: nothing taken
    assert budget.account([]).by_request == {"listings": 20.0}


def test_the_forecast_is_what_is_used_and_what_comes(tmp_path: Path) -> None:
    now = at("2026-07-31")
    budget = Budget(tmp_path, "some", 1_000, clock=lambda: now)
    budget.reserve(LISTINGS)
    assert budget.account([LISTINGS, GLOBAL]).forecast == pytest.approx(1 + 96 + 24)  # one day is left
    assert budget.account([]).until == at("2026-08-01")
