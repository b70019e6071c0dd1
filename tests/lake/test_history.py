"""Time travel: what a table was, as far back as a day, and what the log keeps for it."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from storage.arrow_schema import answer_schema, frame_to_table
from storage.declaration import Tier
from storage.errors import NeedsHuman
from storage.lake.compaction import compact
from storage.lake.history import checkpoint, snapshot_as_of
from storage.lake.maintenance import maintain, vacuum
from storage.lake.replacement import replace_rows
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, log_of, tick

FOREVER = NOON * 2


def commit_times(root: Path) -> dict[int, int]:
    """Unix milliseconds of every version."""
    history = DeltaTable(str(log_of(root).parent)).history()
    return {entry["version"]: entry["timestamp"] for entry in history}


def values(root: Path, as_of: int) -> list[int]:
    store = EmbeddedStore(root, as_of=as_of)
    try:
        return sorted(store.read(FAN, Tier.RAW, 0, FOREVER)["speed_rpm"].to_pylist())
    finally:
        store.close()


@pytest.fixture
def dated(monkeypatch):
    """Say when each commit was made: the Delta library stamps it with the clock of the machine."""
    times: dict[int, int] = {}
    history = DeltaTable.history

    def told(self, limit=None):
        return [{**entry, "timestamp": times[entry["version"]] * 1000} for entry in history(self, limit)]

    monkeypatch.setattr(DeltaTable, "history", told)
    return times


def test_a_table_is_read_as_it_was_before_rows_came_files_were_merged_and_rows_expired(tmp_path, dated):
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    for sequence in (1, 2):
        rows = frame_to_table(fan_frame([(NOON + sequence, "a", sequence)]))
        table.append([(sequence, rows)], app="host")
    compact(table, NOON + 7200)
    dated.update({0: 1000, 1: 1010, 2: 1020, 3: 1030, 4: 1040})
    with table.locked():
        snapshot = table.opened_for_writing()
        table.commit(snapshot.handle, [], snapshot.parts)
    assert [values(tmp_path, at) for at in (1009, 1010, 1019, 1020, 1035, 1040, 9999)] == [
        [], [1], [1], [1, 2], [1, 2], [], []
    ]  # fmt: skip
    assert snapshot_as_of(table, 999) is None, "there was no such table"


def test_a_replaced_hour_can_be_looked_up(tmp_path):
    from tests.lake.test_replacement import HOUR, hourly

    table = LakeTable(tmp_path, FAN, Tier.HOURLY)
    for value in (1, 2):
        rows = hourly((NOON, "a", value)).cast(table.schema.empty_table().schema)
        replace_rows(table, NOON, NOON + HOUR, rows)
        time.sleep(1.1) if value == 1 else None  # versions are told apart by the second
    first = DeltaTable(str(table.folder)).history()[-2]["timestamp"] // 1000 + 1
    old = EmbeddedStore(tmp_path, as_of=first).read(FAN, Tier.HOURLY, 0, FOREVER)
    assert old["speed_rpm_sum"].to_pylist() == [1.0]


def test_a_store_of_the_past_takes_nothing(tmp_path):
    store = EmbeddedStore(tmp_path, as_of=NOON)
    with pytest.raises(ValueError, match="read-only"):
        store.write([fan_frame([(NOON, "a", 1)])])
    with pytest.raises(ValueError, match="read-only"):
        store.replace(FAN, Tier.HOURLY, 0, 3600, answer_schema(FAN, Tier.HOURLY).empty_table())
    assert store.read(FAN, Tier.RAW, 0, FOREVER).num_rows == 0
    store.close()


COMMITS = 27


def a_day_and_three_hours(root: Path, monkeypatch) -> None:
    """27 hours with a commit each, kept every hour; files of the log carry the time of their hour."""
    monkeypatch.setattr("storage.lake.history.COMMITS_BEFORE_CHECKPOINT", 1)
    now = time.time()
    table = LakeTable(root, FAN, Tier.RAW)
    known: set[str] = set()
    for hour in range(COMMITS):
        made = now - (COMMITS - 1 - hour) * 3600
        sequence = hour + 1
        table.append([(sequence, frame_to_table(tick(sequence, miners=1).batch.frames[0]))], app="host")
        for path in log_of(root).iterdir():
            if path.name not in known:
                os.utime(path, (made, made))
        monkeypatch.setattr("storage.lake.history.clock.time", lambda made=made: made)
        assert checkpoint(table)
        known = {path.name for path in log_of(root).iterdir()}


def test_the_log_keeps_a_day_of_commits_on_few_checkpoints(tmp_path, monkeypatch):
    a_day_and_three_hours(tmp_path, monkeypatch)
    names = sorted(path.name for path in log_of(tmp_path).iterdir())
    commits = [int(name[:20]) for name in names if name.endswith(".json")]
    assert commits == list(range(commits[0], COMMITS + 1))
    assert len(commits) == 25, "of the last 24 hours, and the one that the table was at before"
    checkpoints = [int(name[:20]) for name in names if name.endswith(".checkpoint.parquet")]
    assert checkpoints == [commits[0], COMMITS - 1, COMMITS]


def test_every_version_of_the_day_can_be_read_and_what_is_older_says_so(tmp_path, monkeypatch, dated):
    a_day_and_three_hours(tmp_path, monkeypatch)
    oldest = min(int(path.stem) for path in log_of(tmp_path).glob("*.json"))
    dated.update({version: 1000 + version for version in range(COMMITS + 1)})
    for version in (oldest, oldest + 7, COMMITS):
        assert values(tmp_path, 1000 + version) == list(range(1, version + 1))
    began = datetime.datetime.fromtimestamp(1000 + oldest, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(NeedsHuman, match=rf"as of 1970-01-01T00:16:40Z: its log begins at {began}.*24 hours"):
        values(tmp_path, 1000)


@pytest.mark.parametrize("lost", ["newest", "pointer", "first"])
def test_a_lost_checkpoint_is_mended_from_the_others(tmp_path, monkeypatch, lost):
    a_day_and_three_hours(tmp_path, monkeypatch)
    checkpoints = sorted(log_of(tmp_path).glob("*.checkpoint.parquet"))
    path = {"newest": checkpoints[-1], "first": checkpoints[0], "pointer": log_of(tmp_path) / "_last_checkpoint"}[lost]
    path.write_bytes(b"x")
    assert LakeTable(tmp_path, FAN, Tier.RAW).snapshot() is not None
    sink = LakeSink(tmp_path, "other")
    sink.deliver([tick(1000, miners=1)])
    assert len(live_paths(tmp_path)) == COMMITS + 1


def test_files_that_are_deleted_are_an_error_and_not_an_empty_answer(tmp_path, monkeypatch, dated):
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    for sequence in (1, 2):
        table.append([(sequence, frame_to_table(tick(sequence).batch.frames[0]))], app="host")
    ago = time.time_ns() - 24 * 3600 * 10**9 - 10**9
    with monkeypatch.context() as patched:
        patched.setattr("storage.lake.table.clock.time_ns", lambda: ago)
        compact(table, NOON + 7200)
    dated.update({version: 1000 + version for version in range(10)})
    assert values(tmp_path, 1002) == [1, 1, 1, 2, 2, 2]
    assert len(vacuum(table)) == 2
    with pytest.raises(NeedsHuman, match="files of then are deleted"):
        values(tmp_path, 1002)
    assert values(tmp_path, 1003) == [1, 1, 1, 2, 2, 2]


def test_hourly_upkeep_leaves_every_version_since_yesterday(tmp_path):
    LakeSink(tmp_path, "host").deliver([tick(1)])
    before = commit_times(tmp_path)
    maintain(tmp_path, NOON + 7200)
    assert set(before) <= set(commit_times(tmp_path))
