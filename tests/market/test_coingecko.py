"""CoinGecko: what is made of its documented answers, of its errors, and how often it is asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.farm.markets.coingecko import FakeCoinGecko
from deployments.farm.markets.prices import quote
from tasks.market.coingecko import PLANS, failure_of, plan_of
from tasks.market.settings import CoinGeckoSettings
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tests.market.accounts import COINS, KEY, SLOT, asked, coingecko, rows

DAY = 86_400
MIDNIGHT = SLOT // DAY * DAY

SIMPLE_PRICE: dict[str, Any] = {
    "bitcoin": {
        "usd": 64012.5, "usd_market_cap": 1.2678e12, "usd_24h_vol": 3.1e10, "usd_24h_change": -1.25,
        "btc": 1.0, "btc_market_cap": 19_806_000.0, "btc_24h_vol": 484_280.0, "last_updated_at": SLOT - 42,
    },
    "litecoin": {
        "usd": 82.01, "usd_market_cap": 6.2e9, "usd_24h_vol": 4.1e8, "usd_24h_change": None, "btc": 0.00128116,
        "btc_market_cap": 96_856.1, "btc_24h_vol": None, "last_updated_at": SLOT + 3,
    },
    "dogecoin": {"usd": None, "btc": None, "last_updated_at": None},
}  # fmt: skip
MARKETS: list[dict[str, Any]] = [
    {
        "id": "litecoin", "symbol": "ltc", "name": "Litecoin", "current_price": 82.5, "market_cap": 6270000000,
        "total_volume": 410000000, "price_change_percentage_24h": 0.5, "roi": None,
        "price_change_percentage_1h_in_currency": -0.1, "price_change_percentage_7d_in_currency": 3.25,
        "last_updated": "2027-01-15T07:59:10.123Z",
    },
    {
        "id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "current_price": 66000, "market_cap": 0,
        "total_volume": None, "price_change_percentage_1h_in_currency": None, "last_updated": "soon",
    },
    {"id": "unasked", "symbol": "x", "name": "X", "current_price": 1},
    {"id": "dogecoin", "symbol": "doge", "name": "Dogecoin", "current_price": None},
]  # fmt: skip


def of(answer: Any, status: int = 200) -> Any:
    return lambda _: httpx.Response(status, json=answer)


async def test_prices_of_simple_price(tmp_path: Path) -> None:
    gathered = await asked(coingecko(tmp_path, of(SIMPLE_PRICE)), "simple_price")
    bitcoin, litecoin = rows(gathered)
    assert (bitcoin["coin_id"], bitcoin["source"], bitcoin["time"]) == ("bitcoin", "coingecko", SLOT)
    assert (bitcoin["price_usd"], bitcoin["price_btc"], bitcoin["age_s"]) == (64012.5, 1.0, 42)
    assert (bitcoin["symbol"], bitcoin["name"]) == ("BTC", "Bitcoin")
    assert (litecoin["price_usd"], litecoin["price_btc"]) == (82.01, 0.00128116)  # told, not 82.01 / 64012.5
    assert (litecoin["market_cap_usd"], litecoin["market_cap_btc"]) == (6.2e9, 96_856.1)
    assert litecoin["price_change_24h_percent"] is None
    assert litecoin["age_s"] == 0.0  # renewed between the slot and the answer
    assert bitcoin["quality_flags"] is None
    assert litecoin["quality_flags"] == "derived"
    assert litecoin["volume_24h_btc"] == pytest.approx(4.1e8 / 64012.5)
    assert gathered.credits == 1.0
    assert gathered.answers[0].status == 200


async def test_an_answer_that_is_not_renewed_yet_is_neither_asked_nor_paid_for_again(tmp_path: Path) -> None:
    """After a kill between answer and spool, or at an interval below a minute: the same rows, and their age."""
    asked_for: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked_for.append(request.url.path)
        return httpx.Response(200, json=SIMPLE_PRICE)

    now = int(time.time())
    first = await asked(coingecko(tmp_path, answer), "simple_price", now)
    again = await asked(coingecko(tmp_path, answer), "simple_price", now + 30)
    assert len(asked_for) == 1
    assert (first.credits, again.credits, again.tries) == (1.0, 0.0, 0)
    assert [row["price_usd"] for row in rows(again)] == [row["price_usd"] for row in rows(first)]
    assert [(one.from_cache, 25 <= one.age_s <= 31) for one in again.answers] == [(True, True)]
    await asked(coingecko(tmp_path, answer), "simple_price", now + 60)
    await asked(coingecko(tmp_path, answer, coins=("bitcoin",)), "simple_price", now + 60)
    assert len(asked_for) == 3, "renewed by then; and other coins are another question"


async def test_what_was_left_out_or_has_no_price_is_noticed_once(tmp_path: Path) -> None:
    source = coingecko(tmp_path, of(SIMPLE_PRICE), coins=(*COINS, "litecoim"))
    (notice,) = (await asked(source, "simple_price")).notices
    assert all(coin in notice for coin in ("litecoim", "dogecoin", "ethereum"))
    assert "bitcoin" not in notice
    assert not (await asked(source, "simple_price", SLOT + 300)).notices


async def test_markets_with_changes_of_price(tmp_path: Path) -> None:
    bitcoin, litecoin = rows(await asked(coingecko(tmp_path, of(MARKETS)), "market_data"))
    assert (litecoin["symbol"], litecoin["name"], litecoin["price_usd"]) == ("LTC", "Litecoin", 82.5)
    changes = [litecoin[f"price_change_{period}_percent"] for period in ("1h", "24h", "7d")]
    assert changes == [-0.1, 0.5, 3.25]
    assert litecoin["age_s"] == pytest.approx(SLOT - 1_799_999_950.123)
    assert litecoin["price_btc"] == 82.5 / 66000
    assert bitcoin["market_cap_usd"] is None  # CoinGecko's 0 is: not known
    assert bitcoin["age_s"] is None
    assert bitcoin["quality_flags"] == "derived,incomplete"
    assert bitcoin["quality"] == pytest.approx(0.9, rel=1e-4)


async def test_both_requests_at_one_slot_make_one_row(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=MARKETS if request.url.path.endswith("/markets") else SIMPLE_PRICE)

    source = coingecko(tmp_path, answer)
    await asked(source, "simple_price")
    _, litecoin = rows(await asked(source, "market_data"))
    assert (litecoin["price_usd"], litecoin["price_change_7d_percent"]) == (82.5, 3.25)
    assert litecoin["price_btc"] == 0.00128116  # told five lines before, so not worked out
    _, later = rows(await asked(source, "market_data", SLOT + 900))
    assert later["price_btc"] == 82.5 / 66000


async def test_250_coins_a_call(tmp_path: Path) -> None:
    sent: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(len(request.url.params["ids"].split(",")))
        return httpx.Response(200, json={coin: {"usd": 1.0} for coin in request.url.params["ids"].split(",")})

    source = coingecko(tmp_path, answer, coins=tuple(f"coin-{number}" for number in range(501)))
    gathered = await asked(source, "simple_price")
    assert sent == [250, 250, 1]
    assert len(rows(gathered)) == 501
    assert gathered.credits == 3.0
    assert [request.cost for request in source.requests if request.name == "simple_price"] == [3.0]
    assert [answer.page for answer in gathered.answers] == [1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "host", "header"),
    [
        ({}, "api.coingecko.com", "x-cg-demo-api-key"),
        ({"plan": "pro"}, "pro-api.coingecko.com", "x-cg-pro-api-key"),
        ({"base_url": "https://proxy.example/cg"}, "proxy.example", "x-cg-demo-api-key"),
    ],
)
async def test_the_plan_says_where_and_with_which_header(
    tmp_path: Path, settings: dict[str, Any], host: str, header: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.url.host, request.headers[header]) == (host, KEY)
        assert KEY not in str(request.url)
        return httpx.Response(200, json=SIMPLE_PRICE)

    assert rows(await asked(coingecko(tmp_path, answer, **settings), "simple_price"))


def test_without_a_key_it_is_slow_and_has_no_month() -> None:
    assert plan_of(CoinGeckoSettings()) == PLANS["keyless"]
    assert plan_of(CoinGeckoSettings(credits_a_month=500)).credits == 500
    assert (PLANS["keyless"].per_minute, PLANS["keyless"].credits) == (5.0, None)
    assert (PLANS["demo"].per_minute, PLANS["demo"].credits) == (30.0, 10_000)


STATUS = {"timestamp": "2027-01-15T08:00:00Z", "error_message": "why"}
UNTIL_FEBRUARY = 1_801_440_000 - SLOT


@pytest.mark.parametrize(
    ("status", "body", "kind", "wait"),
    [
        (429, {"status": {**STATUS, "error_code": 429}}, SourceFailureKind.RATE_LIMITED, 60.0),
        (200, {"status": {**STATUS, "error_code": 429}}, SourceFailureKind.RATE_LIMITED, 60.0),
        (429, {}, SourceFailureKind.RATE_LIMITED, 60.0),
        (429, {"status": {"error_code": "429", "error_message": "monthly limit reached"}},
         SourceFailureKind.QUOTA_EXHAUSTED, UNTIL_FEBRUARY),
        (401, {"error": {"status": {**STATUS, "error_code": 10002}}}, SourceFailureKind.REFUSED, None),
        (401, {"error": {"status": {**STATUS, "error_code": 10010}}}, SourceFailureKind.REFUSED, None),
        (400, {"status": {**STATUS, "error_code": 10011}}, SourceFailureKind.REFUSED, None),
        (401, {"error": {"status": {**STATUS, "error_code": 10005}}}, SourceFailureKind.UNEXPECTED, DAY),
        (401, {"error": {"status": {**STATUS, "error_code": 10012}}}, SourceFailureKind.UNEXPECTED, DAY),
        (403, {"error": "blocked", "code": 1020}, SourceFailureKind.REFUSED, None),
        (404, {"error": "coin not found"}, SourceFailureKind.UNEXPECTED, DAY),
        (200, {"error": "something broke"}, SourceFailureKind.SERVER_ERROR, None),
        (400, [], SourceFailureKind.UNEXPECTED, None),
    ],
)  # fmt: skip
def test_an_error_is_told_for_what_follows_from_it(
    status: int, body: Any, kind: SourceFailureKind, wait: float | None
) -> None:
    failure = failure_of(status, body, float(SLOT), "coingecko: /x")
    assert failure is not None
    assert (failure.kind, failure.retry_after_s) == (kind, wait)


@pytest.mark.parametrize("data", [SIMPLE_PRICE, MARKETS, {"prices": []}, {}])
def test_data_is_no_error(data: Any) -> None:
    assert failure_of(200, data, float(SLOT), "x") is None


@pytest.mark.parametrize(
    "said", [{"json": {"status": {**STATUS, "error_code": 429}}}, {"html": "<!DOCTYPE html><html>slow down</html>"}]
)
async def test_too_fast_holds_every_process_of_the_host(tmp_path: Path, said: dict[str, Any]) -> None:
    limited = httpx.Response(429, headers={"retry-after": "119"}, **said)
    with pytest.raises(SourceFailure) as caught:
        await asked(coingecko(tmp_path, lambda _: limited), "simple_price")
    assert (caught.value.kind, caught.value.retry_after_s) == (SourceFailureKind.RATE_LIMITED, 119.0)

    def never(_: httpx.Request) -> httpx.Response:
        raise AssertionError("asked although it said to wait")

    with pytest.raises(SourceFailure) as caught:
        await asked(coingecko(tmp_path, never), "market_data")
    assert caught.value.kind is SourceFailureKind.RATE_LIMITED
    assert 100 < (caught.value.retry_after_s or 0) <= 119


@pytest.mark.parametrize(("name", "answer"), [("simple_price", []), ("market_data", {}), ("historical.bitcoin", [])])
async def test_another_shape_is_unexpected(tmp_path: Path, name: str, answer: Any) -> None:
    with pytest.raises(SourceFailure) as caught:
        await asked(coingecko(tmp_path, of(answer)), name)
    assert caught.value.kind is SourceFailureKind.UNEXPECTED


async def test_history_is_asked_once_a_day_and_coin(tmp_path: Path) -> None:
    fake = FakeCoinGecko(clock=lambda: now)
    now = float(SLOT)
    async with fake.service() as service:
        source = coingecko(tmp_path, base_url=service.url)
        first = await asked(source, "historical.litecoin", SLOT)
        closes = rows(first, "daily_close")
        assert len(closes) == 365
        assert closes[-1]["time"] == MIDNIGHT - DAY
        for close in closes:
            assert close["close_usd"] == quote("litecoin", close["time"] + DAY).price_usd
        for hour in range(1, 17):  # until midnight and ten minutes after
            assert (await asked(source, "historical.litecoin", SLOT + 3_600 * hour)).credits == 0
        await source.aclose()
        again = coingecko(tmp_path, base_url=service.url)  # after a restart as well
        assert (await asked(again, "historical.litecoin", MIDNIGHT + DAY + 599)).credits == 0
        assert len(service.asked) == 1
        now = MIDNIGHT + DAY + 600.0
        fresh = await asked(again, "historical.litecoin", int(now))
        assert fresh.credits == 1.0
        assert rows(fresh, "daily_close")[-1]["time"] == MIDNIGHT
        assert (await asked(again, "historical.bitcoin", int(now))).credits == 1.0
        await again.aclose()


async def test_history_without_the_new_day_is_asked_again(tmp_path: Path) -> None:
    late = {"prices": [[(MIDNIGHT - DAY) * 1000, 1.0], [SLOT * 1000, 2.0]]}
    source = coingecko(tmp_path, of(late))
    assert (await asked(source, "historical.bitcoin")).credits == 1.0
    assert (await asked(source, "historical.bitcoin", SLOT + 3_600)).credits == 1.0


async def test_a_year_of_a_coin_that_is_unknown_costs_that_coin(tmp_path: Path) -> None:
    async with FakeCoinGecko(clock=lambda: float(SLOT)).service() as service:
        source = coingecko(tmp_path, base_url=service.url, coins=("bitcoin", "bitcoim"))
        with pytest.raises(SourceFailure, match="coin not found") as caught:
            await asked(source, "historical.bitcoim")
        assert caught.value.kind is SourceFailureKind.UNEXPECTED  # of this request: the others go on
        assert rows(await asked(source, "historical.bitcoin"), "daily_close")
        await source.aclose()


async def test_the_fake_tells_what_lodeline_reads(tmp_path: Path) -> None:
    fake = FakeCoinGecko(key=KEY, clock=lambda: float(SLOT))
    async with fake.service() as service:
        source = coingecko(tmp_path, base_url=service.url)
        for name in ("simple_price", "market_data"):
            found = {row["coin_id"]: row for row in rows(await asked(source, name))}
            assert set(found) == set(COINS)
            for coin, row in found.items():
                assert row["price_usd"] == pytest.approx(quote(coin, SLOT).price_usd, rel=1e-12)
                assert row["volume_24h_usd"] == pytest.approx(quote(coin, SLOT).volume_24h_usd)
                assert row["quality"] == 1.0
        await source.aclose()
