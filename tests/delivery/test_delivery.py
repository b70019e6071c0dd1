"""From lanes to sinks: everything arrives in order, whatever fails on the way, and the books say so at any time."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage.delivery.courier import Courier
from storage.delivery.dead_letters import letters_of
from storage.delivery.delivery import Delivery, books
from storage.errors import NeedsHuman, TryAgain
from storage.sink import Receipt
from storage.spool.lane import Lane
from storage.spool.mark import load_mark, mark_path
from storage.spool.segment import Stored, scan, segments_of
from tests.delivery.sinks import MemorySink, the_books
from tests.spool.batches import numbered

CAP = 10**7


def spool(root, numbers, lane: str = "miners", **more) -> None:
    with Lane.open(root, lane, cap_bytes=CAP, **more) as open_lane:
        for number in numbers:
            open_lane.append(numbered(number))


def a_courier(root, sink, **more) -> Courier:
    return Courier(root / "miners", sink, [sink.name], holder="test", random=lambda: 0.5, **more)


def names(numbers) -> set[str]:
    return {f"p{number}.{row}" for number in numbers for row in range(3)}


def test_all_lanes_reach_all_sinks_and_the_books_balance(tmp_path):
    spool(tmp_path, range(1, 5))
    spool(tmp_path, range(5, 8), lane="pools")
    influx, lake = MemorySink(is_dead=lambda point: point == "p2.1"), MemorySink("lake")
    delivery = Delivery(tmp_path, [influx, lake], "host")
    assert delivery.deliver_once()
    assert not delivery.deliver_once()
    assert influx.stored == names(range(1, 8)) - {"p2.1"}
    assert lake.stored == names(range(1, 8))
    found = books(tmp_path)
    assert {lane: set(sinks) for lane, sinks in found.items()} == {
        "miners": {"influx", "lake"},
        "pools": {"influx", "lake"},
    }
    miners = the_books(tmp_path)
    assert (miners.accepted, miners.stored, miners.dead_lettered, miners.backlog) == (12, 11, 1, 0)
    assert [(x.line, x.reason) for x in letters_of(tmp_path / "miners", "influx")] == [("p2.1", "no")]


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


def test_segments_go_when_every_configured_sink_has_passed_them(tmp_path):
    spool(tmp_path, range(1, 8), segment_bytes=1)
    influx, lake = MemorySink(), MemorySink("lake")
    lake.failures = [TryAgain("away")]
    delivery = Delivery(tmp_path, [influx, lake], "host")
    delivery.deliver_once()
    assert len(segments_of(tmp_path / "miners")) == 7
    delivery.deliver_once()
    assert [segment.first_sequence for segment in segments_of(tmp_path / "miners")] == [6, 7]


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


def test_two_sinks_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two have one name"):
        Delivery(tmp_path, [MemorySink(), MemorySink()], "host")


def test_a_hanging_sink_delays_neither_another_sink_nor_another_lane(tmp_path):
    spool(tmp_path, [1])
    spool(tmp_path, [2], lane="pools")
    release = threading.Event()

    class Hanging(MemorySink):
        def deliver(self, records):
            if records[0].lane == "miners":
                release.wait(30)
            return super().deliver(records)

    hanging, well = Hanging("influx"), MemorySink("lake")
    delivery = Delivery(tmp_path, [hanging, well], "host")
    stop = threading.Event()
    thread = threading.Thread(target=delivery.run, args=(stop,))
    thread.start()
    try:
        for sink, calls in ((well, 2), (hanging, 1)):
            for _ in range(calls):
                assert sink.called.acquire(timeout=20)
        assert well.stored == names([1, 2])
        assert hanging.stored == names([2])
    finally:
        release.set()
        stop.set()
        thread.join()
    assert hanging.stored == names([1, 2])


def test_new_lanes_and_records_are_found_while_running_and_a_stop_wakes_every_wait(tmp_path):
    sink = MemorySink()
    sink.failures = [NeedsHuman("token refused", remedy="Renew it")]
    delivery = Delivery(tmp_path, [sink], "host")
    stop = threading.Event()
    thread = threading.Thread(target=delivery.run, args=(stop,))
    thread.start()
    spool(tmp_path, [1])
    assert sink.called.acquire(timeout=20)
    stop.set()  # its courier waits a minute now
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert delivery.flush(20)
    assert sink.stored == names([1])
    delivery.close()


def test_a_flush_tells_whether_everything_arrived_in_time(tmp_path):
    spool(tmp_path, [1])
    hanging = threading.Event()

    class Hanging(MemorySink):
        def deliver(self, records):
            hanging.wait(30)
            return super().deliver(records)

    well, sink = MemorySink("lake"), Hanging()
    delivery = Delivery(tmp_path, [sink, well], "host")
    assert not delivery.flush(0.2)
    assert well.stored == names([1])
    hanging.set()
    assert delivery.flush(20)
    assert sink.stored == names([1])


def test_one_process_delivers_and_the_next_takes_over_when_it_is_killed(tmp_path):
    spool(tmp_path, [1])
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path\n"
            "from tests.delivery.sinks import MemorySink; from storage.delivery.delivery import Delivery\n"
            "Delivery(Path(sys.argv[1]), [MemorySink()], 'host').deliver_once(); print('done', flush=True)\n"
            "sys.stdin.read()",
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        spool(tmp_path, [2])
        sink = MemorySink()
        delivery = Delivery(tmp_path, [sink], "host")
        assert not delivery.deliver_once()
        assert not delivery.flush(0.1)
        child.kill()
        child.wait()
    assert delivery.deliver_once()
    assert sink.stored == names([2])
