"""One lane to one sink: in order, again after every failure, nothing lost or counted twice wherever it is killed."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from storage.delivery.dead_letters import letters_of
from storage.errors import NeedsHuman, TryAgain
from storage.sink import Receipt
from storage.spool.lane import Lane
from storage.spool.mark import load_mark, mark_path
from storage.spool.segment import Stored, scan, segments_of
from tests.delivery.lanes import a_courier, names, spool
from tests.delivery.sinks import MemorySink, the_books
from tests.spool.batches import numbered


def test_records_go_in_rising_sequence_in_calls_bounded_by_points(tmp_path):
    spool(tmp_path, range(1, 8))
    sink = MemorySink()
    courier = a_courier(tmp_path, sink, max_points=7)
    while courier.attempt() == 0.0:
        pass
    assert sink.calls == [[1, 2], [3, 4], [5, 6], [7]]


def test_calls_are_bounded_by_bytes_too_with_one_record_at_least(tmp_path):
    spool(tmp_path, range(1, 8))
    sizes = [
        found.header.length for found in scan(segments_of(tmp_path / "miners")[0].path) if isinstance(found, Stored)
    ]
    assert len(set(sizes)) == 1
    for max_bytes, expected in [
        (2 * sizes[0], [[1, 2], [3, 4], [5, 6], [7]]),
        (2 * sizes[0] - 1, [[number] for number in range(1, 8)]),
        (1, [[number] for number in range(1, 8)]),
    ]:
        sink = MemorySink(f"bound{max_bytes}")
        courier = a_courier(tmp_path, sink, max_bytes=max_bytes)
        while courier.attempt() == 0.0:
            pass
        assert sink.calls == expected
        assert the_books(tmp_path, sink.name).stored == 21


def test_a_sink_that_asks_to_try_again_gets_the_same_records_after_a_back_off(tmp_path):
    spool(tmp_path, [1, 2])
    sink = MemorySink()
    sink.failures = [TryAgain("refused"), TryAgain("busy", retry_after_s=90), ConnectionError("odd")]
    courier = a_courier(tmp_path, sink)
    assert courier.attempt() == 0.5
    assert the_books(tmp_path).trouble == "refused"
    assert courier.attempt() == 90
    assert the_books(tmp_path).trouble == "busy"
    assert courier.attempt() == 2.0
    assert the_books(tmp_path).trouble == "ConnectionError: odd"
    assert the_books(tmp_path).backlog == 6
    assert courier.attempt() == 0.0
    assert sink.calls == [[1, 2]] * 4
    assert (the_books(tmp_path).trouble, the_books(tmp_path).backlog) == (None, 0)
    assert not list((tmp_path / "miners").glob("trouble*"))


def test_records_that_need_a_human_are_held_and_asked_for_once_a_minute(tmp_path):
    spool(tmp_path, [1])
    sink = MemorySink()
    sink.failures = [NeedsHuman("bucket mining_raw is missing", remedy="Create it")] * 2
    courier = a_courier(tmp_path, sink, now=lambda: 1000.0)
    assert [courier.attempt(), courier.attempt()] == [60.0, 60.0]
    told = json.loads((tmp_path / "miners" / "trouble.influx.json").read_bytes())
    assert told == {"kind": "needs_human", "message": "bucket mining_raw is missing. Create it", "since": 1000.0}
    assert the_books(tmp_path).backlog == 3
    assert courier.attempt() == 0.0


def test_an_unexpected_error_is_logged_with_its_traceback_once(tmp_path, caplog):
    spool(tmp_path, [1])
    sink = MemorySink()
    sink.failures = [ZeroDivisionError("oops")] * 3
    courier = a_courier(tmp_path, sink)
    for _ in range(3):
        courier.attempt()
    assert [bool(record.exc_info) for record in caplog.records if record.levelno == logging.ERROR] == [True]


def test_a_receipt_that_does_not_add_up_moves_nothing(tmp_path):
    class Forgetful(MemorySink):
        def deliver(self, records):
            return Receipt(super().deliver(records).stored - 1)

    spool(tmp_path, [1])
    assert a_courier(tmp_path, Forgetful()).attempt() == 0.5
    assert "handed 3 points and tells of 2 stored and 0 dead" in str(the_books(tmp_path).trouble)
    assert the_books(tmp_path).backlog == 3


@pytest.mark.parametrize("step", ["DeadLetterFile.write", "save_mark", "remove_delivered"])
def test_killed_after_the_sink_stored_it_nothing_is_lost_or_counted_twice(tmp_path, monkeypatch, step):
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    spool(tmp_path, [1, 2])
    sink = MemorySink(is_dead=lambda point: point.endswith(".0"))
    courier = a_courier(tmp_path, sink, max_points=3)
    assert courier.attempt() == 0.0
    with monkeypatch.context() as killing:
        killing.setattr(f"storage.delivery.courier.{step}", killed)
        with pytest.raises(Killed):
            courier.attempt()
    courier.close()
    spool(tmp_path, [3])
    courier = a_courier(tmp_path, sink)  # takes more at once than the one before
    courier.attempt()
    assert sink.stored == names([1, 2, 3]) - {"p1.0", "p2.0", "p3.0"}
    assert [letter.line for letter in letters_of(tmp_path / "miners", "influx")] == ["p1.0", "p2.0", "p3.0"]
    found = the_books(tmp_path)
    assert (found.stored, found.dead_lettered, found.backlog) == (6, 3, 0)


def test_dead_letters_are_durable_before_the_mark_and_the_mark_before_segments_go(tmp_path, monkeypatch):
    spool(tmp_path, range(1, 5), segment_bytes=1)
    courier = a_courier(tmp_path, MemorySink(is_dead=lambda point: point == "p1.0"), max_points=1)
    courier.attempt()
    done: list[str] = []
    real_fsync, real_unlink = os.fsync, Path.unlink

    def fsync(fd: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        real_fsync(fd)

    def unlink(path: Path, **more: bool) -> None:
        done.append(f"unlink {path.suffix}")
        real_unlink(path, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "unlink", unlink)
    courier.sink.is_dead = lambda point: point == "p2.0"  # type: ignore[attr-defined]
    courier.attempt()
    assert done == ["dead.influx.jsonl", "miners", "mark.influx.json.new", "miners", "unlink .spool"]


def test_a_new_sink_begins_with_the_oldest_record_there_is(tmp_path):
    spool(tmp_path, range(1, 8), segment_bytes=1)
    a_courier(tmp_path, MemorySink()).attempt()
    gone = segments_of(tmp_path / "miners")[0].first_sequence - 1
    assert gone == 5
    lake = MemorySink("lake")
    assert a_courier(tmp_path, lake).attempt() == 0.0
    assert lake.stored == names([6, 7])
    found = the_books(tmp_path, "lake")
    assert (found.accepted, found.stored, found.shed, found.backlog) == (6, 6, 0, 0)
    mark = load_mark(tmp_path / "miners", "lake")
    assert mark is not None
    assert mark.points_before_start == 15


def test_what_the_cap_dropped_counts_as_shed_before_and_after_the_sink_comes_to_it(tmp_path):
    spool(tmp_path, [1])
    sink = MemorySink()
    courier = a_courier(tmp_path, sink)
    courier.attempt()
    with Lane.open(tmp_path, "miners", cap_bytes=3_000) as lane:
        for number in range(2, 60):
            lane.append(numbered(number))
    before = the_books(tmp_path)
    assert before.accepted == 59 * 3
    assert before.shed > 0
    while courier.attempt() == 0.0:
        pass
    after = the_books(tmp_path)
    assert (after.shed, after.backlog) == (before.shed, 0)
    assert len(sink.stored) == after.stored == 59 * 3 - after.shed


def test_records_dropped_while_they_are_being_stored_count_as_stored(tmp_path):
    spool(tmp_path, range(1, 4), segment_bytes=1)

    class Slow(MemorySink):
        def deliver(self, records):
            segments_of(tmp_path / "miners")[0].path.unlink()
            return super().deliver(records)

    sink = Slow()
    a_courier(tmp_path, sink).attempt()
    found = the_books(tmp_path)
    assert (found.stored, found.shed, found.backlog) == (9, 0, 0)


def test_a_damaged_record_is_a_dead_letter_that_names_where_its_bytes_are(tmp_path):
    spool(tmp_path, range(1, 4))
    path = segments_of(tmp_path / "miners")[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    sink = MemorySink()
    a_courier(tmp_path, sink).attempt()
    (letter,) = letters_of(tmp_path / "miners", "influx")
    assert letter.points == 3
    assert os.path.exists(letter.line)
    assert (the_books(tmp_path).stored, the_books(tmp_path).dead_lettered) == (6, 3)


def test_a_mark_that_is_none_holds_the_lane_and_says_what_to_do(tmp_path):
    spool(tmp_path, [1])
    mark_path(tmp_path / "miners", "influx").write_bytes(b"\0\0\0")
    courier = a_courier(tmp_path, MemorySink())
    assert courier.attempt() == 60.0
    told = json.loads((tmp_path / "miners" / "trouble.influx.json").read_bytes())
    assert "mark.influx.json is no mark of a sink" in told["message"]
    assert "Move it away" in told["message"]
    mark_path(tmp_path / "miners", "influx").unlink()
    assert courier.attempt() == 0.0


def test_a_lane_deleted_and_begun_anew_is_delivered_from_its_first_record(tmp_path):
    spool(tmp_path, [1, 2, 3])
    sink = MemorySink()
    courier = a_courier(tmp_path, sink)
    courier.attempt()
    shutil.rmtree(tmp_path / "miners")
    spool(tmp_path, [4])
    assert courier.attempt() == 0.0
    assert sink.calls == [[1, 2, 3], [1]]
    assert (the_books(tmp_path).accepted, the_books(tmp_path).stored) == (3, 3)


def test_dead_letters_of_another_deliverer_that_was_killed_are_not_doubled(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    spool(tmp_path, [1])
    sink = MemorySink(is_dead=lambda point: point.endswith(".0"))
    first, other = a_courier(tmp_path, sink), a_courier(tmp_path, sink)
    first.attempt()
    first.close()
    spool(tmp_path, [2])
    other.attempt()
    spool(tmp_path, [3])
    with monkeypatch.context() as killing:
        killing.setattr("storage.delivery.courier.save_mark", killed)
        with pytest.raises(Killed):
            other.attempt()
    other.close()
    first.attempt()
    assert [letter.line for letter in letters_of(tmp_path / "miners", "influx")] == ["p1.0", "p2.0", "p3.0"]
