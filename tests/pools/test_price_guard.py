"""Field cases 13 and 15: units that change and estimates that run away are no prices, and somebody is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.records.market import MarketData, NetworkData
from storage.records.pool import PoolProfitability
from tasks.market.network.memory import NetworkMemory
from tasks.market.prices import PriceMemory
from tasks.pools.network_worth import NetworkWorth
from tasks.pools.price_guard import PriceGuard, Worth, unknown_worth

START = 1_790_000_100


def judged(
    folder: Path,
    prices: Sequence[float | None],
    *,
    every_s: int = 900,
    worth: Worth = unknown_worth,
    start: int = START,
) -> list[tuple[float | None, list[str]]]:
    """Each price as it is stored, and what was told of it."""
    guard = PriceGuard(folder, "p", worth)
    found = []
    for number, price in enumerate(prices):
        row = PoolProfitability(
            time=start + number * every_s, pool_id="p", algorithm="scrypt", per_hash_rate_usd_th_day=price
        )
        (kept,), notices = guard.judge([row])
        assert (kept.quality_flags == "unit_suspect") == (kept.per_hash_rate_usd_th_day != price)
        found.append((kept.per_hash_rate_usd_th_day, notices))
    return found


@pytest.mark.parametrize(
    ("price", "stored"),
    [(1.0, 1.0), (19.0, 19.0), (21.0, None), (1000.0, None), (0.06, 0.06), (0.04, None), (0.0, 0.0), (None, None)],
)
def test_twenty_times_off_the_median_is_too_far(price: float | None, stored: float | None, tmp_path: Path) -> None:
    assert judged(tmp_path, [1.0, 1.0, 1.0, price])[-1][0] == stored


def test_it_is_told_once_and_again_at_the_end(tmp_path: Path) -> None:
    told = [notices for _, notices in judged(tmp_path, [1.0, 1.0, 1000.0, 1000.0, 1000.0, 1.0])]
    assert [len(notices) for notices in told] == [0, 0, 1, 0, 0, 1]
    assert "its own median of 24 h, 1:" in told[2][0]
    assert "believed again" in told[5][0]


def test_a_price_that_has_really_changed_is_believed_within_a_day(tmp_path: Path) -> None:
    found = [price for price, _ in judged(tmp_path, [1.0] * 96 + [30.0] * 96)]
    assert found[:96] == [1.0] * 96
    believed = found.index(30.0) - 96
    assert 60 <= believed <= 96, "quarters of an hour"
    assert set(found[96 + believed :]) == {30.0}


def test_what_the_networks_pay_goes_on_for_ever(tmp_path: Path) -> None:
    """Wrong from the first, so that its own past says nothing."""
    found = judged(tmp_path, [1000.0] * 200, worth=lambda _algorithm, _time: 1.0)
    assert {price for price, _ in found} == {None}
    assert "what the networks pay, 1:" in found[0][1][0]


def test_memory_outlives_the_process(tmp_path: Path) -> None:
    judged(tmp_path, [1.0, 1.0])
    assert judged(tmp_path, [1000.0], start=START + 3_600)[0][0] is None


def test_many_prices_in_a_quarter_of_an_hour_count_once(tmp_path: Path) -> None:
    judged(tmp_path, [1.0])
    assert judged(tmp_path, [1000.0] * 500, every_s=1, start=START + 900)[-1][0] is None


def test_network_arithmetic_of_scrypt(tmp_path: Path) -> None:
    """86400 x 1e12 x reward / (difficulty x 2^32) x price, Litecoin and Dogecoin on the same hashes."""
    worth = NetworkWorth(tmp_path)
    assert worth("scrypt", START) is None
    assert worth("x11", START) is None
    networks, prices = NetworkMemory(tmp_path), PriceMemory(tmp_path)
    for coin, difficulty, reward in (("litecoin", 1e8, 6.25), ("dogecoin", 5e7, 10_000.0)):
        told = NetworkData(
            time=START, source="e", coin_id=coin, network_difficulty=difficulty, block_reward=reward,
            mining_algorithm="scrypt",
        )  # fmt: skip
        networks.judge("e", [told], START)
    prices.judge([
        MarketData(time=START, source="coingecko", coin_id="litecoin", price_usd=100.0),
        MarketData(time=START, source="coingecko", coin_id="dogecoin", price_usd=0.2),
    ])  # fmt: skip
    per_hash = 86_400 * 1e12 / 2.0**32
    expected = per_hash * (6.25 / 1e8 * 100.0 + 10_000.0 / 5e7 * 0.2)
    assert worth("scrypt", START + 300) == pytest.approx(expected)
