"""Which price counts, and what is said of prices that cannot be relied on."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.market import MarketData
from tasks.market.prices import PriceMemory
from tasks.market.reconciliation import FRESH_S, best_price, flags_of, judge, with_btc

NOW = 1_800_000_000


def row(source: str = "coingecko", price: float | None = 100.0, **more: Any) -> MarketData:
    told = {"time": NOW, "coin_id": "litecoin", "market_cap_usd": 7.5e9, "volume_24h_usd": 4e8, "age_s": 20.0, **more}
    return MarketData(source=source, price_usd=price, **told)


@pytest.mark.parametrize(
    ("told", "flags", "quality"),
    [
        (row(), "", 1.0),
        (row(age_s=None), "", 1.0),
        (row(volume_24h_usd=99_999.0), "thin", 0.8),
        (row(volume_24h_usd=100_000.0), "", 1.0),
        (row(volume_24h_usd=0.0), "thin", 0.8),
        (row(volume_24h_usd=None), "incomplete", 0.9),
        (row(market_cap_usd=None), "incomplete", 0.9),
        (row(price=None), "incomplete", 0.9),
        (row(age_s=FRESH_S), "", 1.0),
        (row(age_s=FRESH_S + 1), "stale", 0.5),
        (row(age_s=FRESH_S + 1, volume_24h_usd=1.0, market_cap_usd=None), "incomplete,stale,thin", 0.36),
    ],
)
def test_what_is_wrong_with_a_price_alone(told: MarketData, flags: str, quality: float) -> None:
    judged, others = judge(told, [])
    assert (judged.quality_flags or "", judged.quality) == (flags, quality)
    assert others == []


@pytest.mark.parametrize(
    ("price", "other", "conflicting"),
    [
        (100.0, row("coinmarketcap", 104.9), False),
        (100.0, row("coinmarketcap", 106.0), True),
        (106.0, row("coinmarketcap", 100.0), True),
        (100.0, row("coinmarketcap", 100_000.0), True),
        (100.0, row("coinmarketcap", 106.0, time=NOW - 1_700), True),
        (100.0, row("coinmarketcap", 106.0, time=NOW - 1_700, age_s=200.0), False),  # old, not in conflict
        (100.0, row("coinmarketcap", 106.0, time=NOW + 60, age_s=0.0), False),  # of a time yet to come
        (100.0, row("coinmarketcap", 106.0, coin_id="dogecoin"), False),
        (100.0, row("coinmarketcap", None), False),
        (100.0, row("coingecko", 106.0), False),  # its own price of before
    ],
)
def test_two_that_disagree_are_flagged_both(price: float, other: MarketData, conflicting: bool) -> None:
    judged, others = judge(row(price=price), [other])
    assert ("conflicting" in flags_of(judged)) is conflicting
    assert [(one.source, one.time, one.quality_flags, one.quality) for one in others] == (
        [(other.source, other.time, "conflicting", 0.7)] if conflicting else []
    )
    assert judged.price_usd == price  # flagged, never changed


def test_a_memory_gives_the_others_row_again_once(tmp_path: Path) -> None:
    memory = PriceMemory(tmp_path)
    assert memory.judge([row()])[1] == []
    rows, notices = PriceMemory(tmp_path).judge([row("coinmarketcap", 110.0, time=NOW + 300)])  # as after a restart
    assert [(one.source, one.time, one.quality_flags) for one in rows] == [
        ("coinmarketcap", NOW + 300, "conflicting"),
        ("coingecko", NOW, "conflicting"),
    ]
    (notice,) = notices
    assert "litecoin" in notice
    assert "110" in notice
    assert "100" in notice
    (again, *more), notices = memory.judge([row("coinmarketcap", 110.0, time=NOW + 300)])
    assert again == rows[0]
    assert (more, notices) == ([], [])  # nobody is told twice


def test_a_conflict_ends_when_the_next_price_agrees(tmp_path: Path) -> None:
    memory = PriceMemory(tmp_path)
    memory.judge([row()])
    memory.judge([row("coinmarketcap", 110.0, time=NOW + 300)])
    ((agreeing, *_), _) = memory.judge([row("coingecko", 110.5, time=NOW + 600)])
    assert agreeing.quality_flags is None


def test_a_price_of_a_clock_that_ran_ahead_holds_up_none(tmp_path: Path) -> None:
    memory = PriceMemory(tmp_path)
    memory.judge([row(price=105.0, time=NOW + 365 * 86_400)])
    memory.judge([row(price=90.0, time=NOW)])
    best = memory.best("litecoin", NOW + 1)
    assert best is not None
    assert best.price_usd == 90.0


def test_an_older_answer_that_comes_late_does_not_replace_a_newer(tmp_path: Path) -> None:
    memory = PriceMemory(tmp_path)
    memory.judge([row(price=105.0, time=NOW)])
    memory.judge([row(price=90.0, time=NOW - 600)])
    best = memory.best("litecoin", NOW + 1)
    assert best is not None
    assert best.price_usd == 105.0


@pytest.mark.parametrize(
    ("rows", "source", "age", "flags"),
    [
        ([row("coingecko"), row("coinmarketcap")], "coingecko", 20.0, set()),
        ([row("coinmarketcap"), row("another")], "coinmarketcap", 20.0, set()),
        ([row("coingecko", age_s=1_800.0), row("coinmarketcap")], "coingecko", 1_800.0, set()),
        ([row("coingecko", age_s=1_801.0), row("coinmarketcap")], "coinmarketcap", 20.0, set()),  # falls back ...
        ([row("coingecko", time=NOW - 4_000), row("coinmarketcap")], "coinmarketcap", 20.0, set()),
        ([row("coinmarketcap", time=NOW - 4_000), row("coingecko")], "coingecko", 20.0, set()),  # ... both ways
        ([row("coingecko", None), row("coinmarketcap")], "coinmarketcap", 20.0, set()),
        ([row("coingecko", time=NOW - 9_000), row("coinmarketcap", time=NOW - 8_000)],
         "coinmarketcap", 8_020.0, {"stale"}),
        ([row("coingecko", time=NOW - 9_000)], "coingecko", 9_020.0, {"stale"}),
        ([row("coingecko", quality_flags="conflicting,derived")], "coingecko", 20.0, {"conflicting", "derived"}),
        ([row("coingecko", quality_flags="stale"), row("coinmarketcap", time=NOW + 1)], "coingecko", 20.0, set()),
        ([row("coingecko", age_s=None, time=NOW - 100)], "coingecko", 100.0, set()),
    ],
)  # fmt: skip
def test_the_price_that_counts(rows: list[MarketData], source: str, age: float, flags: set[str]) -> None:
    for order in permutations(rows):
        best = best_price("litecoin", NOW, order)
        assert best is not None
        assert (best.source, best.age_s, set(best.flags)) == (source, age, flags)


@pytest.mark.parametrize("rows", [[], [row(coin_id="dogecoin")], [row(time=NOW + 1)], [row(price=None)]])
def test_no_price_is_none(rows: list[MarketData]) -> None:
    assert best_price("litecoin", NOW, rows) is None


@given(
    st.lists(
        st.builds(
            row,
            st.sampled_from(["coingecko", "coinmarketcap", "another"]),
            st.one_of(st.none(), st.floats(0.01, 1e6)),
            time=st.integers(NOW - 20_000, NOW + 5_000),
            age_s=st.one_of(st.none(), st.floats(0, 5_000)),
        ),
        max_size=12,
    )
)
def test_an_old_price_is_never_given_as_a_fresh_one(rows: list[MarketData]) -> None:
    best = best_price("litecoin", NOW, rows)
    if best is None:
        assert all(one.price_usd is None or one.time > NOW for one in rows)
    else:
        assert ("stale" in best.flags) is (best.age_s > FRESH_S)
        assert any(one.price_usd == best.price_usd and one.source == best.source for one in rows)


def test_btc_is_worked_out_only_where_it_was_not_told() -> None:
    bitcoin = row(price=50_000.0, coin_id="bitcoin", market_cap_usd=1e12)
    told = row(price_btc=0.0021, market_cap_btc=150_000.0, volume_24h_btc=8_000.0)
    without = row(coin_id="dogecoin", price=0.25, volume_24h_usd=None)
    of_bitcoin, kept, worked_out = with_btc([bitcoin, told, without])
    assert kept == msgspec.structs.replace(told, quality=1.0)
    assert (worked_out.price_btc, worked_out.market_cap_btc, worked_out.volume_24h_btc) == (
        0.25 / 50_000,
        150_000,
        None,
    )
    assert flags_of(worked_out) == {"derived"}
    assert of_bitcoin.price_btc == 1.0
    assert with_btc([told, without]) == [told, without]  # without its own price of Bitcoin nothing
