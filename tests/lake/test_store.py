import dataclasses
import socket
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.arrow_schema import answer_schema, frame_to_table, row_schema
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.declaration.field import gauge
from storage.errors import StoreError
from storage.frame import Frame, build_frame
from storage.lake.compaction import compact
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, MINER, NOON, fan_frame, live_paths

FOREVER = NOON * 2

Columns = dict[str, list[Any]]


@pytest.fixture
def root(tmp_path):
    return tmp_path


@pytest.fixture
def store(root):
    """What takes ``store`` and ``root`` is run over an object store as well, by tests/object_storage."""
    store = EmbeddedStore(root)
    yield store
    store.close()


def test_an_offline_miner_has_a_null_and_not_its_last_reading(store):
    columns: Columns = {"miner_id": ["a", "a"], "reachable": [True, False], "hashrate_hs": [1e14, None]}
    store.write([build_frame("miner_telemetry", [NOON, NOON + 60], columns)])
    (row,) = store.newest(MINER, NOON).to_pylist()
    assert (row["time"].timestamp(), row["reachable"], row["hashrate_hs"]) == (NOON + 60, False, None)


def test_the_newest_row_is_merged_from_its_duplicates_but_never_from_older_rows(store):
    store.write([fan_frame([(NOON, "a", 1), (NOON + 60, "a", 2)], speed_percent=[10.0, 20.0])])
    store.write([fan_frame([(NOON + 60, "a", None)], status=["lost"])])
    (row,) = store.newest(FAN, 0).to_pylist()
    assert (row["speed_rpm"], row["speed_percent"], row["status"]) == (2, 20.0, "lost")
    store.write([fan_frame([(NOON + 120, "a", None)])])
    (row,) = store.newest(FAN, 0).to_pylist()
    assert (row["speed_rpm"], row["speed_percent"], row["status"]) == (None, None, "ok")
    (row,) = store.newest(FAN, 0, before=NOON + 120).to_pylist()
    assert (row["speed_rpm"], row["speed_percent"], row["status"]) == (2, 20.0, "lost")


def test_duplicates_give_the_same_answer_every_time(store):
    for value in (3, 1, 2):
        store.write([fan_frame([(NOON, "a", value)])])
    assert {store.read(FAN, Tier.RAW, NOON, NOON + 1)["speed_rpm"][0].as_py() for _ in range(100)} == {2}


@pytest.mark.parametrize("columns", [None, ["speed_rpm"], []])
def test_a_missing_table_and_an_empty_range_give_typed_empty_tables(store, columns):
    expected = answer_schema(FAN, Tier.RAW, columns)
    assert store.read(FAN, Tier.RAW, 0, FOREVER, columns=columns).equals(expected.empty_table())
    store.write([fan_frame([(NOON, "a", 1)])])
    for start, stop, where in ((NOON + 1, NOON + 60, None), (0, FOREVER, {"miner_id": "b"}), (0, FOREVER, {"fan": []})):
        table = store.read(FAN, Tier.RAW, start, stop, columns=columns, where=where)
        assert table.equals(expected.empty_table())


def test_an_empty_answer_of_windows_and_newest_is_typed_too(store):
    table = store.windows(FAN, 0, 3600, 3600, aggregates={"speed_rpm": "mean", "status": "last"}, by=["miner_id"])
    assert table.schema == pa.schema(
        [
            ("time", pa.timestamp("s", tz="UTC")),
            ("miner_id", pa.string()),
            ("speed_rpm_mean", pa.float64()),
            ("status_last", pa.string()),
        ]
    )
    assert store.newest(FAN, 0).schema == answer_schema(FAN, Tier.RAW)


def test_rows_come_sorted_by_tags_then_time_in_the_declared_shape(store):
    store.write([fan_frame([(NOON + 60, "b", 1), (NOON, "b", 2), (NOON, "a", 3)])])
    store.write([fan_frame([(NOON + 30, "a", 4)])])
    table = store.read(FAN, Tier.RAW, NOON, NOON + 61, columns=["speed_rpm"])
    assert table.schema == answer_schema(FAN, Tier.RAW, ["speed_rpm"])
    assert table["speed_rpm"].to_pylist() == [3, 4, 2, 1]


