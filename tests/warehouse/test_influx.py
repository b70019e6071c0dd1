"""The warehouse of a real InfluxDB is that of the same rows in memory, but for floats, which InfluxDB gets rounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.declaration import BUCKETS
from storage.downsample.run import GRACE_S
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.store import Store
from tests.downsample.memory_store import MemoryStore
from tests.influx.server import InfluxServer
from tests.warehouse.seed import DAY, HOUR, T, built, deliver, farm, frame_of
from tests.warehouse.test_build import content, versions

NOW = T + 2 * DAY + GRACE_S
ROUNDED = 2**-15
"""Floats of telemetry have 16 significant bits; sums and products of them are off by no more than twice that."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxStore]:
    server = InfluxServer(tmp_path_factory.mktemp("influxd")).start()
    connection = InfluxSettings(url=server.url)
    provision(connection, dict.fromkeys(BUCKETS, 36_500))  # fixed dates would age out of the usual retention
    opened = InfluxStore(connection)
    yield opened
    opened.close()
    server.stop()


def test_it_is_built_of_influxdb_followed_and_left_alone_when_nothing_came(store: InfluxStore, tmp_path: Path) -> None:
    stores: dict[str, Store] = {"memory": MemoryStore(), "influx": store}
    first_days = [
        frame_of(name, [row for row in rows if row["time"] < NOW - GRACE_S]) for name, rows in farm().of.items()
    ]
    for folder, each in stores.items():
        deliver(each, first_days)
        built(each, tmp_path / folder, NOW)
    same(tmp_path)
    before = versions(tmp_path / "influx")
    built(store, tmp_path / "influx", NOW)
    assert versions(tmp_path / "influx") == before
    late = {"miner_id": "m3", "model": "S19", "site": "south", "reachable": True, "state": "mining", "power_w": 4096}
    rows = [{"time": T + 31 * HOUR + 60, **late}]
    for folder, each in stores.items():
        deliver(each, [frame_of("miner_telemetry", rows)])
        assert built(each, tmp_path / folder, NOW).days["fact_telemetry_hourly"] == 1
    same(tmp_path)


def same(folder: Path) -> None:
    """Both warehouses have the same rows, floats within their rounding."""
    right, found = content(folder / "memory"), content(folder / "influx")
    assert found.keys() == right.keys()
    for name, rows in right.items():
        assert len(found[name]) == len(rows), name
        for one, other in zip(found[name], rows, strict=True):
            assert one == {
                column: pytest.approx(value, rel=ROUNDED) if isinstance(value, float) else value
                for column, value in other.items()
            }, name
