"""The figures of the business by hand, and what is not known has a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.health.business import look_at_fleet
from tasks.health.fleet import FleetHealth, frame_of, keep, kept
from tests.alerts.world import miner

HOUR_S, DAY_S = 3_600, 86_400
DAY = 1_800_000_000 // DAY_S * DAY_S
NOW = DAY + 10 * HOUR_S + 43 * 60
TH = 1e12


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "lake")
    yield store
    store.close()


def put(store: EmbeddedStore, name: str, *rows: tuple[int, dict[str, Any]]) -> None:
    names = sorted({key for _, row in rows for key in row})
    store.write([build_frame(name, [at for at, _ in rows], {key: [row.get(key) for _, row in rows] for key in names})])


def test_all_of_it(store: EmbeddedStore) -> None:
    miners = [miner("m1"), miner("m2"), miner("m3")]  # polled every 60 s, so a row is stale after 150 s
    put(
        store, "miner_telemetry",
        (NOW - 30, {"miner_id": "m1", "model": "S19", "site": "north", "reachable": True}),
        (NOW - 40, {"miner_id": "m2", "model": "S19", "site": "north", "reachable": False}),
        (NOW - 151, {"miner_id": "m3", "model": "S19", "site": "north", "reachable": True}),
        (NOW - 10, {"miner_id": "sold", "model": "S19", "site": "north", "reachable": True}),
    )  # fmt: skip
    hour = {"miner_id": "m1", "time_period": "1h", "hashrate_expected_hs": 100 * TH, "coverage_percentage": 100.0}
    put(
        store, "operational_metrics",
        (DAY + 8 * HOUR_S, {**hour, "hashrate_lost_hs": 10 * TH, "hashing_uptime_percentage": 90.0}),
        (DAY + 9 * HOUR_S, {**hour, "hashrate_lost_hs": 0.0, "hashing_uptime_percentage": 100.0}),
        (DAY + 9 * HOUR_S, {**hour, "miner_id": "m2", "hashrate_lost_hs": 50 * TH, "hashing_uptime_percentage": 50.0}),
        (DAY + 9 * HOUR_S, {**hour, "miner_id": "m3", "hashrate_lost_hs": None, "coverage_percentage": 0.0}),
        (DAY - 15 * HOUR_S, {**hour, "hashrate_lost_hs": 90 * TH, "hashing_uptime_percentage": 1.0}),  # 25 hours ago
        (DAY + 9 * HOUR_S, {**hour, "time_period": "1d", "hashrate_lost_hs": 99 * TH}),
    )  # fmt: skip
    summary = {"scope": "fleet", "key": "fleet", "time_period": "1d"}
    put(
        store, "financial_summary",
        (DAY - DAY_S, {**summary, "profit": 70.0}),
        (DAY - 2 * DAY_S, {**summary, "profit": 100.0}),
        (DAY - 8 * DAY_S, {**summary, "profit": 110.0}),
        (DAY - 9 * DAY_S, {**summary, "profit": 999.0}),  # the eighth day before
        (DAY - DAY_S, {**summary, "scope": "site", "key": "north", "profit": 1.0}),
    )  # fmt: skip
    put(
        store, "pool_reconciliation",
        (DAY - DAY_S, {"pool_id": "p", "coin_id": "litecoin", "predicted_usd": 60.0, "credited_usd": None}),
        (DAY - 2 * DAY_S, {"pool_id": "p", "coin_id": "litecoin", "predicted_usd": 60.0, "credited_usd": 54.0}),
        (DAY - 3 * DAY_S, {"pool_id": "p", "coin_id": "litecoin", "predicted_usd": 60.0, "credited_usd": 0.0}),
        (DAY - DAY_S, {"pool_id": "p", "coin_id": "dogecoin", "predicted_usd": 40.0, "credited_usd": 41.0}),
    )  # fmt: skip
    put(
        store, "market_data",
        (NOW - 100, {"source": "gecko", "coin_id": "bitcoin", "price_usd": 1.0}),
        (NOW - 900, {"source": "gecko", "coin_id": "litecoin", "price_usd": 1.0}),
        (NOW - 700, {"source": "cap", "coin_id": "litecoin", "price_usd": 1.0}),
        (NOW - 5, {"source": "cap", "coin_id": "litecoin2", "market_cap_usd": 1.0}),
    )  # fmt: skip
    told = look_at_fleet(store, miners, NOW)
    assert (told.miners, told.miners_known, told.miners_answering) == (3, 2, 1)
    assert told.known_ratio == pytest.approx(2 / 3)
    # (100 + 100 + 100) and (90 + 100 + 50) over two hours
    assert told.hashrate_expected_hs == pytest.approx(150 * TH)
    assert told.hashrate_delivered_hs == pytest.approx(120 * TH)
    assert told.delivered_ratio == pytest.approx(0.8)
    assert told.hashing_uptime_percent == pytest.approx(80.0, rel=1e-4)
    assert told.coverage_percent == pytest.approx(75.0)
    assert (told.predicted_usd, told.credited_usd, told.credited_ratio) == (100.0, 95.0, 0.95)
    assert (told.profit_day_usd, told.profit_mean_usd, told.profit_change_usd) == (70.0, 105.0, -35.0)
    assert told.price_age_s == 700.0
    assert told.reason is None


def test_quality_of_sources_is_that_of_the_newest_day_and_of_miners_the_mean(store: EmbeddedStore) -> None:
    put(
        store, "source_quality",
        (DAY - DAY_S, {"kind": "miner", "source": "m1", "score": 0.5, "accuracy": 1.0}),
        (DAY - DAY_S, {"kind": "miner", "source": "m2", "score": 1.0}),
        (DAY - 2 * DAY_S, {"kind": "miner", "source": "m1", "score": 0.0}),
        (DAY - 2 * DAY_S, {"kind": "price", "source": "gecko", "score": 0.25, "timeliness": 0.75}),
        (DAY - 5 * DAY_S, {"kind": "pool", "source": "gone", "score": 0.25}),
    )  # fmt: skip
    told = {one.source: one for one in look_at_fleet(store, [], NOW).sources}
    assert set(told) == {"miners", "gecko"}
    assert (told["miners"].score, told["miners"].accuracy, told["miners"].day) == (0.75, 1.0, DAY - DAY_S)
    assert told["miners"].completeness is None
    assert (told["gecko"].kind, told["gecko"].timeliness, told["gecko"].day) == ("price", 0.75, DAY - 2 * DAY_S)


def test_what_is_not_known_is_null_with_a_reason(store: EmbeddedStore) -> None:
    told = look_at_fleet(store, [miner("m1")], NOW)
    assert (told.miners, told.miners_known, told.known_ratio) == (1, 0, 0.0)
    assert told.reason == (
        "coverage_percent:no_operational_metrics,credited_ratio:nothing_reconciled,"
        "delivered_ratio:no_operational_metrics,"
        "hashing_uptime_percent:no_operational_metrics,price_age_s:no_price_for_a_day,"
        "profit_day_usd:no_financial_metrics,profit_mean_usd:no_financial_metrics"
    )
    (row,) = frame_of(told).times
    assert row == DAY + 10 * HOUR_S
    assert "delivered_ratio" not in frame_of(told).columns
    assert look_at_fleet(store, [], NOW).known_ratio is None


def test_it_is_kept_for_those_who_read_files(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    told = FleetHealth(time=NOW, miners=3, miners_known=2, miners_answering=1, delivered_ratio=0.8)
    keep(tmp_path / "state", told)
    assert kept(tmp_path / "state") == told
    (tmp_path / "state" / "fleet_health.json").write_text("{")
    assert kept(tmp_path / "state") is None
