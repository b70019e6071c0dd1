"""CoinGecko v3: prices every few minutes, markets with changes of price, and a year of daily closes of each coin.

Paths, fields and error codes: CoinGecko's published API description and its page on errors. Ids that it does not know
are left out without a word, so what came is compared with what was asked for. Answers are renewed once a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import msgspec

from storage.records.market import MarketData, MarketRecords, market_frames
from tasks.market.coins import COINS
from tasks.market.daily_closes import DAY_S, closes_of
from tasks.market.network.written import positive
from tasks.market.prices import PriceMemory
from tasks.market.provider import MINUTE_S, age_s, answers_of, get, iso_time, kept_or_asked, until_next_month_s
from tasks.market.reconciliation import with_btc
from tasks.market.settings import CoinGeckoSettings
from tasks.normalize.number import number
from tasks.pools.shape import amount, mapping, objects, part, sequence, whole
from tasks.resilience.http import Api, Reply
from tasks.sources.cache import AnswerCache
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pace import SourcePace
from tasks.sources.source import Gathered, Request

NAME = "coingecko"
A_CALL = 250
"""Most coins of one call."""
HISTORY_DAYS = 365
"""As far back as a demo key reaches; MA-200 needs 200."""
NEW_DAY_AFTER_S = 600
"""How long after midnight UTC the new day's first point is waited for."""

FRESH_S = 55.0
"""How long an answer serves who asks the same: they are renewed once a minute, and one asked a minute later may come
some seconds sooner."""

SIMPLE_PRICE, MARKET_DATA, HISTORICAL = "simple_price", "market_data", "historical"

_TAKEN = (
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
)  # fmt: skip
_KEY_CODES = {10002: "the API key is missing", 10010: "the key is not of this address", 10011: "the key is wrong"}
_PLAN_CODES = {10005: "not in this plan", 10012: "further back than this plan allows"}


class Plan(NamedTuple):
    """What an account may do. ``credits``: successful calls a month; None: not limited by the month."""

    base_url: str
    key_header: str
    per_minute: float
    credits: int | None


PLANS = {
    "keyless": Plan("https://api.coingecko.com/api/v3", "", 5.0, None),
    "demo": Plan("https://api.coingecko.com/api/v3", "x-cg-demo-api-key", 30.0, 10_000),
    "pro": Plan("https://pro-api.coingecko.com/api/v3", "x-cg-pro-api-key", 250.0, 500_000),
}
"""By settings; rates are the lower ones where CoinGecko has published several (demo: 30 and 100 a minute)."""


def plan_of(settings: CoinGeckoSettings) -> Plan:
    """The plan that ``settings`` are of, with their credits in the place of its own."""
    plan = PLANS[settings.plan if settings.api_key is not None else "keyless"]
    return plan._replace(credits=settings.credits_a_month or plan.credits)


