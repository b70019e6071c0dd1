"""Damage of every kind: what nobody was told of is mended, anything else stops the table and says what to do."""

import json
import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage.declaration import Tier
from storage.errors import NeedsHuman
from storage.lake import doctor
from storage.lake.compaction import compact
from storage.lake.history import checkpoint
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, log_of, record, stored_rows, tick

CHECKPOINT = 5


@pytest.fixture
def lake(tmp_path):
    sink = LakeSink(tmp_path, "host")
    for sequence in (1, 2, 3):
        sink.deliver([tick(sequence, miners=1)])
    return tmp_path


def commit(lake: Path, version: int) -> Path:
    return log_of(lake) / f"{version:020}.json"


def values(root: Path) -> list[int]:
    return sorted(row["speed_rpm"] for row in stored_rows(root))


def read(root: Path) -> list[int]:
    table = EmbeddedStore(root).read(FAN, Tier.RAW, 0, NOON * 2)
    return [int(value) for value in table["speed_rpm"].to_pylist()]


@pytest.mark.parametrize("text", ["", '{"add":{"pa', '"no object"\n'])
def test_a_torn_tail_is_moved_aside_and_the_replay_restores_the_tick(lake, text, caplog):
    commit(lake, 3).write_text(text)
    with caplog.at_level(logging.WARNING):
        assert LakeSink(lake, "host").deliver([tick(3, miners=1)]).stored == 1
    assert values(lake) == [1, 2, 3]
    assert "commit 3 is torn" in caplog.text
    assert (log_of(lake) / f"_aside.{3:020}.json").read_text() == text


def test_readers_find_the_torn_tail_as_well(lake):
    commit(lake, 3).write_text("")
    assert read(lake) == [1, 2]
    assert not commit(lake, 3).exists()


def test_a_table_torn_while_it_was_made_is_made_again(tmp_path):
    log = log_of(tmp_path)
    log.mkdir(parents=True)
    commit(tmp_path, 0).write_text("")
    LakeSink(tmp_path, "host").deliver([tick(1)])
    assert values(tmp_path) == [1, 1, 1]


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("damage", ["empty", "half", "missing"])
def test_a_torn_or_missing_middle_refuses_to_start(lake, version, damage):
    path = commit(lake, version)
    whole = path.read_text()
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("" if damage == "empty" else whole[: len(whole) // 2])
    before = sorted(log_of(lake).iterdir())
    for use in (lambda: LakeSink(lake, "host").deliver([tick(4)]), lambda: read(lake)):
        with pytest.raises(NeedsHuman, match=rf"mining_raw/miner_fan.*\[{version}\].*backup"):
            use()
    assert sorted(log_of(lake).iterdir()) == before


@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_a_live_file_missing_or_of_another_size_refuses_to_start(lake, damage):
    path = live_paths(lake)[0]
    whole = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(whole[:-1] if damage == "short" else whole + b"x")
    with pytest.raises(NeedsHuman, match=path.name):
        LakeSink(lake, "host").deliver([tick(4)])


@pytest.fixture
def with_checkpoint(lake, monkeypatch):
    monkeypatch.setattr("storage.lake.history.COMMITS_BEFORE_CHECKPOINT", CHECKPOINT)
    table = LakeTable(lake, FAN, Tier.RAW)
    sink = LakeSink(lake, "host")
    for sequence in range(4, CHECKPOINT + 1):
        sink.deliver([tick(sequence, miners=1)])
    assert checkpoint(table)
    sink.deliver([tick(CHECKPOINT + 1, miners=1)])
    return lake


def checkpoint_path(lake: Path) -> Path:
    return log_of(lake) / f"{CHECKPOINT:020}.checkpoint.parquet"


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_a_damaged_checkpoint_is_mended_while_its_commits_are_there(with_checkpoint, damage):
    path = checkpoint_path(with_checkpoint)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"PAR0" + whole[4:-4] + b"PAR0")
    last = CHECKPOINT + 2
    LakeSink(with_checkpoint, "host").deliver([tick(last, miners=1)])
    assert values(with_checkpoint) == list(range(1, last + 1))


def test_a_damaged_checkpoint_without_its_commits_is_for_a_human(with_checkpoint):
    commit(with_checkpoint, 2).unlink()
    assert len(read(with_checkpoint)) == CHECKPOINT + 1, "commits before the checkpoint are not needed"
    checkpoint_path(with_checkpoint).unlink()
    with pytest.raises(NeedsHuman, match=rf"checkpoint {CHECKPOINT} is missing"):
        read(with_checkpoint)


@pytest.mark.parametrize("text", ["", "garbage", "[1]", '{"version": "x"}'])
def test_an_unreadable_pointer_hurts_nobody(with_checkpoint, text):
    (log_of(with_checkpoint) / "_last_checkpoint").write_text(text)
    assert len(read(with_checkpoint)) == CHECKPOINT + 1


def flip_a_bit_unseen(path: Path) -> None:
    """Flip one bit of a data page such that, without checksums, other values are read and no error."""
    content = path.read_bytes()
    with pq.ParquetFile(path) as file:
        right = file.read(["speed_rpm"])
        columns = [file.metadata.row_group(0).column(at) for at in range(file.metadata.num_columns)]
    column = next(column for column in columns if column.path_in_schema == "speed_rpm")
    start = column.dictionary_page_offset or column.data_page_offset
    for at in range(start, start + column.total_compressed_size):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            if not pq.ParquetFile(path).read(["speed_rpm"]).equals(right):
                return
        except OSError:
            continue
    raise AssertionError("every flip is an error: nothing to test")


def test_one_flipped_bit_is_found_by_the_scrub_and_never_copied_into_a_merged_file(tmp_path):
    sink = LakeSink(tmp_path, "host")
    rows = [(NOON + second, f"m{second % 7}", second * second % 9973) for second in range(400)]
    for sequence in (1, 2):
        sink.deliver([record(sequence, fan_frame(rows))])
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    assert doctor.scrub(table.folder) == []
    damaged = live_paths(tmp_path)[0]
    flip_a_bit_unseen(damaged)
    assert doctor.scrub(table.folder) == [damaged]
    with pytest.raises(NeedsHuman, match=damaged.name):
        compact(table, NOON + 7200)
    report = maintain(tmp_path, NOON + 7200)
    assert len(report.troubles) == 1
    assert damaged.name in report.troubles[0]
    assert report.tables == 2, "the other table was kept"


def test_a_log_line_is_json_and_the_newest_commit_carries_the_transaction(lake):
    lines = [json.loads(line) for line in commit(lake, 3).read_text().splitlines()]
    (mark,) = [line["txn"] for line in lines if "txn" in line]
    assert (mark["appId"], mark["version"]) == ("host/miners", 3)
