"""What the chain of each coin was in each hour, by all who told: difficulty and reward. Pure.

A source whose newest block is three hours of blocks behind another's is on a chain of its own, or stands still: what it
says is not used, and a pool that mines there is told so (RainbowMiner #3021: a pool paid on a forked chain).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import harmonic_mean
from typing import Any

from tasks.derive.network import subsidy
from tasks.market.coins import COINS
from tasks.pools.due import HOUR_S

BEHIND_S = 3 * HOUR_S
"""Blocks of this long is what an honest source may be behind."""


@dataclass(frozen=True, slots=True)
class Chains:
    """``difficulties`` and ``rewards`` by coin and hour; ``behind``: by source and coin, how many blocks at most."""

    difficulties: Mapping[tuple[str, int], float]
    rewards: Mapping[tuple[str, int], float]
    behind: Mapping[tuple[str, str], int]

    def difficulty(self, coin_id: str, hours: Collection[int]) -> dict[int, float]:
        """Difficulty of each hour, where nobody told it the harmonic mean of the others; nothing where none has one."""
        told = {hour: value for hour in hours if (value := self.difficulties.get((coin_id, hour))) is not None}
        if not told:
            return {}
        usual = harmonic_mean(list(told.values()))
        return {hour: told.get(hour, usual) for hour in hours}

    def reward(self, coin_id: str, hours: Collection[int]) -> float | None:
        """Coins a block: the newest that was told in ``hours``, which are in order."""
        told = [value for hour in hours if (value := self.rewards.get((coin_id, hour))) is not None]
        return told[-1] if told else None


def chains_of(networks: Iterable[Mapping[str, Any]]) -> Chains:
    """Of rows of ``network_data``. Where a reward is not told, the rule of the chain gives it by the height."""
    rows = sorted(networks, key=lambda row: row["time"])
    behind = blocks_behind(rows)
    difficulties: dict[tuple[str, int], list[float]] = defaultdict(list)
    rewards: dict[tuple[str, int], float] = {}
    ruled: dict[tuple[str, int], float] = {}
    for row in rows:
        if (row["source"], row["coin_id"]) in behind or "implausible" in (row["quality_flags"] or ""):
            continue
        key = (row["coin_id"], row["time"] // HOUR_S * HOUR_S)
        if (row["network_difficulty"] or 0) > 0:
            difficulties[key].append(row["network_difficulty"])
        if (row["block_reward"] or 0) > 0:
            rewards[key] = row["block_reward"]
        elif (by_rule := subsidy(row["coin_id"], row["block_height"])) is not None:
            ruled[key] = by_rule
    return Chains({key: harmonic_mean(values) for key, values in difficulties.items()}, {**ruled, **rewards}, behind)


def blocks_behind(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """Sources that are too far behind another that told in the same hour, by source and coin."""
    heights: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row["block_height"] is not None:
            at = heights[row["coin_id"], row["time"] // HOUR_S]
            at[row["source"]] = max(row["block_height"], at.get(row["source"], 0))
    found: dict[tuple[str, str], int] = {}
    for (coin_id, _), told in heights.items():
        coin = COINS.get(coin_id)
        if coin is None or coin.block_time_s is None:
            continue
        for source, height in told.items():
            lag = max(told.values()) - height
            if lag > BEHIND_S / coin.block_time_s:
                found[source, coin_id] = max(lag, found.get((source, coin_id), 0))
    return found
