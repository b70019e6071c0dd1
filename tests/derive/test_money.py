"""Money on the embedded store, from readings, pools and prices: once, again, killed, late, and its returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.fleet import Fleet
from tasks.derive.money import FinancialReport, derive_financial
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
