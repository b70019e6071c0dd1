"""Writing lines to the fake 2.x (through influxdb-client) and 3.x, and what becomes of each line under faults."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from storage.errors import NeedsHuman, TryAgain
from storage.influx.connection import Connection
from storage.influx.settings import InfluxSettings
from storage.influx.writing import LineWriter
from tests.influx.fake import ORG, TOKEN, FakeInflux, Fault

T = 1795478400
GOOD = [f"m,id={number} v={number}.0 {T}".encode() for number in range(20)]


def settings(fake: FakeInflux, **others: object) -> InfluxSettings:
    given = {"url": fake.url, "org": ORG, "token": SecretStr(TOKEN), "timeout_s": 5.0, **others}
    return InfluxSettings.model_validate(given)


@contextmanager
def writer(fake: FakeInflux, **others: object) -> Iterator[LineWriter]:
    connection = Connection(settings(fake, **others))
    one = LineWriter(connection)
    try:
        yield one
    finally:
        one.close()
        connection.close()


def held(fake: FakeInflux) -> set[str]:
    return {dict(tags)["id"] for _, tags, _ in fake.points["b"]}


@pytest.fixture(params=["2 by influxdb-client", "2 by /write", "3"])
def server(request):
    with FakeInflux("3.10.1" if request.param == "3" else "2.9.1") as fake:
        fake.make("b")
        path = "/api/v2/write" if request.param == "2 by influxdb-client" else "/write"
        with writer(fake, **({"org": None} if request.param == "2 by /write" else {})) as one:
            yield fake, one, path


def test_lines_arrive_compressed_by_the_path_of_the_generation(server) -> None:
    fake, one, path = server
    assert one.write("b", GOOD) == []
    (request,) = fake.writes
    assert (request.path, request.params["precision"]) == (path, "s")
    assert request.headers["content-encoding"] == "gzip"
    assert request.body == b"\n".join(GOOD)
    assert request.sent_size < len(request.body) / 2
    assert len(held(fake)) == 20
    assert TOKEN not in str(request.params)


def test_nothing_is_sent_for_no_lines(server) -> None:
    fake, one, _ = server
    assert one.write("b", []) == []
    assert fake.writes == []


@pytest.mark.parametrize("places", [[0], [19], [7, 8], [0, 10, 19], list(range(20))])
def test_malformed_lines_are_found_and_the_rest_is_stored(server, places) -> None:
    fake, one, _ = server
    lines = list(GOOD)
    for place in places:
        lines[place] = f"m,id={place} v=NaN {T}".encode()
    refused = one.write("b", lines)
    assert sorted(line.line for line in refused) == sorted(lines[place] for place in places)
    assert all("invalid number" in line.reason for line in refused)
    assert held(fake) == {str(place) for place in range(20) if place not in places}


def test_type_conflict_and_age_are_refused_line_by_line(server) -> None:
    fake, one, _ = server
    fake.oldest["b"] = T
    lines = [*GOOD, f"m,id=conflict v=1i {T}".encode(), f"m,id=old v=1.0 {T - 1}".encode()]
    reasons = {line.line: line.reason for line in one.write("b", lines)}
    assert set(reasons) == set(lines[20:])
    assert "field type conflict" in reasons[lines[20]]
    assert "beyond retention policy" in reasons[lines[21]]
    assert len(held(fake)) == 20


def test_a_batch_that_is_refused_whole_costs_one_request(server) -> None:
    fake, one, _ = server
    fake.oldest["b"] = T + 1
    assert [line.line for line in one.write("b", GOOD)] == GOOD
    assert len(fake.writes) == 1


def test_line_breaks_in_strings_do_not_condemn_a_neighbour(server) -> None:
    fake, one, _ = server
    lines = [b'm,id=0 s="a\nb\nc" 1', b"m,id=1 v=1.0 1", b"m,id=2 v=NaN 1", b"m,id=3 v=1.0 1"]
    assert [line.line for line in one.write("b", lines)] == [lines[2]]
    assert held(fake) == {"0", "1", "3"}


def test_a_server_that_names_wrong_lines_is_not_believed() -> None:
    wrong = [{"line_number": 1, "error_message": "no"}, {"line_number": 99, "error_message": "no"}]
    with FakeInflux("3.10.1") as fake, writer(fake) as one:
        fake.make("b")
        fake.faults.append(Fault("status", 400, json.dumps({"error": "partial write", "data": wrong}).encode()))
        assert one.write("b", GOOD) == []
        assert len(held(fake)) == 20


def test_too_large_is_halved_and_a_line_that_is_too_large_alone_is_refused(server) -> None:
    fake, one, _ = server
    fake.largest_body = 100
    huge = b'm,id=huge s="' + b"x" * 200 + b'" 1'
    (refused,) = one.write("b", [*GOOD, huge])
    assert refused.line == huge
    assert "413" in refused.reason
    assert len(held(fake)) == 20


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset"),
        Fault("lost"),
        Fault("cut", 400, b'{"error":"unable to par'),
        Fault("cut", 500, b'{"error":"x'),
        Fault("status", 500, b'{"code":"internal error","message":"x"}'),
        Fault("status", 502, b"<html>"),
        Fault("status", 200, b"<html>hello</html>"),
        Fault("status", 500, b"\xff\xfe not text"),
        Fault("status", 200, b"\xff\xfe not text"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.body[:6]!r}",
)
def test_no_clear_answer_means_try_again_and_the_resend_stores_once(server, fault) -> None:
    fake, one, _ = server
    fake.faults.append(fault)
    with pytest.raises(TryAgain) as raised:
        one.write("b", GOOD)
    assert TOKEN not in str(raised.value)
    assert one.write("b", GOOD) == []
    assert len(fake.points["b"]) == 20


def test_a_server_that_hangs(server) -> None:
    fake, _, path = server
    fake.faults.append(Fault("hang"))
    with (
        writer(fake, timeout_s=0.2, **({} if path == "/api/v2/write" else {"org": None})) as impatient,
        pytest.raises(TryAgain, match=r"0\.2 s|TimeoutError"),
    ):
        impatient.write("b", GOOD)


def test_retry_after_is_honoured_up_to_600_s(server) -> None:
    fake, one, _ = server
    for header, seconds in (("30", 30.0), ("999999", 600.0)):
        fake.faults.append(Fault("status", 503, b'{"status":"starting"}', {"Retry-After": header}))
        with pytest.raises(TryAgain) as raised:
            one.write("b", GOOD)
        assert raised.value.retry_after_s == seconds


def test_nobody_listens() -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        nowhere = InfluxSettings(url=f"http://127.0.0.1:{taken.getsockname()[1]}", org=ORG, token=SecretStr(TOKEN))
        with pytest.raises(TryAgain, match="no answer from InfluxDB"):
            LineWriter(Connection(nowhere)).write("b", GOOD)


def test_a_server_that_goes_away_between_two_writes(server) -> None:
    fake, one, _ = server
    one.write("b", GOOD)
    fake.stop()
    with pytest.raises(TryAgain, match="no answer from InfluxDB"):
        one.write("b", GOOD)


@pytest.mark.parametrize("version", ["2.9.1", "3.10.1"])
def test_a_wrong_token_is_held_and_never_shown(version) -> None:
    with FakeInflux(version) as fake, writer(fake, token=SecretStr("a-wrong-one")) as one:
        fake.make("b")
        with pytest.raises(NeedsHuman, match="401") as raised:
            one.write("b", GOOD)
        assert "a-wrong-one" not in str(raised.value)
        assert "Check token" in str(raised.value)
        assert fake.points["b"] == {}


def test_an_unknown_bucket_or_organisation_is_held(server) -> None:
    fake, one, _ = server
    with pytest.raises(NeedsHuman, match="'elsewhere'"):
        one.write("elsewhere", GOOD)
    assert fake.points == {"b": {}}


def test_the_server_is_asked_again_who_it_is_after_a_refusal() -> None:
    with FakeInflux("2.9.1") as fake, writer(fake) as one:
        fake.make("b")
        one.write("b", GOOD)
        fake.version = "3.10.1"
        fake.faults.append(Fault("status", 404, b"not here any more"))
        with pytest.raises(NeedsHuman):
            one.write("b", GOOD)
        assert one.write("b", GOOD) == []
        assert [request.path for request in fake.writes] == ["/api/v2/write", "/api/v2/write", "/write"]


@pytest.mark.parametrize("headers", [{}, {"X-Influxdb-Version": "4.0"}, {"X-Influxdb-Version": "x"}])
def test_something_that_is_no_influxdb(headers, monkeypatch) -> None:
    with FakeInflux("2.9.1") as fake, writer(fake) as one:
        monkeypatch.setattr(fake, "_proper", lambda _: (200, headers, b"hello"))
        with pytest.raises(NeedsHuman, match="without the version"):
            one.write("b", GOOD)


def test_settings_with_faults_say_what_is_expected() -> None:
    for given, said in [
        ({"url": "influx:8086"}, "expected http://host:port"),
        ({"url": "http://me:secret@influx"}, "credentials do not belong into the address"),
        ({"url": "http://i", "token": "t", "username": "u", "password": "p"}, "both set"),
        ({"url": "http://i", "username": "u"}, "go together"),
        ({"url": "http://i", "tokn": "t"}, "tokn"),
    ]:
        with pytest.raises(ValueError, match=said):
            InfluxSettings.model_validate(given)
