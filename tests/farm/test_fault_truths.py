"""What is true while a fault lasts, before and after: of hashes, shares and pools; and which faults there cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.farm import FAULT_KINDS, Farm, Fault
from deployments.farm.faults import check
from tests.farm.clock import NOON, ONE_OF_EACH, Clock

DAY_S = 86_400.0


def _farm(clock: Clock, fault: Fault) -> tuple[Farm, str]:
    farm = Farm(1, clock=clock, seed=3, mix=ONE_OF_EACH[:1])
    farm.inject("miner_0001", fault)
    return farm, "miner_0001"


def test_a_throttled_miner_delivers_its_part_and_says_that_it_mines(clock):
    """Hashes of an hour at 0.7 are 0.7 of an hour's; at 0 there is nothing, and no share."""
    well = Farm(1, clock=clock, seed=3, mix=ONE_OF_EACH[:1])
    hour = [well.truth("miner_0001", at).hashes_delivered for at in (NOON, NOON + 3_600)]
    for ratio in (0.7, 0.0):
        farm, miner = _farm(clock, Fault(kind="throttled", ratio=ratio, start=NOON))
        before, after = farm.truth(miner, NOON), farm.truth(miner, NOON + 3_600)
        assert after.hashes_delivered - before.hashes_delivered == pytest.approx(ratio * (hour[1] - hour[0]))
        assert (after.state, after.powered) == ("mining", True)
        assert (after.shares_accepted > before.shares_accepted) == (ratio > 0)
        assert after.last_share_at is not None
        assert (after.last_share_at <= NOON) == (ratio == 0)


def test_held_fans_leave_the_chips_hot_and_the_hashrate_lower(clock):
    farm, miner = _farm(clock, Fault(kind="fans_held", start=NOON))
    before, after = farm.truth(miner, NOON - 1), farm.truth(miner, NOON + 600)
    assert after.chip_temp_max_c is not None
    assert 85 < after.chip_temp_max_c < 95
    assert after.fan_duty_percent == 30
    assert after.hashrate_hs / before.hashrate_hs == pytest.approx(0.8, rel=0.05)


def test_a_frozen_firmware_says_the_same_for_ever_and_its_pool_sees_it_work(clock):
    farm, miner = _farm(clock, Fault(kind="frozen", start=NOON))
    clock.now = NOON + 3_600
    assert farm.truth(miner) == farm.truth(miner, NOON)
    assert farm.pool_side(miner).shares_accepted > farm.truth(miner).shares_accepted


def test_a_thief_gets_the_work_and_the_miner_counts_on(clock):
    """Its pool has nothing more from the second of the change; the miner's own counters go on, at the thief's pool."""
    farm, miner = _farm(
        clock, Fault(kind="pool_changed", url="x.invalid:1", user="thief.1", start=NOON, end=NOON + 7200)
    )
    before, after, back = (farm.truth(miner, NOON + at) for at in (0, 3_600, 10_800))
    assert (after.pools[0].url, after.pools[0].user) == ("x.invalid:1", "thief.1")
    assert back.pools[0].user == "lodeline.miner_0001"
    assert after.shares_accepted > before.shares_accepted
    assert after.credit.accepted == before.credit.accepted
    assert back.credit.accepted > after.credit.accepted
    assert after.accepted_fraction == 0.0
    assert back.accepted_fraction == pytest.approx(0.972, abs=0.012)
    assert farm.accepted_work(miner, NOON, NOON + 7_200) == 0
    assert after.credit.last_share_at == pytest.approx(NOON, abs=600)


def test_who_skims_takes_his_part_and_nobody_says_so(clock):
    well = Farm(1, clock=clock, seed=3, mix=ONE_OF_EACH[:1])
    farm, miner = _farm(clock, Fault(kind="skimmed", ratio=0.5, start=NOON))
    after = farm.truth(miner, NOON + DAY_S)
    assert after.hashrate_hs == well.truth(miner, NOON + DAY_S).hashrate_hs
    assert after.pools[0].url == well.truth(miner, NOON + DAY_S).pools[0].url
    whole = well.accepted_work(miner, NOON, NOON + DAY_S)
    assert farm.accepted_work(miner, NOON, NOON + DAY_S) == pytest.approx(whole / 2, rel=0.1)  # luck of 2,000 shares


