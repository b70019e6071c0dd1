"""minerstat: any coin, with the key of a paid plan. H/s; -1 is what it does not know; 402 is a month used up."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from storage.records.market import NetworkData
from tasks.market.coins import COINS as TABLE
from tasks.market.coins import Coin
from tasks.market.network.explorer import Told
from tasks.market.network.written import age_s, positive
from tasks.normalize.identifier import same_algorithm
from tasks.pools.shape import objects, sequence
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind

NAME = "minerstat"
BASE_URL = "https://api.minerstat.com"
COINS = frozenset(coin.id for coin in TABLE.values() if coin.algorithm is not None)
KEY_HEADER = "X-API-Key"
PER_MINUTE, BURST = 6.0, 1
"""About 12 a minute are let through; an account may have other clients."""
TAKEN = (HTTPStatus.PAYMENT_REQUIRED,)


async def ask(api: Api, coins: Sequence[Coin], slot: int) -> Told:
    """All coins in one request. Raises SourceFailure."""
    reply = await api.get("/v2/coins", {"list": ",".join(coin.symbol for coin in coins)})
    if reply.status == HTTPStatus.PAYMENT_REQUIRED:
        raise SourceFailure(SourceFailureKind.QUOTA_EXHAUSTED, f"{NAME}: the plan's requests are used up (402)")
    return Told(networks_of(sequence(reply.data, f"{NAME}: coins"), coins, slot), [reply])


def networks_of(listed: Sequence[Any], coins: Sequence[Coin], slot: int) -> list[NetworkData]:
    """The records of those of ``coins`` that are in the list. Pure; what cannot be read is None."""
    return [
        NetworkData(
            time=slot,
            source=NAME,
            coin_id=coin.id,
            network_hashrate_hs=positive(entry.get("network_hashrate")),
            network_difficulty=positive(entry.get("difficulty")),
            block_reward=positive(entry.get("reward_block")),
            mining_algorithm=coin.algorithm,
            age_s=age_s(positive(entry.get("updated")), slot),
        )
        for coin in coins
        for entry in objects(list(listed))
        if entry.get("coin") == coin.symbol
        and entry.get("type") == "coin"
        and same_algorithm(entry.get("algorithm"), coin.algorithm)
    ]
