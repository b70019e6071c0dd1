"""What a TH/s earned in each hour by a coin's chain, merge-mined coins together: ``mining_profitability``. Pure.

By difficulty, reward and price of that hour, never by a network's hashrate. The difficulty of an hour is the harmonic
mean of what was told: coins found go with its inverse, and Dogecoin's moves with every block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import harmonic_mean
from typing import Any

from storage.frame import Frame, build_frame
from storage.records.market import MarketData
from tasks.derive.network import Chain, merged_usd_per_th_day, usd_per_th_day
from tasks.market.coins import COINS, Coin
from tasks.market.reconciliation import CONFLICTING, STALE, Price, best_price

HOUR_S = 3_600
VALUED = frozenset({"sha256d", "scrypt"})
"""Algorithms whose difficulty counts hashes as Bitcoin's does."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Network:
    difficulty: float | None
    reward: float | None
    conflicting: bool


def groups(coin_ids: Sequence[str]) -> list[tuple[Coin, ...]]:
    """``coin_ids`` as they are mined: each with the coins that its hashes count for too, where they are among them."""
    coins = [coin for coin in COINS.values() if coin.id in coin_ids and coin.algorithm in VALUED]
    parents = {coin.parent if coin.parent in coin_ids else coin.id: None for coin in coins}
    return [tuple(coin for coin in coins if parent in (coin.id, coin.parent)) for parent in parents]


def value_frame(networks: Iterable[Row], prices: Iterable[Row], coin_ids: Sequence[str]) -> Frame:
    """Rows of ``mining_profitability``, stamped with their hour's start, one for each group and source of networks.

    ``networks`` are rows of ``network_data``, ``prices`` of ``market_data``, each with ``time`` in Unix seconds. A
    source that tells difficulty and reward of no coin of a group has no row. Where a coin lacks something the sum is
    null, ``quality_flags`` says what, and ``by_coin`` has the others.
    """
    told, priced = _networks(networks), _prices(prices)
    times: list[int] = []
    columns: dict[str, list[Any]] = defaultdict(list)
    for group in groups(coin_ids):
        for hour, source in sorted({(hour, source) for hour, source, _ in told}):
            known = {coin.id: told[key] for coin in group if (key := (hour, source, coin.id)) in told}
            if not any(one.difficulty and one.reward for one in known.values()):
                continue
            chains = [_chain(coin, known.get(coin.id), priced.get((hour, coin.id))) for coin in group]
            usd = merged_usd_per_th_day(chains)
            bitcoin = priced.get((hour, "bitcoin"))
            parts = [(chain.coin_id, part) for chain in chains if (part := usd_per_th_day(chain)) is not None]
            flags = [f"missing:{chain.coin_id}.{what}" for chain in chains for what in _lacking(chain)]
            flags += [f"{CONFLICTING}:{coin_id}.network" for coin_id, one in known.items() if one.conflicting]
            flags += [
                f"{CONFLICTING}:{coin.id}.price"
                for coin in group
                if (price := priced.get((hour, coin.id))) is not None and CONFLICTING in price.flags
            ]
            times.append(hour)
            columns["algorithm"].append(group[0].algorithm)
            columns["coins"].append("+".join(coin.id for coin in group))
            columns["source"].append(source)
            columns["usd_th_day"].append(usd)
            columns["btc_th_day"].append(None if usd is None or bitcoin is None else usd / bitcoin.price_usd)
            columns["fee_ratio"].append(0.0)
            columns["by_coin"].append(",".join(f"{coin_id}={part:.8g}" for coin_id, part in parts))
            columns["quality_flags"].append(",".join(flags))
    return build_frame("mining_profitability", times, columns)


def _chain(coin: Coin, network: _Network | None, price: Price | None) -> Chain:
    return Chain(
        coin.id,
        coin.algorithm or "",
        network.difficulty if network is not None else None,
        network.reward if network is not None else None,
        price.price_usd if price is not None else None,
    )


def _lacking(chain: Chain) -> list[str]:
    parts = {"difficulty": chain.difficulty, "reward": chain.reward, "price": chain.price_usd}
    return [name for name, value in parts.items() if value is None]


def _networks(rows: Iterable[Row]) -> dict[tuple[int, str, str], _Network]:
    """What each source told of each coin in each hour."""
    grouped: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["time"]):
        if "implausible" not in _words(row):
            grouped[_hour(row), row["source"], row["coin_id"]].append(row)
    networks = {}
    for key, told in grouped.items():
        difficulties = [row["network_difficulty"] for row in told if (row["network_difficulty"] or 0) > 0]
        rewards = [row["block_reward"] for row in told if (row["block_reward"] or 0) > 0]
        networks[key] = _Network(
            harmonic_mean(difficulties) if difficulties else None,
            rewards[-1] if rewards else None,
            any(CONFLICTING in _words(row) for row in told),
        )
    return networks


def _prices(rows: Iterable[Row]) -> dict[tuple[int, str], Price]:
    """The price of each coin that counted at the end of each hour; none where all that was told was old."""
    grouped: dict[tuple[int, str], list[MarketData]] = defaultdict(list)
    for row in rows:
        if (row["price_usd"] or 0) > 0:
            fields = ("time", "source", "coin_id", "price_usd", "age_s", "quality_flags")
            grouped[_hour(row), row["coin_id"]].append(MarketData(**{name: row[name] for name in fields}))
    found = {
        (hour, coin_id): best_price(coin_id, max(one.time for one in told), told)
        for (hour, coin_id), told in grouped.items()
    }
    return {key: price for key, price in found.items() if price is not None and STALE not in price.flags}


def _words(row: Row) -> frozenset[str]:
    return frozenset(flag.partition(":")[0] for flag in (row["quality_flags"] or "").split(",") if flag)


def _hour(row: Row) -> int:
    time: int = row["time"]
    return time // HOUR_S * HOUR_S
