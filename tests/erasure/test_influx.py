"""Out of a real InfluxDB 1.6, out of 2.x as it is asked, and what is said where 3.x cannot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import roll_up
from storage.downsample.touch import touched_frame
from storage.erasure.entity import Entity
from storage.erasure.influx import erase_from_influx
from storage.errors import NeedsHuman
from storage.frame import build_frame
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.spool.record import Batch, SpoolRecord
from tests.erasure.host import GONE, OTHERS
from tests.influx.server import InfluxServer

ODD = 'o\'k "x"/y\\z %20'
IDS = [GONE, ODD, *OTHERS]


AT = int(time.time()) // 60 * 60 - 7200


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxSettings]:
    server = InfluxServer(tmp_path_factory.mktemp("influxd")).start()
    settings = InfluxSettings(url=server.url)
    provision(settings)
    try:
        yield settings
    finally:
        server.stop()


def fill(settings: InfluxSettings) -> None:
    store = InfluxStore(settings)
    for slot in range(AT, AT + 600, 60):
        store.write(
            [build_frame("miner_telemetry", [slot] * len(IDS), {"miner_id": IDS, "power_w": [3000] * len(IDS)})]
        )
    store.write([build_frame("audit_event", [AT], {"host": ["h"], "kind": ["configuration_changed"], "place": ["1"],
                 "sequence": [1], "subject": ["file"], "detail": [f'{{"miners[0].id":"{GONE}"}}']})])  # fmt: skip
    store.close()


def rows(settings: InfluxSettings, measurement: str) -> list[dict[str, Any]]:
    store = InfluxStore(settings)
    found: list[dict[str, Any]] = store.read(MEASUREMENTS[measurement], Tier.RAW, 0, 9_000_000_000).to_pylist()
    store.close()
    return found


@pytest.mark.parametrize("name", [GONE, ODD])
def test_rows_go_and_texts_lose_the_name(influx: InfluxSettings, name: str) -> None:
    fill(influx)
    done = erase_from_influx(influx, Entity({"miner_id": name}), "h")
    assert (done.left, done.impossible) == (0, None)
    ids = [row["miner_id"] for row in rows(influx, "miner_telemetry")]
    assert sorted(set(ids)) == sorted({*IDS} - {name})
    assert len(ids) == 10 * (len(IDS) - 1)
    (told,) = rows(influx, "audit_event")
    assert (GONE in str(told["detail"])) is (name != GONE)
    assert told["sequence"] == 1
    assert erase_from_influx(influx, Entity({"miner_id": name}), "h").redacted == 0


def test_of_a_range_only_the_range_goes(influx: InfluxSettings) -> None:
    fill(influx)
    done = erase_from_influx(influx, Entity({"miner_id": GONE}, AT + 60, AT + 180), "h")
    assert done.left == 0
    assert [row["miner_id"] for row in rows(influx, "miner_telemetry")].count(GONE) == 8


def test_windows_that_a_range_cuts_are_rolled_up_again_of_what_is_left(influx: InfluxSettings) -> None:
    """Yesterday: 121 polls of two miners, of which 00:30 to 01:30 go of one."""
    midnight = AT // 86_400 * 86_400 - 86_400
    slots = range(midnight, midnight + 121 * 60, 60)
    frames = [build_frame("miner_telemetry", [at, at], {"miner_id": ["m1", "m2"], "power_w": [3, 4]}) for at in slots]
    store = InfluxStore(influx)
    touched = touched_frame([SpoolRecord("miners", 1, 0, Batch("b", midnight, "run", frames))], "h", time.time_ns())
    assert touched is not None
    store.write([*frames, touched])

    def polls(tier: Tier) -> dict[str, list[int]]:
        roll_up(store, midnight + 86_400 + 600, measurements=["miner_telemetry"])
        found: dict[str, list[int]] = {}
        for row in store.read(MEASUREMENTS["miner_telemetry"], tier, midnight, midnight + 86_400).to_pylist():
            found.setdefault(row["miner_id"], []).append(row["power_w_count"])
        return found

    assert polls(Tier.HOURLY) == {"m1": [60, 60, 1], "m2": [60, 60, 1]}
    assert erase_from_influx(influx, Entity({"miner_id": "m1"}, midnight + 1800, midnight + 5400), "h").due
    assert polls(Tier.HOURLY) == {"m1": [30, 30, 1], "m2": [60, 60, 1]}
    assert polls(Tier.DAILY) == {"m1": [61], "m2": [121]}
    store.close()


def test_of_influxdb_3_it_is_said_that_nothing_was_erased() -> None:
    with respx.mock(base_url="http://three:8181") as server:
        server.get("/ping").respond(204, headers={"X-Influxdb-Version": "3.10.1"})
        done = erase_from_influx(
            InfluxSettings(url="http://three:8181", token=SecretStr("t")), Entity({"miner_id": GONE}), "h"
        )
    assert "InfluxDB 3.10.1 cannot delete rows" in (done.impossible or "")
    assert done.deletions == 0


def test_influxdb_2_is_asked_by_its_delete_api(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    class Api:
        def delete(self, start: object, stop: object, predicate: str, *, bucket: str, org: str) -> None:
            asked.append((start, stop, predicate, bucket, org))

    class Client:
        def delete_api(self) -> Api:
            return Api()

        def close(self) -> None:
            return

    monkeypatch.setattr("storage.erasure.influx.open_client", lambda _: Client())
    nothing = '{"results":[{"statement_id":0}]}'
    settings = InfluxSettings(url="http://two:8086", org="mine", token=SecretStr("t"))
    with respx.mock(base_url="http://two:8086") as server:
        server.get("/ping").respond(204, headers={"X-Influxdb-Version": "2.9.1"})
        server.route(path="/query").mock(return_value=httpx.Response(200, text=nothing))
        done = erase_from_influx(settings, Entity({"miner_id": 'a"b'}, 0, 100), "h")
    assert done.left == 0
    told = {(predicate, bucket) for _, _, predicate, bucket, _ in asked}
    assert ('_measurement="miner_telemetry" AND miner_id="a\\"b"', "mining_raw") in told
    assert ('_measurement="miner_telemetry_hourly" AND miner_id="a\\"b"', "mining_hourly") in told
    assert {org for *_, org in asked} == {"mine"}


def test_a_refusal_of_influxdb_1_is_no_success(influx: InfluxSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(influx)
    from storage.influx.connection import Answer, Connection

    real = Connection.send

    def refusing(self: Connection, method: str, path: str, **kwargs: object) -> Answer:
        if path == "/query":
            return Answer(403, '{"error":"not allowed"}')
        return real(self, method, path, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "send", refusing)
    with pytest.raises(NeedsHuman, match="403"):
        erase_from_influx(influx, Entity({"miner_id": GONE}), "h")
