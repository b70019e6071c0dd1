"""The truth of a miner hangs together, at any instant and under any faults."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.farm import Farm, Fault
from deployments.farm.faults import EXPECTED_FAILURE, FAULT_KINDS
from deployments.farm.models import DEFAULT_MIX, HASHES_PER_D1
from storage.declaration.miner import FAILURE_KINDS, MINER_STATES
from tests.farm.clock import NOON, Clock

DAY = 86_400.0
PARAMETERS: dict[str, dict[str, Any]] = {
    "board_lost": {"board": 2},
    "fan_lost": {"fan": 1},
    "latency": {"ms": 5.0},
    "throttled": {"ratio": 0.5},
}
seeds = st.integers(0, 2**31)
instants = st.floats(NOON - 30 * DAY, NOON + 30 * DAY)


def miner(seed: int = 1, index: int = 0, *, restart_days: float | None = None, faults: tuple[Fault, ...] = ()):
    farm = Farm(index + 1, seed=seed, clock=Clock(), restart_days=restart_days)
    one = farm._webs[farm.miners[index].miner_id].miner
    one.change_faults(list(faults))
    return one


@st.composite
def scripts(draw):
    """A few faults in the hours after noon."""
    faults = []
    for kind in draw(st.lists(st.sampled_from(FAULT_KINDS), max_size=4)):
        start = NOON + draw(st.integers(0, 20_000))
        lasts = draw(st.none() | st.integers(1, 20_000))
        extra = PARAMETERS.get(kind, {})
        faults.append(Fault(kind=kind, start=start, end=None if lasts is None else start + lasts, **extra))
    return tuple(faults)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, len(DEFAULT_MIX) - 1), instants, scripts())
def test_boards_sum_to_totals(seed, index, at, faults):
    truth = miner(seed, index, faults=faults).truth(at)
    assert truth.hashrate_hs == pytest.approx(sum(board.hashrate_hs for board in truth.boards))
    assert truth.hashrate_nominal_hs == pytest.approx(sum(board.hashrate_nominal_hs for board in truth.boards))
    assert truth.power_w == sum(board.power_w for board in truth.boards)
    assert truth.hardware_errors == sum(board.hardware_errors for board in truth.boards)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, len(DEFAULT_MIX) - 1), instants, scripts())
def test_the_same_seed_is_the_same_miner_and_asking_changes_nothing(seed, index, at, faults):
    one = miner(seed, index, faults=faults)
    first = one.truth(at)
    one.truth(at + 12_345)
    one.truth(at - 12_345)
    assert one.truth(at) == first == miner(seed, index, faults=faults).truth(at)


def test_another_seed_is_another_miner():
    assert miner(1).truth(NOON).hashrate_hs != miner(2).truth(NOON).hashrate_hs


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, len(DEFAULT_MIX) - 1), instants, scripts())
def test_figures_are_those_of_a_miner(seed, index, at, faults):
    one = miner(seed, index, restart_days=20, faults=faults)
    truth = one.truth(at)
    assert truth.state in MINER_STATES
    assert truth.failure is None or truth.failure in FAILURE_KINDS
    assert truth.answering == (truth.failure is None)
    assert 0 <= truth.hashrate_hs <= 1.02 * truth.hashrate_nominal_hs
    assert 0 <= truth.power_w <= 1.02 * truth.power_limit_w
    assert 5 <= truth.ambient_temp_c <= 60
    assert 20 <= truth.fan_duty_percent <= 100
    for board in truth.boards:
        if board.chip_temp_c is None:
            assert board.lost
        else:
            assert truth.ambient_temp_c <= board.pcb_temp_min_c <= board.pcb_temp_c <= board.chip_temp_c <= 130
            assert board.pcb_temp_min_c <= board.chip_temp_min_c <= board.chip_temp_c
        assert (board.hashrate_hs > 0) == (board.power_w > 0) == board.mining
    assert truth.uptime_s >= 0
    assert truth.last_share_at is None or truth.booted_at <= truth.last_share_at <= at


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, len(DEFAULT_MIX) - 1), st.lists(instants, min_size=2, max_size=8), scripts())
def test_counters_rise_but_for_a_boot(seed, index, at, faults):
    one = miner(seed, index, restart_days=20, faults=faults)
    truths = [one.truth(instant) for instant in sorted(at)]
    for earlier, later in pairwise(truths):
        if later.booted_at != earlier.booted_at:
            assert later.booted_at > earlier.time
            continue
        assert later.hashes_delivered >= earlier.hashes_delivered
        assert later.hardware_errors >= earlier.hardware_errors
        for before, after in zip(earlier.pools, later.pools, strict=True):
            assert after.accepted >= before.accepted
            assert after.rejected >= before.rejected
            assert after.stale >= before.stale


@pytest.mark.parametrize("index", range(len(DEFAULT_MIX)))
def test_accepted_work_is_what_the_hashrate_delivers(index):
    """Work in difficulty 1, times hashes for it, is the hashrate over time less fee, rejects and stales (4 sigma)."""
    one = miner(3, index)
    begin, end = one.truth(NOON), one.truth(NOON + 5 * DAY)
    hashes = end.hashes_delivered - begin.hashes_delivered
    seconds = 5 * DAY
    assert hashes == pytest.approx(begin.hashrate_hs * seconds, rel=0.04)
    accepted = end.shares_accepted - begin.shares_accepted
    lost = end.shares_rejected - begin.shares_rejected + end.shares_stale - begin.shares_stale
    user, _, fee = end.pools
    per_d1 = HASHES_PER_D1[one.model.algorithm]
    assert end.work_accepted_d1 == end.shares_accepted * user.difficulty
    found = (accepted + lost) * user.difficulty * per_d1
    assert found == pytest.approx(hashes * (1 - 0.028), rel=4 / math.sqrt(accepted))
    assert 0.001 < lost / accepted < 0.02
    fee_work = (fee.accepted - begin.pools[2].accepted) * fee.difficulty * per_d1
    assert fee_work == pytest.approx(hashes * 0.028, rel=4 / math.sqrt(fee.accepted - begin.pools[2].accepted))


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(60, 7200))
def test_the_last_share_came_when_the_counter_rose(seed, seconds):
    one = miner(seed, faults=(Fault(kind="reboot", start=NOON, boot_s=0),))
    truth = one.truth(NOON + seconds)
    last = truth.pools[0].last_share_at
    if last is not None:
        assert one.truth(last - 0.5).shares_accepted < truth.shares_accepted
        assert one.truth(last + 0.5).shares_accepted >= truth.shares_accepted


def test_shares_stand_still_while_a_miner_is_paused():
    one = miner(faults=(Fault(kind="paused", start=NOON, end=NOON + 3600),))
    before, during, after = (one.truth(NOON + offset) for offset in (0, 3599, 7200))
    assert before.state == during.state == "paused"
    assert during.shares_accepted == before.shares_accepted
    assert (during.hashrate_hs, during.power_w) == (0, 0)
    assert during.last_share_at == before.last_share_at
    assert during.last_share_at < NOON
    assert after.state == "mining"
    assert after.shares_accepted > during.shares_accepted
    assert after.uptime_s == before.uptime_s + 7200


def test_a_lost_board_costs_its_part_and_nothing_else():
    whole = miner().truth(NOON)
    one = miner(faults=(Fault(kind="board_lost", board=2, start=NOON - 60),))
    truth = one.truth(NOON)
    first, second, third = truth.boards
    assert truth.state == "degraded"
    assert (second.hashrate_hs, second.power_w, second.chip_temp_c, second.lost) == (0, 0, None, True)
    assert first.hashrate_hs == whole.boards[0].hashrate_hs
    assert third.hashrate_hs == whole.boards[2].hashrate_hs
    assert truth.hashrate_nominal_hs == whole.hashrate_nominal_hs


def test_all_boards_lost_is_a_failure():
    one = miner(faults=tuple(Fault(kind="board_lost", board=board, start=NOON) for board in (1, 2, 3)))
    truth = one.truth(NOON)
    assert (truth.state, truth.hashrate_hs, truth.chip_temp_max_c) == ("failed", 0, None)


def test_a_lost_fan_stands_still_and_the_others_turn_faster():
    whole = miner().truth(NOON)
    truth = miner(faults=(Fault(kind="fan_lost", fan=1, start=NOON),)).truth(NOON)
    assert [fan.running for fan in truth.fans] == [True, False, True, True]
    assert truth.fans[1].speed_rpm == 0
    assert truth.fans[0].speed_rpm > whole.fans[0].speed_rpm
    assert truth.chip_temp_max_c > whole.chip_temp_max_c


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, len(DEFAULT_MIX) - 1), st.floats(NOON, NOON + 5 * DAY))
def test_overheating_goes_beyond_85_degrees(seed, index, at):
    hot = miner(seed, index, faults=(Fault(kind="overheating", start=NOON),)).truth(at)
    cool = miner(seed, index).truth(at)
    assert hot.chip_temp_max_c is not None
    assert cool.chip_temp_max_c is not None
    assert hot.chip_temp_max_c > 85 > cool.chip_temp_max_c
    assert hot.fan_duty_percent == 100


def test_a_reboot_takes_everything_to_zero_and_mines_again():
    one = miner(faults=(Fault(kind="reboot", start=NOON, boot_s=20),))
    before, booting, mining = (one.truth(NOON + offset) for offset in (-1, 5, 120))
    assert before.uptime_s > 3600
    assert (booting.state, booting.uptime_s, booting.hashrate_hs) == ("starting", 5, 0)
    assert (booting.shares_accepted, booting.hardware_errors, booting.last_share_at) == (0, 0, None)
    assert mining.state in ("mining", "tuning")
    assert mining.uptime_s == 120
    assert 0 < mining.shares_accepted < before.shares_accepted
    assert mining.hashes_delivered == pytest.approx(mining.hashrate_hs * 100, rel=0.04)


def test_a_miner_without_power_boots_when_it_comes_back():
    one = miner(faults=(Fault(kind="dead", start=NOON, end=NOON + 600),))
    dead, back = one.truth(NOON + 300), one.truth(NOON + 605)
    assert (dead.failure, dead.powered, dead.hashrate_hs, dead.power_w, dead.uptime_s) == ("refused", False, 0, 0, 0)
    assert not any(fan.running for fan in dead.fans)
    assert (back.failure, back.uptime_s, back.shares_accepted, back.state) == (None, 5, 0, "starting")


@pytest.mark.parametrize("kind", EXPECTED_FAILURE)
def test_a_fault_of_the_web_server_does_not_stop_the_mining(kind):
    whole = miner().truth(NOON)
    truth = miner(faults=(Fault(kind=kind, start=NOON),)).truth(NOON)
    assert truth.failure == EXPECTED_FAILURE[kind]
    assert not truth.answering
    if kind != "dead":
        assert (truth.hashrate_hs, truth.state) == (whole.hashrate_hs, whole.state)


def test_a_wrong_password_only_matters_where_one_is_asked_for():
    for index, variant in enumerate(DEFAULT_MIX):
        truth = miner(1, index, faults=(Fault(kind="wrong_password", start=NOON),)).truth(NOON)
        assert truth.failure == ("auth" if variant.dialect == "vnish-cgi" else None)


def test_miners_that_restart_by_themselves_do_so_about_as_often_as_asked():
    one = miner(5, restart_days=2)
    boots = {one.truth(NOON + hour * 3600).booted_at for hour in range(24 * 40)}
    assert 40 / 2 / 1.3 <= len(boots) <= 40 / 2 * 1.4
    quiet = miner(5)
    assert len({quiet.truth(NOON + day * DAY).booted_at for day in range(60)}) == 1
