"""Money on the embedded store, from readings, pools and prices: once, again, killed, late, and its returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.errors import ConfigurationError
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.collection_settings import load_collection_settings
from tasks.derive.fleet import Fleet
from tasks.derive.money import FinancialReport, derive_financial
from tasks.derive.profit import profit
from tasks.derive.settings import EconomicsSettings, ElectricitySettings
from tests.derive.test_operations import DAY_S, EVERY, HOUR_S, MIDNIGHT, TH, Counting, arrive, readings

FLEET = Fleet(
    {"a": ("S19", "hall"), "b": ("S19", "hall")},
    ElectricitySettings.model_validate({"tariffs": [{"usd_per_kwh": 0.05}]}),
    EconomicsSettings.model_validate({"pool_fee_percent": 1.0, "pool_fees": [{"pool": "free", "fee_percent": 0}]}),
    {"a": 2.0},
)
DUE = MIDNIGHT + HOUR_S + GRACE_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    store = Counting(tmp_path / "lake")
    yield store
    store.close()


def value(hour: int, usd: float | None = 0.048, **tags: str) -> Frame:
    told = {"algorithm": "sha256d", "coins": "bitcoin", "source": "mempool.space"} | tags
    columns: dict[str, Any] = {name: [word] for name, word in told.items()}
    return build_frame("mining_profitability", [hour], {**columns, "usd_th_day": [usd], "fee_ratio": [0.0]})


def match(hour: int, hashrate: float, pool: str = "viabtc", status: str = "matched") -> list[Frame]:
    """What a pool credited, and the mark of the hour."""
    tags = {"pool_id": [pool], "worker_id": [f"acc.a.{status}"], "miner_id": ["a"]}
    noted: dict[str, Any] = {"measurement": ["worker_match"], "tier": ["hourly"], "covered": [int(hashrate)]}
    return [
        build_frame("worker_match", [hour], {**tags, "status": [status], "hashrate_pool_hs": [hashrate]}),
        build_frame("window_rolled", [hour], noted),
    ]


def hour_of(store: EmbeddedStore, hour: int = MIDNIGHT) -> None:
    arrive(store, [*readings(hour, EVERY)[:1], value(hour)])
    roll_up(store, hour + HOUR_S + GRACE_S, measurements=["miner_telemetry"])


def rows(store: EmbeddedStore, period: str = "1h", name: str = "financial_metrics") -> list[dict[str, Any]]:
    found = store.read(MEASUREMENTS[name], Tier.RAW, 0, 2**32, where={"time_period": period}).to_pylist()
    return [{**row, "time": (int(row["time"].timestamp()) - MIDNIGHT) // HOUR_S} for row in found]


def test_an_hour_of_a_miner_that_tells_its_work_and_of_one_that_is_silent(store: Counting):
    hour_of(store)
    # two miners, fleet, model, site
    assert derive_financial(store, FLEET, DUE) == FinancialReport(rows=5, windows=1)
    first, silent = rows(store)
    # 100 TH/s x 0.048 / 24 x 0.99, less 3 kWh x 0.05
    assert first["revenue"] == pytest.approx(0.198, rel=1e-4)
    assert first["profit"] == pytest.approx(0.048, rel=1e-3)
    assert (first["hours"], first["currency"], first["roi_percent"]) == (1, "USD", None)
    assert (silent["profit"], silent["hours"], silent["reason"]) == (None, 0, "revenue:no_work,cost:no_power")
    groups = {(row["scope"], row["key"]): row for row in rows(store, name="financial_summary")}
    assert set(groups) == {("fleet", "fleet"), ("model", "S19"), ("site", "hall")}
    fleet = groups["fleet", "fleet"]
    assert (fleet["profit"], fleet["miners"], fleet["miners_known"]) == (first["profit"], 2, 1)
    assert fleet["reason"] == "profit:miners_missing"


def test_done_again_nothing_is_written_and_killed_before_the_mark_it_gives_the_same(store: Counting):
    hour_of(store)
    store.dies_on = "window_rolled"
    with pytest.raises(KeyboardInterrupt):
        derive_financial(store, FLEET, DUE)
    store.dies_on = ""
    killed = rows(store)
    assert derive_financial(store, FLEET, DUE) == FinancialReport(rows=0, windows=1)
    writes = store.writes
    assert derive_financial(store, FLEET, DUE) == FinancialReport()
    assert (rows(store), store.writes) == (killed, writes)


def test_what_comes_late_or_is_configured_otherwise_is_taken_in(store: Counting):
    hour_of(store)
    derive_financial(store, FLEET, DUE)
    # the pool tells its work: 90 TH/s, of which 1 % is its fee; what a superseded row says does not count
    store.write([*match(MIDNIGHT, 90 * TH), *match(MIDNIGHT, 50 * TH, status="superseded")])
    derive_financial(store, FLEET, DUE)
    assert rows(store)[0]["revenue"] == pytest.approx(90 * 0.048 / 24 * 0.99)
    # another pool credits some of the hour, and takes no fee
    store.write(match(MIDNIGHT, 5 * TH, "free"))
    derive_financial(store, FLEET, DUE)
    assert rows(store)[0]["revenue"] == pytest.approx((90 * 0.99 + 5) * 0.048 / 24)
    assert rows(store)[0]["hashrate_paid_hs"] == pytest.approx(95 * TH)
    # a source that is better by name; a price that is not known goes behind
    store.write([value(MIDNIGHT, None, source="a"), value(MIDNIGHT, 0.096, source="b")])
    derive_financial(store, FLEET, DUE)
    assert rows(store)[0]["hashprice_usd_th_day"] == 0.096
    # a tariff that was wrong
    dear = Fleet(FLEET.miners, ElectricitySettings.model_validate({"tariffs": [{"usd_per_kwh": 0.1}]}), FLEET.economics)
    derive_financial(store, dear, DUE)
    assert rows(store)[0]["cost"] == pytest.approx(0.3, rel=1e-4)


SITES = Fleet(
    {"a": ("S19", "yard"), "b": ("S19", "hall"), "c": ("S19", "")},
    ElectricitySettings.model_validate(
        {"tariffs": [{"sites": ["hall"], "usd_per_kwh": 0.05}, {"sites": ["yard"], "usd_per_kwh": 0.1}]}
    ),
    EconomicsSettings.model_validate({"pool_fee_percent": 0.0}),
)


def test_a_miner_that_moves_counts_at_each_site_in_its_hours_and_sites_add_up_to_the_fleet(store: Counting):
    """An hour at the hall, one in which it is carried over at half past, one at the yard, where power costs twice as
    much. Its reading of 01:25 stands for 20 minutes: of the second hour the hall tells 45 minutes, the yard 30."""
    for number, (site, minutes) in enumerate(
        (("hall", EVERY), ("hall", range(0, 30, 5)), ("yard", range(30, 60, 5)), ("yard", EVERY))
    ):
        hour = MIDNIGHT + (0, 1, 1, 2)[number] * HOUR_S
        arrive(store, [*readings(hour, minutes, site=site)[:1], value(hour)], delivery=number)
    arrive(store, readings(MIDNIGHT, EVERY, "c", site="", power_w=None)[:1])
    for hour in range(3):  # as the flow does, an hour at a time
        now = MIDNIGHT + (hour + 1) * HOUR_S + GRACE_S
        roll_up(store, now, measurements=["miner_telemetry"])
        derive_financial(store, SITES, now)
    a = [row for row in rows(store) if row["miner_id"] == "a"]
    # 100 TH/s x 0.048 / 24 each hour: the reading that stands on where it no longer is makes no more of it
    assert [row["revenue"] for row in a] == pytest.approx([0.2] * 3, rel=1e-3)
    # 3 kWh at 0.05, at (45 x 0.05 + 30 x 0.1) / 75, at 0.1
    assert [row["electricity_cost"] for row in a] == pytest.approx([0.15, 0.21, 0.3], rel=1e-3)
    once = {(row["time"], row["key"]): row["miners"] for row in rows(store, name="financial_summary")}
    assert [once.get((hour, "hall")) for hour in range(3)] == [2, 2, 1]
    assert [once.get((hour, "yard")) for hour in range(3)] == [None, None, 1]
    assert [once.get((hour, "(no site)")) for hour in range(3)] == [1, 1, 1]
    midnight = MIDNIGHT + DAY_S + GRACE_S
    derive_financial(store, SITES, midnight)
    for period in ("1h", "1d"):
        found = {(row["time"], row["scope"], row["key"]): row for row in rows(store, period, "financial_summary")}
        for time in {time for time, scope, _ in found if scope == "fleet"}:
            for name in ("revenue", "profit", "energy_kwh"):
                parts = [row[name] or 0.0 for (at, scope, _), row in found.items() if (at, scope) == (time, "site")]
                assert sum(parts) == pytest.approx(found[time, "fleet", "fleet"][name] or 0.0), (period, time, name)
    day = {row["key"]: row for row in rows(store, "1d", "financial_summary") if row["scope"] == "site"}
    assert [day[site]["miners"] for site in ("hall", "yard")] == [2, 1]
    assert [day[site]["revenue"] for site in ("hall", "yard")] == pytest.approx([0.4, 0.2], rel=1e-3)
    # derived again from the whole day at once: the same
    fees = {"pool_fee_percent": 0.0, "pool_fees": [{"pool": "nobody", "fee_percent": 1}]}
    other = Fleet(SITES.miners, SITES.electricity, EconomicsSettings.model_validate(fees))
    again = derive_financial(store, other, midnight)
    assert (again.rows, again.windows) == (0, 25)


def test_a_miner_that_is_replaced_by_one_of_another_algorithm_is_worth_each_in_its_hours(store: Counting):
    """An S19, from 01:30 on an L7 of 9.5 GH/s: a TH/s and day of SHA-256 is worth 0.048 USD, of Scrypt 120."""
    l7: dict[str, Any] = {"model": "L7", "hashrate_hs": 9.5e9, "hashrate_nominal_hs": 9.5e9, "power_w": 3_425}
    told = [(0, EVERY, {}), (1, range(0, 30, 5), {}), (1, range(30, 60, 5), l7), (2, EVERY, l7)]
    for number, (hour, minutes, what) in enumerate(told):
        arrive(store, readings(MIDNIGHT + hour * HOUR_S, minutes, **what)[:1], delivery=number)
    for hour in range(3):
        at = MIDNIGHT + hour * HOUR_S
        store.write([value(at), value(at, 120.0, algorithm="scrypt", coins="litecoin")])
    end = MIDNIGHT + DAY_S + GRACE_S
    roll_up(store, end, measurements=["miner_telemetry"])
    economics = EconomicsSettings.model_validate({"pool_fee_percent": 0.0})
    derive_financial(store, Fleet({"a": ("L7", "hall")}, SITES.electricity, economics), end)
    found = {row["time"]: row["revenue"] for row in rows(store)}
    # the last reading of the S19 stands for 20 minutes: 45 minutes of one and 30 of the other are an hour
    both = 0.6 * 100 * 0.048 / 24 + 0.4 * 0.0095 * 120 / 24
    assert [found[hour] for hour in range(3)] == pytest.approx([0.2, both, 0.0475], rel=1e-3)
    (day,) = rows(store, "1d")
    assert day["revenue"] == pytest.approx(0.2 + both + 0.0475, rel=1e-3)


def test_a_fee_that_changes_holds_from_its_day_on_and_a_part_that_no_pool_told_is_as_measured(store: Counting):
    fees = [{"pool": "viabtc", "fee_percent": 4}, {"pool": "viabtc", "fee_percent": 2, "since": "2027-01-16"}]
    economics = EconomicsSettings.model_validate({"pool_fee_percent": 0.0, "pool_fees": fees})
    fleet = Fleet({"a": ("S19", "hall")}, FLEET.electricity, economics)
    for hour in (MIDNIGHT, MIDNIGHT + DAY_S):  # 2027-01-15, and the day after
        hour_of(store, hour)
        store.write(match(hour, 50 * TH))
    beside = {"pool_id": ["other"], "worker_id": ["acc.a"], "miner_id": ["a"], "status": ["not_told"]}
    store.write([build_frame("worker_match", [MIDNIGHT + DAY_S], {**beside, "hashrate_miner_hs": [40 * TH]})])
    derive_financial(store, fleet, MIDNIGHT + DAY_S + HOUR_S + GRACE_S)
    first, later = (row for row in rows(store) if row["time"] in (0, 24))
    assert first["revenue"] == pytest.approx(50 * 0.96 * 0.048 / 24)
    assert first["reason"] == ""
    # the other pool told nothing, and nobody said its fee
    assert later["revenue"] == pytest.approx((50 * 0.98 + 40 * (1 - 0.02)) * 0.048 / 24)
    assert later["hashrate_paid_hs"] == pytest.approx(90 * TH)
    assert later["reason"] == "revenue:measured_by_miner"


def test_work_that_no_pool_has_seen_says_so(store: Counting):
    hour_of(store)
    astray: dict[str, Any] = {"worker_id": ["thief.a"], "miner_id": ["a"], "status": ["wrong_pool"]}
    store.write([build_frame("worker_match", [MIDNIGHT], {**astray, "hashrate_miner_hs": [100 * TH]})])
    derive_financial(store, FLEET, DUE)
    assert rows(store)[0]["reason"] == "revenue:measured_by_miner,revenue:seen_by_no_pool"


def test_a_miner_that_is_added_was_not_there_before_and_of_a_dark_hour_no_profit_is_known(store: Counting):
    """Two miners, one of which is read for an hour; then a third, which is read for an hour; then none is."""
    hour_of(store)
    derive_financial(store, FLEET, DUE)
    more = Fleet({**FLEET.miners, "new": ("S19", "hall")}, FLEET.electricity, FLEET.economics)
    arrive(store, readings(MIDNIGHT + HOUR_S, EVERY, "new")[:1])
    roll_up(store, DUE + 2 * HOUR_S, measurements=["miner_telemetry"])
    derive_financial(store, more, DUE + 2 * HOUR_S)
    assert [row["time"] for row in rows(store) if row["miner_id"] == "new"] == [1, 2]
    fleet = [row for row in rows(store, name="financial_summary") if row["scope"] == "fleet"]
    assert [row["miners"] for row in fleet] == [2, 3, 3]
    assert [row["miners_known"] for row in fleet] == [1, 0, 0], "of the second hour there is no price"
    dark = next(row for row in rows(store) if (row["miner_id"], row["time"]) == ("a", 2))
    assert (dark["hours"], dark["reason"]) == (0, "revenue:no_work,revenue:no_hashprice,cost:no_power")
    (told,) = profit(store, more.miners, MIDNIGHT, MIDNIGHT + 3 * HOUR_S, every="period").to_pylist()
    assert (told["hours_known"], told["hours"]) == (1, 8)
    # a gap of it that is filled afterwards is an hour of it
    arrive(store, readings(MIDNIGHT, EVERY, "new")[:1], delivery=2)
    roll_up(store, DUE + 2 * HOUR_S, measurements=["miner_telemetry"])
    derive_financial(store, more, DUE + 2 * HOUR_S)
    assert [row["time"] for row in rows(store) if row["miner_id"] == "new"] == [0, 1, 2]


@pytest.mark.parametrize("since", ["", ", since: 2026-01-01"])
def test_two_fees_of_a_pool_since_the_same_day_are_refused(tmp_path: Path, since: str):
    file = tmp_path / "data_collection_config.yaml"
    fee = f"{{pool: x, fee_percent: 1{since}}}"
    file.write_text(f"economics: {{pool_fees: [{fee}, {{pool: y, fee_percent: 2}}, {fee}]}}\n")
    with pytest.raises(ConfigurationError, match="items 0 and 2 are both for pool 'x'"):
        load_collection_settings(file, {}, lambda name: None)


def test_returns_go_on_from_day_to_day_and_are_redone_from_the_day_that_changed(store: Counting):
    """A miner for 2 USD earns 0.048 USD in an hour of each of three days; then the second turns out dearer by 0.15."""
    for day in range(3):
        hour_of(store, MIDNIGHT + day * DAY_S)
    end = MIDNIGHT + 3 * DAY_S + GRACE_S
    derive_financial(store, FLEET, end)
    days = [row for row in rows(store, "1d") if row["miner_id"] == "a"]
    assert [row["profit_cumulative"] for row in days] == pytest.approx([0.048, 0.096, 0.144], rel=1e-3)
    assert [row["roi_percent"] for row in days] == pytest.approx([2.4, 4.8, 7.2], rel=1e-3)
    # (2 - 0.144) / 0.048
    assert days[2]["break_even_days"] == pytest.approx(38.7, rel=1e-3)
    assert "profit:hours_missing" in days[2]["reason"]
    fleet = [row for row in rows(store, "1d", "financial_summary") if row["scope"] == "fleet"]
    assert [row["roi_percent"] for row in fleet] == pytest.approx([2.4, 4.8, 7.2], rel=1e-3)
    # the second day: 25 TH/s, 0.0495 - 0.15 USD
    store.write(match(MIDNIGHT + DAY_S, 25 * TH))
    derive_financial(store, FLEET, end)
    days = [row for row in rows(store, "1d") if row["miner_id"] == "a"]
    assert [row["profit_cumulative"] for row in days] == pytest.approx([0.048, -0.0525, -0.0045], abs=1e-4)
    # over both days nothing was earned, and over three neither: no day is named
    assert days[1]["reason"].endswith("break_even_days:no_profit")
    silent = [row for row in rows(store, "1d") if row["miner_id"] == "b"]
    assert (silent[0]["profit_cumulative"], silent[0]["roi_percent"]) == (None, None)
    assert "roi_percent:no_purchase_price" in silent[0]["reason"]
