"""Delivering spool records: what is stored, in which order, and what happens when the server fails in the middle."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
from pydantic import SecretStr

from storage.declaration import BUCKETS
from storage.downsample.touch import HOUR_S
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Frame, build_frame
from storage.influx.connection import Answer, Connection
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.sink import Sink
from storage.spool.record import Batch, SpoolRecord
from tests.influx.fake import ORG, TOKEN, FakeInflux, Fault
from tests.influx.server import InfluxServer

T = 1795478400


def record(*frames: Frame, sequence: int = 1) -> SpoolRecord:
    return SpoolRecord("miners", sequence, 0, Batch(f"batch-{sequence}", T, "run", list(frames)))


def fans(count: int, *, time_s: int = T, **columns: list[Any]) -> Frame:
    given: dict[str, list[Any]] = {
        "miner_id": [f"m{number}" for number in range(count)],
        "speed_rpm": list(range(count)),
        **columns,
    }
    return build_frame("miner_fan", [time_s] * count, given)


@contextmanager
def fake_and_sink(version: Any = "2.9.1") -> Iterator[tuple[FakeInflux, InfluxSink]]:
    with FakeInflux(version) as fake:
        fake.make(*BUCKETS)
        sink = InfluxSink(InfluxSettings(url=fake.url, org=ORG, token=SecretStr(TOKEN), timeout_s=5), "host-1")
        yield fake, sink
        sink.close()


@contextmanager
def real_and_sink(directory, **settings: Any) -> Iterator[tuple[InfluxServer, InfluxSink]]:
    """A server of one's own, to be stopped and paused."""
    server = InfluxServer(directory).start()
    sink = InfluxSink(InfluxSettings(url=server.url, **settings), "host-1")
    try:
        for name in BUCKETS:
            server.query(f'CREATE DATABASE "{name}"')
        yield server, sink
    finally:
        sink.close()
        server.stop()


def count(
    server: InfluxServer, measurement: str = "miner_fan", field: str = "speed_rpm", bucket: str = "mining_raw"
) -> int:
    rows = server.rows(f'SELECT count("{field}") FROM {measurement}', bucket)
    return rows[0]["count"] if rows else 0


def test_it_is_a_sink() -> None:
    sink: Sink = InfluxSink(InfluxSettings(url="http://127.0.0.1:9"), "host-1")
    assert sink.name == "influx"


def test_every_frame_goes_to_its_bucket_and_the_touched_hours_come_last() -> None:
    price = build_frame("market_data", [T], {"source": ["s"], "coin_id": ["btc"], "price_usd": [1.0]})
    with fake_and_sink() as (fake, sink):
        before = time.time_ns()
        receipt = sink.deliver([record(fans(3), price), record(fans(2, time_s=T + HOUR_S), sequence=2)])
        assert (receipt.stored, receipt.dead) == (6, [])
        assert [request.params["bucket"] for request in fake.writes] == [
            "mining_raw",
            "mining_price",
            "mining_operational",
        ]
        assert len(fake.points["mining_price"]) == 1
        touched = {
            (dict(tags)["measurement"], hour): fields["touched_ns"]
            for (_, tags, hour), fields in fake.points["mining_operational"].items()
        }
        assert set(touched) == {("market_data", T), ("miner_fan", T), ("miner_fan", T + HOUR_S)}
        assert before <= min(touched.values()) <= time.time_ns()


def test_what_only_the_lake_keeps_is_passed_by_and_the_books_balance() -> None:
    payload = build_frame("raw_payload", [T], {"miner_id": ["m0"], "path": ["/summary"], "body": ["{}"]})
    with fake_and_sink() as (fake, sink):
        receipt = sink.deliver([record(payload, fans(3)), record(payload, sequence=2)])
        assert (receipt.stored, receipt.dead) == (5, [])
        assert {name for points in fake.points.values() for name, *_ in points} == {"miner_fan", "window_touched"}
        assert not fake.points.get("mining_payload")


def test_large_deliveries_are_sent_in_batches(monkeypatch) -> None:
    monkeypatch.setattr("storage.influx.sink.LINES_PER_REQUEST", 10)
    with fake_and_sink() as (fake, sink):
        assert sink.deliver([record(fans(34))]).stored == 34
        assert [request.body.count(b"\n") + 1 for request in fake.writes] == [10, 10, 10, 4, 1]


def test_nothing_is_touched_for_what_is_not_rolled_up_and_nothing_sent_for_nothing() -> None:
    error = build_frame("miner_error", [T], {"miner_id": ["a"], "code": ["1"], "message": ["m"]})
    with fake_and_sink() as (fake, sink):
        sink.deliver([record(error)])
        assert [name for name, *_ in fake.points["mining_raw"]] == ["miner_error"]
        assert sink.deliver([]).stored == 0
        assert len(fake.writes) == 1


