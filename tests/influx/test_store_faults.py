"""Reading when the server fails: never fewer rows than there are, always an error that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from storage.declaration import MEASUREMENTS, Tier
from storage.errors import NeedsHuman, StoreError, TryAgain
from storage.influx import connection
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from tests.influx.fake import ORG, TOKEN, FakeInflux, Fault
from tests.influx.server import InfluxServer

FAN = MEASUREMENTS["miner_fan"]
T = 1795478400
TAGS = b'{"fan":"1","miner_id":"a","model":"m","site":""}'
HEAD = b'{"results":[{"statement_id":0,"series":[{"name":"miner_fan","tags":' + TAGS + b","
CHUNKS = [
    HEAD + b'"columns":["time","speed_rpm"],"values":[[%d,100]],"partial":true}],"partial":true}]}' % T,
    HEAD + b'"columns":["time","speed_rpm"],"values":[[%d,null]]}]}]}' % (T + 60),
]


@pytest.fixture(params=["2.9.1", "3.10.1"])
def fake(request) -> Iterator[FakeInflux]:
    with FakeInflux(request.param) as one:
        yield one


@pytest.fixture
def store(fake) -> Iterator[InfluxStore]:
    one = InfluxStore(InfluxSettings(url=fake.url, org=ORG, token=SecretStr(TOKEN), timeout_s=0.5))
    yield one
    one.close()


def read(store: InfluxStore) -> list[int | None]:
    values: list[int | None] = store.read(FAN, Tier.RAW, T, T + 3600, columns=["speed_rpm"])["speed_rpm"].to_pylist()
    return values


def test_chunks_as_each_generation_frames_them(fake, store) -> None:
    between = b"\n" if fake.version.startswith("2") else b""
    fake.query_answers.append([chunk + between for chunk in CHUNKS])
    assert read(store) == [100, None]
    (query,) = [request for request in fake.requests if request.path == "/query"]
    assert (query.params["db"], query.params["epoch"], query.params["chunked"]) == ("mining_raw", "s", "true")
    assert query.params["q"].startswith('SELECT "speed_rpm" FROM "miner_fan" WHERE time >= 1795478400s AND')
    assert query.headers["accept"] == "*/*"
    assert query.headers["authorization"].startswith("Basic ")
    assert store.name == f"influxdb-{fake.version}"


def test_a_long_statement_goes_as_a_form(fake, store) -> None:
    fake.query_answers.append(CHUNKS)
    store.read(FAN, Tier.RAW, T, T + 60, columns=["speed_rpm"], where={"miner_id": [f"m{n}" for n in range(3_000)]})
    query = fake.requests[-1]
    assert query.method == "POST"
    assert "m2999" in query.params["q"]
    assert query.params["db"] == "mining_raw"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset"),
        Fault("lost"),
        Fault("hang"),
        Fault("cut", 200, CHUNKS[0]),
        Fault("cut", 200, b"".join(CHUNKS)),
        Fault("status", 200, CHUNKS[0]),
        Fault("status", 200, CHUNKS[0] + CHUNKS[1][:-2]),
        Fault("status", 200, b""),
        Fault("status", 200, b"<html>"),
        Fault("status", 400, b'{"error":"error parsing query"}'),
        Fault("status", 500, b"{}"),
        Fault("status", 503, b'{"status":"starting"}', {"Retry-After": "3"}),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{len(fault.body)}",
)
def test_no_proper_answer_is_try_again(fake, store, fault) -> None:
    if fault.kind == "lost":
        fake.query_answers.append(CHUNKS)
    fake.faults.append(fault)
    with pytest.raises(TryAgain):
        read(store)
    fake.query_answers.append(CHUNKS)
    assert read(store) == [100, None]


@pytest.mark.influx
def test_a_server_that_says_nothing_is_sent_no_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries may take six times as long as anything else; nobody waits that long for a server that hangs."""
    monkeypatch.setattr(connection, "FRESH_S", -1.0)
    server = InfluxServer(tmp_path).start()
    try:
        server.query('CREATE DATABASE "mining_raw"')
        store = InfluxStore(InfluxSettings(url=server.url, timeout_s=0.5))
        assert read(store) == []
        server.pause()
        with pytest.raises(TryAgain, match=r"did not answer within 0\.5 s"):
            read(store)
        server.resume()
        store.close()
        patient = InfluxStore(InfluxSettings(url=server.url, timeout_s=60))
        assert read(patient) == []
        patient.close()
    finally:
        server.stop()


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_held_for_a_human(fake, store, status) -> None:
    fake.faults.append(Fault("status", status, b'{"message":"no"}'))
    with pytest.raises(NeedsHuman) as raised:
        read(store)
    assert TOKEN not in str(raised.value)


def test_errors_inside_a_200(fake, store) -> None:
    for body in (
        b'{"error":"x went wrong"}',
        b'{"results":[{"error":"x went wrong"}]}',
        CHUNKS[0] + b'{"error":"x went wrong"}',
    ):
        fake.query_answers.append([body])
        with pytest.raises(StoreError, match="x went wrong"):
            read(store)
