"""Sources of prices as tests open them: no waiting, answers of the test's own, state in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from tasks.market.coingecko import CoinGecko, open_coingecko
from tasks.market.coinmarketcap import CoinMarketCap, open_coinmarketcap
from tasks.market.prices import PriceMemory
from tasks.market.settings import CoinGeckoSettings, CoinMarketCapSettings
from tasks.sources.cache import AnswerCache
from tasks.sources.pace import HostPace
from tasks.sources.source import Gathered

KEY = "CG-planted-Key-4711"
CMC_KEY = "cmc-planted-Key-0815"
COINS = ("bitcoin", "ethereum", "litecoin", "dogecoin")
SLOT = 1_800_000_000
"""2027-01-15 08:00 UTC."""

Handler = Callable[[httpx.Request], httpx.Response]
FAST = 60_000.0


def coingecko(folder: Path, handler: Handler | None = None, **settings: Any) -> CoinGecko:
    return open_coingecko(
        CoinGeckoSettings(api_key=SecretStr(KEY), **settings),
        PriceMemory(folder),
        AnswerCache(folder / "answers", "coingecko"),
        HostPace(folder, "coingecko", per_minute=FAST),
        transport=None if handler is None else httpx.MockTransport(handler),
    )


def coinmarketcap(folder: Path, handler: Handler | None = None, **settings: Any) -> CoinMarketCap:
    return open_coinmarketcap(
        CoinMarketCapSettings(api_key=SecretStr(CMC_KEY), **settings),
        COINS,
        PriceMemory(folder),
        HostPace(folder, "coinmarketcap", per_minute=FAST),
        transport=None if handler is None else httpx.MockTransport(handler),
    )


async def asked(source: CoinGecko | CoinMarketCap, name: str, slot: int = SLOT) -> Gathered:
    """What ``source`` gives for its request ``name``."""
    (request,) = (request for request in source.requests if request.name == name)
    return await source.ask(request, slot)


def rows(gathered: Gathered, measurement: str = "market_data") -> list[dict[str, Any]]:
    """The rows of ``measurement``, with their times."""
    return [
        {"time": time, **{name: values[row] for name, values in frame.columns.items()}}
        for frame in gathered.frames
        if frame.measurement == measurement
        for row, time in enumerate(frame.times)
    ]
