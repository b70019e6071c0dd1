import fcntl
import os
import threading
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from storage.arrow_schema import frame_to_table
from storage.declaration import MEASUREMENTS, Tier
from storage.errors import NeedsHuman, StoreError
from storage.frame import build_frame
from storage.lake import compaction
from storage.lake.compaction import compact
from storage.lake.disk import require_local_disk
from storage.lake.layout import Period, partition_period, row_order
from storage.lake.maintenance import maintain, vacuum
from storage.lake.sink import LakeSink
from storage.lake.snapshot import Snapshot
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, log_of, record, stored_rows, tick, versions

DAY = 86400
LONG_AFTER = NOON + 4000 * DAY


def keys(root: Path) -> list[tuple[float, str, int]]:
    return sorted((row["time"].timestamp(), row["miner_id"], row["speed_rpm"]) for row in stored_rows(root))


def newest_snapshot(table: LakeTable) -> Snapshot:
    snapshot = table.snapshot()
    assert snapshot is not None
    return snapshot


def deliver(root: Path, *sequences: int, miners: int = 3) -> None:
    sink = LakeSink(root, "host")
    for sequence in sequences:
        sink.deliver([tick(sequence, miners=miners)])


@pytest.mark.parametrize(("hours", "full"), [(0, False), (23, False), (0, True), (23, True)])
def test_vacuum_below_a_day_is_refused_and_the_table_stays_readable(tmp_path, hours, full):
    deliver(tmp_path, 1, 2)
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    with pytest.raises(NeedsHuman, match=f"vacuum of {hours} h refused"):
        vacuum(table, hours=hours, full=full)
    assert len(stored_rows(tmp_path)) == 6


def test_a_full_vacuum_keeps_a_file_that_is_not_committed_yet(tmp_path):
    deliver(tmp_path, 1)
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    with table.locked():
        handle = DeltaTable(str(table.folder))
        rows = frame_to_table(tick(2).batch.frames[0])
        written = table.write(table.stamped(rows, handle.version() + 1))
    assert vacuum(table, full=True) == []
    with table.locked():
        table.commit(handle, written, [])
    assert len(stored_rows(tmp_path)) == 6


def test_merged_files_are_deleted_after_a_day_and_not_before(tmp_path, monkeypatch):
    deliver(tmp_path, 1, 2)
    old = live_paths(tmp_path)
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    a_day_ago = time.time_ns() - 24 * 3600 * 10**9 - 10**9
    with monkeypatch.context() as patched:
        patched.setattr("storage.lake.table.clock.time_ns", lambda: a_day_ago)
        compact(table, NOON + 7200)
    (merged,) = live_paths(tmp_path)
    deliver(tmp_path, 3, 4)
    young = [path for path in live_paths(tmp_path) if path != merged]
    maintain(tmp_path, NOON + 7200)
    assert [path.exists() for path in (*old, merged, *young)] == [False, False, True, True, True]
    assert len(stored_rows(tmp_path)) == 12


def test_a_closed_hour_becomes_one_file_and_an_open_one_is_left(tmp_path):
    deliver(tmp_path, *range(1, 9))
    deliver(tmp_path, 61, 62)
    before = keys(tmp_path)
    report = maintain(tmp_path, NOON + 3600 + 660)
    assert len(live_paths(tmp_path)) == 3
    assert report.files_merged == 8 + 8, "and those of window_touched"
    assert keys(tmp_path) == before
    assert maintain(tmp_path, NOON + 3600 + 660).files_merged == 0


def test_rows_of_a_merged_file_are_sorted_by_miner_then_time(tmp_path):
    deliver(tmp_path, 3, 1, 2, miners=4)  # the sink asks for rising sequences only within a call
    compact(LakeTable(tmp_path, FAN, Tier.RAW), NOON + 7200)
    rows = [(row["miner_id"], row["time"]) for row in stored_rows(tmp_path)]
    assert rows == sorted(rows)


