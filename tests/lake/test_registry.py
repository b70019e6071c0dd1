"""The schema registry: what the files say of themselves, and that no older Lodeline drops what a newer one wrote."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.arrow_schema import frame_to_table, row_schema
from storage.declaration import Measurement, Tier
from storage.declaration.field import gauge
from storage.lake.layout import declared_tables
from storage.lake.maintenance import maintain
from storage.lake.registry import Registry, history
from storage.lake.sink import LakeSink
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, tick

TABLE = "mining_raw/miner_fan"
NEWER = dataclasses.replace(FAN, fields=(*FAN.fields, gauge("noise_db", "ratio", "loudness")))
WITHOUT = dataclasses.replace(FAN, fields=tuple(field for field in FAN.fields if field.name != "speed_percent"))


def append(root, measurement: Measurement, sequence: int) -> None:
    rows = frame_to_table(fan_frame([(NOON + sequence, "a", sequence)]))
    for name in set(row_schema(measurement, Tier.RAW).names) - set(rows.column_names):
        rows = rows.append_column(name, pa.array([60.0]))
    rows = rows.select(row_schema(measurement, Tier.RAW).names)
    LakeTable(root, measurement, Tier.RAW).append([(sequence, rows)], app="host")


@pytest.fixture
def evolved(tmp_path):
    """Three schemas of one table, each with two files; the upkeep that registers them knows the first alone."""
    for at, measurement in enumerate((FAN, NEWER, WITHOUT)):
        append(tmp_path, measurement, 2 * at + 1)
        append(tmp_path, measurement, 2 * at + 2)
    return tmp_path


def test_every_file_tells_its_schema_its_table_and_who_wrote_it(tmp_path):
    LakeSink(tmp_path, "host").deliver([tick(1)])
    (path,) = live_paths(tmp_path)
    metadata = pq.ParquetFile(path).metadata.metadata
    assert metadata[b"lodeline.schema"].decode() == path.name[:12]
    assert metadata[b"lodeline.table"] == b"miner_fan"
    assert metadata[b"lodeline.version"]


def test_schemas_are_numbered_as_they_came_with_what_changed(evolved):
    maintain(evolved, NOON)
    told = history(Registry(evolved).of(TABLE))
    assert [(version.version, version.tier, change) for version, change in told] == [
        (1, "raw", "10 columns"),
        (2, "raw", "+ noise_db double"),
        (3, "raw", "- speed_percent, - noise_db"),
    ]
    first = told[0][0]
    assert first.columns["speed_rpm"] == "int64"
    assert first.columns["time"] == "timestamp[us, tz=UTC]"
    assert first.lodeline


def test_what_is_known_is_not_told_again_and_a_lost_registry_is_made_anew(evolved):
    assert [version.version for version in maintain(evolved, NOON).schemas] == [1, 2, 3]
    assert maintain(evolved, NOON).schemas == []
    before = Registry(evolved).of(TABLE)
    (evolved / "meta" / "schema_registry").rename(evolved / "lost")
    maintain(evolved, NOON)
    assert Registry(evolved).of(TABLE) == before


def test_an_older_lodeline_leaves_files_with_columns_that_it_does_not_know(evolved):
    """Upkeep here knows FAN as it is declared, which is version 1 of 3."""
    report = maintain(evolved, NOON + 7200)
    assert report.files_merged == 2, "those of version 1"
    assert len(live_paths(evolved)) == 1 + 4
    kept = [pq.ParquetFile(path).read().to_pylist() for path in live_paths(evolved)]
    assert sum(row.get("noise_db") == 60.0 for rows in kept for row in rows) == 2


def test_the_newest_lodeline_drops_a_column_that_is_no_longer_declared_when_it_rewrites(evolved, monkeypatch):
    monkeypatch.setattr(
        "storage.lake.maintenance.declared_tables",
        lambda: ((WITHOUT if one is FAN else one, tier) for one, tier in declared_tables()),
    )
    assert maintain(evolved, NOON + 7200).files_merged == 6
    (path,) = live_paths(evolved)
    assert {"speed_percent", "noise_db"} & set(pq.ParquetFile(path).schema_arrow.names) == set()
    assert sorted(pq.ParquetFile(path).read()["speed_rpm"].to_pylist()) == [1, 2, 3, 4, 5, 6]


def test_a_table_with_a_damaged_file_is_a_trouble_of_its_own(tmp_path):
    LakeSink(tmp_path, "host").deliver([tick(1)])
    path = live_paths(tmp_path)[0]
    path.write_bytes(b"x" * path.stat().st_size)
    report = maintain(tmp_path, NOON)
    assert len(report.troubles) == 1
    assert path.name in report.troubles[0]
    assert Registry(tmp_path).tables == ["mining_operational/window_touched"]
