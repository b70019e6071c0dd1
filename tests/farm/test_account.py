"""The farm's account at a pool: workers and money are what the miners' shares come to, over restarts and faults."""

from __future__ import annotations

import pytest

from deployments.farm import Farm, Fault
from deployments.farm.markets.earnings import coins_per_hash, usd_per_hash
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.pools.account import DAY_S, Account
from tests.farm.clock import NOON, Clock

MIDNIGHT = NOON - DAY_S / 2


def test_what_a_hash_finds_is_the_textbook_formula() -> None:
    """Litecoin at difficulty 83,619,823.72 and 6.25 coins a block: a GH/s finds 0.00150357 coins a day (published)."""
    published = 0.0015035734588
    told = network("litecoin", NOON)
    a_day = coins_per_hash("litecoin", NOON) * 1e9 * DAY_S
    assert a_day * told.difficulty / 83_619_823.71858509 == pytest.approx(published, rel=1e-9)
    both = coins_per_hash("litecoin", NOON) * quote("litecoin", NOON).price_usd
    both += coins_per_hash("dogecoin", NOON) * quote("dogecoin", NOON).price_usd
    assert usd_per_hash("scrypt", NOON) == pytest.approx(both)


def test_a_day_s_work_is_the_rise_of_the_counters() -> None:
    farm = Farm(3, seed=5, clock=Clock())
    for identity in farm.miners:
        before, after = (farm.truth(identity.miner_id, at).work_accepted_d1 for at in (NOON, NOON + DAY_S))
        assert farm.accepted_work(identity.miner_id, NOON, NOON + DAY_S) == after - before > 0


def test_work_goes_on_over_restarts_and_stops_while_a_miner_is_dead() -> None:
    """Six hours, an hour of them without power, and a reboot: counters fell twice, the work is that of five hours."""
    farm = Farm(3, seed=5, clock=Clock())
    miner = farm.miners[2]
    whole = farm.accepted_work(miner.miner_id, NOON, NOON + 6 * 3600)
    farm.inject(miner.miner_id, Fault(kind="dead", start=NOON + 3600, end=NOON + 7200, boot_s=0))
    farm.inject(miner.miner_id, Fault(kind="reboot", start=NOON + 14_400, boot_s=0))
    work = farm.accepted_work(miner.miner_id, NOON, NOON + 6 * 3600)
    parts = [farm.accepted_work(miner.miner_id, NOON + n * 1800, NOON + (n + 1) * 1800) for n in range(12)]
    assert work == sum(parts)
    assert parts[2] == parts[3] == 0
    assert work == pytest.approx(whole * 5 / 6, rel=0.1)  # 2,000 shares: 4 sigma of their luck


def test_money_is_accepted_work_at_the_day_s_rate_less_the_fee() -> None:
    clock = Clock()
    farm = Farm(6, seed=5, clock=clock)
    plain, costly = Account(farm, "scrypt"), Account(farm, "scrypt", fee=0.25)
    yesterday = int(MIDNIGHT - DAY_S)
    mine = [one.miner_id for one in farm.miners if one.variant.model.algorithm == "scrypt"]
    hashes = 65_536 * sum(farm.accepted_work(miner, yesterday, yesterday + DAY_S) for miner in mine)
    chain = network("litecoin", yesterday + DAY_S / 2)
    earned = hashes * chain.reward / (chain.difficulty * 2**32)
    assert plain.daily("litecoin", yesterday) == pytest.approx(earned, rel=1e-6)
    assert costly.daily("litecoin", yesterday) == pytest.approx(0.75 * earned, rel=1e-6)
    before = plain.credited("litecoin")
    clock.now += 3600
    rate = plain.coins_per_hash("litecoin", NOON)
    hour = 65_536 * sum(farm.accepted_work(miner, NOON, NOON + 3600) for miner in mine) * rate
    assert plain.credited("litecoin") - before == pytest.approx(hour, rel=1e-4)
    assert plain.paid("litecoin") == plain.settled("litecoin")  # at noon, all days that are over are paid


def test_a_pool_that_exchanges_pays_both_coins_in_one() -> None:
    farm = Farm(6, seed=5, clock=Clock())
    both, one = Account(farm, "scrypt"), Account(farm, "scrypt", exchanged=True)
    day = int(MIDNIGHT - DAY_S)
    noon = day + DAY_S / 2
    worth = sum(both.daily(coin, day) * quote(coin, noon).price_usd for coin in ("litecoin", "dogecoin"))
    assert one.daily("litecoin", day) * quote("litecoin", noon).price_usd == pytest.approx(worth, rel=1e-6)


def test_workers_are_the_miners_that_mine_there() -> None:
    farm = Farm(16, seed=5, clock=Clock(), pools={"scrypt": ("north", "south_pool")})
    scrypt = [one for one in farm.miners if one.variant.model.algorithm == "scrypt"]
    assert [one.pool for one in scrypt] == ["north", "south_pool", "north", "south_pool", "north", "south_pool"]
    assert {one.pool_url for one in scrypt} == {"north.invalid:3333", "south-pool.invalid:3333"}
    assert farm.truth(scrypt[0].miner_id).pools[0].url == "north.invalid:3333"
    workers = Account(farm, "scrypt", pool="north").workers()
    assert [one.name for one in workers] == [one.miner_id for one in scrypt if one.pool == "north"]
    for worker in workers:
        truth = farm.truth(worker.name)
        assert (worker.accepted, worker.stale) == (truth.shares_accepted, truth.shares_stale)
        lost = truth.shares_rejected + truth.shares_stale
        kept = (1 - truth.devfee_percent / 100) * truth.shares_accepted / (truth.shares_accepted + lost)
        assert worker.hashrate_hs == pytest.approx(truth.hashrate_hs * kept, rel=1e-3)
        assert worker.hashrate_24h_hs == pytest.approx(worker.hashrate_hs, rel=0.08)  # luck of a day, 4 sigma


def test_a_farm_that_is_started_again_has_the_same_past() -> None:
    first, again = (Account(Farm(4, seed=5, clock=Clock(NOON + later)), "scrypt") for later in (0, 3600))
    days = first.days(0, NOON)
    assert 7 <= len(days) <= 14
    assert again.days(0, NOON) == days
    assert [again.daily("dogecoin", day) for day in days] == [first.daily("dogecoin", day) for day in days]


def test_nobody_mines_there() -> None:
    account = Account(Farm(2, clock=Clock()), "scrypt")
    assert not account.has_workers
    assert (account.workers(), account.credited("litecoin")) == ([], 0.0)