def test_closed_days_are_merged_once_nobody_adds_to_them(tmp_path):
    now = int(time.time())
    day = now - now % DAY - 3 * DAY
    sink = LakeSink(tmp_path, "host")
    for sequence, minute in enumerate((1, 2, 61, 62, 121, 122), 1):
        sink.deliver([tick(sequence, time=day + 60 * minute)])
    before = keys(tmp_path)
    maintain(tmp_path, now)
    assert len(live_paths(tmp_path)) == 3, "hours are merged at once; to the day something was added just now"
    maintain(tmp_path, now + 7200)
    assert len(live_paths(tmp_path)) == 1
    assert keys(tmp_path) == before


def test_merging_merges_rows_of_one_key_too(tmp_path):
    sink = LakeSink(tmp_path, "host")
    sink.deliver([record(1, fan_frame([(NOON, "a", 1)], speed_percent=[10.0]))])
    sink.deliver([record(2, fan_frame([(NOON, "a", None)], speed_percent=[20.0], status=[None]))])
    sink.deliver([record(3, fan_frame([(NOON, "a", 3)]))])
    compact(LakeTable(tmp_path, FAN, Tier.RAW), NOON + 7200)
    (row,) = stored_rows(tmp_path)
    assert (row["speed_rpm"], row["speed_percent"], row["status"]) == (3, 20.0, "ok")


def test_a_window_too_large_for_memory_becomes_several_files_that_are_left_alone(tmp_path, monkeypatch):
    deliver(tmp_path, *range(1, 7), miners=40)
    before = keys(tmp_path)
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    monkeypatch.setattr(compaction, "CELLS_AT_ONCE", 100 * len(table.schema))
    assert compact(table, NOON + 7200) == 6
    assert len(live_paths(tmp_path)) == 3  # 240 rows, 100 at a time
    assert keys(tmp_path) == before
    parts = newest_snapshot(table).parts
    assert not any(one.overlaps(other) for one in parts for other in parts if one is not other)
    assert compact(table, NOON + 7200) == 0
    assert EmbeddedStore(tmp_path).read(FAN, Tier.RAW, 0, NOON * 2, where={"miner_id": "m0007"}).num_rows == 6


def test_what_was_deleted_while_it_was_merged_stays_deleted(tmp_path, monkeypatch):
    deliver(tmp_path, 1, 2)
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    write = LakeTable.write

    def retention_comes_in_between(self, rows):
        written = write(self, rows)
        DeltaTable(str(table.folder)).delete("date = '2026-11-01'")
        return written

    monkeypatch.setattr(LakeTable, "write", retention_comes_in_between)
    with pytest.raises(StoreError, match="changed while they were merged"):
        compact(table, NOON + 7200)
    assert stored_rows(tmp_path) == []
    monkeypatch.undo()
    assert compact(table, NOON + 7200) == 0
    files = [path for path in Path(str(table.folder)).rglob("*.parquet") if "_delta_log" not in path.parts]
    assert len(files) == 2, "the merged file that was not taken is gone"


def test_appends_go_on_while_files_are_merged(tmp_path):
    """A writer and a merger race; every row is there once, whichever won."""
    deliver(tmp_path, *range(1, 6))
    done = threading.Event()
    failures: list[Exception] = []

    def merge_on_and_on():
        table = LakeTable(tmp_path, FAN, Tier.RAW)
        while not done.is_set():
            try:
                compact(table, NOON + 7200)
            except Exception as error:
                failures.append(error)

    merger = threading.Thread(target=merge_on_and_on)
    merger.start()
    deliver(tmp_path, *range(6, 21))
    done.set()
    merger.join()
    assert failures == []
    assert keys(tmp_path) == sorted((NOON + 60 * s, f"m{m:04}", s) for s in range(1, 21) for m in range(3))


