"""The same roll-up on the real stores: write, roll up late and killed, read; equal to a reckoning in one go."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.declaration import BUCKETS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tests.downsample.test_run import DAY, HOUR, ONLY, TELEMETRY, T, deliver, polls, random_polls, whole
from tests.influx.server import InfluxServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    running = InfluxServer(tmp_path_factory.mktemp("influxd")).start()
    yield running
    running.stop()


@pytest.fixture(params=["embedded", pytest.param("influx", marks=pytest.mark.influx)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store
    if request.param == "embedded":
        opened = EmbeddedStore(tmp_path)
    else:
        running: InfluxServer = request.getfixturevalue("server")
        for bucket in BUCKETS:
            running.query(f'DROP DATABASE "{bucket}"')
        settings = InfluxSettings(url=running.url)
        provision(settings, dict.fromkeys(BUCKETS, 36500))  # fixed dates would age out of the usual retention
        opened = InfluxStore(settings)
    yield opened
    opened.close()


def alike(left: pa.Table, right: pa.Table) -> None:
    """Equal up to the last bits of sums and means, which depend on the order of addition."""
    order = [("miner_id", "ascending"), ("time", "ascending")]
    left, right = left.sort_by(order), right.sort_by(order)
    assert left.column_names == right.column_names
    for name in left.column_names:
        if pa.types.is_floating(left[name].type):
            assert left[name].is_null().equals(right[name].is_null()), name
            difference = pc.abs(pc.subtract(left[name], right[name]))
            bound = pc.multiply(pc.abs(right[name]), 1e-12)
            assert pc.all(pc.less_equal(difference, bound)).as_py() is not False, name
        else:
            assert left[name].combine_chunks().equals(right[name].combine_chunks()), name


@pytest.mark.parametrize("seed", [1, 2])
def test_downsampled_equals_an_independent_computation(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    rows = random_polls(seed)
    late = chance.sample(rows, 200)
    now = T + 50 * HOUR + GRACE_S
    deliver(store, polls([row for row in rows if row not in late]))
    roll_up(store, now, measurements=ONLY)
    for part in (late[:60], late[60:], late[:5]):  # the last five twice: a resend
        deliver(store, polls(part), host=chance.choice(["edge-a", "edge-b"]))
        roll_up(store, now, measurements=ONLY)
    roll_up(store, now, measurements=ONLY)
    hourly, _ = whole(store, T, T + 50 * HOUR)
    alike(store.read(TELEMETRY, Tier.HOURLY, T, T + 50 * HOUR), hourly)
    alike(store.read(TELEMETRY, Tier.DAILY, T, T + 3 * DAY), whole(store, T, T + 2 * DAY)[1])
    assert hourly.num_rows > 150
