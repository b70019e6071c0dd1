"""What ``partition_by`` and ``compression`` of data_retention_config.yaml do to the files of a table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from storage.arrow_schema import frame_to_table
from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.frame import Frame
from storage.lake.layout import Layout, Period, declared_tables, partition_period, row_order
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from storage.retention_settings import RetentionSettings, TableRetention
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, record, stored_rows, tick

DAY = 86400
EVENT = MEASUREMENTS["miner_event"]


def kept(bucket: str, **keys: object) -> Mapping[str, TableRetention]:
    """The configuration with other keys for one bucket."""
    tables = RetentionSettings().bucket_tables()
    return {**tables, bucket: TableRetention.model_validate({**tables[bucket].model_dump(), **keys})}


@pytest.mark.parametrize(
    ("partition_by", "period"),
    [
        (["date", "miner_id"], Period.DAY),
        (["year", "month", "miner_id"], Period.MONTH),
        (["year", "miner_id"], Period.YEAR),
        (["miner_id", "month", "year"], Period.MONTH),
        (["miner_id"], Period.DAY),
    ],
)
def test_the_finest_part_of_time_is_the_partition(partition_by, period):
    assert Layout.of(FAN, Tier.RAW, kept("mining_raw", partition_by=partition_by)["mining_raw"]).period is period


@pytest.mark.parametrize(
    ("measurement", "part", "order"),
    [
        ("pool_coin", "worker_id", ("worker_id", "coin_id", "pool_id", "algorithm", "mining_type")),
        ("pool_coin", "coin_id", ("coin_id", "pool_id", "worker_id", "algorithm", "mining_type")),
        ("miner_fan", "miner_id", ("miner_id", "fan", "model", "site")),
        ("miner_event", "event_type", ("kind", "miner_id", "model", "site", "subject")),
        ("forecast", "metric_type", ("quantity", "miner_id", "model")),
        ("optimization_opportunity", "metric_type", ("type", "miner_id", "subject")),
        ("operational_metrics", "metric_type", ("miner_id", "time_period")),
        ("anomaly_score", "anomaly_type", ("miner_id", "time_period")),
        ("miner_fan", "worker_id", ("miner_id", "fan", "model", "site")),
    ],
)
def test_the_entity_comes_first_in_the_order_of_files(measurement, part, order):
    declared = MEASUREMENTS[measurement]
    asked = TableRetention(retention_days=1, partition_by=("date", part))
    assert Layout.of(declared, Tier.RAW, asked).order == order


def test_every_declared_table_has_a_layout_and_the_defaults_of_the_file_are_those_of_the_declaration():
    tables = RetentionSettings().bucket_tables()
    assert set(tables) == set(BUCKETS)
    for measurement, tier in declared_tables():
        layout = Layout.of(measurement, tier, tables[measurement.buckets[tier]])
        assert layout.period is partition_period(measurement, tier), measurement.stored_name(tier)
        assert sorted(layout.order) == sorted(row_order(measurement))


def test_every_declared_measurement_gets_its_table_by_the_same_road(tmp_path):
    frames = []
    for measurement in MEASUREMENTS.values():
        tags = {tag: ["x"] for tag in measurement.tag_names}
        field = measurement.fields[0]
        value = {"float": 1.5, "integer": 1, "boolean": True, "string": (field.values or ("x",))[0]}[field.type]
        frames.append(Frame(measurement.name, [NOON], {**tags, field.name: [value]}))
    LakeSink(tmp_path, "host").deliver([record(1, *frames)])
    report = maintain(tmp_path, NOON, tables=RetentionSettings().bucket_tables())
    assert (report.tables, report.troubles) == (len(MEASUREMENTS), [])
    store = EmbeddedStore(tmp_path)
    for measurement in MEASUREMENTS.values():
        assert store.read(measurement, Tier.RAW, NOON, NOON + 1).num_rows >= 1, measurement.name
    store.close()


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "lz4", "brotli", "none"])
def test_files_are_compressed_as_the_key_says(tmp_path, codec):
    sink = LakeSink(tmp_path, "host")
    sink.deliver([tick(1)])
    maintain(tmp_path, NOON, tables=kept("mining_raw", compression=codec))
    sink.deliver([tick(2)])  # the same process, which no configuration was given
    newest = max(live_paths(tmp_path), key=lambda path: path.stat().st_mtime_ns)
    maintain(tmp_path, NOON + 7200)
    (merged,) = live_paths(tmp_path)
    expected = {"none": "UNCOMPRESSED"}.get(codec, codec.upper())
    for path in (newest, merged):
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == expected
    assert len(stored_rows(tmp_path)) == 6


def test_files_are_sorted_as_the_key_says_and_row_groups_can_be_skipped_by_it(tmp_path):
    frame = Frame(
        "miner_event",
        [NOON + at for at in range(4)],
        {"miner_id": ["a", "b", "a", "b"], "kind": ["restart", "restart", "fault", "fault"], "message": ["x"] * 4},
    )
    table = LakeTable(tmp_path, EVENT, Tier.RAW)
    by_miner = LakeTable(tmp_path, EVENT, Tier.RAW)
    table.lay_out(Layout.of(EVENT, Tier.RAW, kept("mining_audit", partition_by=["event_type"])["mining_audit"]))
    by_miner.append([(1, frame_to_table(frame))])
    (path,) = live_paths(tmp_path, EVENT)
    assert [row["kind"] for row in pq.ParquetFile(path).read().to_pylist()] == ["fault", "fault", "restart", "restart"]


def partitions(root: Path) -> list[str]:
    return sorted(path.parent.name for path in live_paths(root))


def shift(root: Path, now: int, **keys: object) -> None:
    maintain(root, now, tables=kept("mining_raw", **keys))


def test_longer_partitions_take_the_shorter_ones_in_and_shorter_ones_split_the_longer(tmp_path):
    now = int(time.time()) + 40 * DAY
    sink = LakeSink(tmp_path, "host")
    for day in range(3):
        sink.deliver([tick(day + 1, time=NOON + day * DAY)])
    before = sorted(map(str, stored_rows(tmp_path)))
    assert partitions(tmp_path) == ["date=2026-11-01", "date=2026-11-02", "date=2026-11-03"]
    shift(tmp_path, now, partition_by=["year", "month", "miner_id"])
    assert partitions(tmp_path) == ["date=2026-11-01"]
    sink.deliver([tick(4, time=NOON + 3 * DAY)])
    assert partitions(tmp_path) == ["date=2026-11-01"] * 2, "who writes follows the table"
    shift(tmp_path, now, partition_by=["date", "miner_id"])
    assert partitions(tmp_path) == [f"date=2026-11-0{day}" for day in range(1, 5)]
    rows = sorted(map(str, stored_rows(tmp_path)))
    assert [row for row in rows if "2026, 11, 4" not in row] == before
    assert len(rows) == 12


def test_a_table_says_its_layout_itself_and_an_unchanged_one_costs_no_commit(tmp_path):
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    table.append([(1, frame_to_table(fan_frame([(NOON, "a", 1)])))])
    layout = Layout(Period.MONTH, ("site", "miner_id", "fan", "model"), "gzip")
    assert table.lay_out(layout)
    assert not table.lay_out(layout)
    assert DeltaTable(str(table.folder)).version() == 2
    other = LakeTable(tmp_path, FAN, Tier.RAW)
    other.snapshot()
    assert other.layout == layout
    short = Layout.of(FAN, Tier.RAW).follow({**layout.properties, "lodeline.order": "site,gone"})
    assert short.order == ("site", "miner_id", "fan", "model"), "a tag that is no longer declared, others that are new"