@pytest.mark.parametrize("version", ["2.9.1", "3.10.1"])
def test_dead_letters_name_measurement_line_and_reason(version) -> None:
    with fake_and_sink(version) as (fake, sink):
        fake.oldest["mining_raw"] = T
        receipt = sink.deliver([record(fans(2), fans(1, time_s=T - 60))])
        assert receipt.stored == 2
        (dead,) = receipt.dead
        assert (dead.measurement, dead.line) == ("miner_fan", f"miner_fan,miner_id=m0 speed_rpm=0i {T - 60}")
        assert "beyond retention policy" in dead.reason


def test_a_touched_hour_that_is_refused_is_logged_and_not_counted(caplog) -> None:
    price = build_frame("market_data", [T], {"source": ["s"], "coin_id": ["btc"], "price_usd": [1.0]})
    with fake_and_sink() as (fake, sink), caplog.at_level(logging.WARNING):
        fake.oldest["mining_operational"] = T + HOUR_S
        assert sink.deliver([record(price)]).stored == 1
        assert "1 touched hours were refused" in caplog.text


def test_what_another_version_spooled_is_held() -> None:
    for frame in (Frame("miner_noise", [T], {"db": [1.0]}), Frame("miner_fan", [T], {"noise": [1.0]})):
        with fake_and_sink() as (fake, sink):
            with pytest.raises(NeedsHuman, match=r"record 1 of lane miners holds miner_(noise|fan)"):
                sink.deliver([record(fans(1), frame)])
            assert fake.writes == []


@pytest.mark.parametrize("version", ["2.9.1", "3.10.1"])
@pytest.mark.parametrize("nth", [0, 1, 2, 3])
@pytest.mark.parametrize("fault", [Fault("lost"), Fault("reset"), Fault("status", 500, b"{}")], ids=lambda f: f.kind)
def test_an_answer_lost_in_mid_batch_and_the_same_again_stores_once(monkeypatch, version, nth, fault) -> None:
    monkeypatch.setattr("storage.influx.sink.LINES_PER_REQUEST", 10)
    with fake_and_sink(version) as (fake, sink):
        records = [record(fans(25)), record(fans(5, time_s=T + 60), sequence=2)]
        fake.faults += [None] * nth + [fault]
        with pytest.raises(TryAgain):
            sink.deliver(records)
        assert nth == 3 or not fake.points.get("mining_operational"), "touched before all data was in"
        assert sink.deliver(records).stored == 30
        stored = [key for key in fake.points["mining_raw"] if key[0] == "miner_fan"]
        assert len(stored) == 30
        assert [name for name, *_ in fake.points["mining_operational"]] == ["window_touched"]


