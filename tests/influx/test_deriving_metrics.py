"""Metrics derived on a real InfluxDB: an hour and its day once, as on the embedded store, and nothing again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tasks.derive.money import FinancialReport, derive_financial
from tasks.derive.operations import INPUTS, OperationalReport, derive_operational
from tasks.derive.source_gaps import source_gaps
from tasks.overrides.stretches import Stretch, stretches_by_hand
from tests.derive.test_money import FLEET, value
from tests.derive.test_operations import DAY_S, EVERY, MIDNIGHT, arrive, by_hand, readings
from tests.derive.test_source_gaps import INTERVALS, PAUSE, T, events, every, requests, workers

END = MIDNIGHT + DAY_S + GRACE_S
DERIVED = ("operational_metrics", "financial_metrics", "financial_summary")


@pytest.fixture
def stores(influx: InfluxSettings, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    both = InfluxStore(influx), EmbeddedStore(tmp_path / "lake")
    yield both
    for store in both:
        store.close()


def derived(store: Any) -> dict[str, list[dict[str, Any]]]:
    arrive(store, [*readings(MIDNIGHT, EVERY), value(MIDNIGHT)])
    roll_up(store, END, measurements=INPUTS)
    for _ in range(2):
        worked = derive_operational(store, {"a": "S19", "b": "S19"}, END)
        money = derive_financial(store, FLEET, END)
    assert (worked, money) == (OperationalReport(), FinancialReport())
    return {name: store.read(MEASUREMENTS[name], Tier.RAW, MIDNIGHT, END).to_pylist() for name in DERIVED}


def test_both_stores_get_the_same_rows_once(stores: tuple[Store, Store]):
    influx, embedded = map(derived, stores)
    assert {name: len(rows) for name, rows in influx.items()} == dict(zip(DERIVED, (50, 50, 75), strict=True)), (
        "24 hours and a day"
    )
    for name in DERIVED:
        for row, other in zip(influx[name], embedded[name], strict=True):
            numbers = {key: told for key, told in other.items() if isinstance(told, float)}
            assert {key: row.pop(key) for key in numbers} == pytest.approx(numbers, rel=1e-4, abs=1e-6)
            assert row.items() <= other.items()


def test_both_stores_tell_what_was_paused_by_hand(stores: tuple[Store, Store]):
    """The end of a pause has no ``new``, of which no store may make no row at all."""
    for store in stores:
        by_hand(store, (600, "a", "paused"), (1_800, "a", None), (900, "b", "maintenance"))
        assert stretches_by_hand(store, MIDNIGHT, MIDNIGHT + 3_600) == [
            Stretch("a", MIDNIGHT + 600, MIDNIGHT + 1_800, paused=True),
            Stretch("b", MIDNIGHT + 900, MIDNIGHT + 3_600, paused=False),
        ]


def test_both_stores_tell_the_same_holes_of_sources(stores: tuple[Store, Store]):
    """Counts of a window in which only one of several fields has data are null in one store and 0 in the other."""
    found = []
    for store in stores:
        store.write(
            [
                workers(*every(0, 1_801), *every(5_400, 7_200)),
                workers(T + 3_000, status=None, hashrate_reported_hs=1e9),
                events("ltc", (3_015, PAUSE), (5_385, None)),
                requests("coingecko", every(3_600, 7_200), "timeout"),
            ]
        )
        found.append(source_gaps(store, INTERVALS, T, T + 7_200))
    assert found[0] == found[1]
    assert [(gap.source, gap.start - T, gap.stop - T, gap.reason) for gap in found[0]] == [
        ("ltc", 1_800, 3_000, "nobody was on shift: no tick of lane pools"),
        ("ltc", 3_000, 5_400, PAUSE),
        ("coingecko", 3_600, 7_200, "11 of 11 requests failed: timeout 11"),
    ]
