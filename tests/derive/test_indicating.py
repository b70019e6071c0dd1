"""Indicators of a coin by the day, from closes as they are stored."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.market.indicating import DAY_S, indicator_frame

DAY = 18_000
NOW = (DAY + 400) * DAY_S
# the closes of a public lesson on the index, of 2009 and 2010, and the first results of Wilder's way
LESSON = [
    44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328,
    45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521, 45.7137, 46.4515,
    45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
]  # fmt: skip
STRENGTHS = [
    70.5328, 66.3186, 66.5498, 69.4063, 66.3552, 57.9749, 62.9296, 63.2571, 56.0593, 62.3771, 54.7076, 50.4228,
    39.9898, 41.4605, 41.8689, 45.4632, 37.3040, 33.0795, 37.7730,
]  # fmt: skip
VOLATILITY = 0.2307661542


def closes(prices: dict[int, float | None], coin: str = "bitcoin", source: str = "coingecko") -> list[dict[str, Any]]:
    return [
        {"time": (DAY + day) * DAY_S, "source": source, "coin_id": coin, "close_usd": close}
        for day, close in prices.items()
    ]


def rows(frame: Any) -> list[dict[str, Any]]:
    return [
        {"time": time, **{name: values[row] for name, values in frame.columns.items()}}
        for row, time in enumerate(frame.times)
    ]


def test_the_published_index_day_by_day() -> None:
    made = rows(indicator_frame(closes(dict(enumerate(LESSON))), NOW))
    assert [row["time"] for row in made] == [(DAY + day) * DAY_S for day in range(33)]
    assert [row["rsi_14"] for row in made[:14]] == [None] * 14
    assert [round(row["rsi_14"], 4) for row in made[14:]] == STRENGTHS
    assert made[-1]["volatility_30d"] == pytest.approx(VOLATILITY, abs=5e-11)
    assert made[-1]["volatility_30d_daily"] == pytest.approx(0.012078852563, abs=5e-13)
    assert {row.get("ma_50_usd") for row in made} == {None}
    assert made[-1]["closes"] == 33
    assert made[7]["change_7d_percent"] == pytest.approx((45.4245 / 44.3389 - 1) * 100)


def test_coins_and_sources_stand_for_themselves() -> None:
    mixed = [
        *closes(dict(enumerate(LESSON))), *closes(dict(enumerate([1.0] * 33)), "dogecoin"),
        *closes({0: 44.0, 1: 45.0}, source="coinmarketcap"),
    ]  # fmt: skip
    made = rows(indicator_frame(reversed(mixed), NOW))
    (newest,) = (row for row in made if row["coin_id"] == "bitcoin" and row["time"] == (DAY + 32) * DAY_S)
    assert round(newest["rsi_14"], 4) == STRENGTHS[-1]
    assert [row["closes"] for row in made if row["source"] == "coinmarketcap"] == [1, 2]
    assert {row["rsi_14"] for row in made if row["coin_id"] == "dogecoin"} == {None}  # nothing moved at all


def test_a_day_without_a_close_starts_the_count_anew() -> None:
    gap: dict[int, float | None] = dict(enumerate(LESSON))
    gap[20] = None
    made = {row["time"] // DAY_S - DAY: row for row in rows(indicator_frame(closes(gap), NOW))}
    assert 20 not in made
    assert round(made[19]["rsi_14"], 4) == STRENGTHS[5]
    assert (made[21]["closes"], made[21]["rsi_14"]) == (1, None)
    assert made[32]["rsi_14"] is None


def test_means_need_all_their_days() -> None:
    made = rows(indicator_frame(closes({day: float(day + 1) for day in range(200)}), NOW))
    assert (made[48].get("ma_50_usd"), made[49]["ma_50_usd"]) == (None, 25.5)
    assert (made[198]["ma_200_usd"], made[199]["ma_200_usd"]) == (None, 100.5)


def test_a_day_that_is_not_over_is_left_out() -> None:
    assert indicator_frame(closes({400: 1.0}), NOW).times == []
    assert indicator_frame(closes({399: 1.0}), NOW).times == [(DAY + 399) * DAY_S]


def test_no_closes_no_rows() -> None:
    assert indicator_frame([], NOW).times == []
    assert indicator_frame(closes({0: None, 1: 0.0, 2: -1.0}), NOW).times == []
