"""All lanes to all sinks: nobody waits for another, and the books say where everything is."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from storage.delivery.dead_letters import letters_of
from storage.delivery.delivery import Delivery, books
from storage.errors import NeedsHuman, TryAgain
from storage.spool.segment import segments_of
from tests.delivery.lanes import names, spool
from tests.delivery.sinks import MemorySink, the_books


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


def test_segments_go_when_every_configured_sink_has_passed_them(tmp_path):
    spool(tmp_path, range(1, 8), segment_bytes=1)
    influx, lake = MemorySink(), MemorySink("lake")
    lake.failures = [TryAgain("away")]
    delivery = Delivery(tmp_path, [influx, lake], "host")
    delivery.deliver_once()
    assert len(segments_of(tmp_path / "miners")) == 7
    delivery.deliver_once()
    assert [segment.first_sequence for segment in segments_of(tmp_path / "miners")] == [6, 7]


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
