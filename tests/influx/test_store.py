"""Writing and reading the real InfluxDB 1.6 through sink and store."""

from __future__ import annotations

import math
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.damaged.case import Case
from storage.damaged.elsewhere import elsewhere
from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier, Type
from storage.declaration.pipeline import WINDOW_TOUCHED
from storage.errors import StoreError
from storage.frame import Frame, build_frame
from storage.influx.reading import columns_of, schema
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.influx.store import InfluxStore, field_types
from storage.line_protocol import tag_value
from tests.influx.conftest import emptied
from tests.influx.rows import BOARD, FAN, NOWHERE, POOL, TELEMETRY, T, at, put
from tests.influx.server import InfluxServer

pytestmark = pytest.mark.influx


EXTREMES: dict[Type, list[Any]] = {
    Type.FLOAT: [0.0, -0.0, 100.0, 1.5, -1e-300, 5e-324, 1.7976931348623157e308, 1e22, 0.1, None, math.nan, math.inf],
    Type.INTEGER: [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), None],
    Type.BOOLEAN: [True, False, None],
    Type.STRING: [
        "", "plain", 'say "hi"', "it's", "back\\slash", "end\\", "a,b=c d", "line\nbreak", "\r\n", "\ttab", "null",
        "true", "1i", "}{", "ünï ☃ 🚀", "\x00\x1f\x7f", "x" * 60_000, None,
    ],
}  # fmt: skip


IN_INFLUX = {name: declared for name, declared in MEASUREMENTS.items() if declared.in_influx}


@pytest.mark.parametrize("measurement", IN_INFLUX.values(), ids=IN_INFLUX)
def test_every_field_of_every_measurement_comes_back_as_it_went_in(
    measurement: Measurement, influx_of_module: InfluxSettings, influx_server: InfluxServer
) -> None:
    if measurement is WINDOW_TOUCHED:  # of which the sink writes rows with all others
        emptied(influx_server)
    with closing(InfluxSink(influx_of_module, "host-1")) as sink, closing(InfluxStore(influx_of_module)) as store:
        comes_back(measurement, sink, store)


def comes_back(measurement: Measurement, sink: InfluxSink, store: InfluxStore) -> None:
    count = max(map(len, EXTREMES.values()))
    tags = {tag: [f"{tag}-{row % 3}" for row in range(count)] for tag in measurement.tag_names}
    fields = {
        field.name: [EXTREMES[field.type][(row + place) % len(EXTREMES[field.type])] for row in range(count)]
        for place, field in enumerate(measurement.fields)
    }
    frame = build_frame(measurement.name, [T + 60 * row for row in range(count)], {**tags, **fields})
    put(sink, frame)
    table = store.read(measurement, Tier.RAW, T, T + 86_400)
    assert by_key(measurement, table) == frame_by_key(frame)
    assert table.schema == schema(measurement.tag_names, columns_of(field_types(measurement, Tier.RAW), None))
    keys = list(zip(*(table[name].to_pylist() for name in (*measurement.tag_names, "time")), strict=True))
    assert keys == sorted(keys)


def shown(value: Any) -> str:
    return repr(value + 0.0 if type(value) is float else value)  # the server prints -0.0 as -0, an integer in JSON


