"""CoinMarketCap: the list of coins by market capitalisation, and the whole market.

Paths, fields, error codes and credits: CoinMarketCap's published API pages. Symbols are not unique there, so coins are
matched by its own number, and the symbol must fit. An error may stand in an answer of status 200. It has no values in
BTC unless they are paid for as a second conversion; they are worked out of the same answer, and flagged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from storage.records.market import MarketData, MarketGlobal, MarketRecords, market_frames
from tasks.market.coins import COINS, Coin
from tasks.market.network.written import positive
from tasks.market.prices import PriceMemory
from tasks.market.provider import MINUTE_S, age_s, answers_of, get, iso_time, until_next_day_s, until_next_month_s
from tasks.market.reconciliation import with_btc
from tasks.market.settings import CoinMarketCapSettings
from tasks.normalize.number import number
from tasks.pools.shape import amount, mapping, objects, part, sequence, whole
from tasks.resilience.http import Api, Reply
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pace import SourcePace
from tasks.sources.source import Gathered, Request

NAME = "coinmarketcap"
BASE_URL = "https://pro-api.coinmarketcap.com"
KEY_HEADER = "X-CMC_PRO_API_KEY"
COINS_A_CREDIT = 200
"""Results of a credit, the lower one of two published figures; what was really taken stands in each answer."""
IP_PAUSE_S = 600.0
"""After too many requests of this address, whatever the key; for how long is not published."""

LISTINGS, GLOBAL_METRICS = "listings", "global_metrics"

_TAKEN = (
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
)  # fmt: skip
_REFUSED = {
    1001: "the key is wrong", 1002: "the key is missing", 1003: "the plan is not activated", 1004: "the plan expired",
    1005: "a key is needed", 1007: "the key is disabled",
}  # fmt: skip
_NOT_IN_PLAN = 1006
_TOO_MANY_A_MINUTE, _TOO_MANY_A_DAY, _TOO_MANY_A_MONTH, _TOO_MANY_OF_ADDRESS = 1008, 1009, 1010, 1011
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN})


class Tier(NamedTuple):
    """Requests a minute and credits a month of a plan."""

    per_minute: float
    credits: int


TIERS = {
    "free": Tier(30.0, 10_000),
    "basic": Tier(30.0, 10_000),
    "hobbyist": Tier(30.0, 110_000),
    "startup": Tier(30.0, 300_000),
    "standard": Tier(60.0, 1_200_000),
    "professional": Tier(90.0, 3_000_000),
    "enterprise": Tier(120.0, 30_000_000),
}
"""By settings. Published figures differ with their age; these are low ones, and credits_a_month goes over them."""


def tier_of(settings: CoinMarketCapSettings) -> Tier:
    """The plan of the account, with the credits of ``settings`` in the place of its own."""
    tier = TIERS[settings.tier]
    return tier._replace(credits=settings.credits_a_month or tier.credits)


def open_coinmarketcap(
    settings: CoinMarketCapSettings,
    followed: Sequence[str],
    prices: PriceMemory,
    pace: SourcePace,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> CoinMarketCap:
    """The source, for the coins of ``settings`` or else those ``followed``, by Lodeline's ids."""
    if settings.api_key is None:
        raise ValueError("api_key is checked with the settings")
    api = Api(
        NAME,
        settings.base_url or BASE_URL,
        headers={KEY_HEADER: settings.api_key, "Accept": "application/json"},
        pace=pace,
        ca_file=settings.ca_file,
        taken=_TAKEN,
        transport=transport,
    )
    return CoinMarketCap(settings, settings.coins or tuple(followed), api, prices)