@pytest.mark.parametrize(
    "miner", ["a b", "o'k", "x/y", "%20", 'say "no"', "é🪫", "-- DROP", "[a]*?", "p" * 200 + "1", "p" * 200 + "2"]
)
def test_any_id_is_found_again(store, root, miner):
    others = ["a", "p" * 200, "z"]
    store.write([fan_frame([(NOON, name, at) for at, name in enumerate([miner, *others])])])
    compact(LakeTable(root, FAN, Tier.RAW), NOON + 7200)
    store.write([fan_frame([(NOON + 60, miner, 9)])])
    table = store.read(FAN, Tier.RAW, 0, FOREVER, where={"miner_id": miner})
    assert table["speed_rpm"].to_pylist() == [0, 9]
    assert store.read(FAN, Tier.RAW, 0, FOREVER)["miner_id"].to_pylist() == sorted([miner, miner, *others])
    assert store.newest(FAN, 0, where={"miner_id": [miner, "z"]}).num_rows == 2


def test_files_that_cannot_hold_the_rows_are_not_opened(store, tmp_path):
    for at, miner in enumerate(("a", "b", "c")):
        store.write([fan_frame([(NOON + 60 * at, miner, at)])])
    assert store.read(FAN, Tier.RAW, 0, FOREVER).num_rows == 3
    for path in live_paths(tmp_path):
        if pq.ParquetFile(path).read()["miner_id"].to_pylist() != ["b"]:
            path.unlink()
    assert store.read(FAN, Tier.RAW, NOON + 60, NOON + 120)["speed_rpm"].to_pylist() == [1], "by time"
    assert store.read(FAN, Tier.RAW, 0, FOREVER, where={"miner_id": "b"})["speed_rpm"].to_pylist() == [1], "by tag"
    with pytest.raises(StoreError):
        store.read(FAN, Tier.RAW, 0, FOREVER)


def test_questions_that_make_no_sense_are_refused(store):
    with pytest.raises(ValueError, match="no field"):
        store.read(FAN, Tier.RAW, 0, 1, columns=["speed"])
    with pytest.raises(ValueError, match="no tag"):
        store.read(FAN, Tier.RAW, 0, 1, where={"miner": "a"})
    with pytest.raises(ValueError, match="no tag"):
        store.windows(FAN, 0, 60, 60, aggregates={"speed_rpm": "mean"}, by=["miner"])
    with pytest.raises(ValueError, match="no field"):
        store.windows(FAN, 0, 60, 60, aggregates={"speed": "mean"})
    with pytest.raises(ValueError, match="median"):
        store.windows(FAN, 0, 60, 60, aggregates={"speed_rpm": "median"})
    with pytest.raises(ValueError, match="'mean' of a string"):
        store.windows(FAN, 0, 60, 60, aggregates={"status": "mean"})
    for start, stop, every in ((1, 60, 60), (0, 61, 60), (0, 60, 0)):
        with pytest.raises(ValueError, match="multiples"):
            store.windows(FAN, start, stop, every, aggregates={"speed_rpm": "mean"})


def test_windows_over_the_fleet_and_per_miner(store):
    rows = [(NOON, "a", 10), (NOON + 59, "a", 30), (NOON, "b", 5), (NOON + 180, "b", 7), (NOON + 200, "b", None)]
    store.write([fan_frame(rows)])

    def answer(how: str, **named: Any) -> list[tuple[Any, ...]]:
        table = store.windows(FAN, NOON, NOON + 240, 60, aggregates={"speed_rpm": how}, **named)
        return [tuple(row.values()) for row in table.set_column(0, "t", table["time"].cast(pa.int64())).to_pylist()]

    assert answer("sum") == [(NOON, 45), (NOON + 180, 7)]
    assert answer("count", by=["miner_id"]) == [(NOON, "a", 2), (NOON, "b", 1), (NOON + 180, "b", 1)]
    assert answer("mean", where={"miner_id": "a"}) == [(NOON, 20.0)]
    assert answer("last", by=["miner_id"]) == [(NOON, "a", 30), (NOON, "b", 5), (NOON + 180, "b", 7)]
    assert answer("max") == [(NOON, 30), (NOON + 180, 7)]
    assert answer("min") == [(NOON, 5), (NOON + 180, 7)]


def test_windows_of_every_type(store):
    columns: Columns = {
        "miner_id": ["a", "a"],
        "reachable": [True, False],
        "state": ["mining", "unreachable"],
        "hashrate_hs": [2.0, None],
        "shares_accepted": [2**62, 2**62 - 1],
    }
    store.write([build_frame("miner_telemetry", [NOON, NOON + 1], columns)])
    aggregates = {"reachable": "mean", "state": "last", "hashrate_hs": "count", "shares_accepted": "sum"}
    (row,) = store.windows(MINER, NOON, NOON + 60, 60, aggregates=aggregates).to_pylist()
    del row["time"]
    assert list(row.values()) == [0.5, "unreachable", 1, 2**63 - 1]


