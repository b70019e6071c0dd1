"""mempool.space: Bitcoin's hashrate in H/s and difficulty, and how its 2,016 blocks until the next change come along.

Without a key, with limits that are not told: the 429 is a page of HTML, and repeating it ends in a ban. Times are in
seconds in one answer and in milliseconds in the other. The reward is not told; it follows from the height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storage.records.market import NetworkData
from tasks.derive.network import subsidy
from tasks.market.coins import Coin
from tasks.market.network.explorer import Told
from tasks.market.network.written import height, positive
from tasks.pools.shape import mapping
from tasks.resilience.http import Api

NAME = "mempool.space"
BASE_URL = "https://mempool.space"
COINS = frozenset({"bitcoin"})
PER_MINUTE, BURST = 4.0, 2

MILLI = 1e-3


async def ask(api: Api, coins: Sequence[Coin], slot: int) -> Told:
    """Both answers. Raises SourceFailure."""
    del coins  # it knows one
    hashrate = await api.get("/api/v1/mining/hashrate/3d")
    adjustment = await api.get("/api/v1/difficulty-adjustment")
    network = network_of(
        mapping(hashrate.data, f"{NAME}: hashrate"), mapping(adjustment.data, f"{NAME}: difficulty adjustment"), slot
    )
    return Told([network], [hashrate, adjustment])


def network_of(hashrate: Mapping[str, Any], adjustment: Mapping[str, Any], slot: int) -> NetworkData:
    """The record of both answers. Pure; what cannot be read is None."""
    retarget, remaining = height(adjustment.get("nextRetargetHeight")), height(adjustment.get("remainingBlocks"))
    newest = None if retarget is None or remaining is None else retarget - remaining
    return NetworkData(
        time=slot,
        source=NAME,
        coin_id="bitcoin",
        network_hashrate_hs=positive(hashrate.get("currentHashrate")),
        network_difficulty=positive(hashrate.get("currentDifficulty")),
        block_reward=subsidy("bitcoin", newest),
        block_time_s=positive(adjustment.get("timeAvg"), MILLI),
        mining_algorithm="sha256d",
        block_height=newest,
    )
