"""The writer of a lane: durable, exclusive, idempotent, and going on where it was."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest

from storage.errors import NeedsHuman
from storage.spool.lane import Lane, LaneBusy, LaneReader
from storage.spool.mark import Mark, mark_path, save_mark
from storage.spool.segment import QUARANTINE, segments_of
from tests.spool.batches import batch, numbered, points_in

CAP = 1_000_000


def reopened(root, **more) -> Lane:
    return Lane.open(root, "miners", cap_bytes=CAP, **more)


def test_records_have_rising_places_and_are_read_back(tmp_path):
    with reopened(tmp_path) as lane:
        records = [lane.append(numbered(n, size)) for n, size in [(1, 4), (2, 1), (3, 7)]]
    assert [(r.lane, r.sequence, r.points_before, r.points_after) for r in records] == [
        ("miners", 1, 0, 4),
        ("miners", 2, 4, 5),
        ("miners", 3, 5, 12),
    ]
    assert LaneReader(tmp_path / "miners").records_after(0, 1000) == records


def test_an_append_is_fsynced_before_it_returns_and_a_new_segment_is_named_durably(tmp_path, monkeypatch):
    lane = reopened(tmp_path, segment_bytes=1)
    calls: list[str] = []
    real_fsync = os.fsync

    def fsync(fd: int) -> None:
        calls.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_fsync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    lane.append(numbered(1))
    assert calls == ["file"]
    lane.append(numbered(2))
    assert calls == ["file", "directory", "file"]
    lane.close()


def test_places_go_on_after_a_restart_and_after_all_sealed_segments_are_gone(tmp_path):
    with reopened(tmp_path, segment_bytes=1) as lane:
        for number in range(1, 6):
            lane.append(numbered(number))
    for segment in segments_of(tmp_path / "miners")[:-1]:
        segment.path.unlink()
    with reopened(tmp_path, segment_bytes=1) as lane:
        record = lane.append(numbered(6))
    assert (record.sequence, record.points_before) == (6, 15)


def test_places_go_on_from_an_empty_newest_segment(tmp_path):
    with reopened(tmp_path) as lane:
        lane.append(numbered(1))
        lane._start_segment(lane._position)  # killed between this and the write
    segments_of(tmp_path / "miners")[0].path.unlink()
    with reopened(tmp_path) as lane:
        record = lane.append(numbered(2))
    assert (record.sequence, record.points_before) == (2, 3)


@pytest.mark.parametrize("left", ["nothing", "older records"])
def test_a_place_that_a_sink_has_passed_is_never_used_again(tmp_path, left):
    """A power cut may take records that a sink had already been given; new ones must not hide behind its mark."""
    with reopened(tmp_path) as lane:
        lane.append(numbered(1))
    if left == "nothing":
        segments_of(tmp_path / "miners")[0].path.unlink()
    save_mark(tmp_path / "miners", Mark(sink="influx", sequence=9, points_before_start=0, points_stored=40))
    with reopened(tmp_path) as lane:
        record = lane.append(numbered(2))
    assert (record.sequence, record.points_before) == (10, 40)
    assert LaneReader(tmp_path / "miners").records_after(9, 100) == [record]


def test_an_unreadable_mark_does_not_stop_the_writer(tmp_path, caplog):
    (tmp_path / "miners").mkdir()
    mark_path(tmp_path / "miners", "influx").write_bytes(b"{")
    with reopened(tmp_path) as lane:
        assert lane.append(numbered(1)).sequence == 1
    assert "is no mark of a sink" in caplog.text


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_batch_id_gives_the_first_record(tmp_path, restart):
    lane = reopened(tmp_path)
    first = lane.append(numbered(1))
    lane.append(numbered(2))
    if restart:
        lane.close()
        lane = reopened(tmp_path)
    assert lane.append(batch("b1", ["polled", "anew"])) == first
    lane.close()
    assert LaneReader(tmp_path / "miners").last_sequence == 2


def test_batch_ids_of_the_two_newest_segments_are_known_after_a_restart(tmp_path):
    with reopened(tmp_path, segment_bytes=1) as lane:
        for number in range(1, 5):
            lane.append(numbered(number))
    with reopened(tmp_path, segment_bytes=1) as lane:
        assert [lane.append(numbered(n)).sequence for n in (3, 4, 2)] == [3, 4, 5]


def test_all_parts_of_one_thing_are_known_after_a_restart(tmp_path):
    with reopened(tmp_path, segment_bytes=1) as lane:
        for number in range(1, 9):
            lane.append(numbered(number), follows=number in (3, 4, 5, 7, 8))
    assert [segment.first_sequence for segment in segments_of(tmp_path / "miners")] == [1, 2, 6]
    with reopened(tmp_path, segment_bytes=1) as lane:
        assert [lane.append(numbered(n)).sequence for n in range(8, 0, -1)] == [8, 7, 6, 5, 4, 3, 2, 9]


def test_a_known_batch_whose_segment_is_gone_keeps_its_place(tmp_path):
    with reopened(tmp_path, segment_bytes=1) as lane:
        for number in range(1, 4):
            lane.append(numbered(number))
        segments_of(tmp_path / "miners")[0].path.unlink()
        again = lane.append(numbered(1))
        assert (again.sequence, again.points_after) == (1, 3)
        assert lane.append(numbered(4)).sequence == 4


def test_torn_tail_of_every_length_is_set_aside_and_the_lane_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    with reopened(tmp_path) as lane:
        lane.append(numbered(1, 2))
    path = segments_of(tmp_path / "miners")[0].path
    first = path.read_bytes()
    with reopened(tmp_path) as lane:
        lane.append(numbered(2, 2))
    whole = path.read_bytes()
    quarantine = tmp_path / "miners" / QUARANTINE
    for length in range(len(first) + 1, len(whole)):
        path.write_bytes(whole[:length])
        with reopened(tmp_path) as lane:
            assert path.read_bytes() == first
            assert whole[len(first) : length] in [kept.read_bytes() for kept in quarantine.iterdir()]
            if length % 20 == 0:
                record = lane.append(numbered(3))
                assert (record.sequence, record.points_before) == (2, 2)
                assert points_in(LaneReader(tmp_path / "miners").records_after(0, 99)) == [
                    "p1.0", "p1.1", "p3.0", "p3.1", "p3.2",
                ]  # fmt: skip


def test_a_torn_tail_is_left_alone_by_readers_and_in_sealed_segments(tmp_path):
    with reopened(tmp_path) as lane:
        lane.append(numbered(1))
        path = segments_of(tmp_path / "miners")[0].path
        with path.open("ab") as file:
            file.write(b"LDL\xa5torn")
        before = path.read_bytes()
        reader = LaneReader(tmp_path / "miners")
        assert [record.sequence for record in reader.records_after(0, 99)] == [1]
        assert path.read_bytes() == before
        lane.append(numbered(2))  # written over it
        assert [record.sequence for record in reader.records_after(1, 99)] == [2]


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path):
    with reopened(tmp_path), pytest.raises(LaneBusy, match=rf"miners is being written by process {os.getpid()}"):
        reopened(tmp_path)
    reopened(tmp_path).close()


def test_a_writer_that_was_killed_frees_the_lane(tmp_path):
    script = (
        "import sys, pathlib; from storage.spool.lane import Lane\n"
        "lane = Lane.open(pathlib.Path(sys.argv[1]), 'miners', cap_bytes=10**6)\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(LaneBusy, match=f"process {child.pid}"):
            reopened(tmp_path)
        child.kill()
        child.wait()
    reopened(tmp_path).close()


@pytest.mark.parametrize("name", ["", "../out", "Miners", "a/b", ".hidden"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="lane name"):
        Lane.open(tmp_path, name, cap_bytes=CAP)


def test_a_closed_lane_takes_nothing(tmp_path):
    lane = reopened(tmp_path)
    lane.close()
    lane.close()
    with pytest.raises(ValueError, match="closed"):
        lane.append(numbered(1))


def test_a_lane_begun_anew_has_another_identity_and_a_continued_one_has_not(tmp_path):
    with reopened(tmp_path) as lane:
        first = lane.append(numbered(1))
    with reopened(tmp_path) as lane:
        assert lane.append(numbered(2)).lane_id == first.lane_id != ""
    shutil.rmtree(tmp_path / "miners")
    with reopened(tmp_path) as lane:
        anew = lane.append(numbered(1))
    assert anew.sequence == 1
    assert anew.lane_id not in ("", first.lane_id)


def test_a_lane_deleted_under_its_writer_goes_on_in_a_new_file(tmp_path, caplog):
    lane = reopened(tmp_path)
    first = lane.append(numbered(1))
    shutil.rmtree(tmp_path / "miners")
    second = lane.append(numbered(2))
    assert (second.sequence, second.points_before, second.lane_id) == (2, 3, first.lane_id)
    assert LaneReader(tmp_path / "miners").records_after(0, 99) == [second]
    assert "was deleted under its writer" in caplog.text
    lane.close()


def test_a_failed_fsync_is_made_good_before_anything_else(tmp_path, monkeypatch):
    """A reader may have seen the record: it keeps its place and is there once, whether or not it is tried again."""
    lane = reopened(tmp_path)
    lane.append(numbered(1))
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", _raising(errno.EIO))
        for _ in range(2):
            with pytest.raises(NeedsHuman, match=r"cannot write.*Look after the volume"):
                lane.append(numbered(2))
    assert lane.append(numbered(3)).sequence == 3
    assert lane.append(numbered(2)).sequence == 2
    lane.close()
    assert [r.batch.batch_id for r in LaneReader(tmp_path / "miners").records_after(0, 99)] == ["b1", "b2", "b3"]


def test_a_segment_that_could_not_be_made_durable_leaves_the_present_one_in_use(tmp_path, monkeypatch):
    lane = reopened(tmp_path, segment_bytes=700)
    lane.append(numbered(1))
    with monkeypatch.context() as failing:
        failing.setattr("storage.spool.lane.sync_directory", _raising(errno.ENOSPC))
        with pytest.raises(NeedsHuman, match="Free space"):
            lane.append(numbered(2, 400))
    assert lane.append(numbered(3)).sequence == 2
    assert len(segments_of(tmp_path / "miners")) == 1
    assert [r.sequence for r in LaneReader(tmp_path / "miners").records_after(0, 99)] == [1, 2]
    lane.close()


def _raising(number: int):
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call
