import errno
import multiprocessing
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from storage import arrow_schema
from storage.arrow_schema import frame_to_table
from storage.declaration import MEASUREMENTS, Tier, Type
from storage.errors import NeedsHuman, StoreError
from storage.frame import Frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from storage.spool.record import SpoolRecord
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, record, stored_rows, tick, versions
from tests.lake.writing import die_after_commit

TOUCHED = MEASUREMENTS["window_touched"]
spawn = multiprocessing.get_context("spawn")


def values(root: Path) -> list[int]:
    return sorted(row["speed_rpm"] for row in stored_rows(root))


def test_a_record_delivered_twice_is_stored_once(tmp_path):
    sink = LakeSink(tmp_path, "host")
    assert sink.deliver([tick(1)]).stored == 3
    before = versions(tmp_path)
    assert LakeSink(tmp_path, "host").deliver([tick(1)]).stored == 3
    assert values(tmp_path) == [1, 1, 1]
    assert versions(tmp_path) == before


def test_a_redelivery_that_overlaps_in_part_stores_the_rest(tmp_path):
    LakeSink(tmp_path, "host").deliver([tick(s, miners=1) for s in (5, 6, 7)])
    LakeSink(tmp_path, "host").deliver([tick(s, miners=1) for s in range(5, 10)])
    assert values(tmp_path) == [5, 6, 7, 8, 9]


def test_each_table_knows_for_itself_what_it_has(tmp_path):
    """Killed between two tables: the table that has the record drops it, the other takes it."""
    both = record(1, fan_frame([(NOON, "a", 1)]), Frame("miner_error", [NOON], {"code": ["E1"], "message": ["hot"]}))
    LakeSink(tmp_path, "host").deliver([record(1, both.batch.frames[0])])
    LakeSink(tmp_path, "host").deliver([both])
    assert values(tmp_path) == [1]
    assert len(stored_rows(tmp_path, MEASUREMENTS["miner_error"])) == 1


def test_lanes_and_hosts_do_not_take_each_other_for_duplicates(tmp_path):
    for host, lane in (("a", "miners"), ("b", "miners"), ("a", "pools")):
        LakeSink(tmp_path, host).deliver([record(1, fan_frame([(NOON, f"{host}{lane}", 1)]), lane=lane)])
    assert len(stored_rows(tmp_path)) == 3


def test_a_lane_that_was_deleted_and_begun_anew_is_not_taken_for_stored(tmp_path):
    for lane_id, value in (("first", 1), ("second", 2)):
        made = record(1, fan_frame([(NOON + value, "a", value)]))
        sequenced = SpoolRecord(made.lane, 1, 0, made.batch, lane_id=lane_id)
        LakeSink(tmp_path, "host").deliver([sequenced])
        LakeSink(tmp_path, "host").deliver([sequenced])
    assert values(tmp_path) == [1, 2]


@pytest.mark.faults
def test_killed_between_commit_and_acknowledgement_the_tick_is_stored_once(tmp_path, monkeypatch):
    LakeSink(tmp_path, "host").deliver([tick(1)])
    child = spawn.Process(target=die_after_commit, args=(tmp_path, 2))
    child.start()
    child.join()
    assert child.exitcode == -9
    committed = versions(tmp_path)
    assert values(tmp_path) == [1, 1, 1, 2, 2, 2], "the commit is there, though nobody was told"
    synced: list[str] = []
    monkeypatch.setattr("storage.lake.table.sync", lambda path: synced.append(path.name))
    assert LakeSink(tmp_path, "host").deliver([tick(2)]).stored == 3
    assert (values(tmp_path), versions(tmp_path)) == ([1, 1, 1, 2, 2, 2], committed)
    assert f"{committed:020}.json" in synced, "what was never synced is, before it is acknowledged"


def test_a_batch_over_midnight_is_two_files_in_one_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    midnight = 1_793_577_600  # 2026-11-02T00:00:00Z, 19:00 of the day before in New York
    LakeSink(tmp_path, "host").deliver([tick(1)])
    before = versions(tmp_path)
    LakeSink(tmp_path, "host").deliver([record(2, fan_frame([(midnight - 30, "a", 1), (midnight + 30, "a", 2)]))])
    assert versions(tmp_path) == before + 1
    dates = sorted(path.parent.name for path in live_paths(tmp_path))
    assert dates == ["date=2026-11-01", "date=2026-11-01", "date=2026-11-02"]


def test_two_hours_utc_of_a_november_night_in_new_york_belong_to_the_utc_day(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    at = 1_793_498_400  # 2026-11-01T02:00:00Z, 31 October there
    LakeSink(tmp_path, "host").deliver([record(1, fan_frame([(at, "a", 1)]))])
    assert [path.parent.name for path in live_paths(tmp_path)] == ["date=2026-11-01"]
    day = at - at % 86400
    table = EmbeddedStore(tmp_path).windows(FAN, day, day + 86400, 86400, aggregates={"speed_rpm": "count"})
    assert table["time"].to_pylist()[0].isoformat() == "2026-11-01T00:00:00+00:00"


def test_rows_that_no_longer_fit_are_dead_lettered_and_the_others_stored(tmp_path):
    frame = Frame("miner_fan", [NOON, NOON], {"miner_id": ["a", "b"], "speed_rpm": [1, 1.9]})
    receipt = LakeSink(tmp_path, "host").deliver([record(1, frame)])
    assert receipt.stored == 1
    assert [(dead.measurement, dead.reason) for dead in receipt.dead] == [
        ("miner_fan", "miner_fan.speed_rpm row 0: expected integer, got 1.9"),
    ]
    assert '"speed_rpm":1.9' in receipt.dead[0].line
    assert LakeSink(tmp_path, "host").deliver([record(1, frame)]) == receipt
    assert values(tmp_path) == [1]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (Frame("miner_wing", [NOON], {"miner_id": ["a"], "span_m": [2.0]}), "holds miner_wing, which this version"),
        (Frame("miner_fan", [NOON], {"miner_id": ["a"], "pitch": [2.0]}), "holds miner_fan with ['pitch'], which"),
    ],
)
def test_what_another_version_wrote_is_held_and_not_given_up(tmp_path, frame, said):
    known = Frame("miner_fan", [NOON], {"miner_id": ["b"], "speed_rpm": [1]})
    with pytest.raises(NeedsHuman, match=re.escape(said)):
        LakeSink(tmp_path, "host").deliver([record(1, known, frame)])
    assert not LakeTable(tmp_path, FAN, Tier.RAW).exists()