def test_refused_shares_are_counted_as_rejected_on_both_sides(clock):
    farm, miner = _farm(clock, Fault(kind="shares_refused", ratio=0.3, start=NOON))
    before, after = farm.truth(miner, NOON), farm.truth(miner, NOON + DAY_S)
    told = [after.shares_rejected - before.shares_rejected, after.shares_accepted - before.shares_accepted]
    assert told[0] / sum(told) == pytest.approx(0.3, abs=0.05)
    assert after.credit.rejected == after.shares_rejected
    assert farm.refused_ratio(miner, NOON, NOON + DAY_S) == pytest.approx(0.3, abs=0.02)
    assert farm.refused_ratio(miner, NOON - DAY_S, NOON) < 0.02


async def test_truth_knows_when_a_fault_is_on(farm, clock):
    identity = farm.miners[0]
    fault = farm.inject(identity.miner_id, Fault(kind="http_500", start=NOON + 10, end=NOON + 20))
    expected = {NOON + 9.99: (), NOON + 10: ("http_500",), NOON + 19.99: ("http_500",), NOON + 20: ()}
    for at, kinds in expected.items():
        assert farm.truth(identity.miner_id, at).faults == kinds
    clock.now = NOON + 15
    assert farm.clear(identity.miner_id) == 1
    assert farm.truth(identity.miner_id, NOON + 12).faults == ("http_500",)
    assert farm.truth(identity.miner_id, NOON + 15).faults == ()
    assert fault.end == NOON + 20


async def test_clearing_keeps_what_was_and_forgets_what_would_have_come(farm, clock):
    one, other = farm.miners
    farm.inject(one.miner_id, Fault(kind="reboot", start=NOON - 100))
    farm.inject(one.miner_id, Fault(kind="html", start=NOON + 100))
    farm.inject(other.miner_id, "http_500")
    assert farm.clear() == 2
    clock.now = NOON + 200
    assert farm.truth(one.miner_id).booted_at == NOON - 100
    assert farm.truth(one.miner_id).faults == farm.truth(other.miner_id).faults == ()


async def test_fleet_truth_counts_only_who_answers(farm):
    rest, cgi = farm.miners
    farm.inject(cgi.miner_id, "html")
    fleet = farm.fleet_truth()
    truth = farm.truth(rest.miner_id)
    assert (fleet.miners, fleet.answering, fleet.failures) == (2, 1, {"not_json": 1})
    assert fleet.by_state == {"mining": 1, "unreachable": 1}
    assert fleet.hashrate_hs == {"sha256d": truth.hashrate_hs}
    assert fleet.power_w == truth.power_w


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "board_lost"}, "board_lost needs board, 1 to 3"),
        ({"kind": "board_lost", "board": 4}, "1 to 3"),
        ({"kind": "fan_lost", "fan": 4}, "0 to 3"),
        ({"kind": "latency"}, "latency needs ms"),
        ({"kind": "latency", "ms": 10, "ms_max": 5}, "ms_max >= ms"),
        ({"kind": "html", "board": 1}, "board has no meaning for html"),
        ({"kind": "html", "start": 5, "end": 5}, "must be after start"),
        ({"kind": "slow_drip", "bytes_per_s": 0}, "bytes_per_s must be above 0"),
    ],
)
def test_faults_that_make_no_sense_are_refused(fields: dict[str, Any], words):
    with pytest.raises(ValueError, match=words):
        check(Fault(**fields), boards=3, fans=4)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind="throttled"), "throttled needs ratio"),
        (Fault(kind="skimmed", ratio=1.5), "skimmed needs ratio, from 0 to 1, not 1.5"),
        (Fault(kind="pool_changed", url="x.invalid:1"), "pool_changed needs url and user"),
        (Fault(kind="paused", ratio=0.5), "ratio has no meaning for paused"),
    ],
)
def test_what_a_new_fault_lacks_is_said(fault, words):
    with pytest.raises(ValueError, match=words):
        check(fault, boards=3, fans=4)


def test_every_fault_is_explained():
    assert Fault.__doc__ is not None
    assert all(f"    {kind} " in Fault.__doc__ for kind in FAULT_KINDS)


def test_an_unknown_miner_is_named():
    with pytest.raises(KeyError, match="no miner 'miner_9'; they are miner_0001 to miner_0002"):
        Farm(2).inject("miner_9", "dead")
