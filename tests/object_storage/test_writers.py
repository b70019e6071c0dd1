"""Exactly once without a lock: writers that race, die, or never hear that they won."""

import multiprocessing

import pyarrow as pa
import pytest

from storage.arrow_schema import frame_to_table
from storage.declaration import Tier
from storage.errors import StoreError, TryAgain
from storage.lake import table as lake_table
from storage.lake.compaction import compact
from storage.lake.layout import table_folder
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, live_paths, stored_rows, tick, versions
from tests.lake.test_replacement import hourly
from tests.lake.writing import append
from tests.object_storage.writing import die_after_commit, die_before_commit

spawn = multiprocessing.get_context("spawn")


def is_commit(method: str, path: str) -> bool:
    return method == "PUT" and "/miner_fan/_delta_log/" in path and path.endswith(".json")


def rows_of(*sequences: int) -> list[tuple[float, str, int]]:
    return sorted((NOON + 60 * sequence, f"m{at:04}", sequence) for sequence in sequences for at in range(3))


def stored(root) -> list[tuple[float, str, int]]:
    return sorted((row["time"].timestamp(), row["miner_id"], row["speed_rpm"]) for row in stored_rows(root))


def test_three_processes_append_ten_times_each(root):
    children = [spawn.Process(target=append, args=(root, f"host{at}", 1, 10)) for at in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 3
    assert stored(root) == sorted(rows_of(*range(1, 11)) * 3), "all there, none twice"
    versions_of_rows = [row["ingest_version"] for row in stored_rows(root)]
    assert len(set(versions_of_rows)) == 30, "every row says the version that it came with, also after a lost race"
    assert versions(root) == 30


def test_the_loser_of_a_race_begins_again_from_a_fresh_handle(root, proxy, root_by_proxy, monkeypatch):
    table = LakeTable(root_by_proxy, FAN, Tier.RAW)
    table.append([(1, frame_to_table(tick(1).batch.frames[0]))], app="slow")
    commit = LakeTable.commit

    def overtaken(self, *given, **named):
        monkeypatch.undo()
        LakeTable(root, FAN, Tier.RAW).append([(1, frame_to_table(tick(2).batch.frames[0]))], app="fast")
        commit(self, *given, **named)

    monkeypatch.setattr(LakeTable, "commit", overtaken)
    table.append([(2, frame_to_table(tick(3).batch.frames[0]))], app="slow")
    assert stored(root) == rows_of(1, 2, 3)
    by_sequence = {row["speed_rpm"]: row["ingest_version"] for row in stored_rows(root)}
    assert by_sequence == {1: 1, 2: 2, 3: 3}


def test_two_commits_of_one_version_meet_at_the_store_and_it_takes_one(root, proxy, root_by_proxy, monkeypatch):
    """Both have looked and found the version free: only the conditional PUT is left between them."""
    table = LakeTable(root_by_proxy, FAN, Tier.RAW)
    table.append([(1, frame_to_table(tick(1).batch.frames[0]))], app="slow")

    def overtake(method: str, path: str) -> None:
        if is_commit(method, path):
            proxy.before = None
            LakeTable(root, FAN, Tier.RAW).append([(1, frame_to_table(tick(2).batch.frames[0]))], app="fast")

    proxy.before = overtake
    table.append([(2, frame_to_table(tick(3).batch.frames[0]))], app="slow")
    assert 412 in proxy.statuses(is_commit)
    assert stored(root) == rows_of(1, 2, 3)


def test_a_commit_whose_answer_got_lost_is_not_made_twice(root, proxy, root_by_proxy):
    LakeSink(root, "host").deliver([tick(1)])
    before = versions(root)
    proxy.swallow = is_commit
    sink = LakeSink(root_by_proxy, "host")
    try:
        sink.deliver([tick(2)])
    except TryAgain:
        sink.deliver([tick(2)])
    assert proxy.swallow is None, "an answer was swallowed"
    assert (stored(root), versions(root)) == (rows_of(1, 2), before + 1)


def test_a_merge_whose_answer_got_lost_keeps_the_files_it_put(root, proxy, root_by_proxy):
    for sequence in (1, 2, 3):
        LakeSink(root, "host").deliver([tick(sequence)])
    proxy.swallow = is_commit
    with pytest.raises(StoreError, match="changed while they were merged"):
        compact(LakeTable(root_by_proxy, FAN, Tier.RAW), NOON + 7200)
    assert proxy.swallow is None
    assert stored(root) == rows_of(1, 2, 3)
    assert len(live_paths(root)) == 1, "it was merged"
    assert compact(LakeTable(root, FAN, Tier.RAW), NOON + 7200) == 0


def test_appends_go_on_while_files_are_merged(root, monkeypatch):
    for sequence in (1, 2, 3):
        LakeSink(root, "host").deliver([tick(sequence)])
    write = LakeTable.write

    def appended_in_between(self, rows):
        monkeypatch.undo()
        written = write(self, rows)
        LakeSink(root, "host").deliver([tick(4)])
        return written

    monkeypatch.setattr(LakeTable, "write", appended_in_between)
    assert compact(LakeTable(root, FAN, Tier.RAW), NOON + 7200) == 3
    assert (stored(root), len(live_paths(root))) == (rows_of(1, 2, 3, 4), 2)


@pytest.mark.faults
def test_killed_between_upload_and_commit_nothing_is_stored_and_the_next_try_stores_it_once(root):
    LakeSink(root, "host").deliver([tick(1)])
    assert died(die_before_commit, root, 2)
    assert stored(root) == rows_of(1), "an object without a commit is nothing"
    LakeSink(root, "host").deliver([tick(2)])
    assert stored(root) == rows_of(1, 2)
    put = [name for name in table_folder(root, FAN, Tier.RAW).sizes() if name.endswith(".parquet")]
    assert len(put) == 3, "the orphan stays for the weekly vacuum"


@pytest.mark.faults
def test_killed_between_commit_and_acknowledgement_it_is_stored_once(root):
    LakeSink(root, "host").deliver([tick(1)])
    assert died(die_after_commit, root, 2)
    assert stored(root) == rows_of(1, 2)
    LakeSink(root, "host").deliver([tick(2)])
    assert stored(root) == rows_of(1, 2)


def died(work, *given) -> bool:
    child = spawn.Process(target=work, args=given)
    child.start()
    child.join()
    return child.exitcode == -9


def test_who_always_loses_is_told_so_and_has_stored_nothing(root, monkeypatch):
    monkeypatch.setattr(lake_table, "RACES", 3)
    monkeypatch.setattr(lake_table, "_LONGEST_WAIT_S", 0.0)
    LakeSink(root, "host").deliver([tick(1)])
    commit = LakeTable.commit

    def overtaken(self, *given, **named):
        with monkeypatch.context() as undone:
            undone.setattr(LakeTable, "commit", commit)
            LakeTable(root, FAN, Tier.RAW).append([(0, frame_to_table(tick(9).batch.frames[0]))])
        commit(self, *given, **named)

    monkeypatch.setattr(LakeTable, "commit", overtaken)
    with pytest.raises(StoreError, match="3 commits in a row lost the race"):
        LakeTable(root, FAN, Tier.RAW).append([(2, frame_to_table(tick(2).batch.frames[0]))], app="host/miners")
    assert 2 not in {row["speed_rpm"] for row in stored_rows(root)}


def test_two_hosts_that_make_the_table_at_once_both_store(root, monkeypatch):
    exists = LakeTable.exists
    seen: list[str] = []

    def not_yet(self):
        if not seen:
            seen.append(self.name)
            LakeSink(root, "other").deliver([tick(1)])
            return False
        return exists(self)

    monkeypatch.setattr(LakeTable, "exists", not_yet)
    LakeTable(root, FAN, Tier.RAW).append([(2, frame_to_table(tick(2).batch.frames[0]))], app="host")
    assert stored(root) == rows_of(1, 2)
    store = EmbeddedStore(root)
    assert store.read(FAN, Tier.RAW, 0, 2 * NOON).num_rows == 6
    store.close()


def test_two_roll_ups_that_share_an_hour_which_was_empty_leave_one_answer(root, monkeypatch):
    """No file of the one is a file of the other, so that the Delta library would take both."""
    store, other = EmbeddedStore(root), EmbeddedStore(root)
    store.replace(FAN, Tier.HOURLY, NOON - 3600, NOON, hourly((NOON - 3600, "a", 0)))
    commit = LakeTable.commit

    def overtaken(self, *given, **named):
        monkeypatch.undo()
        other.replace(FAN, Tier.HOURLY, NOON, NOON + 3600, hourly((NOON, "a", 1), (NOON, "b", 1)))
        commit(self, *given, **named)

    monkeypatch.setattr(LakeTable, "commit", overtaken)
    store.replace(FAN, Tier.HOURLY, NOON - 3600, NOON + 3600, hourly((NOON - 3600, "a", 3), (NOON, "a", 2)))
    rows = store.read(FAN, Tier.HOURLY, NOON, NOON + 3600, columns=["speed_rpm_sum"]).to_pylist()
    assert [(row["miner_id"], row["speed_rpm_sum"]) for row in rows] == [("a", 2.0)]
    store.close()
    other.close()


def test_a_lake_that_was_copied_from_a_disk_goes_on_where_it_stopped(root, tmp_path):
    for sequence in (1, 2):
        LakeSink(tmp_path, "host").deliver([tick(sequence)])
    for path in tmp_path.rglob("*"):
        relative = path.relative_to(tmp_path)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            (root / str(relative)).write_buffer(pa.py_buffer(path.read_bytes()))
    for sequence in (2, 3):
        LakeSink(root, "host").deliver([tick(sequence)])
    assert stored(root) == rows_of(1, 2, 3)
    assert compact(LakeTable(root, FAN, Tier.RAW), NOON + 7200) == 3


def test_a_commit_puts_two_objects_and_lists_no_more_than_the_log(root, proxy, root_by_proxy):
    table = LakeTable(root_by_proxy, FAN, Tier.RAW)
    for sequence in (1, 2):
        table.append([(sequence, frame_to_table(tick(sequence).batch.frames[0]))], app="host")
    proxy.asked.clear()
    table.append([(3, frame_to_table(tick(3).batch.frames[0]))], app="host")
    assert [status for method, _, status in proxy.asked if method == "PUT"] == [200, 200]
    listings = [path for method, path, _ in proxy.asked if method == "GET" and "list-type" in path]
    assert len(listings) <= 4
    assert all("_delta_log" in path for path in listings)
