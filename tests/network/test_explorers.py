"""What each explorer tells, in base units; what it does not tell is None."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records.market import NetworkData
from tasks.market.coins import COINS
from tasks.market.network import blockchain_info, litesolo, mempool_space, minerstat, whattomine
from tasks.market.network.written import age_s, height, positive, told
from tests.network.answers import ADJUSTMENT, ASIC, CHAINS, HASHRATE, MINERSTAT, SLOT, STATS

BITCOIN, LITECOIN, DOGECOIN = COINS["bitcoin"], COINS["litecoin"], COINS["dogecoin"]


def test_mempool_space_has_hashes_a_second_and_milliseconds() -> None:
    assert mempool_space.network_of(HASHRATE, ADJUSTMENT, SLOT) == NetworkData(
        time=SLOT,
        source="mempool.space",
        coin_id="bitcoin",
        network_hashrate_hs=7.5e20,
        network_difficulty=104_770_000_000_000.5,
        block_reward=3.125,  # the fourth halving was at 840,000
        block_time_s=594.5,
        mining_algorithm="sha256d",
        block_height=904_064,
    )


def test_blockchain_info_has_gigahashes_satoshi_and_minutes() -> None:
    network = blockchain_info.network_of(STATS, SLOT)
    assert network.network_hashrate_hs == pytest.approx(7.48e20)
    assert (network.network_difficulty, network.block_reward) == (1.0477e14, 3.125)
    assert network.block_time_s == pytest.approx(594)
    assert network.block_height == 904_064
    assert network.age_s == pytest.approx(90)


def test_litesolo_tells_both_coins_of_one_hash() -> None:
    litecoin, dogecoin = litesolo.networks_of(CHAINS, [LITECOIN, DOGECOIN], SLOT)
    assert (litecoin.coin_id, litecoin.network_hashrate_hs, litecoin.block_reward) == ("litecoin", 648533943117e3, 12.5)
    assert (dogecoin.coin_id, dogecoin.network_difficulty, dogecoin.block_reward) == (
        "dogecoin", 6_445_323.531315216, 10_000,
    )  # fmt: skip
    assert dogecoin.block_time_s is None
    assert [one.coin_id for one in litesolo.networks_of(CHAINS, [DOGECOIN], SLOT)] == ["dogecoin"]


def test_whattomine_is_read_by_ticker_and_algorithm() -> None:
    bitcoin, litecoin, dogecoin = whattomine.networks_of(ASIC["coins"], [BITCOIN, LITECOIN, DOGECOIN], SLOT)
    assert (bitcoin.network_hashrate_hs, bitcoin.block_time_s, bitcoin.age_s) == (7.53e20, 597.5, 60)
    assert (litecoin.network_hashrate_hs, litecoin.block_reward, litecoin.block_height) == (595e12, 12.5, 2_396_261)
    assert (dogecoin.network_hashrate_hs, dogecoin.network_difficulty) == (None, 6_500_000.5)  # its 0 is no hashrate


def test_minerstat_has_minus_one_for_what_it_does_not_know() -> None:
    bitcoin, litecoin = minerstat.networks_of(MINERSTAT, [BITCOIN, LITECOIN], SLOT)
    assert (bitcoin.network_hashrate_hs, bitcoin.block_reward, bitcoin.age_s) == (7.51e20, 3.125, 30)
    assert (litecoin.network_hashrate_hs, litecoin.network_difficulty, litecoin.block_reward) == (None, None, None)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        # field case C 22: one answer with numbers, strings and money in it
        (622_091_455, 622_091_455.0), ("115.0", 115.0), ("$1,876,804,032", 1_876_804_032.0), ("1,250.5", 1_250.5),
        ("1.5e3", 1_500.0), (" 12.5 ", 12.5), ("1,25", None), ("12,34,567", None), ("$", None), ("", None),
        (None, None), (True, None), ("nan", None), ({}, None), ([1], None), ("1,250.5,0", None),
    ],
)  # fmt: skip
def test_numbers_as_they_are_written(written: object, number: float | None) -> None:
    assert told(written) == number


@pytest.mark.parametrize("nothing", [0, "0", "0.0", -1, "-1", None, "", "N/A", False, float("inf")])
def test_nothing_is_not_zero(nothing: object) -> None:
    assert positive(nothing) is None
    assert height(nothing) is None


@given(st.floats(min_value=0.01, max_value=1e15))
def test_grouped_money_is_the_number(value: float) -> None:
    assert told(f"${value:,.2f}") == float(f"{value:.2f}")


def test_ages_are_of_the_past() -> None:
    assert age_s(SLOT - 5, SLOT) == 5
    assert age_s(SLOT + 5, SLOT) is None  # its clock and ours differ
    assert age_s(None, SLOT) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("answer", [HASHRATE, ADJUSTMENT, STATS, CHAINS["LTC"], ASIC["coins"]["Bitcoin"], MINERSTAT[0]])
@settings(max_examples=30)
@given(data=st.data())
def test_any_field_may_be_anything(answer: dict[str, Any], data: st.DataObject) -> None:
    """What cannot be read costs that field: values are None or positive, and never a traceback."""
    changed = {name: data.draw(st.just(value) | ANYTHING) for name, value in answer.items()}
    networks = [
        mempool_space.network_of(changed, changed, SLOT),
        blockchain_info.network_of(changed, SLOT),
        *litesolo.networks_of({"LTC": changed}, [LITECOIN], SLOT),
        *whattomine.networks_of({"Bitcoin": changed, "x": None}, [BITCOIN], SLOT),
        *minerstat.networks_of([changed, None], [BITCOIN], SLOT),
    ]
    for network in networks:
        for value in (network.network_hashrate_hs, network.network_difficulty, network.block_reward):
            assert value is None or value > 0