def test_ticks_merged_hourly_leave_few_files_and_a_short_log(tmp_path):
    """Two hours stand for the day: one file per closed hour and those of the open one, and a log below 2 MB."""
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    for sequence in range(1, 121):
        rows = frame_to_table(tick(sequence, miners=1, time=NOON + 60 * (sequence - 1)).batch.frames[0])
        table.append([(sequence, rows)], app="host/miners")
        if sequence == 71:
            maintain(tmp_path, NOON + 60 * 71)
            assert len(live_paths(tmp_path)) == 1 + 11
    maintain(tmp_path, NOON + 60 * 131)
    assert len(live_paths(tmp_path)) == 2
    commits = sum(path.stat().st_size for path in log_of(tmp_path).glob("*.json"))
    assert commits * 25 / 2 < 1_700_000, "25 hours are kept, on three checkpoints of 0.1 MB (make bench shows the day)"
    assert len(stored_rows(tmp_path)) == 120


def test_commits_older_than_the_checkpoint_go_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.lake.history.COMMITS_BEFORE_CHECKPOINT", 4)
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    deliver(tmp_path, *range(1, 6), miners=1)
    maintain(tmp_path, NOON)
    stale = EmbeddedStore(tmp_path)
    assert stale.read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 5
    for first in (6, 11):
        for path in log_of(tmp_path).iterdir():
            os.utime(path, (time.time() - 25 * 3600,) * 2)
        deliver(tmp_path, *range(first, first + 5), miners=1)
        maintain(tmp_path, NOON)
    oldest = min(int(path.stem) for path in log_of(tmp_path).glob("*.json"))
    assert oldest > 6, "neither the version that the reader knows nor the next is there"
    assert keys(tmp_path) == [(NOON + 60 * s, "m0000", s) for s in range(1, 16)]
    deliver(tmp_path, *range(12, 17), miners=1)
    assert len(keys(tmp_path)) == 16, "the mark outlived the commits"
    assert stale.read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 16, "a reader of old sees that its version is gone"
    assert newest_snapshot(table).version == versions(tmp_path)


