"""WhatToMine: all coins that ASICs mine in one answer, without a key. An unofficial interface with unknown limits.

Numbers come as numbers or as text, money as ``"$1,876,804,032"``. A coin stands under a name of the site's own; what
counts is its ticker and its algorithm, since NiceHash and forks of the same ticker are in the list as well. Whether the
reward has fees in it is not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.records.market import NetworkData
from tasks.market.coins import COINS as TABLE
from tasks.market.coins import Coin
from tasks.market.network.explorer import Told
from tasks.market.network.written import age_s, height, positive
from tasks.normalize.identifier import same_algorithm
from tasks.pools.shape import mapping
from tasks.resilience.http import Api

NAME = "whattomine"
BASE_URL = "https://whattomine.com"
COINS = frozenset(coin.id for coin in TABLE.values() if coin.algorithm is not None)
PER_MINUTE, BURST = 1.0, 1


async def ask(api: Api, coins: Sequence[Coin], slot: int) -> Told:
    """The whole list. Raises SourceFailure."""
    reply = await api.get("/asic.json")
    listed = mapping(mapping(reply.data, f"{NAME}: asic").get("coins"), f"{NAME}: coins")
    return Told(networks_of(listed, coins, slot), [reply])


def networks_of(listed: Mapping[str, Any], coins: Sequence[Coin], slot: int) -> list[NetworkData]:
    """The records of those of ``coins`` that are in the list. Pure; what cannot be read is None."""
    entries = [entry for entry in listed.values() if isinstance(entry, Mapping)]
    found = [
        (coin, next((entry for entry in entries if _is_of(entry, coin)), None)) for coin in coins if coin.algorithm
    ]
    return [
        NetworkData(
            time=slot,
            source=NAME,
            coin_id=coin.id,
            network_hashrate_hs=positive(entry.get("nethash")),
            network_difficulty=positive(entry.get("difficulty")),
            block_reward=positive(entry.get("block_reward")),
            block_time_s=positive(entry.get("block_time")),
            mining_algorithm=coin.algorithm,
            block_height=height(entry.get("last_block")),
            age_s=age_s(positive(entry.get("timestamp")), slot),
        )
        for coin, entry in found
        if entry is not None
    ]


def _is_of(entry: Mapping[str, Any], coin: Coin) -> bool:
    return entry.get("tag") == coin.symbol and same_algorithm(entry.get("algorithm"), coin.algorithm)
