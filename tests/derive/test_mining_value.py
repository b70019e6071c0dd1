"""What a TH/s earned in an hour, against a published page and by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.market.mining_value import groups, value_frame

HOUR = 1_800_000_000 // 3_600 * 3_600
FOLLOWED = ("bitcoin", "ethereum", "litecoin", "dogecoin")


def network(coin: str, difficulty: float | None, reward: float | None, **more: Any) -> dict[str, Any]:
    usual = {"time": HOUR + 900, "source": "litesolo", "quality_flags": None}
    return {**usual, "coin_id": coin, "network_difficulty": difficulty, "block_reward": reward, **more}


def price(coin: str, usd: float | None, **more: Any) -> dict[str, Any]:
    usual = {"time": HOUR + 600, "source": "coingecko", "age_s": None, "quality_flags": None}
    return {**usual, "coin_id": coin, "price_usd": usd, **more}


def rows(frame: Any) -> list[dict[str, Any]]:
    names = ("algorithm", "coins", "source", "usd_th_day", "btc_th_day", "fee_ratio", "by_coin", "quality_flags")
    return [
        {"time": time, **{name: frame.columns[name][row] if name in frame.columns else None for name in names}}
        for row, time in enumerate(frame.times)
    ]


LITECOIN = network("litecoin", 20_785_580.478287995, 12.5)
DOGECOIN = network("dogecoin", 6_445_323.531315216, 10_000)
PRICES = [price("litecoin", 80.0), price("dogecoin", 0.1), price("bitcoin", 50_000.0)]


def test_litecoin_alone_is_what_a_page_published() -> None:
    """1,000 GH/s at 0.00150357 LTC a GH/s and day, of a page that says 0.12272167 USD for it."""
    (row,) = rows(
        value_frame([network("litecoin", 83_619_823.71858509, 6.25)], [price("litecoin", 81.6202)], ["litecoin"])
    )
    assert row["usd_th_day"] == pytest.approx(1_000 * 0.12272167, rel=5e-6)
    assert (row["algorithm"], row["coins"], row["time"], row["fee_ratio"]) == ("scrypt", "litecoin", HOUR, 0.0)
    assert row["btc_th_day"] is None  # nobody told what a bitcoin costs
    assert row["quality_flags"] == ""


def test_merge_mined_coins_are_summed_on_the_same_hashes() -> None:
    """By litesolo's sample, whose fee of 1 % is not ours: 0.011976693 LTC and 30.898995 DOGE a GH/s and day."""
    (row,) = rows(value_frame([LITECOIN, DOGECOIN], PRICES, FOLLOWED))
    litecoin, dogecoin = 1_000 * 0.011976693 / 0.99 * 80, 1_000 * 30.898995 / 0.99 * 0.1
    assert row["usd_th_day"] == pytest.approx(litecoin + dogecoin, rel=1e-6)
    assert row["btc_th_day"] == pytest.approx((litecoin + dogecoin) / 50_000, rel=1e-6)
    assert row["coins"] == "litecoin+dogecoin"
    parts = dict(part.split("=") for part in row["by_coin"].split(","))
    assert float(parts["litecoin"]) == pytest.approx(litecoin, rel=1e-6)
    assert float(parts["dogecoin"]) == pytest.approx(dogecoin, rel=1e-6)


@pytest.mark.parametrize(
    ("networks", "prices", "flags"),
    [
        ([LITECOIN], PRICES, "missing:dogecoin.difficulty,missing:dogecoin.reward"),
        ([LITECOIN, DOGECOIN], [PRICES[0]], "missing:dogecoin.price"),
        ([LITECOIN, network("dogecoin", 6e6, None)], PRICES, "missing:dogecoin.reward"),
        ([LITECOIN, DOGECOIN], [*PRICES[:1], price("dogecoin", 0.0)], "missing:dogecoin.price"),
        (
            [LITECOIN, DOGECOIN],
            [*PRICES[:1], price("dogecoin", 0.1, age_s=9_000.0, quality_flags="stale")],
            "missing:dogecoin.price",
        ),
        (
            [LITECOIN, {**DOGECOIN, "quality_flags": "conflicting:network_difficulty,implausible:network_difficulty"}],
            PRICES,
            "missing:dogecoin.difficulty,missing:dogecoin.reward",
        ),
    ],
)
def test_a_sum_that_lacks_a_coin_is_null_and_says_so(networks: Any, prices: Any, flags: str) -> None:
    (row,) = rows(value_frame(networks, prices, FOLLOWED))
    assert (row["usd_th_day"], row["btc_th_day"], row["quality_flags"]) == (None, None, flags)
    assert row["by_coin"].startswith("litecoin=")
    assert "dogecoin" not in row["by_coin"]