def by_key(measurement: Measurement, table: pa.Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by (tags, seconds), as texts, which tell 1 from 1.0 and True."""
    return {
        (*(row[tag] for tag in measurement.tag_names), int(row["time"].timestamp())): {
            name: shown(row[name]) for name in measurement.field_by_name if row[name] is not None
        }
        for row in table.to_pylist()
    }


def frame_by_key(frame: Frame) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row, time in enumerate(frame.times):
        tags = (frame.columns.get(tag, [None] * len(frame))[row] for tag in frame.declared.tag_names)
        key = (*(tag_value(tag) or None if tag else None for tag in tags), time)
        fields = {
            name: shown(column[row])
            for name, column in frame.columns.items()
            if name in frame.declared.field_by_name and column[row] is not None
        }
        rows.setdefault(key, {}).update(fields)
    return rows


NASTY_TAGS = [
    "a b", "a,b", "a=b", 'a"b', "a'b", "a\\b", "#a", ";", "{}", "/a/", "100%", "a&b", "ünï", "☃🚀", "a\\,b", "a\\ b",
    "=", "a\\=b", " a ", "\\n", "null", "'; DROP DATABASE mining_raw", "a|b", "a.b", "(a)", "$a^", "[a]", "a*", "\x01",
]  # fmt: skip


def test_nasty_tags_come_back_and_are_found_by_where(sink, store, influx_server: InfluxServer) -> None:
    put(
        sink,
        build_frame("miner_fan", [T] * len(NASTY_TAGS), {"miner_id": NASTY_TAGS, "speed_rpm": range(len(NASTY_TAGS))}),
    )
    every = store.read(FAN, Tier.RAW, T, T + 1)
    assert dict(zip(every["miner_id"].to_pylist(), every["speed_rpm"].to_pylist(), strict=True)) == {
        tag: number for number, tag in enumerate(NASTY_TAGS)
    }
    for number, tag in enumerate(NASTY_TAGS):
        for wanted in (tag, [tag], [tag, "nobody"]):
            assert store.read(FAN, Tier.RAW, T, T + 1, where={"miner_id": wanted})["speed_rpm"].to_pylist() == [number]
    assert len(influx_server.rows("SELECT * FROM miner_fan", "mining_raw")) == len(NASTY_TAGS)
    # to the next tier and back again: the same series, none new
    rolled = every.select(["time", *FAN.tag_names]).append_column("speed_rpm_last", every["speed_rpm"])
    store.replace(FAN, Tier.HOURLY, T, T + 3600, rolled)
    again = store.read(FAN, Tier.HOURLY, T, T + 3600, columns=["speed_rpm_last"])
    assert again.select(FAN.tag_names).equals(every.select(FAN.tag_names))


def test_many_values_go_as_a_form(sink, store) -> None:
    ids = [f"miner/{number:05}" for number in range(3_000)]
    put(sink, build_frame("miner_fan", [T] * 3_000, {"miner_id": ids, "speed_rpm": list(range(3_000))}))
    found = store.read(FAN, Tier.RAW, T, T + 1, where={"miner_id": [*ids[:2_900], "nobody"]}, columns=["speed_rpm"])
    assert found["speed_rpm"].to_pylist() == list(range(2_900))
    assert store.read(FAN, Tier.RAW, T, T + 1, where={"miner_id": []}).num_rows == 0


nasty_text = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(",= \"\\\n\r\t'")), max_size=8)
counter = iter(range(10**9))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(nasty_text, nasty_text, nasty_text, st.floats(), st.none() | st.booleans()), max_size=8))
def test_the_real_server_reads_what_we_write(sink, store, rows) -> None:
    site = f"example-{next(counter)}"
    frame = build_frame(
        "miner_pool",
        [T + row for row in range(len(rows))],
        {
            "site": [site] * len(rows),
            "miner_id": [row[0] for row in rows],
            "slot": [row[1] for row in rows],
            "url": [row[2] for row in rows],
            "difficulty": [row[3] for row in rows],
            "is_fee": [row[4] for row in rows],
        },
    )
    if not rows:
        return
    put(sink, frame)
    assert by_key(POOL, store.read(POOL, Tier.RAW, T, T + 60, where={"site": site})) == frame_by_key(frame)


def test_missing_tags_make_series_of_their_own(sink, store, influx_server) -> None:
    put(
        sink,
        build_frame(
            "miner_fan", [T] * 3, {"miner_id": ["1", "1", None], "fan": ["2", None, None], "speed_rpm": [1, 2, 4]}
        ),
    )
    table = store.read(FAN, Tier.RAW, T, T + 1, columns=["speed_rpm"])
    assert table.select(["fan", "miner_id", "speed_rpm"]).to_pylist() == [
        {"fan": "2", "miner_id": "1", "speed_rpm": 1},
        {"fan": None, "miner_id": "1", "speed_rpm": 2},
        {"fan": None, "miner_id": None, "speed_rpm": 4},
    ]
    store.replace(FAN, Tier.HOURLY, T, T + 3600, table.rename_columns([*table.column_names[:-1], "speed_rpm_last"]))
    written = influx_server.rows("SELECT * FROM miner_fan_hourly GROUP BY *", "mining_hourly")
    assert sorted((row["speed_rpm_last"], row["miner_id"], row.get("fan", "")) for row in written) == [
        (1, "1", "2"), (2, "1", ""), (4, "", ""),
    ]  # fmt: skip


def test_a_resend_changes_nothing_and_a_change_replaces_only_itself(sink, store) -> None:
    first = build_frame("miner_fan", [T], {"miner_id": ["a"], "model": ["m"], "speed_rpm": [1], "status": ["ok"]})
    changed = build_frame("miner_fan", [T], {"model": ["m"], "miner_id": ["a"], "speed_rpm": [2]})
    put(sink, first)
    put(sink, first)
    put(sink, changed)
    (row,) = store.read(FAN, Tier.RAW, T, T + 1).to_pylist()
    assert (row["speed_rpm"], row["status"]) == (2, "ok")


def test_the_window_of_a_read_is_half_open(sink, store) -> None:
    put(sink, build_frame("miner_fan", [T - 1, T, T + 59, T + 60], {"miner_id": ["a"] * 4, "speed_rpm": [1, 2, 3, 4]}))
    assert store.read(FAN, Tier.RAW, T, T + 60)["speed_rpm"].to_pylist() == [2, 3]
    assert store.read(FAN, Tier.RAW, T, T).num_rows == 0


def test_newest_is_whole_and_null_stays_null(sink, store) -> None:
    put(
        sink,
        build_frame(
            "miner_telemetry",
            [T, T + 60, T, T - 9_999],
            {
                "miner_id": ["on", "off", "off", "long gone"],
                "reachable": [True, False, True, True],
                "hashrate_hs": [1e13, None, 2e13, 3e13],
                "failure": [None, "refused", None, None],
            },
        ),
    )
    newest = {row["miner_id"]: row for row in store.newest(TELEMETRY, T - 3600).to_pylist()}
    assert set(newest) == {"on", "off"}
    assert (newest["off"]["time"], newest["off"]["hashrate_hs"], newest["off"]["failure"]) == (
        at(T + 60),
        None,
        "refused",
    )
    assert newest["on"]["hashrate_hs"] == 1e13
    assert store.newest(TELEMETRY, T - 3600, where={"miner_id": ["on", "x"]})["miner_id"].to_pylist() == ["on"]
    credible = {row["miner_id"]: row for row in store.newest(TELEMETRY, T - 3600, before=T + 60).to_pylist()}
    assert credible["off"]["hashrate_hs"] == 2e13


def test_unknown_fields_and_tiers_are_refused() -> None:
    store = InfluxStore(NOWHERE)
    with pytest.raises(ValueError, match="hashrat"):
        store.read(BOARD, Tier.RAW, T, T + 1, columns=["hashrat"])
    with pytest.raises(ValueError, match="keeps no hourly"):
        store.read(MEASUREMENTS["miner_error"], Tier.HOURLY, T, T + 1)


def test_a_failing_statement_is_an_error_and_never_no_data(store, influx_server) -> None:
    influx_server.write("mining_raw", f'miner_board,miner_id=a hashrate_hs="text" {T}')
    with pytest.raises(StoreError, match="unsupported mean iterator"):
        store.windows(BOARD, T, T + 3600, 3600, aggregates={"hashrate_hs": "mean"})
    with pytest.raises(StoreError, match=r"another type than declared.*hashrate_hs"):
        store.read(BOARD, Tier.RAW, T, T + 3600)
    influx_server.query('DROP DATABASE "mining_raw"')
    with pytest.raises(StoreError, match="database not found"):
        store.read(FAN, Tier.RAW, T, T + 3600)


def test_an_answer_that_is_no_json_is_an_error(store, influx_server, monkeypatch) -> None:
    influx_server.write("mining_raw", f"miner_board hashrate_hs=0 {T}")
    monkeypatch.setattr("storage.influx.influxql.raw_rows", lambda *_: 'SELECT ln("hashrate_hs") FROM miner_board')
    with pytest.raises(StoreError, match=r"not its JSON.*unsupported value"):
        store.read(BOARD, Tier.RAW, T, T + 3600)


def test_a_row_limit_of_the_server_cuts_nothing(tmp_path) -> None:
    server = InfluxServer(tmp_path, max_row_limit=5).start()
    try:
        for name in BUCKETS:
            server.query(f'CREATE DATABASE "{name}"')
        lines = [f"miner_fan,miner_id={miner} speed_rpm={row}i {T + row}" for miner in "abc" for row in range(7)]
        assert server.write("mining_raw", "\n".join(lines)).status_code == 204
        with pytest.raises(AssertionError, match="max-row-limit"):
            server.rows("SELECT speed_rpm FROM miner_fan GROUP BY *", "mining_raw")
        store = InfluxStore(InfluxSettings(url=server.url))
        assert store.read(FAN, Tier.RAW, T, T + 60).num_rows == 21
        store.close()
    finally:
        server.stop()


def test_where_rows_of_a_damaged_file_of_the_lake_are_too(sink, store) -> None:
    put(sink, build_frame("miner_fan", [T, T + 60], {"miner_id": ["a", "a"], "speed_rpm": [1, 2]}))
    case = Case(
        table="mining_raw/miner_fan", path="x", measurement="miner_fan", tier="raw", first=T, last=T + 60, rows=2,
        written="", sha256=None, entities={},
    )  # fmt: skip
    (said, *_) = elsewhere(case, lake=None, archive=None, store=store, has_influx=True)
    assert said == "InfluxDB: 2 rows of the first hour, read from there as ever"


def test_the_name_tells_the_version(store) -> None:
    assert store.name.startswith("influxdb-1.")
