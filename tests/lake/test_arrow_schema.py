import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

from storage.arrow_schema import answer_schema, conformed, file_schema, fingerprint, frame_to_table
from storage.declaration import MEASUREMENTS, Tier
from storage.errors import FrameError
from storage.frame import Frame
from storage.lake.layout import declared_tables
from tests.lake.rows import FAN, MINER, NOON, fan_frame


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("speed_rpm", 1.9, "speed_rpm row 1: expected integer, got 1.9"),
        ("speed_rpm", True, "speed_rpm row 1: expected integer, got True"),
        ("speed_rpm", "7", "speed_rpm row 1: expected integer, got '7'"),
        ("speed_rpm", 2**63, "speed_rpm row 1: expected integer"),
        ("speed_percent", True, "speed_percent row 1: expected float, got True"),
        ("speed_percent", 2**53 + 1, "speed_percent row 1: expected float"),
        ("status", 1, "status row 1: expected string, got 1"),
        ("miner_id", 7, "miner_id row 1: expected string, got 7"),
    ],
)
def test_a_value_that_would_change_is_refused_with_column_and_row(column, value, expected):
    with pytest.raises(FrameError, match=expected):
        frame_to_table(Frame("miner_fan", [NOON, NOON], {"miner_id": ["a", "b"], column: [None, value]}))


@pytest.mark.parametrize("time", [NOON * 1000, -1, 1.5])
def test_a_time_that_is_no_unix_second_is_refused(time):
    with pytest.raises(FrameError, match="time row 1"):
        frame_to_table(Frame("miner_fan", [NOON, time], {"speed_rpm": [1, 2]}))


def test_columns_and_measurements_that_are_not_declared_are_refused():
    with pytest.raises(FrameError, match="speed_mph"):
        frame_to_table(Frame("miner_fan", [NOON], {"speed_mph": [1]}))
    with pytest.raises(FrameError, match="miner_wing"):
        frame_to_table(Frame("miner_wing", [NOON], {}))


def test_every_type_arrives_with_its_nulls():
    columns: dict[str, list[Any]] = {
        "miner_id": ["a", "é 🪫", None],
        "reachable": [True, None, False],
        "hashrate_hs": [1.5, float("nan"), None],
        "power_w": [2**63 - 1, None, -(2**63)],
        "quality_flags": [None, "", "x" * 300],
    }
    table = frame_to_table(Frame("miner_telemetry", [NOON, NOON + 1, NOON + 2], columns))
    table.validate(full=True)
    columns["hashrate_hs"][1] = None
    assert {name: table[name].to_pylist() for name in columns} == columns
    assert [time.timestamp() for time in table["time"].to_pylist()] == [NOON, NOON + 1, NOON + 2]
    assert table["site"].null_count == 3


def test_an_empty_frame_is_a_typed_empty_table():
    assert frame_to_table(Frame("miner_fan", [], {})).num_rows == 0


def test_every_tier_has_a_schema_of_portable_types():
    portable = {pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us", tz="UTC")}
    for measurement, tier in declared_tables():
        schema = file_schema(measurement, tier)
        assert {field.type for field in schema} <= portable
        assert ("ingest_version" in schema.names) == (tier is Tier.RAW)
        assert answer_schema(measurement, tier).field("time").type == pa.timestamp("s", tz="UTC")


def test_a_schema_has_a_version_that_changes_with_it():
    assert fingerprint(file_schema(MINER, Tier.RAW)) != fingerprint(file_schema(MINER, Tier.HOURLY))
    assert fingerprint(pa.schema([("a", pa.int64())])) != fingerprint(pa.schema([("a", pa.float64())]))


def test_rolled_up_rows_are_cast_without_loss_or_refused():
    times = pa.array([NOON], pa.timestamp("s", tz="UTC"))
    tags = {tag: pa.array(["x"]) for tag in FAN.tag_names}
    table = conformed(pa.table({"time": times, **tags, "speed_rpm_sum": pa.array([float("nan")])}), FAN, Tier.HOURLY)
    assert table["speed_rpm_sum"].to_pylist() == [None]
    with pytest.raises(FrameError, match=r"speed_rpm_max row 0: expected int64, got 1\.9"):
        conformed(pa.table({"time": times, **tags, "speed_rpm_max": pa.array([1.9])}), FAN, Tier.HOURLY)
    with pytest.raises(FrameError, match="speed_rpm_max: expected int64, got a column of bool"):
        conformed(pa.table({"time": times, **tags, "speed_rpm_max": pa.array([True])}), FAN, Tier.HOURLY)
    with pytest.raises(FrameError, match="'surprise'"):
        conformed(pa.table({"time": times, **tags, "surprise": pa.array([1])}), FAN, Tier.HOURLY)
    with pytest.raises(FrameError, match="'miner_id'"):
        conformed(pa.table({"time": times, "fan": pa.array(["0"])}), FAN, Tier.HOURLY)


def test_spooling_delivering_and_reading_keep_pandas_out_of_the_process(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from storage.lake.sink import LakeSink; from storage.lake.store import EmbeddedStore\n"
        "from tests.lake.rows import FAN, NOON, tick; from storage.declaration import Tier\n"
        f"root = Path({str(tmp_path)!r}); LakeSink(root, 'h').deliver([tick(1)]); store = EmbeddedStore(root)\n"
        "assert store.read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 3\n"
        "assert store.newest(FAN, 0).num_rows == 3\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_fan_frames_of_these_tests_are_what_the_declaration_says():
    assert frame_to_table(fan_frame([(NOON, "a", 1)])).num_rows == 1
    assert MEASUREMENTS["miner_fan"] is FAN
