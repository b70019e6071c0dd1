"""A month at the template's intervals: within the credits, spread over all of it, and told what for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from pydantic import SecretStr

from tasks.market.coingecko import CoinGecko
from tasks.market.coinmarketcap import CoinMarketCap
from tasks.market.prices import PriceMemory
from tasks.market.settings import CoinGeckoSettings, CoinMarketCapSettings, MarketSettings
from tasks.market.sources import open_market_sources
from tasks.resilience.http import Api, Reply
from tasks.sources.budget import Account, Budget
from tasks.sources.cache import AnswerCache
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.paces import Paces
from tasks.sources.pacing import is_due, wait_after
from tasks.sources.standing import RequestStanding
from tests.market.accounts import CMC_KEY, COINS, KEY
from tests.sources.in_memory import keep_in_memory

START = 1_798_761_600
"""2027-01-01 00:00 UTC, of a month as long as they get."""
DAYS = 31
GRID_S = 150


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_in_memory(monkeypatch)


@dataclass
class Month:
    """What came of it: answers that took a credit by kind of request and by day, and failures by kind."""

    now: float = START
    sent: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    by_day: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    async def get(self, path: str, params: Mapping[str, Any]) -> Reply:
        """In the place of an Api: the shortest answer there is, since it is the number of them that counts."""
        del params
        self.sent += 1
        data: Any
        if path == "/simple/price":
            data = {"bitcoin": {"usd": 64_000}}
        elif path == "/coins/markets":
            data = [{"id": "bitcoin", "current_price": 64_000}]
        elif path.endswith("/market_chart"):
            midnight = self.now // 86_400 * 86_400
            data = {"prices": [[midnight * 1e3, 64_000], [self.now * 1e3 + 1, 64_001]]}
        else:
            data = {"data": [] if "listings" in path else {}, "status": {"error_code": 0, "credit_count": 1}}
        return Reply(200, data, "", 0, {}, path, int(self.now * 1000), 1)

    def masked(self, text: str) -> str:
        """There is no secret."""
        return text

    async def run(self, source: CoinGecko | CoinMarketCap, budget: Budget) -> Account:
        """Ask what is due when it is due, as the collection does; the account a second before the month is over."""
        standings = {
            one.name: RequestStanding(source=source.name, request=one.name, every_s=one.every_s, success_slot=START - 1)
            for one in source.requests
        }
        random = Random(1)
        for slot in range(START, START + DAYS * 86_400, GRID_S):
            self.now = float(slot)
            for request in sorted(source.requests, key=lambda one: one.rank):
                standing = standings[request.name]
                if not is_due(source.name, request, standing, slot):
                    continue
                changes: dict[str, Any] = {"asked_slot": slot}
                try:
                    budget.reserve(request)
                    gathered = await source.ask(request, slot)
                    budget.settle(request, gathered.credits)
                    self.taken[request.name.partition(".")[0]] += int(gathered.credits)
                    self.by_day[(slot - START) // 86_400] += int(gathered.credits)
                    changes |= {"success_slot": slot, "failure": None, "not_before": 0.0}
                except SourceFailure as failure:
                    self.failed[str(failure.kind)] += 1
                    wait = wait_after(failure, 1, request.every_s, random)
                    changes |= {"failure": str(failure.kind), "not_before": slot + wait}
                standings[request.name] = RequestStanding(
                    source=source.name, request=request.name, every_s=request.every_s,
                    **{"success_slot": standing.success_slot, **changes},
                )  # fmt: skip
        self.now = START + DAYS * 86_400 - 1.0
        return budget.account(source.requests)


@pytest.mark.usefixtures("in_memory")
async def test_coinmarketcap_takes_what_its_intervals_say(tmp_path: Path) -> None:
    month = Month()
    budget = Budget(tmp_path, "coinmarketcap", 10_000, clock=lambda: month.now)
    settings = CoinMarketCapSettings(api_key=SecretStr(CMC_KEY))
    source = CoinMarketCap(settings, COINS, cast("Api", month), PriceMemory(tmp_path))
    account = await month.run(source, budget)
    assert account.by_request == {"listings": 2_976, "global_metrics": 744}
    assert account.used == month.sent == 3_720
    assert not month.failed


@pytest.mark.usefixtures("in_memory")
async def test_coingecko_with_a_demo_key_stays_within_its_credits(tmp_path: Path) -> None:
    """12,028 credits would be taken at these intervals: prices wait, markets and closes do not."""
    month = Month()
    budget = Budget(tmp_path, "coingecko", 10_000, clock=lambda: month.now)
    cache = AnswerCache(tmp_path, "coingecko")
    settings = CoinGeckoSettings(api_key=SecretStr(KEY))
    source = CoinGecko(settings, cast("Api", month), PriceMemory(tmp_path), cache)
    account = await month.run(source, budget)
    assert month.sent == sum(month.taken.values()) == pytest.approx(account.used, abs=1)
    assert 9_900 < month.sent <= 10_000
    assert month.taken["market_data"] > 2_900  # of 2,976
    assert month.taken["historical"] >= 4 * DAYS - 4  # four coins, once a day
    assert month.taken["simple_price"] > 6_500  # what is left, of 8,928
    assert set(month.failed) == {str(SourceFailureKind.BUDGET)}
    assert min(month.by_day[day] for day in range(DAYS)) > 200  # to the last day
    assert sum(account.by_request.values()) == pytest.approx(account.used)
    assert {name.partition(".")[0] for name in account.by_request} == {"historical", "market_data", "simple_price"}


def market(tmp_path: Path, **more: Any) -> Any:
    settings = MarketSettings.model_validate(
        {"coingecko": more, "coinmarketcap": {"api_key": CMC_KEY}, "network": {"enabled": False}}
    )
    return open_market_sources(settings, state=tmp_path)


def test_a_plan_that_is_too_small_is_told_beforehand(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        sources, budgets = market(tmp_path, api_key=KEY, credits_a_month=5)
    assert [source.name for source in sources] == ["coingecko", "coinmarketcap"]
    assert set(budgets) == {"coingecko", "coinmarketcap"}
    assert "coingecko" in caplog.text
    assert "of 5" in caplog.text
    assert "coinmarketcap" not in caplog.text


def test_hosts_that_share_an_account_divide_its_credits(tmp_path: Path) -> None:
    settings = MarketSettings.model_validate(
        {"coingecko": {"api_key": KEY}, "coinmarketcap": {"api_key": CMC_KEY}, "network": {"enabled": False}}
    )
    paces = Paces(tmp_path, hosts=4)
    _, budgets = open_market_sources(settings, state=tmp_path, paces=paces)
    assert {name: budget.account([]).credits for name, budget in budgets.items()} == {
        "coingecko": 2_500, "coinmarketcap": 2_500,
    }  # fmt: skip


def test_without_a_key_coingecko_has_no_budget(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources, budgets = market(tmp_path)
    assert [source.name for source in sources] == ["coingecko", "coinmarketcap"]
    assert set(budgets) == {"coinmarketcap"}
    assert not caplog.text


def test_what_is_switched_off_is_not_asked(tmp_path: Path) -> None:
    settings = MarketSettings.model_validate(
        {"coingecko": {"enabled": False}, "coinmarketcap": {"enabled": False}, "network": {"enabled": False}}
    )
    assert open_market_sources(settings, state=tmp_path) == ([], {})
