"""CoinMarketCap: what is made of its documented answers, and of each of its error codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.farm.markets.coinmarketcap import FakeCoinMarketCap
from deployments.farm.markets.prices import quote
from tasks.market.coinmarketcap import TIERS, failure_of, tier_of
from tasks.market.settings import CoinMarketCapSettings
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tests.market.accounts import CMC_KEY, COINS, SLOT, asked, coinmarketcap, rows

STATUS = {"timestamp": "2027-01-15T08:00:00.000Z", "error_code": 0, "error_message": None, "elapsed": 9}


def coin(number: int, symbol: str, name: str, price: Any, **quote_more: Any) -> dict[str, Any]:
    return {
        "id": number, "name": name, "symbol": symbol, "slug": name.lower(), "cmc_rank": number, "platform": None,
        "last_updated": "2027-01-15T07:58:00.000Z",
        "quote": {"USD": {
            "price": price, "volume_24h": 4.0e8, "percent_change_1h": -0.1, "percent_change_24h": 0.5,
            "percent_change_7d": 3.25, "market_cap": 6.2e9, "last_updated": "2027-01-15T07:59:00.000Z", **quote_more,
        }},
    }  # fmt: skip


LISTED = [
    coin(1, "BTC", "Bitcoin", 64_000.0),
    coin(99_999, "LTC", "A token named like it", 0.001),
    coin(2, "LTC", "Litecoin", 80.0),
    coin(74, "DOGE", "Dogecoin", 0.16, volume_24h=None, market_cap=0, percent_change_7d="1,2"),
    coin(5_000, "OTHER", "Unasked", 1.0),
]


def of(data: Any, status: int = 200, **status_more: Any) -> Any:
    return lambda _: httpx.Response(status, json={"data": data, "status": {**STATUS, "credit_count": 1, **status_more}})


async def test_listings_by_number_not_by_symbol(tmp_path: Path) -> None:
    gathered = await asked(coinmarketcap(tmp_path, of(LISTED)), "listings")
    found = {row["coin_id"]: row for row in rows(gathered)}
    assert list(found) == ["bitcoin", "litecoin", "dogecoin"]
    litecoin, dogecoin = found["litecoin"], found["dogecoin"]
    assert (litecoin["price_usd"], litecoin["market_cap_usd"], litecoin["volume_24h_usd"]) == (80.0, 6.2e9, 4.0e8)
    assert (litecoin["symbol"], litecoin["source"], litecoin["time"]) == ("LTC", "coinmarketcap", SLOT)
    assert litecoin["age_s"] == 60.0
    assert (litecoin["price_btc"], litecoin["quality_flags"], litecoin["quality"]) == (80.0 / 64_000, "derived", 1.0)
    assert (dogecoin["market_cap_usd"], dogecoin["volume_24h_usd"]) == (None, None)
    assert dogecoin["price_change_7d_percent"] is None
    assert dogecoin["quality_flags"] == "derived,incomplete"
    (notice,) = gathered.notices
    assert "ethereum" in notice
    assert "200" in notice


async def test_a_number_with_another_symbol_is_not_that_coin(tmp_path: Path) -> None:
    moved = [coin(1, "BTC", "Bitcoin", 64_000.0), coin(2, "NEW", "Something else", 5.0)]
    assert [row["coin_id"] for row in rows(await asked(coinmarketcap(tmp_path, of(moved)), "listings"))] == ["bitcoin"]


async def test_a_coin_without_a_number_is_found_by_symbol_and_name(tmp_path: Path) -> None:
    listed = [coin(7, "PEP", "Pep the token", 9.0), coin(8, "PEP", "Pepecoin", 0.0005)]
    source = coinmarketcap(tmp_path, of(listed), coins=("pepecoin-network", "not-in-the-table"))
    gathered = await asked(source, "listings")
    (found,) = rows(gathered)
    assert (found["coin_id"], found["price_usd"], found.get("price_btc")) == ("pepecoin-network", 0.0005, None)
    assert "not-in-the-table" in gathered.notices[0]
    assert not (await asked(source, "listings", SLOT + 900)).notices


async def test_bitcoin_gives_its_price_to_others_without_being_followed(tmp_path: Path) -> None:
    (found,) = rows(await asked(coinmarketcap(tmp_path, of(LISTED), coins=("litecoin",)), "listings"))
    assert (found["coin_id"], found["price_btc"]) == ("litecoin", 80.0 / 64_000)


async def test_the_whole_market(tmp_path: Path) -> None:
    data = {
        "active_cryptocurrencies": 9123, "active_exchanges": "710", "btc_dominance": 52.5, "eth_dominance": None,
        "last_updated": "2027-01-15T07:50:00Z",
        "quote": {"USD": {"total_market_cap": 2.5e12, "total_volume_24h": 9.5e10}},
    }  # fmt: skip
    (total,) = rows(await asked(coinmarketcap(tmp_path, of(data)), "global_metrics"), "market_global")
    assert total == {
        "time": SLOT, "source": "coinmarketcap", "market_cap_usd": 2.5e12, "volume_24h_usd": 9.5e10,
        "btc_dominance_percent": 52.5, "coins_active": 9123, "exchanges_active": 710,
        "age_s": 600.0,
    }  # fmt: skip


@pytest.mark.parametrize(("said", "taken"), [(3, 3.0), (0, 0.0), (None, 1.0), ("2", 2.0)])
async def test_credits_are_those_that_the_answer_says(tmp_path: Path, said: Any, taken: float) -> None:
    gathered = await asked(coinmarketcap(tmp_path, of(LISTED, credit_count=said)), "listings")
    assert gathered.credits == taken


@pytest.mark.parametrize(("limit", "cost"), [(200, 1.0), (201, 2.0), (5_000, 25.0)])
def test_what_a_list_is_expected_to_cost(tmp_path: Path, limit: int, cost: float) -> None:
    assert coinmarketcap(tmp_path, of([]), limit=limit).requests[0].cost == cost


async def test_a_notice_of_the_service_is_handed_on(tmp_path: Path) -> None:
    gathered = await asked(coinmarketcap(tmp_path, of(LISTED, notice=f"v1 ends soon for {CMC_KEY}")), "listings")
    assert any("v1 ends soon" in notice and CMC_KEY not in notice for notice in gathered.notices)


UNTIL_DAY, UNTIL_MONTH = 57_600.0, 1_440_000.0


@pytest.mark.parametrize(
    ("code", "status", "kind", "wait"),
    [
        (1001, 401, SourceFailureKind.REFUSED, None),
        (1002, 401, SourceFailureKind.REFUSED, None),
        (1003, 402, SourceFailureKind.REFUSED, None),
        (1004, 402, SourceFailureKind.REFUSED, None),
        (1005, 403, SourceFailureKind.REFUSED, None),
        (1006, 403, SourceFailureKind.UNEXPECTED, 86_400.0),
        (1007, 403, SourceFailureKind.REFUSED, None),
        (1008, 429, SourceFailureKind.RATE_LIMITED, 60.0),
        (1009, 429, SourceFailureKind.QUOTA_EXHAUSTED, UNTIL_DAY),
        (1010, 429, SourceFailureKind.QUOTA_EXHAUSTED, UNTIL_MONTH),
        (1011, 429, SourceFailureKind.RATE_LIMITED, 600.0),
        (400, 400, SourceFailureKind.UNEXPECTED, None),
        (4711, 200, SourceFailureKind.SERVER_ERROR, None),
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_each_code_is_told_whatever_the_status(
    code: int, status: int, kind: SourceFailureKind, wait: float | None, hidden: bool
) -> None:
    if hidden and code == 400:
        return  # a status, not a code of its own
    for written in (code, str(code)):
        said = {"status": {**STATUS, "error_code": written, "error_message": "why"}}
        failure = failure_of(200 if hidden else status, said, float(SLOT), "coinmarketcap: /x")
        assert failure is not None
        assert (failure.kind, failure.retry_after_s) == (kind, wait)
        assert "why" in str(failure)


@pytest.mark.parametrize("data", [None, {}, "x"])
async def test_another_shape_is_unexpected(tmp_path: Path, data: Any) -> None:
    with pytest.raises(SourceFailure) as caught:
        await asked(coinmarketcap(tmp_path, of(data)), "listings")
    assert caught.value.kind is SourceFailureKind.UNEXPECTED


def test_plans_have_their_credits() -> None:
    assert TIERS["free"].credits == TIERS["basic"].credits == 10_000
    settings = CoinMarketCapSettings(enabled=False, tier="startup", credits_a_month=15_000)
    assert tier_of(settings).credits == 15_000


async def test_the_fake_tells_what_lodeline_reads(tmp_path: Path) -> None:
    fake = FakeCoinMarketCap(key=CMC_KEY, clock=lambda: float(SLOT))
    async with fake.service() as service:
        source = coinmarketcap(tmp_path, base_url=service.url)
        found = {row["coin_id"]: row for row in rows(await asked(source, "listings"))}
        assert set(found) == set(COINS)
        assert found["litecoin"]["price_usd"] == quote("litecoin", SLOT).price_usd
        (total,) = rows(await asked(source, "global_metrics"), "market_global")
        assert 0 < total["btc_dominance_percent"] < 100
        assert fake.credits == 2
        await source.aclose()
