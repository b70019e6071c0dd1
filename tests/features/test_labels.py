"""A user's labels: whatever form of time, every row answered in its order, faults named."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import NeedsHuman
from storage.features.labels import joined_labels, read_labels
from storage.features.offline import OfflineStore
from storage.features.rows import feature_schema
from storage.features.table import feature_table
from storage.features.views import VIEWS
from tests.features.farm import HOUR, HOURLY, T

MARKET = VIEWS["market"]


@pytest.fixture
def store(tmp_path: Path) -> OfflineStore:
    """One hour of m1, known at 01:10 as 1 H/s and from 03:00 on as 2 H/s."""
    rows = [
        {"time": (T + HOUR) * 1_000_000, "miner_id": "m1", "known": T + known, "backfilled": False, "hashrate_hs": rate}
        for known, rate in ((HOUR + 600, 1.0), (3 * HOUR, 2.0))
    ]
    feature_table(tmp_path, HOURLY).append([(0, pa.Table.from_pylist(rows, schema=feature_schema(HOURLY)))])
    return OfflineStore(tmp_path)


@pytest.mark.parametrize(
    "times",
    [
        ["2026-11-23T04:00:00Z", "2026-11-23T01:10:00Z", "2026-11-23T00:00:00Z"],
        ["2026-11-23T04:00:00.999", "2026-11-23T01:10:00.0", "2026-11-23T00:00:00.0"],
        ["2026-11-23 05:00:00+01:00", "2026-11-23 02:10:00+01:00", "2026-11-23 01:00:00+01:00"],
        [str(T + 4 * HOUR), str(T + HOUR + 600), str(T)],
    ],
    ids=["UTC", "no zone", "another zone", "Unix seconds"],
)
def test_every_row_gets_what_was_known_then(store: OfflineStore, times: list[str], tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("time,miner_id,failed\n" + "".join(f"{time},m1,{at}\n" for at, time in enumerate(times)))
    rows = joined_labels(store, HOURLY, read_labels(file, HOURLY), ["hashrate_hs"]).to_pylist()
    assert [(row["failed"], row["hashrate_hs"], row["miner_hourly_reason"]) for row in rows] == [
        (0, 2.0, None), (1, 1.0, None), (2, None, "absent"),
    ]  # fmt: skip
    assert [int(row["time"].timestamp()) for row in rows] == [T + 4 * HOUR, T + HOUR + 600, T]


def test_parquet_and_entities_that_look_like_numbers(store: OfflineStore, tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"miner_id": pa.array([7, 8]), "time": pa.array([T, T], pa.timestamp("ms"))}), file)
    assert read_labels(file, HOURLY)["miner_id"].to_pylist() == ["7", "8"]
    csv = tmp_path / "labels.csv"
    csv.write_text(f"miner_id,time\n007,{T}\n")
    assert read_labels(csv, HOURLY)["miner_id"].to_pylist() == ["007"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("miner_id,at\nm1,1\n", "has no column time"),
        ("miner_id,time\nm1,noon\n", "column time holds string, not times"),
        (f"miner_id,time\nm1,{T}\nm1,\n", "row 2 has no time"),
        (f"miner_id,time\nm1,{T * 1000}\n", "no Unix seconds"),
        ("", "cannot be read"),
        (f"miner_id,time,miner_id\nm1,{T},m1\n", "has column miner_id twice"),
        ("miner_id,time\nm1,\n", "row 1 has no time"),
    ],
)
def test_faults_are_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(NeedsHuman, match=said):
        read_labels(file, HOURLY)


def test_a_file_without_rows_is_answered_without_rows(store: OfflineStore, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("miner_id,time\n")
    assert joined_labels(store, HOURLY, read_labels(file, HOURLY), ["hashrate_hs"]).num_rows == 0
    many = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"miner_id": [["m1", "m2"]], "time": [T]}), many)
    with pytest.raises(NeedsHuman, match=r"column miner_id holds list<.*>, not names"):
        read_labels(many, HOURLY)


def test_views_are_joined_one_after_the_other(store: OfflineStore, tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"miner_id": ["m1"], "time": [T + 4 * HOUR]}), file)
    for view, feature in ((HOURLY, "hashrate_hs"), (VIEWS["operational"], "uptime_percentage")):
        pq.write_table(joined_labels(store, view, read_labels(file, view), [feature]), file)
    (row,) = pq.read_table(file).to_pylist()
    assert (row["hashrate_hs"], row["uptime_percentage"]) == (2.0, None)
    assert (row["miner_hourly_reason"], row["operational_reason"]) == (None, "absent")
    assert row["miner_hourly_known"].timestamp() == T + 3 * HOUR


def test_a_column_is_not_overwritten(store: OfflineStore, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"miner_id,time,hashrate_hs\nm1,{T},5\n")
    with pytest.raises(NeedsHuman, match="have a column hashrate_hs already"):
        joined_labels(store, HOURLY, read_labels(file, HOURLY))
    file.write_text(f"coin_id,time\nbitcoin,{T}\n")
    with pytest.raises(NeedsHuman, match="has no column source"):
        read_labels(file, MARKET)