def test_touched_hours_are_written_after_the_data(tmp_path, monkeypatch):
    order: list[str] = []
    append = LakeTable.append

    def told(self, *args, **named):
        order.append(self.name)
        return append(self, *args, **named)

    monkeypatch.setattr(LakeTable, "append", told)
    LakeSink(tmp_path, "host").deliver([tick(1, time=NOON + 59)])
    assert order == ["mining_raw/miner_fan", "mining_operational/window_touched"]
    touched = stored_rows(tmp_path, TOUCHED)
    assert [(row["measurement"], row["time"].timestamp()) for row in touched] == [("miner_fan", NOON)]


def test_a_redelivery_still_writes_the_touched_hours_that_a_kill_left_out(tmp_path):
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    table.append([(1, frame_to_table(tick(1).batch.frames[0]))], app="host/miners")
    LakeSink(tmp_path, "host").deliver([tick(1)])
    assert len(stored_rows(tmp_path, TOUCHED)) == 1
    assert values(tmp_path) == [1, 1, 1]


def test_every_file_says_its_schema_and_has_checksums_and_no_personal_statistics(tmp_path):
    LakeSink(tmp_path, "host").deliver(
        [record(1, Frame("miner_pool", [NOON], {"miner_id": ["a"], "slot": ["0"], "user": ["me@example.org"]}))]
    )
    pool = MEASUREMENTS["miner_pool"]
    (path,) = live_paths(tmp_path, pool)
    with pq.ParquetFile(path) as file:
        metadata = file.metadata.metadata
        assert metadata[b"lodeline.schema"].decode() == path.name.partition("-")[0]
        assert metadata[b"lodeline.table"] == b"miner_pool"
        statistics = {
            file.metadata.row_group(0).column(at).path_in_schema: file.metadata.row_group(0).column(at).statistics
            for at in range(file.metadata.num_columns)
        }
    assert {name for name, found in statistics.items() if found is not None} == {"time", *pool.tag_names}
    log = path.parent.parent / "_delta_log"
    assert not any("example.org" in commit.read_text() for commit in log.glob("*.json"))


def test_a_column_stored_with_another_type_is_for_a_human(tmp_path, monkeypatch):
    LakeSink(tmp_path, "host").deliver([tick(1)])
    declared = arrow_schema.field_types(FAN, Tier.RAW)
    monkeypatch.setattr(arrow_schema, "field_types", lambda *_: {**declared, "speed_rpm": Type.FLOAT})
    frame = Frame("miner_fan", [NOON], {"miner_id": ["a"], "speed_rpm": [1.5]})
    with pytest.raises(NeedsHuman, match="speed_rpm"):
        LakeSink(tmp_path, "host").deliver([record(2, frame)])


def test_a_full_disk_is_for_a_human_and_costs_nothing(tmp_path, monkeypatch):
    sink = LakeSink(tmp_path, "host")
    sink.deliver([tick(1)])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("storage.lake.parquet.sync", full)
        with pytest.raises(NeedsHuman, match="No space left"):
            sink.deliver([tick(2)])
        patched.setattr("storage.lake.parquet.sync", lambda path: (_ for _ in ()).throw(OSError(errno.EIO, "I/O")))
        with pytest.raises(StoreError, match="miner_fan"):
            sink.deliver([tick(2)])
    sink.deliver([tick(2)])
    assert values(tmp_path) == [1, 1, 1, 2, 2, 2]


def test_the_table_has_a_protocol_that_every_reader_knows(tmp_path):
    LakeSink(tmp_path, "host").deliver([tick(1)])
    protocol = DeltaTable(str(live_paths(tmp_path)[0].parent.parent)).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


def test_everything_is_synced_before_it_is_acknowledged_and_the_data_before_the_commit(tmp_path, monkeypatch):
    """A power cut cannot be had here; the calls can: files, then their folders, then the log."""
    table = LakeTable(tmp_path, FAN, Tier.RAW)
    rows = frame_to_table(tick(1).batch.frames[0])
    table.append([(1, rows)])
    calls: list[str] = []

    def told(path: Path) -> None:
        calls.append("data" if path.suffix == ".parquet" else path.name)

    def committed(*args, **named):
        calls.append("commit")
        return commit(*args, **named)

    commit = DeltaTable.create_write_transaction
    monkeypatch.setattr("storage.lake.parquet.sync", told)
    monkeypatch.setattr("storage.lake.table.sync", told)
    monkeypatch.setattr(DeltaTable, "create_write_transaction", committed)
    table.append([(2, rows)])
    assert calls == ["data", "date=2026-11-01", "miner_fan", "commit", f"{1:020}.json", f"{2:020}.json", "_delta_log"]