def test_what_conflicts_is_used_and_says_so() -> None:
    doubtful = {**DOGECOIN, "quality_flags": "conflicting:network_hashrate_hs"}
    (row,) = rows(value_frame([LITECOIN, doubtful], PRICES, FOLLOWED))
    assert row["usd_th_day"] > 4_000
    assert row["quality_flags"] == "conflicting:dogecoin.network"


def test_each_source_has_its_own_row_and_one_without_rewards_has_none() -> None:
    told = [
        network("bitcoin", 1.0477e14, 3.125, source="mempool.space"),
        network("bitcoin", 1.05e14, 3.125, source="blockchain.info"),
        network("litecoin", 8e7, None, source="my-pool"),
        network("ethereum", 1e15, 2.0, source="odd"),
    ]
    made = rows(value_frame(told, PRICES, FOLLOWED))
    assert [(row["source"], row["coins"]) for row in made] == [
        ("blockchain.info", "bitcoin"),
        ("mempool.space", "bitcoin"),
    ]
    # 86,400 x 1e12 x 3.125 / (1.0477e14 x 2^32) BTC
    assert made[1]["btc_th_day"] == pytest.approx(6.0001e-7, rel=1e-4)


def test_the_difficulty_of_an_hour_is_the_harmonic_mean_and_hours_are_apart() -> None:
    told = [
        network("bitcoin", 1e14, 3.125), network("bitcoin", 3e14, 3.125, time=HOUR + 1_800),
        network("bitcoin", 1.5e14, 3.125, time=HOUR + 3_600),
    ]  # fmt: skip
    prices = [price("bitcoin", 50_000.0), price("bitcoin", 50_000.0, time=HOUR + 3_700)]
    first, second = rows(value_frame(told, prices, ["bitcoin"]))
    assert first["usd_th_day"] == pytest.approx(second["usd_th_day"])
    assert (first["time"], second["time"]) == (HOUR, HOUR + 3_600)


def test_the_last_price_of_the_provider_that_comes_first() -> None:
    told = [network("bitcoin", 1e14, 3.125)]
    prices = [
        price("bitcoin", 1.0), price("bitcoin", 2.0, time=HOUR + 700), price("bitcoin", 3.0, source="coinmarketcap"),
        price("bitcoin", 4.0, source="coinmarketcap", time=HOUR + 800), price("bitcoin", 5.0, time=HOUR + 3_600),
    ]  # fmt: skip
    (by_hand,) = rows(value_frame(told, [price("bitcoin", 2.0)], ["bitcoin"]))
    assert rows(value_frame(told, prices, ["bitcoin"]))[0]["usd_th_day"] == by_hand["usd_th_day"]
    assert rows(value_frame(told, reversed(prices), ["bitcoin"]))[0]["usd_th_day"] == by_hand["usd_th_day"]


def test_a_price_that_conflicts_is_used_and_says_so() -> None:
    doubted = price("bitcoin", 2.0, quality_flags="conflicting,derived")
    (row,) = rows(value_frame([network("bitcoin", 1e14, 3.125)], [doubted], ["bitcoin"]))
    assert row["usd_th_day"] > 0
    assert row["quality_flags"] == "conflicting:bitcoin.price"


def test_coins_are_grouped_as_they_are_mined() -> None:
    made = [[coin.id for coin in group] for group in groups([*FOLLOWED, "namecoin", "bitcoin-cash", "dash"])]
    assert made == [["bitcoin", "namecoin"], ["bitcoin-cash"], ["litecoin", "dogecoin"]]
    assert [[coin.id for coin in group] for group in groups(["dogecoin"])] == [["dogecoin"]]
