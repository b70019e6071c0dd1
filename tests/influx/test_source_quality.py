"""Quality of sources on a real InfluxDB: a day as on the embedded store, and nothing again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tasks.derive.source_quality.deriving import SourceQualityReport, derive_source_quality
from tests.derive.source_quality.test_deriving import DAY, EVENING, INTERVALS, arrive, polls, rows


@pytest.fixture
def stores(influx: InfluxSettings, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    both = InfluxStore(influx), EmbeddedStore(tmp_path / "lake")
    yield both
    for store in both:
        store.close()


def derived(store: Any) -> list[dict[str, Any]]:
    arrive(
        store,
        polls(range(3), quality_flags="stale"),
        polls(range(3, 6), reachable=False, state="unreachable", hashrate_hs=None, quality=0.0),
        rows("pool_performance", range(3), pool_id="p", worker_id="acc.a", algorithm="sha256d", status="online"),
        rows("network_data", range(3), source="mempool.space", coin_id="bitcoin", network_difficulty=1e14, quality=1.0),
    )
    store.write([rows("source_request", range(4), host="h", source="p", request="workers", ok=False)])
    assert derive_source_quality(store, INTERVALS, EVENING) == SourceQualityReport(rows=3, days=1)
    assert derive_source_quality(store, INTERVALS, EVENING) == SourceQualityReport()
    found: list[dict[str, Any]] = store.read(MEASUREMENTS["source_quality"], Tier.RAW, DAY, EVENING).to_pylist()
    return found


def test_both_stores_get_the_same_rows_once(stores: tuple[Store, Store]):
    influx, embedded = map(derived, stores)
    assert [(row["kind"], row["rows"], row["failed"]) for row in embedded] == [
        ("miner", 3, 3),
        ("network", 3, 0),
        ("pool", 3, 4),
    ]
    for row, other in zip(influx, embedded, strict=True):
        numbers = {key: told for key, told in other.items() if isinstance(told, float)}
        assert {key: row.pop(key) for key in numbers} == pytest.approx(numbers, rel=1e-4, abs=1e-6)
        assert row.items() <= other.items()