def test_checkpoints_keep_marks_and_statistics(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.lake.history.COMMITS_BEFORE_CHECKPOINT", 4)
    deliver(tmp_path, *range(1, 7), miners=1)
    assert maintain(tmp_path, NOON + 7200).checkpoints == 2
    before = versions(tmp_path)
    deliver(tmp_path, *range(3, 7), miners=1)
    assert versions(tmp_path) == before, "all of them were there"
    parts = newest_snapshot(LakeTable(tmp_path, FAN, Tier.RAW)).parts
    assert [(part.first, part.last, part.low["miner_id"]) for part in parts] == [(NOON + 60, NOON + 360, "m0000")]


def test_leftovers_of_killed_commits_are_swept_after_a_day(tmp_path):
    deliver(tmp_path, 1)
    young, old = (log_of(tmp_path) / f"{version:020}.json#1" for version in (1, 2))
    for path in (young, old):
        path.write_text("")
    os.utime(old, (time.time() - 2 * DAY,) * 2)
    maintain(tmp_path, NOON)
    assert (young.exists(), old.exists()) == (True, False)


def test_files_that_killed_writers_left_go_once_a_week(tmp_path):
    deliver(tmp_path, 1)
    orphan = live_paths(tmp_path)[0].with_name("orphan.parquet")
    orphan.write_text("never committed")
    os.utime(orphan, (time.time() - 2 * DAY,) * 2)
    sunday_3h = 1_793_502_600  # 2026-11-01T03:10:00Z
    maintain(tmp_path, sunday_3h + 3600)
    assert orphan.exists()
    assert maintain(tmp_path, sunday_3h).files_deleted == 1
    assert not orphan.exists()
    assert len(stored_rows(tmp_path)) == 3


def test_a_second_maintenance_gives_way(tmp_path):
    deliver(tmp_path, 1)
    with (tmp_path / ".maintenance.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert maintain(tmp_path, NOON).skipped
    assert not maintain(tmp_path, NOON).skipped


def test_it_stops_when_asked(tmp_path):
    deliver(tmp_path, 1, 2)
    assert maintain(tmp_path, NOON + 7200, stop=lambda: True).tables == 0
    assert len(live_paths(tmp_path)) == 2


def test_an_error_of_the_delta_library_names_the_table(tmp_path, monkeypatch):
    deliver(tmp_path, 1)

    def refuse(*_, **__):
        raise DeltaError("no")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", refuse)
    with pytest.raises(StoreError, match="mining_raw/miner_fan: no"):
        deliver(tmp_path, 2)


@pytest.mark.parametrize(
    ("root", "says"), [("s3://bucket/lake", "not a path"), ("a%20b", "escape"), ("file/lake", "File exists")]
)
def test_a_root_that_cannot_hold_a_lake_is_refused(tmp_path, root, says):
    (tmp_path / "file").write_text("")
    with pytest.raises(NeedsHuman, match=says):
        require_local_disk(Path(root) if root.startswith("s3") else tmp_path / root)


def test_a_file_system_without_hard_links_is_refused(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(NeedsHuman, match="no hard links or no locks"):
        require_local_disk(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "é", "x[1]", "st*r", "q?", "h#a", "o'k", "100%"])
def test_a_folder_with_an_odd_name_is_fine(tmp_path, name):
    deliver(tmp_path / name, 1, 2)
    maintain(tmp_path / name, NOON + 7200)
    deliver(tmp_path / name, 3)
    assert EmbeddedStore(tmp_path / name).read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 9


def test_partitions_are_as_long_as_the_bucket_asks(tmp_path):
    expected = {
        ("miner_telemetry", Tier.RAW): Period.DAY,
        ("miner_telemetry", Tier.HOURLY): Period.MONTH,
        ("miner_telemetry", Tier.DAILY): Period.YEAR,
        ("window_rolled", Tier.RAW): Period.MONTH,
    }
    assert {key: partition_period(MEASUREMENTS[key[0]], key[1]) for key in expected} == expected
    assert Period.MONTH.window(NOON) == (1_793_491_200, 1_796_083_200)
    assert row_order(MEASUREMENTS["miner_board"]) == ("miner_id", "board", "model", "site")


def test_what_is_older_than_its_retention_goes_where_that_is_asked_for(tmp_path):
    sink = LakeSink(tmp_path, "host")

    def payloads(time: int):
        return build_frame("raw_payload", [time], {"miner_id": ["m0"], "path": ["/summary"], "body": ["{}"]})

    later = record(2, payloads(NOON + DAY))
    sink.deliver([record(1, payloads(NOON), fan_frame([(NOON, "m0", 1)])), later])
    table = LakeTable(tmp_path, MEASUREMENTS["raw_payload"], Tier.RAW)
    days = {"mining_payload": 7}
    assert maintain(tmp_path, NOON + 7 * DAY, retention_days=days).files_expired == 0
    assert maintain(tmp_path, NOON + 7 * DAY + 1, retention_days=days).files_expired == 1
    assert [part.first for part in newest_snapshot(table).parts] == [NOON + DAY]
    assert maintain(tmp_path, LONG_AFTER, retention_days=days).files_expired == 1
    assert maintain(tmp_path, LONG_AFTER, retention_days=days).files_expired == 0
    assert newest_snapshot(table).parts == ()
    sink.deliver([later])
    assert newest_snapshot(LakeTable(tmp_path, MEASUREMENTS["raw_payload"], Tier.RAW)).parts == (), "its mark stays"
    assert len(stored_rows(tmp_path)) == 1, "other buckets are not touched"


def test_tables_of_long_texts_are_merged_in_smaller_portions(tmp_path):
    long = compaction.rows_at_once(LakeTable(tmp_path, MEASUREMENTS["raw_payload"], Tier.RAW))
    assert long * 8_000 < 500_000_000
    assert long < compaction.rows_at_once(LakeTable(tmp_path, FAN, Tier.RAW)) / 10