class CoinMarketCap:
    """See :class:`tasks.sources.source.Source`."""

    def __init__(self, settings: CoinMarketCapSettings, coins: Sequence[str], api: Api, prices: PriceMemory) -> None:
        self.name = NAME
        self._limit = settings.limit
        self._coins = tuple(dict.fromkeys(coins))
        intervals = settings.polling_intervals
        self.requests = (
            Request(LISTINGS, intervals.listings, cost=float(-(-self._limit // COINS_A_CREDIT)), rank=0),
            Request(GLOBAL_METRICS, intervals.global_metrics, cost=1.0, rank=1),
        )
        self._api = api
        self._prices = prices
        self._noticed: frozenset[str] = frozenset()

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        if request.name == GLOBAL_METRICS:
            reply = await self._get("/v1/global-metrics/quotes/latest", {"convert": "USD"})
            data = mapping(reply.data.get("data"), f"{NAME}: {request.name}")
            return self._gathered(request, reply, MarketRecords(totals=(total_of(data, slot),)), [])
        reply = await self._get(
            "/v1/cryptocurrency/listings/latest", {"start": 1, "limit": self._limit, "convert": "USD"}
        )
        told = listings_of(
            sequence(reply.data.get("data"), f"{NAME}: {request.name}"), [*self._known(), COINS["bitcoin"]], slot
        )
        kept = [row for row in with_btc(told) if row.coin_id in self._coins]
        rows, notices = await asyncio.to_thread(self._prices.judge, kept)
        return self._gathered(
            request, reply, MarketRecords(prices=tuple(rows)), [*notices, *self._missing(kept)]
        )  # fmt: skip

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()

    def _known(self) -> list[Coin]:
        return [COINS[coin] for coin in self._coins if coin in COINS]

    def _gathered(self, request: Request, reply: Reply, records: MarketRecords, notices: Sequence[str]) -> Gathered:
        status = part(reply.data, "status")
        taken = amount(status.get("credit_count"))
        notice = status.get("notice")
        return Gathered(
            market_frames(records),
            answers_of([reply]),
            notices=[*notices, *([f"says: {self._api.masked(str(notice))[:200]}"] if notice else [])],
            tries=reply.tries,
            credits=request.cost if taken is None else taken,
        )

    async def _get(self, path: str, params: Mapping[str, str | int]) -> Reply:
        def wrong(reply: Reply) -> SourceFailure | None:
            what = f"{NAME}: {path}"
            return failure_of(reply.status, mapping(reply.data, what), reply.received_ms / 1000, what)

        return await get(self._api, path, params, wrong)

    def _missing(self, told: Sequence[MarketData]) -> list[str]:
        """Coins without a price here, said when it changes and not every time."""
        missing = frozenset(self._coins) - {row.coin_id for row in told}
        if missing == self._noticed:
            return []
        self._noticed = missing
        if not missing:
            return ["lists all coins again"]
        unknown = sorted(missing - COINS.keys())
        unlisted = sorted(missing & COINS.keys())
        return [
            *([f"{', '.join(unknown)}: not in the table of coins, so not to be found here"] if unknown else []),
            *([f"{', '.join(unlisted)}: not among its first {self._limit} coins"] if unlisted else []),
        ]


def listings_of(data: Sequence[Any], coins: Sequence[Coin], slot: int) -> list[MarketData]:
    """Rows of ``coins`` in a list; one without a price is no row. Pure; what cannot be read is None."""
    rows: dict[str, MarketData] = {}
    for said in objects(data):
        coin = _coin_of(said, coins)
        quote = part(part(said, "quote"), "USD")
        price = positive(quote.get("price"))
        if coin is None or price is None or coin.id in rows:  # the first of two is the larger one
            continue
        rows[coin.id] = MarketData(
            time=slot,
            source=NAME,
            coin_id=coin.id,
            symbol=coin.symbol,
            name=str(said.get("name") or coin.name),
            price_usd=price,
            market_cap_usd=positive(quote.get("market_cap")),
            volume_24h_usd=amount(quote.get("volume_24h")),
            price_change_1h_percent=number(quote.get("percent_change_1h")),
            price_change_24h_percent=number(quote.get("percent_change_24h")),
            price_change_7d_percent=number(quote.get("percent_change_7d")),
            age_s=age_s(iso_time(quote.get("last_updated") or said.get("last_updated")), slot),
        )
    return list(rows.values())


def total_of(data: Mapping[str, Any], slot: int) -> MarketGlobal:
    """The whole market. Pure; what cannot be read is None."""
    quote = part(part(data, "quote"), "USD")
    return MarketGlobal(
        time=slot,
        source=NAME,
        market_cap_usd=positive(quote.get("total_market_cap")),
        volume_24h_usd=amount(quote.get("total_volume_24h")),
        btc_dominance_percent=positive(data.get("btc_dominance")),
        eth_dominance_percent=positive(data.get("eth_dominance")),
        coins_active=whole(data.get("active_cryptocurrencies")),
        exchanges_active=whole(data.get("active_exchanges")),
        age_s=age_s(iso_time(quote.get("last_updated") or data.get("last_updated")), slot),
    )


def failure_of(status: int, data: Mapping[str, Any], now: float, what: str) -> SourceFailure | None:
    """What an answer says that went wrong, whatever its status; None where it is data. Pure.

    ``now``: Unix seconds, from which the waits until the next UTC day or month are counted.
    """
    told = part(data, "status")
    code = whole(told.get("error_code")) or 0
    if code == 0 and status < HTTPStatus.BAD_REQUEST:
        return None
    said = f"{what}: status {status}, code {code}: {str(told.get('error_message') or '')[:200]}"
    waits = {
        _TOO_MANY_A_MINUTE: (SourceFailureKind.RATE_LIMITED, MINUTE_S),
        _TOO_MANY_OF_ADDRESS: (SourceFailureKind.RATE_LIMITED, IP_PAUSE_S),
        _TOO_MANY_A_DAY: (SourceFailureKind.QUOTA_EXHAUSTED, until_next_day_s(now)),
        _TOO_MANY_A_MONTH: (SourceFailureKind.QUOTA_EXHAUSTED, until_next_month_s(now)),
    }
    if code in waits:
        kind, wait = waits[code]
        return SourceFailure(kind, said, retry_after_s=wait)
    if code == _NOT_IN_PLAN:  # this request; the other may well be in the plan
        return SourceFailure(SourceFailureKind.UNEXPECTED, f"{said} (not in this plan)", retry_after_s=86_400.0)
    if code in _REFUSED or status in _REFUSALS:
        return SourceFailure(SourceFailureKind.REFUSED, f"{said} ({_REFUSED.get(code, 'refused')})")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return SourceFailure(SourceFailureKind.RATE_LIMITED, said, retry_after_s=MINUTE_S)
    if status < HTTPStatus.BAD_REQUEST or code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceFailure(SourceFailureKind.SERVER_ERROR, said)
    return SourceFailure(SourceFailureKind.UNEXPECTED, said)


def _coin_of(said: Mapping[str, Any], coins: Sequence[Coin]) -> Coin | None:
    """By number, and the symbol must fit; by symbol and name where the number is not known."""
    number_said, symbol = whole(said.get("id")), str(said.get("symbol") or "").upper()
    for coin in coins:
        if coin.symbol != symbol:
            continue
        if coin.coinmarketcap is not None:
            if coin.coinmarketcap == number_said:
                return coin
        elif str(said.get("name") or "").lower() == coin.name.lower():
            return coin
    return None