def open_coingecko(
    settings: CoinGeckoSettings,
    prices: PriceMemory,
    cache: AnswerCache,
    pace: SourcePace,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> CoinGecko:
    """The source."""
    plan = plan_of(settings)
    api = Api(
        NAME,
        settings.base_url or plan.base_url,
        headers={plan.key_header: settings.api_key} if settings.api_key is not None else None,
        pace=pace,
        ca_file=settings.ca_file,
        taken=_TAKEN,
        transport=transport,
    )
    return CoinGecko(settings, api, prices, cache)


class CoinGecko:
    """See :class:`tasks.sources.source.Source`.

    Ranks: closes come once a day and are missed for a day, so they go first; where credits are short, the prices that
    are asked for most often wait.
    """

    def __init__(self, settings: CoinGeckoSettings, api: Api, prices: PriceMemory, cache: AnswerCache) -> None:
        self.name = NAME
        self._coins = tuple(dict.fromkeys(settings.coins))
        self._currencies = ",".join(sorted({"usd", *settings.vs_currencies}, reverse=True))
        intervals = settings.polling_intervals
        calls = float(-(-len(self._coins) // A_CALL))
        a_look = min(1.0, intervals.historical / DAY_S)  # one look a day takes a credit; put right when it was taken
        self.requests = (
            *(Request(f"{HISTORICAL}.{coin}", intervals.historical, cost=a_look, rank=0) for coin in self._coins),
            Request(MARKET_DATA, intervals.market_data, cost=calls, rank=1, fresh_s=FRESH_S),
            Request(SIMPLE_PRICE, intervals.simple_price, cost=calls, rank=2, fresh_s=FRESH_S),
        )
        self._api = api
        self._prices = prices
        self._cache = cache
        self._told: dict[str, MarketData] = {}
        self._noticed: dict[str, frozenset[str]] = {}

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        if request.name.startswith(f"{HISTORICAL}."):
            return await self._history(request, request.name.partition(".")[2], slot)
        replies: list[Reply] = []
        told: list[MarketData] = []
        for start in range(0, len(self._coins), A_CALL):
            coins = self._coins[start : start + A_CALL]
            if request.name == SIMPLE_PRICE:
                reply = await self._renewed("/simple/price", _simple_price(coins, self._currencies), request, slot)
                told += prices_of(mapping(reply.data, f"{NAME}: {request.name}"), coins, slot)
            else:
                reply = await self._renewed("/coins/markets", _markets(coins), request, slot)
                told += markets_of(sequence(reply.data, f"{NAME}: {request.name}"), coins, slot)
            replies.append(reply)
        rows, notices = await asyncio.to_thread(self._prices.judge, with_btc(self._of_slot(told)))
        return Gathered(
            market_frames(MarketRecords(prices=tuple(rows))),
            answers_of(replies),
            notices=[*notices, *self._missing(request.name, told)],
            tries=sum(reply.tries for reply in replies),
            credits=float(sum(reply.kept_s is None for reply in replies)),
        )

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()

    async def _history(self, request: Request, coin: str, slot: int) -> Gathered:
        """The closes of a year, or nothing and no request where the newest day is there already.

        A process that is killed between keeping and spooling has the closes again with the next day's, whole year.
        """
        ended = (slot - NEW_DAY_AFTER_S) // DAY_S * DAY_S
        kept = await asyncio.to_thread(self._cache.newest, request.name)
        if kept is not None and kept.data == ended:
            return Gathered([], credits=0.0, tries=0)
        reply = await self._get(
            f"/coins/{coin}/market_chart",
            {"vs_currency": "usd", "days": HISTORY_DAYS, "interval": "daily", "precision": "full"},
        )
        series = mapping(reply.data, f"{NAME}: {request.name}")
        closes = closes_of(series, source=NAME, coin_id=coin, now=slot)
        if closes and closes[-1].time == ended - DAY_S:
            await asyncio.to_thread(self._cache.keep, request.name, ended, reply.received_ms)
        return Gathered(
            market_frames(MarketRecords(closes=tuple(closes))),
            answers_of([reply]),
            notices=() if closes else [f"{coin}: no daily close in the answer"],
            tries=reply.tries,
            credits=1.0,
        )

    async def _renewed(self, path: str, params: Mapping[str, str | int], request: Request, slot: int) -> Reply:
        return await kept_or_asked(
            self._cache, path, params, lambda: self._get(path, params), slot=slot, fresh_s=request.fresh_s
        )

    async def _get(self, path: str, params: Mapping[str, str | int]) -> Reply:
        def wrong(reply: Reply) -> SourceFailure | None:
            return failure_of(reply.status, reply.data, reply.received_ms / 1000, f"{NAME}: {path}")

        return await get(self._api, path, params, wrong)

    def _of_slot(self, told: Sequence[MarketData]) -> list[MarketData]:
        """``told``, with what another request told at the same slot where it says nothing: they are one row."""
        rows = []
        for row in told:
            before = self._told.get(row.coin_id)
            if before is not None and before.time == row.time:
                row = _filled(row, before)  # noqa: PLW2901
            self._told[row.coin_id] = row
            rows.append(row)
        return rows

    def _missing(self, request: str, told: Sequence[MarketData]) -> list[str]:
        """What was asked for and did not come, said when it changes and not every time."""
        missing = frozenset(self._coins) - {row.coin_id for row in told}
        if missing == self._noticed.get(request, frozenset()):
            return []
        self._noticed[request] = missing
        if not missing:
            return ["tells the prices of all coins again"]
        return [f"has no price of {', '.join(sorted(missing))}: are these its ids of coins?"]


def prices_of(data: Mapping[str, Any], coins: Sequence[str], slot: int) -> list[MarketData]:
    """Rows of an answer of /simple/price; a coin without any price is no row. Pure; what cannot be read is None."""
    rows = []
    for coin in coins:
        said = part(data, coin)
        usd, btc = positive(said.get("usd")), positive(said.get("btc"))
        if usd is None and btc is None:
            continue
        rows.append(
            MarketData(
                time=slot,
                source=NAME,
                coin_id=coin,
                symbol=COINS[coin].symbol if coin in COINS else None,
                name=COINS[coin].name if coin in COINS else None,
                price_usd=usd,
                price_btc=btc,
                market_cap_usd=positive(said.get("usd_market_cap")),
                market_cap_btc=positive(said.get("btc_market_cap")),
                volume_24h_usd=amount(said.get("usd_24h_vol")),
                volume_24h_btc=amount(said.get("btc_24h_vol")),
                price_change_24h_percent=number(said.get("usd_24h_change")),
                age_s=age_s(number(said.get("last_updated_at")), slot),
            )
        )
    return rows


def markets_of(data: Sequence[Any], coins: Sequence[str], slot: int) -> list[MarketData]:
    """Rows of an answer of /coins/markets in USD; see :func:`prices_of`."""
    by_id = {entry.get("id"): entry for entry in objects(data)}
    rows = []
    for coin in coins:
        said = by_id.get(coin)
        if said is None or (price := positive(said.get("current_price"))) is None:
            continue
        symbol, name = said.get("symbol"), said.get("name")
        rows.append(
            MarketData(
                time=slot,
                source=NAME,
                coin_id=coin,
                symbol=symbol.upper() if isinstance(symbol, str) else None,
                name=name if isinstance(name, str) else None,
                price_usd=price,
                market_cap_usd=positive(said.get("market_cap")),
                volume_24h_usd=amount(said.get("total_volume")),
                price_change_1h_percent=number(said.get("price_change_percentage_1h_in_currency")),
                price_change_24h_percent=number(said.get("price_change_percentage_24h")),
                price_change_7d_percent=number(said.get("price_change_percentage_7d_in_currency")),
                age_s=age_s(iso_time(said.get("last_updated")), slot),
            )
        )
    return rows


def failure_of(status: int, data: Any, now: float, what: str) -> SourceFailure | None:
    """What an answer says that went wrong; None where it is data. Pure.

    Errors come as ``{"status": {"error_code", "error_message"}}``, the same inside ``"error"``, or as ``{"error":
    text}``, with fitting statuses as a rule. ``now``: Unix seconds, from which a wait until the next month is counted.
    """
    error = data.get("error") if isinstance(data, Mapping) else None
    told = part(error, "status") or part(data, "status")
    code = whole(told.get("error_code"))
    if status < HTTPStatus.BAD_REQUEST and not code and not isinstance(error, str):
        return None
    code = code or status
    said = f"{what}: status {status}, code {code}: {str(told.get('error_message') or error or '')[:200]}"
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        if "month" in said.lower():
            return SourceFailure(SourceFailureKind.QUOTA_EXHAUSTED, said, retry_after_s=until_next_month_s(now))
        return SourceFailure(SourceFailureKind.RATE_LIMITED, said, retry_after_s=MINUTE_S)
    if code in _PLAN_CODES:  # of this request; the others may well be in the plan
        return SourceFailure(SourceFailureKind.UNEXPECTED, f"{said} ({_PLAN_CODES[code]})", retry_after_s=DAY_S)
    if code in _KEY_CODES or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return SourceFailure(SourceFailureKind.REFUSED, f"{said} ({_KEY_CODES.get(code, 'refused')})")
    if status < HTTPStatus.BAD_REQUEST:
        return SourceFailure(SourceFailureKind.SERVER_ERROR, said)
    return SourceFailure(
        SourceFailureKind.UNEXPECTED, said, retry_after_s=DAY_S if status == HTTPStatus.NOT_FOUND else None
    )


def _simple_price(coins: Sequence[str], currencies: str) -> dict[str, str | int]:
    return {
        "ids": ",".join(coins),
        "vs_currencies": currencies,
        "include_market_cap": "true",
        "include_24hr_vol": "true",
        "include_24hr_change": "true",
        "include_last_updated_at": "true",
        "precision": "full",
    }


def _markets(coins: Sequence[str]) -> dict[str, str | int]:
    return {
        "vs_currency": "usd",
        "ids": ",".join(coins),
        "per_page": A_CALL,
        "page": 1,
        "sparkline": "false",
        "price_change_percentage": "1h,24h,7d",
        "precision": "full",
    }


def _filled(row: MarketData, before: MarketData) -> MarketData:
    missing = {
        name: value
        for name in row.__struct_fields__
        if getattr(row, name) is None and (value := getattr(before, name)) is not None
    }
    return msgspec.structs.replace(row, **missing)
