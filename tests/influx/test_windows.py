"""Windows and roll-ups in the real InfluxDB 1.6."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest

from storage.declaration import Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.errors import NeedsHuman
from storage.frame import build_frame
from storage.influx.reading import columns_of, schema
from storage.influx.store import InfluxStore, field_types
from tests.influx.rows import BOARD, FAN, NOWHERE, POOL, TELEMETRY, T, at, put

pytestmark = pytest.mark.influx


def test_windows_without_data_have_no_row_and_nulls_are_per_field(sink, store) -> None:
    put(
        sink,
        build_frame(
            "miner_board",
            [T, T + 3600 * 3, T + 3600 * 3 + 1],
            {
                "miner_id": ["a"] * 3,
                "hashrate_hs": [1.0, 10.0, None],
                "power_w": [None, 3, 4],
                "status": [None, "mining", None],
            },
        ),
    )
    table = store.windows(
        BOARD, T, T + 3600 * 4, 3600, aggregates={"hashrate_hs": "mean", "power_w": "sum", "status": "last"}
    )
    assert table.to_pylist() == [
        {"time": at(T), "hashrate_hs_mean": 1.0, "power_w_sum": None, "status_last": None},
        {"time": at(T + 10800), "hashrate_hs_mean": 10.0, "power_w_sum": 7, "status_last": "mining"},
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": T + 1800}, "multiples"),
        ({"stop": T + 7000}, "multiples"),
        ({"aggregates": {"status": "mean"}}, "it takes"),
        ({"aggregates": {"hashrate_hs": "median"}}, "median"),
        ({"aggregates": {"nothing": "mean"}}, "nothing"),
        ({"by": ["nobody"]}, "nobody"),
        ({"where": {"nobody": "x"}}, "nobody"),
    ],
)
def test_windows_that_would_be_wrong_are_refused(arguments, said) -> None:
    store = InfluxStore(NOWHERE)
    given: dict[str, Any] = {"start": T, "stop": T + 7200, "aggregates": {"hashrate_hs": "mean"}, **arguments}
    with pytest.raises(ValueError, match=said):
        store.windows(BOARD, given.pop("start"), given.pop("stop"), 3600, **given)


def test_windows_agree_with_an_independent_computation(sink, store) -> None:
    chance = random.Random(7)
    values: dict[tuple[str, int], list[tuple[int, float | None, int | None]]] = defaultdict(list)
    columns: dict[str, list[Any]] = {"miner_id": [], "hashrate_hs": [], "hardware_errors": []}
    times = []
    for miner in ("a", "b", "c"):
        for time in range(T, T + 6 * 3600, 60):
            if chance.random() < 0.3 or (miner == "b" and T + 3600 <= time < T + 10_800):
                continue
            hashrate = None if chance.random() < 0.2 else chance.uniform(1e13, 1.2e14)
            errors = None if chance.random() < 0.2 else chance.randrange(1_000)
            times.append(time)
            for name, value in zip(columns, (miner, hashrate, errors), strict=True):
                columns[name].append(value)
            values[miner, time - time % 3600].append((time, hashrate, errors))
    put(sink, build_frame("miner_board", times, columns))

    def answers(aggregate: str) -> dict[tuple[str, int], tuple[Any, Any]]:
        table = store.windows(
            BOARD, T, T + 6 * 3600, 3600,
            aggregates={"hashrate_hs": aggregate, "hardware_errors": aggregate}, by=["miner_id"],
        )  # fmt: skip
        return {
            (row["miner_id"], int(row["time"].timestamp())): (
                row[f"hashrate_hs_{aggregate}"], row[f"hardware_errors_{aggregate}"],
            )
            for row in table.to_pylist()
        }  # fmt: skip

    for aggregate, ours in {
        "min": min,
        "max": max,
        "sum": math.fsum,
        "count": len,
        "mean": lambda v: math.fsum(v) / len(v),
    }.items():
        found = answers(aggregate)
        wanted = {}
        for key, rows in values.items():
            both = [[row[place] for row in rows if row[place] is not None] for place in (1, 2)]
            if any(both):
                wanted[key] = tuple(ours(column) if column else None for column in both)  # type: ignore[operator]
        assert found.keys() == wanted.keys()
        for key, pair in wanted.items():
            assert found[key] == pytest.approx(pair, rel=1e-12)
    last = answers("last")
    for key, rows in values.items():
        for place in (1, 2):
            given = [row[place] for row in rows if row[place] is not None]
            assert last.get(key, (None, None))[place - 1] == (given[-1] if given else None)


def test_replace_writes_every_rollup_column_and_reads_it_back(store) -> None:
    samples = {Type.FLOAT: 1.5, Type.INTEGER: 3, Type.BOOLEAN: True, Type.STRING: "mining"}
    for measurement in (TELEMETRY, BOARD, POOL):
        columns = rollup_columns(measurement)
        rows = pa.table(
            {
                "time": pa.array([T, T + 3600], pa.timestamp("s", tz="UTC")),
                **{tag: pa.array(["x", "x"]) for tag in measurement.tag_names},
                **{column.name: pa.array([samples[column.type], None]) for column in columns[:-1]},
                columns[-1].name: pa.array([samples[columns[-1].type]] * 2),
            }
        )
        for _ in range(2):
            store.replace(measurement, Tier.HOURLY, T, T + 7200, rows)
        assert store.read(measurement, Tier.HOURLY, T, T + 7200).equals(
            rows.cast(schema(measurement.tag_names, columns_of(field_types(measurement, Tier.HOURLY), None)))
        )
        assert store.read(measurement, Tier.RAW, T, T + 7200).num_rows == 0


def test_rows_that_no_spool_brings_are_written(store, influx_server) -> None:
    touched = build_frame("window_touched", [T], {"measurement": ["miner_fan"], "host": ["h"], "touched_ns": [7]})
    for _ in range(2):
        store.write([touched])
    assert store.read(touched.declared, Tier.RAW, T, T + 1)["touched_ns"].to_pylist() == [7]
    influx_server.write("mining_raw", f"miner_fan speed_rpm=1.5 {T}")
    with pytest.raises(NeedsHuman, match="field type conflict"):
        store.write([build_frame("miner_fan", [T], {"speed_rpm": [1]})])


def test_replace_refuses_what_does_not_belong(store, influx_server) -> None:
    time = pa.array([T], pa.timestamp("s", tz="UTC"))
    with pytest.raises(ValueError, match="do not lie in"):
        store.replace(FAN, Tier.HOURLY, T + 3600, T + 7200, pa.table({"time": time, "speed_rpm_last": [1]}))
    with pytest.raises(ValueError, match="speed_rpm"):
        store.replace(FAN, Tier.HOURLY, T, T + 3600, pa.table({"time": time, "speed_rpm": [1]}))
    influx_server.write("mining_hourly", f"miner_fan_hourly speed_rpm_last=1.5 {T}")
    with pytest.raises(NeedsHuman, match="field type conflict"):
        store.replace(FAN, Tier.HOURLY, T, T + 3600, pa.table({"time": time, "speed_rpm_last": [1]}))


def test_rows_older_than_their_tier_keeps_do_not_stop_a_rollup(store, influx_server) -> None:
    influx_server.query('ALTER RETENTION POLICY "autogen" ON "mining_hourly" DURATION 30d')
    old = 1_500_000_000 // 3600 * 3600
    rows = pa.table({"time": pa.array([old], pa.timestamp("s", tz="UTC")), "speed_rpm_last": [1]})
    store.replace(FAN, Tier.HOURLY, old, old + 3600, rows)
    assert store.read(FAN, Tier.HOURLY, old, old + 3600).num_rows == 0
    influx_server.query('DROP DATABASE "mining_hourly"')
