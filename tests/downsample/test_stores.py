"""The same roll-up on the real stores: any rows, late, resent, misdated, in any order; equal to a reckoning by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.declaration import BUCKETS, Tier
from storage.declaration.miner import FAILURE_KINDS
from storage.downsample.run import GRACE_S, roll_up
from storage.frame import Frame, build_frame
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tests.downsample.reckoning import check_equal, reckoned
from tests.downsample.test_run import DAY, HOUR, ONLY, TELEMETRY, T, deliver
from tests.influx.server import InfluxServer
from tests.memory import memory_folder

Row = dict[str, Any]
Delivery = list[Row]

STOP = 26 * HOUR
"""Rows lie in the first 26 hours: one day is whole, the next has begun."""
APART = 40 * DAY
"""Between examples in one store: further than raw is kept, so none sees another."""


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    server = InfluxServer(tmp_path_factory.mktemp("influxd")).start()
    connection = InfluxSettings(url=server.url)
    provision(connection, dict.fromkeys(BUCKETS, 36500))  # fixed dates would age out of the usual retention
    opened = InfluxStore(connection)
    yield opened
    opened.close()
    server.stop()


_examples = count()


def states(reachable: bool | None) -> st.SearchStrategy[Row]:
    """What goes with it; numbers that 16 bits hold exactly."""
    if not reachable:
        return st.fixed_dictionaries(
            {"reachable": st.just(reachable), "state": st.sampled_from(["unreachable", None]),
             "failure": st.sampled_from([*FAILURE_KINDS[:3], None])}
        )  # fmt: skip
    return st.fixed_dictionaries(
        {
            "reachable": st.just(True),
            "state": st.sampled_from(["mining", "paused", "degraded", None]),
            "hashrate_hs": st.none() | st.integers(0, 4000).map(lambda n: n * 2.0**34),
            "power_w": st.none() | st.integers(0, 4000),
            "shares_accepted": st.none() | st.integers(0, 3000),
            "work_accepted_d1": st.none() | st.floats(0, 1e12),
            "uptime_s": st.none() | st.integers(0, 20_000),
            "quality_flags": st.sampled_from([None, "slow", "odd,slow"]),
        }
    )


rows = st.builds(
    lambda at, miner, said: {"at": at, "miner_id": miner, **said},
    st.integers(0, 40).map(lambda slot: slot * 300) | st.integers(0, STOP // 300 - 1).map(lambda slot: slot * 300),
    st.sampled_from(["a", "b"]),
    st.sampled_from([True, True, True, False, None]).flatmap(states),
)
deliveries = st.lists(st.lists(rows, min_size=1, max_size=15), min_size=1, max_size=4)


def frame(part: Delivery, base: int) -> Frame:
    names = [*TELEMETRY.tag_names, *TELEMETRY.field_by_name]
    return build_frame(
        "miner_telemetry",
        [base + row["at"] for row in part],
        {name: [row.get(name) for row in part] for name in names if any(row.get(name) is not None for row in part)},
    )


def stored(parts: list[Delivery], base: int) -> list[Row]:
    """What a store holds: of one key the newest value of each field that is not null; without any there is no row."""
    kept: dict[tuple[str, int], Row] = {}
    empty = dict.fromkeys([*TELEMETRY.tag_names, *TELEMETRY.field_by_name])
    for row in (row for part in parts for row in part):
        told = {name: value for name, value in row.items() if name != "at" and value is not None}
        if told.keys() - {"miner_id"}:
            key = row["miner_id"], base + row["at"]
            kept[key] = kept.get(key, {**empty, "time": key[1]}) | told
    return list(kept.values())


def without_doubles(part: Delivery) -> Delivery:
    """One frame holds a key once, and no row that says nothing: the collector makes none."""
    told = {(row["miner_id"], row["at"]): row for row in part}
    return [row for row in told.values() if any(row[name] is not None for name in row.keys() - {"at", "miner_id"})]


def check(store: Store, parts: list[Delivery], chance: random.Random) -> None:
    base = T + next(_examples) * APART
    now = base + STOP + GRACE_S
    parts = [part for part in map(without_doubles, parts) if part]
    parts += chance.sample(parts, min(1, len(parts)))  # a resend
    for part in parts:
        deliver(store, frame(part, base), host=chance.choice(["edge-a", "edge-b"]))
        if chance.random() < 0.5:
            roll_up(store, now, measurements=ONLY)
    report = roll_up(store, now, measurements=ONLY)
    assert report.watermark["miner_telemetry"] == base + STOP
    held = stored(parts, base)
    hourly = store.read(TELEMETRY, Tier.HOURLY, base, base + 2 * DAY)
    check_equal(TELEMETRY, hourly, reckoned(TELEMETRY, held, HOUR))
    first_day = [row for row in held if row["time"] < base + DAY]
    daily = store.read(TELEMETRY, Tier.DAILY, base, base + 2 * DAY)
    check_equal(TELEMETRY, daily, reckoned(TELEMETRY, first_day, DAY))
    assert roll_up(store, now, measurements=ONLY).rows == 0


_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=12, deadline=None, suppress_health_check=_SLOW)
@given(deliveries, st.randoms(use_true_random=False))
def test_the_lake_equals_an_independent_computation(parts: list[Delivery], chance: random.Random) -> None:
    with memory_folder() as folder:
        store = EmbeddedStore(folder)
        check(store, parts, chance)
        store.close()


@pytest.mark.influx
@settings(max_examples=12, deadline=None, suppress_health_check=_SLOW)
@given(deliveries, st.randoms(use_true_random=False))
def test_influxdb_equals_an_independent_computation(
    influx: Store, parts: list[Delivery], chance: random.Random
) -> None:
    check(influx, parts, chance)
