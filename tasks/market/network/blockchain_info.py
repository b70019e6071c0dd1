"""blockchain.info: Bitcoin's statistics of the last day. Hashrate in GH/s, coins in satoshi, time in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.records.market import NetworkData
from tasks.market.coins import Coin
from tasks.market.network.explorer import Told
from tasks.market.network.written import age_s, height, positive
from tasks.pools.shape import mapping
from tasks.resilience.http import Api

NAME = "blockchain.info"
BASE_URL = "https://api.blockchain.info"
COINS = frozenset({"bitcoin"})
PER_MINUTE, BURST = 2.0, 1

GIGA = 1e9
SATOSHI = 1e-8
MINUTE_S = 60.0
MILLI = 1e-3


async def ask(api: Api, coins: Sequence[Coin], slot: int) -> Told:
    """The statistics. Raises SourceFailure."""
    del coins  # it knows one
    reply = await api.get("/stats")
    return Told([network_of(mapping(reply.data, f"{NAME}: stats"), slot)], [reply])


def network_of(stats: Mapping[str, Any], slot: int) -> NetworkData:
    """The record of the answer. Pure; what cannot be read is None.

    The reward is what was mined in a day over the blocks of that day, fees not among it.
    """
    mined, blocks = positive(stats.get("n_btc_mined"), SATOSHI), positive(stats.get("n_blocks_mined"))
    return NetworkData(
        time=slot,
        source=NAME,
        coin_id="bitcoin",
        network_hashrate_hs=positive(stats.get("hash_rate"), GIGA),
        network_difficulty=positive(stats.get("difficulty")),
        block_reward=None if mined is None or blocks is None else round(mined / blocks, 8),
        block_time_s=positive(stats.get("minutes_between_blocks"), MINUTE_S),
        mining_algorithm="sha256d",
        block_height=height(stats.get("n_blocks_total")),
        age_s=age_s(positive(stats.get("timestamp"), MILLI), slot),
    )
