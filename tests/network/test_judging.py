"""What makes a network's figures doubtful, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.market import NetworkData
from tasks.market.coins import COINS
from tasks.market.network import blockchain_info, litesolo, mempool_space, whattomine
from tasks.market.network.judging import Sample, judge
from tasks.market.network.memory import NetworkMemory
from tests.network.answers import ADJUSTMENT, ASIC, CHAINS, HASHRATE, SLOT, STATS

HOUR_S = 3_600
MEMPOOL = mempool_space.network_of(HASHRATE, ADJUSTMENT, SLOT)
BLOCKCHAIN = blockchain_info.network_of(STATS, SLOT)
WHATTOMINE = whattomine.networks_of(ASIC["coins"], [COINS["bitcoin"]], SLOT)[0]


def changed(network: NetworkData, **values: Any) -> NetworkData:
    return msgspec.structs.replace(network, **values)


def sample(source: str, time: int, **values: Any) -> Sample:
    usual: dict[str, Any] = {"network_hashrate_hs": 7.5e20, "network_difficulty": 1.0477e14, "block_reward": 3.125}
    return Sample(source, "bitcoin", time, **{**usual, **values})


@pytest.mark.parametrize("network", [MEMPOOL, BLOCKCHAIN, WHATTOMINE])
def test_figures_that_go_together_are_good(network: NetworkData) -> None:
    past = [sample("one", SLOT - 900), sample("two", SLOT - 60)]
    judged = judge(network, past)
    assert (judged.quality, judged.quality_flags) == (1.0, None)


def test_a_published_sample_is_good_though_its_window_is_a_third_off() -> None:
    for network in litesolo.networks_of(CHAINS, [COINS["litecoin"], COINS["dogecoin"]], SLOT):
        assert judge(network, []).quality_flags is None


def test_a_hashrate_in_another_unit_conflicts_with_its_own_difficulty() -> None:
    judged = judge(changed(BLOCKCHAIN, network_hashrate_hs=7.48e11), [])
    assert (judged.quality, judged.quality_flags) == (0.7, "conflicting:network_hashrate_hs")
    assert judged.network_hashrate_hs == 7.48e11  # kept as told


def test_two_that_disagree_are_both_told() -> None:
    half = changed(MEMPOOL, network_difficulty=5.2e13, network_hashrate_hs=3.7e20)
    assert judge(half, [sample("one", SLOT)]).quality_flags == (
        "conflicting:network_difficulty,conflicting:network_hashrate_hs"
    )
    assert judge(MEMPOOL, [sample("one", SLOT, network_difficulty=5.2e13)]).quality_flags == (
        "conflicting:network_difficulty"
    )


def test_of_three_only_the_one_that_nobody_agrees_with() -> None:
    wrong, right = sample("wrong", SLOT, network_difficulty=5.2e13), sample("right", SLOT)
    assert judge(MEMPOOL, [wrong, right]).quality_flags is None
    assert judge(changed(MEMPOOL, network_difficulty=5.2e13), [right, sample("third", SLOT)]).quality_flags is not None


def test_what_others_said_long_ago_or_implausibly_is_not_compared() -> None:
    old = sample("one", SLOT - 3 * HOUR_S, network_difficulty=5.2e13)
    odd = sample("two", SLOT, network_difficulty=1.0, implausible=True)
    later = sample("three", SLOT + 60, network_difficulty=5.2e13)
    other_coin = Sample("four", "litecoin", SLOT, network_difficulty=5.2e13)
    assert judge(MEMPOOL, [old, odd, later, other_coin]).quality_flags is None


def past_week(**values: Any) -> list[Sample]:
    return [sample("mempool.space", SLOT - hour * HOUR_S, **values) for hour in range(1, 160)]


def test_far_from_the_weeks_median_is_implausible() -> None:
    sudden = changed(MEMPOOL, network_difficulty=4.2e14, network_hashrate_hs=None)
    assert judge(sudden, past_week()).quality_flags == "implausible:network_difficulty"
    assert judge(sudden, past_week()).quality == 0.3
    assert judge(sudden, past_week()[:7]).quality_flags is None  # too little past to judge by
    assert judge(MEMPOOL, past_week()).quality_flags is None


def test_a_halving_is_plausible() -> None:
    assert judge(changed(MEMPOOL, block_reward=1.5625), past_week()).quality_flags is None


def test_a_change_that_lasts_passes_after_half_a_week(tmp_path: Path) -> None:
    """Four times the hashrate from one hour on: implausible until it is the median."""
    memory = NetworkMemory(tmp_path)
    flagged = []
    for hour in range(24 * 14):
        grown = 4.0 if hour >= 24 * 7 else 1.0
        network = changed(
            MEMPOOL,
            time=SLOT + hour * HOUR_S,
            network_hashrate_hs=7.5e20 * grown,
            network_difficulty=1.0477e14 * grown,
        )
        (judged,) = memory.judge("mempool.space", [network], network.time)
        flagged.append(judged.quality_flags is not None)
    assert not any(flagged[: 24 * 7])
    assert flagged[24 * 7]
    passed = flagged.index(False, 24 * 7) - 24 * 7
    assert 24 * 3 < passed < 24 * 4
    assert not any(flagged[24 * 7 + passed :])


def test_memory_is_small_shared_and_the_same_twice(tmp_path: Path) -> None:
    memory, other = NetworkMemory(tmp_path), NetworkMemory(tmp_path)
    for minute in range(0, 60 * 24 * 9, 15):
        network = changed(MEMPOOL, time=SLOT + minute * 60)
        memory.judge("mempool.space", [network], network.time)
    kept = (tmp_path / "networks.json").read_bytes()
    assert len(kept) < 170 * 200
    memory.judge("mempool.space", [network], network.time)
    assert (tmp_path / "networks.json").read_bytes() == kept
    half = changed(BLOCKCHAIN, time=network.time, network_difficulty=5.2e13, network_hashrate_hs=3.7e20)
    (judged,) = other.judge("blockchain.info", [half], network.time)
    assert judged.quality_flags is not None


def test_what_a_clock_that_ran_ahead_has_left_is_forgotten(tmp_path: Path) -> None:
    memory = NetworkMemory(tmp_path)
    for time in (SLOT + 365 * 86_400, SLOT):
        memory.judge("mempool.space", [changed(MEMPOOL, time=time)], time)
    assert [one.time for one in memory.samples("bitcoin")] == [SLOT]


def test_a_memory_that_cannot_be_read_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "networks.json").write_text("{torn")
    (judged,) = NetworkMemory(tmp_path).judge("mempool.space", [MEMPOOL], SLOT)
    assert judged.quality == 1.0


positives = st.none() | st.floats(min_value=1e-6, max_value=1e30)


@given(positives, positives, positives, st.lists(st.tuples(positives, positives), max_size=12))
def test_judging_keeps_every_value(
    hashrate: float | None, difficulty: float | None, reward: float | None, past: list[tuple[float | None, ...]]
) -> None:
    network = changed(MEMPOOL, network_hashrate_hs=hashrate, network_difficulty=difficulty, block_reward=reward)
    samples = [Sample(f"s{n % 3}", "bitcoin", SLOT - n * 900, one, other) for n, (one, other) in enumerate(past)]
    judged = judge(network, samples)
    assert changed(judged, quality=None, quality_flags=None) == network
    assert judged.quality is not None
    assert 0 < judged.quality <= 1
    assert (judged.quality == 1.0) == (judged.quality_flags is None)
