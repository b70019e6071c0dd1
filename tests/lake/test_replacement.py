import multiprocessing

import pyarrow as pa
import pytest

from storage.arrow_schema import answer_schema
from storage.declaration import Tier
from storage.errors import FrameError, NeedsHuman, StoreError
from storage.lake.compaction import compact
from storage.lake.location import LakeLocation
from storage.lake.maintenance import maintain
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, live_paths, stored_rows, versions
from tests.lake.writing import replace

HOUR = 3600
spawn = multiprocessing.get_context("spawn")


def hourly(*rows: tuple[int, str, int]) -> pa.Table:
    """Hourly rows of fans: (time, miner, speed_rpm_sum)."""
    schema = answer_schema(FAN, Tier.HOURLY)
    columns = {
        "time": pa.array([time for time, _, _ in rows]).cast(pa.timestamp("s", tz="UTC")),
        "miner_id": pa.array([miner for _, miner, _ in rows], pa.string()),
        "speed_rpm_sum": pa.array([float(total) for _, _, total in rows], pa.float64()),
    }
    return pa.table([columns.get(field.name, pa.nulls(len(rows), field.type)) for field in schema], schema=schema)


@pytest.fixture
def root(tmp_path):
    return tmp_path


@pytest.fixture
def store(root):
    """What takes ``store`` and ``root`` is run over an object store as well, by tests/object_storage."""
    store = EmbeddedStore(root)
    yield store
    store.close()


def stored(root: LakeLocation) -> list[tuple[int, str, float]]:
    return sorted(
        (int(row["time"].timestamp()), row["miner_id"], row["speed_rpm_sum"])
        for row in stored_rows(root, FAN, Tier.HOURLY)
    )


def test_the_same_again_changes_nothing(store, root):
    rows = hourly((NOON, "a", 1), (NOON, "b", 2), (NOON + HOUR, "a", 3))
    store.replace(FAN, Tier.HOURLY, NOON, NOON + 2 * HOUR, rows)
    before = versions(root, FAN, Tier.HOURLY)
    store.replace(FAN, Tier.HOURLY, NOON, NOON + 2 * HOUR, rows)
    assert versions(root, FAN, Tier.HOURLY) == before
    assert store.read(FAN, Tier.HOURLY, 0, NOON * 2).equals(
        rows.sort_by([("miner_id", "ascending"), ("time", "ascending")])
    )


def test_rows_outside_of_the_range_are_untouched_even_in_the_same_file(store, root):
    hours = [(NOON + HOUR * at, "a", at) for at in range(5)]
    store.replace(FAN, Tier.HOURLY, NOON, NOON + 5 * HOUR, hourly(*hours))
    assert len(live_paths(root, FAN, Tier.HOURLY)) == 1
    store.replace(FAN, Tier.HOURLY, NOON + 2 * HOUR, NOON + 3 * HOUR, hourly((NOON + 2 * HOUR, "b", 9)))
    assert stored(root) == sorted([*hours[:2], (NOON + 2 * HOUR, "b", 9.0), *hours[3:]])


def test_a_range_can_be_emptied(store, root):
    store.replace(FAN, Tier.HOURLY, NOON, NOON + HOUR, hourly())
    assert not LakeTable(root, FAN, Tier.HOURLY).exists()
    store.replace(FAN, Tier.HOURLY, NOON, NOON + HOUR, hourly((NOON, "a", 1)))
    store.replace(FAN, Tier.HOURLY, NOON, NOON + HOUR, hourly())
    assert stored(root) == []
    assert store.read(FAN, Tier.HOURLY, 0, NOON * 2).num_rows == 0


def test_a_range_over_the_end_of_a_month_is_one_version(store, root):
    december = 1_796_083_200
    rows = hourly((december - HOUR, "a", 1), (december, "a", 2))
    store.replace(FAN, Tier.HOURLY, december - HOUR, december + HOUR, rows)
    first = versions(root, FAN, Tier.HOURLY)
    paths = live_paths(root, FAN, Tier.HOURLY)
    assert [path.parent.name for path in paths] == ["date=2026-11-01", "date=2026-12-01"]
    store.replace(FAN, Tier.HOURLY, december - HOUR, december + HOUR, hourly((december, "a", 3)))
    assert versions(root, FAN, Tier.HOURLY) == first + 1
    assert stored(root) == [(december, "a", 3.0)]


def test_merged_days_can_be_replaced_and_merged_again(store, root):
    for at in range(24):
        store.replace(FAN, Tier.HOURLY, NOON + HOUR * at, NOON + HOUR * (at + 1), hourly((NOON + HOUR * at, "a", at)))
    maintain(root, NOON + 4000 * 86400)
    assert len(live_paths(root, FAN, Tier.HOURLY)) == 1
    store.replace(FAN, Tier.HOURLY, NOON + HOUR, NOON + 2 * HOUR, hourly((NOON + HOUR, "a", 99)))
    assert [value for _, _, value in stored(root)] == [0, 99, *range(2, 24)]


def test_rows_outside_of_the_range_are_refused(store, root):
    with pytest.raises(FrameError, match="outside"):
        store.replace(FAN, Tier.HOURLY, NOON, NOON + HOUR, hourly((NOON + HOUR, "a", 1)))
    with pytest.raises(ValueError, match="never replaced"):
        store.replace(FAN, Tier.RAW, NOON, NOON + HOUR, answer_schema(FAN, Tier.RAW).empty_table())


def test_a_damaged_file_is_named_and_left(store, tmp_path):
    store.replace(FAN, Tier.HOURLY, NOON, NOON + 2 * HOUR, hourly((NOON, "a", 1), (NOON + HOUR, "a", 2)))
    (path,) = live_paths(tmp_path, FAN, Tier.HOURLY)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(NeedsHuman, match="damaged"):
        store.replace(FAN, Tier.HOURLY, NOON, NOON + HOUR, hourly((NOON, "a", 3)))
    assert path.exists()


def test_a_merge_that_started_before_a_replacement_does_not_undo_it(store, root, monkeypatch):
    for at in range(2):
        store.replace(FAN, Tier.HOURLY, NOON + HOUR * at, NOON + HOUR * (at + 1), hourly((NOON + HOUR * at, "a", at)))
    write = LakeTable.write

    def replaced_in_between(self, rows):
        monkeypatch.undo()
        written = write(self, rows)
        EmbeddedStore(root).replace(FAN, Tier.HOURLY, NOON, NOON + HOUR, hourly((NOON, "a", 99)))
        return written

    monkeypatch.setattr(LakeTable, "write", replaced_in_between)
    with pytest.raises(StoreError, match="changed while they were merged"):
        compact(LakeTable(root, FAN, Tier.HOURLY), NOON + 4000 * 86400)
    assert [value for _, _, value in stored(root)] == [99, 1]


@pytest.mark.faults
def test_two_processes_at_once_leave_one_whole_answer(store, root):
    ones = hourly(*[(NOON, f"m{at}", 1) for at in range(50)])
    twos = hourly(*[(NOON, f"m{at}", 2) for at in range(40)])
    children = [spawn.Process(target=replace, args=(root, NOON, rows, 8)) for rows in (ones, twos)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    values = [value for _, _, value in stored(root)]
    assert values in ([1.0] * 50, [2.0] * 40)