@pytest.mark.influx
class TestRealServer:
    def test_down_then_up_then_restarted(self, tmp_path) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            sink.deliver([record(fans(10))])
            server.stop()
            with pytest.raises(TryAgain, match="no answer from InfluxDB"):
                sink.deliver([record(fans(10, time_s=T + 60), sequence=2)])
            server.start()
            sink.deliver([record(fans(10, time_s=T + 60), sequence=2)])
            server.restart()
            sink.deliver([record(fans(10, time_s=T + 60), sequence=2)])
            assert count(server) == 20

    def test_killed_in_mid_batch(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr("storage.influx.sink.LINES_PER_REQUEST", 100)
        with real_and_sink(tmp_path) as (server, sink):
            write, calls = sink._writer.write, iter(range(1_000))

            def killing(bucket, lines):
                if next(calls) == 3:
                    server.kill()
                return write(bucket, lines)

            monkeypatch.setattr(sink._writer, "write", killing)
            records = [record(fans(1_000))]
            with pytest.raises(TryAgain):
                sink.deliver(records)
            server.start()
            assert count(server) == 300
            assert sink.deliver(records).stored == 1_000
            assert count(server) == 1_000
            assert count(server, "window_touched", "touched_ns", "mining_operational") == 1

    def test_hanging(self, tmp_path) -> None:
        with real_and_sink(tmp_path, timeout_s=0.3) as (server, sink):
            sink.deliver([record(fans(1))])
            server.pause()
            with pytest.raises(TryAgain, match=r"did not answer within 0\.3 s"):
                sink.deliver([record(fans(10))])
            server.resume()
            sink.deliver([record(fans(10))])
            assert count(server) == 10

    def test_partial_refusal_age_and_type(self, tmp_path) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            now = int(time.time()) // 60 * 60
            server.query('ALTER RETENTION POLICY "autogen" ON "mining_raw" DURATION 30d')
            server.write("mining_raw", f"miner_fan,miner_id=x status=1.5 {now}")
            old, kept = fans(1, time_s=now - 40 * 86_400), fans(3, time_s=now, status=["ok", None, None])
            receipt = sink.deliver([record(old, kept)])
            assert receipt.stored == 2
            reasons = {"status=" in dead.line: dead.reason for dead in receipt.dead}
            assert "points beyond retention policy" in reasons[False]
            assert "field type conflict" in reasons[True]
            assert count(server) == 2

    def test_a_backlog_that_is_all_too_old_costs_no_search(self, tmp_path, monkeypatch) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            server.query('ALTER RETENTION POLICY "autogen" ON "mining_raw" DURATION 30d')
            post = Mock(wraps=sink._connection.send)
            monkeypatch.setattr(sink._connection, "send", post)
            receipt = sink.deliver([record(fans(5_000, time_s=1_600_000_000))])
            assert (receipt.stored, len(receipt.dead)) == (0, 5_000)
            assert post.call_count == 2  # one for the data, one for the touched hour

    def test_malformed_lines_are_found_one_by_one(self, tmp_path, monkeypatch) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            lines = [f"m,id={number} v={'NaN' if number % 10 == 0 else '1'} {T}".encode() for number in range(200)]
            refused = sink._writer.write("mining_raw", lines)
            assert sorted(line.line for line in refused) == sorted(lines[::10])
            assert all("invalid number" in line.reason for line in refused)
            assert len(server.rows("SELECT * FROM m", "mining_raw")) == 180

    def test_an_echo_of_5000_bad_lines_and_a_body_that_is_too_large(self, tmp_path, monkeypatch) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            bad = b"\n".join(b'm,id=%d v=NaN,long="%s" 1' % (number, b"x" * 300) for number in range(5_000))
            params = {"db": "mining_raw", "precision": "s"}
            answer = sink._connection.send("POST", "/write", params=params, content=bad)
            assert (answer.status, len(answer.text)) == (400, 64 * 1024)
            huge = [b'm,id=%d s="%s" 1' % (number, b"%016x" % number * 3_000) for number in range(700)]
            assert sum(map(len, huge)) > 25_000_000
            posts: list[int] = []
            send = sink._connection.send
            monkeypatch.setattr("storage.influx.writing.gzip_1", lambda body: body)

            def plain(*given: Any, **named: Any) -> Any:
                named["headers"] = {}
                answer = send(*given, **named)
                posts.append(answer.status)
                return answer

            monkeypatch.setattr(sink._connection, "send", plain)
            assert sink._writer.write("mining_raw", huge) == []
            assert posts == [413, 204, 204]
            assert server.rows("SELECT count(s) FROM m", "mining_raw")[0]["count"] == 700

    def test_a_database_that_is_missing_is_held(self, tmp_path) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            server.query('DROP DATABASE "mining_raw"')
            with pytest.raises(NeedsHuman, match="'mining_raw'"):
                sink.deliver([record(fans(1))])

    def test_a_retention_policy_that_is_missing_is_held_though_it_is_a_500(self, tmp_path) -> None:
        with real_and_sink(tmp_path) as (server, sink):
            server.query('DROP RETENTION POLICY "autogen" ON "mining_raw"')
            with pytest.raises(NeedsHuman, match="500"):
                sink.deliver([record(fans(1))])

    def test_credentials(self, tmp_path) -> None:
        server = InfluxServer(tmp_path, auth=True).start()
        try:
            server.query("CREATE USER admin WITH PASSWORD 'right-one' WITH ALL PRIVILEGES")
            for bucket in ("mining_raw", "mining_operational"):
                server.query(f'CREATE DATABASE "{bucket}"', u="admin", p="right-one")
            for password in ("wrong-one", "right-one"):
                settings = InfluxSettings(url=server.url, username="admin", password=SecretStr(password))
                sink = InfluxSink(settings, "h")
                if password == "wrong-one":
                    with pytest.raises(NeedsHuman, match="401") as raised:
                        sink.deliver([record(fans(1))])
                    assert "wrong-one" not in str(raised.value) + repr(settings)
                else:
                    assert sink.deliver([record(fans(1))]).stored == 1
                sink.close()
        finally:
            server.stop()


def test_the_sink_imports_without_the_extras() -> None:
    code = (
        "import sys\n"
        "for name in ('pyarrow', 'pandas', 'duckdb', 'deltalake'): sys.modules[name] = None\n"
        "import storage.influx.sink, storage.influx.provision, storage.influx.client\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_server_that_is_too_busy_gets_smaller_requests_until_it_keeps_up(tmp_path, monkeypatch) -> None:
    """1.x gives a write up after its time for one, 10 s by default, and goes on working at it."""
    sizes: list[int] = []
    busy: list[int] = []
    with real_and_sink(tmp_path) as (server, sink):
        send = Connection.send

        def sent(connection: Connection, method: str, path: str, **more: Any) -> Answer:
            lines = gzip.decompress(more["content"]).split(b"\n") if path == "/write" else []
            if lines and lines[0].startswith(b"miner_fan"):
                sizes.append(len(lines))
                if busy and len(lines) > busy[0]:
                    return Answer(500, '{"error":"timeout"}\n')
            return send(connection, method, path, **more)

        monkeypatch.setattr(Connection, "send", sent)
        busy.append(1_300)
        assert sink.deliver([record(fans(6_000))]).stored == 6_000
        assert count(server) == 6_000
        assert sizes == [5_000, 2_500, *[1_250] * 4, 1_000]
        sizes.clear()
        busy.clear()
        assert sink.deliver([record(fans(6_000))]).stored == 6_000
        assert sizes == [2_000, 2_000, 1_000, 1_000]  # 250 more for each write, that of touched hours too
        busy.append(0)
        with pytest.raises(TryAgain, match="timeout"):
            sink.deliver([record(fans(6_000))])
        assert sizes[-5:] == [2_750, 1_375, 687, 343, 250]