# Columns that were declared later


def younger(measurement: Measurement) -> Measurement:
    return dataclasses.replace(measurement, fields=(*measurement.fields, gauge("noise_db", "ratio", "loudness")))


def test_a_column_declared_later_is_null_before_and_no_error(store, root):
    store.write([fan_frame([(NOON, "a", 1)])])
    new = younger(FAN)
    assert store.read(new, Tier.RAW, 0, FOREVER)["noise_db"].to_pylist() == [None], "not one file has it"
    table = LakeTable(root, new, Tier.RAW)
    rows = frame_to_table(fan_frame([(NOON + 86400, "a", 2)]))
    loud = rows.append_column("noise_db", pa.array([60.0])).select(row_schema(new, Tier.RAW).names)
    table.append([(1, loud)])
    reader = EmbeddedStore(root)
    assert reader.read(new, Tier.RAW, 0, FOREVER)["noise_db"].to_pylist() == [None, 60.0]
    assert reader.read(new, Tier.RAW, 0, NOON + 1)["noise_db"].to_pylist() == [None], "the new file is pruned away"
    assert reader.newest(new, 0)["noise_db"].to_pylist() == [60.0]
    table.append([(2, loud)])
    compact(table, NOON + 4000 * 86400)
    assert reader.read(new, Tier.RAW, 0, FOREVER)["noise_db"].to_pylist() == [None, 60.0]
    assert store.read(FAN, Tier.RAW, 0, FOREVER)["speed_rpm"].to_pylist() == [1, 2], "an older process reads on"
    store.write([fan_frame([(NOON + 86460, "a", 3)])])
    assert reader.read(new, Tier.RAW, 0, FOREVER)["noise_db"].to_pylist() == [None, 60.0, None]


# Races with maintenance


def test_a_file_that_is_merged_and_deleted_under_a_read_costs_one_more_try(store, tmp_path, monkeypatch):
    for at in range(3):
        store.write([fan_frame([(NOON + at, "a", at)])])
    assert store.read(FAN, Tier.RAW, 0, FOREVER).num_rows == 3
    old = live_paths(tmp_path)
    compact(LakeTable(tmp_path, FAN, Tier.RAW), NOON + 7200)
    for path in old:
        path.unlink()
    monkeypatch.setattr(LakeTable, "_is_newest", lambda *_: True)  # the merge came a moment after the look
    assert store.read(FAN, Tier.RAW, 0, FOREVER).num_rows == 3


def test_a_lost_file_is_an_error_and_never_an_empty_answer(store, tmp_path):
    store.write([fan_frame([(NOON, "a", 1)])])
    assert store.read(FAN, Tier.RAW, 0, FOREVER).num_rows == 1
    live_paths(tmp_path)[0].unlink()
    with pytest.raises(StoreError, match="mining_raw/miner_fan cannot be read"):
        store.read(FAN, Tier.RAW, 0, FOREVER)


# The network


@pytest.mark.parametrize(
    "text", ["SELECT * FROM delta_scan('/x')", "SELECT * FROM read_parquet('s3://bucket/x.parquet')"]
)
def test_duckdb_loads_no_extension_and_opens_no_connection(store, monkeypatch, text):
    def refuse(*_, **__):
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(duckdb.Error, match=r"delta|httpfs"):
        store._connection.sql(text).fetchall()
    settings = store._connection.sql("SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%extensions'")
    assert {name for name, value in settings.fetchall() if value != "false"} == set()


def test_the_host_zone_does_not_move_a_day(store, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    at = 1_793_498_400  # 2026-11-01T02:00:00Z
    store.write([fan_frame([(at, "a", 1)])])
    table = store.read(FAN, Tier.RAW, at, at + 1)
    assert table["time"].to_pylist()[0].isoformat() == "2026-11-01T02:00:00+00:00"


def test_marks_replace_each_other(store):
    touched = MEASUREMENTS["window_touched"]
    for at in (5, 0, 7):
        columns: Columns = {"measurement": ["miner_fan"], "host": ["h"], "touched_ns": [at]}
        store.write([Frame("window_touched", [NOON], columns)])
    table = store.read(touched, Tier.RAW, 0, FOREVER, where={"measurement": "miner_fan", "host": "h"})
    assert table["touched_ns"].to_pylist() == [7]
    assert store.name == "embedded"
