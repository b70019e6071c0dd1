"""litesolo.org: Litecoin and Dogecoin, which it mines on the same hashes. H/s, coins, all numbers; no key.

Its hashrates are from an observed window: in the published sample Dogecoin's fits blocks of 44 s, not of 60.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.records.market import NetworkData
from tasks.market.coins import Coin
from tasks.market.network.explorer import Told
from tasks.market.network.written import height, positive
from tasks.pools.shape import mapping
from tasks.resilience.http import Api

NAME = "litesolo"
BASE_URL = "https://litesolo.org"
COINS = frozenset({"litecoin", "dogecoin"})
PER_MINUTE, BURST = 2.0, 1


async def ask(api: Api, coins: Sequence[Coin], slot: int) -> Told:
    """Both chains in one answer. Raises SourceFailure."""
    reply = await api.get("/api/v1/chains")
    return Told(networks_of(mapping(reply.data, f"{NAME}: chains"), coins, slot), [reply])


def networks_of(chains: Mapping[str, Any], coins: Sequence[Coin], slot: int) -> list[NetworkData]:
    """The records of those of ``coins`` that are in the answer. Pure; what cannot be read is None."""
    return [
        NetworkData(
            time=slot,
            source=NAME,
            coin_id=coin.id,
            network_hashrate_hs=positive(chain.get("hash_rate")),
            network_difficulty=positive(chain.get("difficulty")),
            block_reward=positive(chain.get("subsidy")),
            mining_algorithm=coin.algorithm,
            block_height=height(chain.get("height")),
        )
        for coin in coins
        if isinstance(chain := chains.get(coin.symbol), Mapping)
    ]
