"""Which sources there are by the configuration, of which kind, and how often each is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from storage.declaration import MEASUREMENTS, Measurement
from tasks.collection_settings import CollectionSettings
from tasks.market import coingecko, coinmarketcap
from tasks.market.network.sources import explorer_intervals
from tasks.pools.prohashing.reading import POOL_ID


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source: the ``measurement`` that tells its data, and the tags that say which source and series.

    ``value``: column of the hourly tier in which outliers are looked for. ``by_series``: each series is due in every
    interval, as the coins of a provider are; else the source is, since workers come and go. ``told``: a row that has
    none of these fields is no reading.
    """

    name: str
    measurement: Measurement
    tag: str
    series: str
    value: str
    told: tuple[str, ...]
    by_series: bool = False


_WORKER = (
    "status", "hashrate_reported_hs", "hashrate_effective_hs", "shares_accepted", "work_accepted_d1", "earnings_amount",
)  # fmt: skip
_NETWORK = ("network_hashrate_hs", "network_difficulty", "block_reward", "block_height")

KINDS = (
    Kind("miner", MEASUREMENTS["miner_telemetry"], "miner_id", "miner_id", "hashrate_hs_mean", ("reachable",)),
    Kind("pool", MEASUREMENTS["pool_performance"], "pool_id", "worker_id", "hashrate_effective_hs_mean", _WORKER),
    Kind("price", MEASUREMENTS["market_data"], "source", "coin_id", "price_usd_mean", ("price_usd",), by_series=True),
    Kind(
        "network",
        MEASUREMENTS["network_data"],
        "source",
        "coin_id",
        "network_hashrate_hs_mean",
        _NETWORK,
        by_series=True,
    ),
)

Intervals = Mapping[str, Mapping[str, int]]
"""Seconds between two rows of each source that is asked, by kind and name."""


def intervals_of(told: CollectionSettings) -> Intervals:
    """Sources of the configuration. Of a miner that is polled faster or slower as things go it is the slowest; of a
    pool what its workers are asked at. Closed pools are none."""
    pools = {pool.id: pool.polling_intervals.workers for pool in told.pools}
    if told.prohashing is not None:
        pools[POOL_ID] = told.prohashing.http.polling_intervals.workers
    market = told.market_data
    prices = {}
    if market.coingecko is not None and market.coingecko.enabled:
        prices[coingecko.NAME] = market.coingecko.polling_intervals.simple_price
    if market.coinmarketcap is not None and market.coinmarketcap.enabled:
        prices[coinmarketcap.NAME] = market.coinmarketcap.polling_intervals.listings
    return {
        "miner": {miner.id: miner.telemetry_bounds().slowest_s for miner in told.miners},
        "pool": {name: every for name, every in pools.items() if name not in told.closed_pool_ids},
        "price": prices,
        "network": explorer_intervals(market.network, market.watched_coins),
    }
