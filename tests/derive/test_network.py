"""Network arithmetic against numbers that pools and explorers published."""

from __future__ import annotations

import pytest

from tasks.derive.network import (
    Chain,
    coins_per_day,
    merged_usd_per_th_day,
    network_hashrate_hs,
    pps_per_share,
    subsidy,
    usd_per_th_day,
)

GIGA = 1e9
LITECOIN = Chain("litecoin", "scrypt", 83_619_823.71858509, 6.25, 81.6202)


def test_hashrate_of_litecoins_network() -> None:
    hashrate = network_hashrate_hs("scrypt", LITECOIN.difficulty, 150)
    assert hashrate == pytest.approx(2.394296054e15, rel=1e-9)
    assert hashrate == pytest.approx(2394296033882057, rel=1e-8)  # as the page printed it


def test_litecoin_of_a_gigahash_and_day() -> None:
    coins = coins_per_day(LITECOIN, GIGA)
    assert coins == pytest.approx(0.0015035734588, abs=5e-14)
    assert f"{coins:.8f}" == "0.00150357"  # as the page printed it; its USD by that tell the price
    assert pytest.approx(81.6202, abs=5e-5) == 0.12272167 / 0.00150357
    assert coins_per_day(LITECOIN, 9.5 * GIGA) == pytest.approx(0.0142839479, abs=5e-11)
    assert coins_per_day(LITECOIN, 9.5 * GIGA) * 81.6202 == pytest.approx(1.16586, abs=5e-6)  # type: ignore[operator]


def test_both_coins_of_litesolos_sample() -> None:
    """LTC D 20,785,580.478 and 12.5 a block, DOGE D 6,445,323.531 and 10,000 a block, each less a fee of 1 %."""
    litecoin = coins_per_day(Chain("litecoin", "scrypt", 20_785_580.478, 12.5), GIGA)
    dogecoin = coins_per_day(Chain("dogecoin", "scrypt", 6_445_323.531, 10_000), GIGA)
    assert litecoin is not None
    assert dogecoin is not None
    assert litecoin * 0.99 == pytest.approx(0.011976693, abs=5e-10)
    assert dogecoin * 0.99 == pytest.approx(30.898995, abs=5e-7)


@pytest.mark.parametrize(
    ("difficulty", "ratio", "printed", "digits"),
    # two published samples of litecoinpool's API, of 2016 and 2018, at 25 LTC a block
    [(51_825.72835216, 1.04, 7.655e-9, 4), (3_731_199.1833743, 1.03, 1.05305e-10, 6)],
)
def test_what_a_share_is_paid(difficulty: float, ratio: float, printed: float, digits: int) -> None:
    paid = pps_per_share("scrypt", difficulty, 25, ratio)
    assert paid is not None
    assert float(f"{paid:.{digits - 1}e}") == printed


@pytest.mark.parametrize(
    ("difficulty", "block_time", "hashrate"),
    [(51_825.72835216, 156, 1_426_117_703_000), (3_731_199.1833743, 167, 95_925_913_949_000)],
)
def test_hashrate_of_the_network_in_litecoinpools_samples(difficulty: float, block_time: int, hashrate: int) -> None:
    """Both fit within 0.06 %."""
    assert network_hashrate_hs("scrypt", difficulty, block_time) == pytest.approx(hashrate, rel=6e-4)


def test_merged_coins_are_summed_on_the_same_hashes() -> None:
    dogecoin = Chain("dogecoin", "scrypt", 6_445_323.531, 10_000, 0.1)
    alone, merged = usd_per_th_day(LITECOIN), merged_usd_per_th_day([LITECOIN, dogecoin])
    # 86,400 x 1e12 x 10,000 / (6,445,323.531 x 2^32) coins at 0.1 USD
    assert merged == pytest.approx((alone or 0) + 3_121.1106, rel=1e-5)
    assert merged_usd_per_th_day([LITECOIN], fee_ratio=0.01) == pytest.approx((alone or 0) * 0.99)


@pytest.mark.parametrize(
    "lacking",
    [
        Chain("dogecoin", "scrypt", None, 10_000, 0.1),
        Chain("dogecoin", "scrypt", 0.0, 10_000, 0.1),
        Chain("dogecoin", "scrypt", -1.0, 10_000, 0.1),
        Chain("dogecoin", "scrypt", 6e6, None, 0.1),
        Chain("dogecoin", "scrypt", 6e6, 10_000, None),
        Chain("dash", "x11", 6e6, 1.0, 30.0),  # difficulty means something else there
    ],
)
def test_a_sum_that_lacks_a_coin_is_null(lacking: Chain) -> None:
    assert merged_usd_per_th_day([LITECOIN, lacking]) is None


def test_nothing_is_not_zero() -> None:
    assert merged_usd_per_th_day([]) is None
    assert network_hashrate_hs("scrypt", 1.0, 0) is None
    assert network_hashrate_hs("scrypt", None, 150) is None
    assert network_hashrate_hs("equihash", 1.0, 75) is None
    assert pps_per_share("sha256d", 0, 6.25) is None


@pytest.mark.parametrize(
    ("coin_id", "height", "coins"),
    [
        # the blocks of the halvings are public: Bitcoin's fourth was 840,000, Litecoin's third 2,520,000
        ("bitcoin", 0, 50), ("bitcoin", 839_998, 6.25), ("bitcoin", 839_999, 3.125), ("bitcoin", 904_064, 3.125),
        ("litecoin", 2_519_998, 12.5), ("litecoin", 2_519_999, 6.25), ("bitcoin-cash", 839_999, 3.125),
        ("dogecoin", 4_535_804, None), ("bitcoin", None, None), ("bitcoin", -1, None),
    ],
)  # fmt: skip
def test_what_a_block_brings_by_its_height(coin_id: str, height: int | None, coins: float | None) -> None:
    assert subsidy(coin_id, height) == coins
