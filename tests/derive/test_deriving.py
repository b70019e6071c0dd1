"""Deriving on the embedded store: once, again, late, and after an outage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.market.deriving import DerivedReport, derive
from tasks.market.indicating import DAY_S
from tests.derive.test_indicating import LESSON, STRENGTHS

HOUR_S = 3_600
NOW = 1_800_000_000 // DAY_S * DAY_S + 5 * HOUR_S + 1_320
TODAY = NOW // DAY_S
COINS = ("bitcoin", "litecoin", "dogecoin")


class Counting(EmbeddedStore):
    """Counts what is written."""

    writes = 0

    def write(self, frames: Sequence[Frame]) -> None:
        self.writes += 1
        super().write(frames)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    store = Counting(tmp_path / "lake")
    yield store
    store.close()


def closes(prices: Sequence[float], last_day: int = TODAY - 1) -> Frame:
    times = [(last_day - len(prices) + 1 + day) * DAY_S for day in range(len(prices))]
    tags = {"source": ["coingecko"] * len(prices), "coin_id": ["bitcoin"] * len(prices)}
    return build_frame("daily_close", times, {**tags, "close_usd": list(prices)})


def network(coin: str, time: int, difficulty: float = 1e14, reward: float = 3.125) -> Frame:
    columns: dict[str, Any] = {"source": ["x"], "coin_id": [coin], "network_difficulty": [difficulty]}
    return build_frame("network_data", [time], {**columns, "block_reward": [reward]})


def price(coin: str, time: int, usd: float = 50_000.0) -> Frame:
    return build_frame("market_data", [time], {"source": ["coingecko"], "coin_id": [coin], "price_usd": [usd]})


def rows(store: EmbeddedStore, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.read(MEASUREMENTS[name], Tier.RAW, 0, 2**32).to_pylist()
    return found


def test_closes_become_the_published_index_once(store: Counting) -> None:
    store.write([closes(LESSON)])
    assert derive(store, NOW, COINS) == DerivedReport(33, 0)
    assert [round(row["rsi_14"], 4) for row in rows(store, "market_indicator")[14:]] == STRENGTHS
    writes = store.writes
    assert derive(store, NOW, COINS) == DerivedReport(0, 0)
    assert store.writes == writes


def test_the_next_day_adds_a_row_and_a_corrected_close_changes_its_own_and_later(store: Counting) -> None:
    store.write([closes(LESSON[:-1], TODAY - 2)])
    assert derive(store, NOW, COINS).indicators == 32
    store.write([closes(LESSON[-1:])])
    assert derive(store, NOW, COINS).indicators == 1
    assert round(rows(store, "market_indicator")[-1]["rsi_14"], 4) == STRENGTHS[-1]
    store.write([closes([50.0])])
    assert derive(store, NOW, COINS).indicators == 1
    assert rows(store, "market_indicator")[-1]["change_1d_percent"] == pytest.approx((50 / 42.6628 - 1) * 100)


def test_days_that_lose_their_past_to_retention_keep_their_indicators(store: Counting) -> None:
    """Two years on, the first closes are no longer read: what was made from them stays."""
    prices = [100.0 + day % 7 for day in range(720)]
    store.write([closes(prices)])
    derive(store, NOW, ())
    before = rows(store, "market_indicator")
    assert derive(store, NOW + 300 * DAY_S, ()).indicators == 0
    assert rows(store, "market_indicator") == before


def test_hours_are_valued_once_they_are_over(store: Counting) -> None:
    hour = NOW // HOUR_S * HOUR_S
    for start in (hour - 2 * HOUR_S, hour - HOUR_S, hour):
        store.write([network("bitcoin", start + 60), price("bitcoin", start + 90)])
    assert derive(store, NOW, COINS) == DerivedReport(0, 2)
    assert derive(store, NOW, COINS) == DerivedReport(0, 0)
    assert derive(store, NOW + HOUR_S, COINS) == DerivedReport(0, 1)
    assert {row["quality_flags"] for row in rows(store, "mining_profitability")} == {""}


def test_what_comes_late_completes_its_hour(store: Counting) -> None:
    start = NOW // HOUR_S * HOUR_S - HOUR_S
    litecoin = [network("litecoin", start + 60, 2e7, 12.5), price("litecoin", start + 90, 80.0)]
    store.write([*litecoin, price("dogecoin", start + 90, 0.1)])
    derive(store, NOW, COINS)
    (row,) = rows(store, "mining_profitability")
    assert row["usd_th_day"] is None
    assert "missing:dogecoin.difficulty" in row["quality_flags"]
    store.write([network("dogecoin", start + 120, 6e6, 10_000.0)])
    assert derive(store, NOW, COINS).values == 1
    (row,) = rows(store, "mining_profitability")
    assert row["usd_th_day"] > 0
    assert row["quality_flags"] == ""  # a null would not have taken the old flag back


def test_hours_of_an_outage_are_made_up_for(store: Counting) -> None:
    start = NOW // HOUR_S * HOUR_S - 100 * HOUR_S
    store.write([network("bitcoin", start), price("bitcoin", start)])
    derive(store, start + HOUR_S + 60, COINS)
    for hour in (*range(1, 100, 10), 99):  # collected, but nobody derived
        store.write([network("bitcoin", start + hour * HOUR_S), price("bitcoin", start + hour * HOUR_S)])
    assert derive(store, NOW, COINS).values == 11


def test_an_empty_store_is_no_trouble(store: Counting) -> None:
    assert derive(store, NOW, COINS) == DerivedReport()
