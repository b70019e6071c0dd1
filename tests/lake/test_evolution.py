"""A field that comes, goes, or gets another type or name: what was written before stays readable."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.arrow_schema import answer_schema, conformed, converted, row_schema
from storage.declaration import Kind, Measurement, Tier, Type
from storage.declaration.field import Field, flag, gauge, level, text
from storage.lake.compaction import compact
from storage.lake.replacement import replace_rows
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, live_paths

DAY = 86400
FOREVER = NOON * 2
BEFORE: dict[Type, Field] = {
    Type.INTEGER: level("old", "rpm", ""),
    Type.FLOAT: gauge("old", "rpm", ""),
    Type.STRING: text("old", ""),
    Type.BOOLEAN: flag("old", ""),
}
VALUES: dict[Type, list[Any]] = {
    Type.INTEGER: [7, -(2**60), None],
    Type.FLOAT: [7.0, 1.9, None],
    Type.STRING: ["7", "seven", None],
    Type.BOOLEAN: [True, False, None],
}


def fan(*fields: Field) -> Measurement:
    kept = [field for field in FAN.fields if field.name == "status"]
    return dataclasses.replace(FAN, fields=(*kept, *fields))


def newer(kind: Type) -> Field:
    return dataclasses.replace(BEFORE[kind], name="new", was="old")


def rows_of(measurement: Measurement, time: int, name: str, values: list[Any]) -> pa.Table:
    schema = row_schema(measurement, Tier.RAW)
    columns = {
        "time": pa.array([(time + at) * 10**6 for at in range(len(values))], pa.int64()).cast(
            schema.field("time").type
        ),
        "miner_id": pa.array(["a"] * len(values)),
        "status": pa.array(["ok"] * len(values)),
        name: pa.array(values, schema.field(name).type),
    }
    return pa.table([columns.get(f.name, pa.nulls(len(values), f.type)) for f in schema], schema=schema)


def write(root, measurement: Measurement, time: int, name: str, values: list[Any]) -> LakeTable:
    table = LakeTable(root, measurement, Tier.RAW)
    table.append([(0, rows_of(measurement, time, name, values))])
    return table


FITTING = [
    (Type.INTEGER, Type.FLOAT, [7.0, float(-(2**60)), None]),
    (Type.INTEGER, Type.STRING, ["7", str(-(2**60)), None]),
    (Type.FLOAT, Type.INTEGER, [7, None, None]),
    (Type.FLOAT, Type.STRING, [None, None, None]),
    (Type.STRING, Type.FLOAT, [None, None, None]),
    (Type.STRING, Type.INTEGER, [None, None, None]),
    (Type.BOOLEAN, Type.INTEGER, [1, 0, None]),
    (Type.BOOLEAN, Type.FLOAT, [1.0, 0.0, None]),
    (Type.BOOLEAN, Type.STRING, ["true", "false", None]),
    (Type.INTEGER, Type.BOOLEAN, [None, None, None]),
    *((kind, kind, VALUES[kind]) for kind in Type),
]


@pytest.mark.parametrize(("before", "now", "expected"), FITTING)
def test_values_of_before_are_read_under_the_new_name_where_they_fit_and_merged_alike(tmp_path, before, now, expected):
    write(tmp_path, fan(BEFORE[before]), NOON, "old", VALUES[before])
    changed = fan(newer(now))
    store = EmbeddedStore(tmp_path)

    def read(stop: int) -> list[Any]:
        answer: list[Any] = store.read(changed, Tier.RAW, 0, stop)["new"].to_pylist()
        return answer

    assert read(FOREVER) == expected, "no file has the new column"
    own = VALUES[now][0]
    table = write(tmp_path, changed, NOON + DAY, "new", [own, None])
    assert read(FOREVER) == [*expected, own, None]
    assert read(NOON + DAY) == expected, "the new file is pruned away"
    write(tmp_path, changed, NOON + 10, "new", [own])
    compact(table, NOON + 4000 * DAY)
    assert read(NOON + DAY) == [*expected, own]
    oldest = min(live_paths(tmp_path), key=lambda path: path.parent.name)
    assert "old" not in pq.ParquetFile(oldest).schema_arrow.names, "gone with the rewriting"
    store.close()


def test_a_value_of_its_own_goes_before_the_one_of_before(tmp_path):
    """A file of a version that had both."""
    both = fan(BEFORE[Type.INTEGER], dataclasses.replace(newer(Type.FLOAT), was=""))
    schema = row_schema(both, Tier.RAW)
    rows = rows_of(both, NOON, "old", [1, 2]).set_column(
        schema.get_field_index("new"), "new", pa.array([None, 9.5], pa.float64())
    )
    LakeTable(tmp_path, both, Tier.RAW).append([(0, rows)])
    changed = fan(newer(Type.FLOAT))
    assert EmbeddedStore(tmp_path).read(changed, Tier.RAW, 0, FOREVER)["new"].to_pylist() == [1.0, 9.5]
    table = write(tmp_path, changed, NOON + 10, "new", [3.5])
    compact(table, NOON + 4000 * DAY)
    assert EmbeddedStore(tmp_path).read(changed, Tier.RAW, 0, FOREVER)["new"].to_pylist() == [1.0, 9.5, 3.5]


def test_roll_ups_of_a_field_follow_it(tmp_path):
    old, changed = fan(BEFORE[Type.INTEGER]), fan(newer(Type.FLOAT))
    table = LakeTable(tmp_path, old, Tier.HOURLY)
    schema = answer_schema(old, Tier.HOURLY)
    given = {"time": pa.array([NOON]).cast(schema.field("time").type), "miner_id": pa.array(["a"])}
    given |= {"old_max": pa.array([9]), "old_mean": pa.array([4.5]), "old_count": pa.array([2])}
    rows = pa.table([given.get(f.name, pa.nulls(1, f.type)) for f in schema], schema=schema)
    replace_rows(table, NOON, NOON + 3600, conformed(rows, old, Tier.HOURLY))
    (row,) = EmbeddedStore(tmp_path).read(changed, Tier.HOURLY, 0, FOREVER).to_pylist()
    assert (row["new_max"], row["new_mean"], row["new_count"], row["new_min"]) == (9.0, 4.5, 2, None)


def test_windows_and_newest_see_the_values_of_before(tmp_path):
    write(tmp_path, fan(BEFORE[Type.INTEGER]), NOON, "old", [1, 3])
    changed = fan(newer(Type.FLOAT))
    store = EmbeddedStore(tmp_path)
    assert store.windows(changed, NOON, NOON + 60, 60, aggregates={"new": "mean"})["new_mean"].to_pylist() == [2.0]
    assert store.newest(changed, 0)["new"].to_pylist() == [3.0]


def test_a_text_that_is_new_is_null_in_files_of_before_when_they_are_rewritten(tmp_path):
    write(tmp_path, fan(), NOON, "status", ["ok"])
    table = write(tmp_path, fan(text("note", "")), NOON + 10, "note", ["quiet"])
    assert compact(table, NOON + 4000 * DAY) == 2
    (path,) = live_paths(tmp_path)
    assert pq.ParquetFile(path).read()["note"].to_pylist() == [None, "quiet"]


def test_floats_beyond_whole_numbers_are_nothing_rather_than_another_number():
    column = pa.chunked_array([pa.array([2.0**63, -(2.0**62), float("inf"), 0.5])])
    assert converted(column, pa.int64()).to_pylist() == [None, -(2**62), None, None]


def test_what_a_field_was_must_be_gone():
    with pytest.raises(ValueError, match="declared still"):
        fan(BEFORE[Type.INTEGER], newer(Type.FLOAT))
    with pytest.raises(ValueError, match="another name or none"):
        Field("new", Type.FLOAT, Kind.GAUGE, "rpm", "", was="new")
