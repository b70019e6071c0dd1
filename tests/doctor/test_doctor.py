"""``lodeline doctor`` on set-ups that are wrong in one way each, and on real servers that are well."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from deployments.doctor import host
from deployments.doctor.finding import Verdict
from deployments.doctor.stores import clock
from storage.influx.settings import InfluxSettings
from tasks.alerts.book import Book, Look
from tasks.health.host import Clock, HostState
from tasks.miners.report import TickReport
from tests.influx.conftest import influx, influx_server
from tests.prefect_server import PrefectServer

__all__ = ["influx", "influx_server"]

NOWHERE = {"LODELINE_PREFECT__API_URL": "http://127.0.0.1:9/api"}


class Patient:
    """A configuration and a data directory, and what the doctor says of them."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._config = folder
        self.environ: dict[str, str] = dict(NOWHERE)

    def configured(self, collection: dict[str, Any], retention: dict[str, Any] | None = None) -> None:
        (self._config / "data_collection_config.yaml").write_text(yaml.safe_dump(collection))
        if retention is not None:
            (self._config / "data_retention_config.yaml").write_text(yaml.safe_dump(retention))

    def seen(self) -> dict[str, list[tuple[str, str]]]:
        environ = {"LODELINE_CONFIG": str(self._config), "LODELINE_DATA_DIRECTORY": str(self.data), **self.environ}
        told = CliRunner(env=environ).invoke(app, ["doctor", "--json"])
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        found: dict[str, list[tuple[str, str]]] = {}
        for line in json.loads(told.output):
            found.setdefault(line["what"], []).append((line["verdict"], line["found"]))
            assert (line["verdict"] in {"wrong", "odd"}) == bool(line["remedy"]), line
        wrong = any(verdict == "wrong" for lines in found.values() for verdict, _ in lines)
        assert told.exit_code == wrong
        return found


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def test_before_anything_was_started(patient: Patient) -> None:
    found = patient.seen()
    assert {what for what, lines in found.items() for verdict, _ in lines if verdict == "wrong"} == {"Prefect"}
    assert found["pipeline"] == [("skipped", "nothing has been collected on this host yet")]
    assert found["channels"][0][0] == "odd"
    assert not patient.data.exists(), "a doctor changes nothing"


def test_a_data_directory_that_cannot_be_made(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    patient.data = tmp_path / "file" / "data"
    (verdict, said), *_ = patient.seen()["data directory"]
    assert verdict == "wrong"
    assert "Not a directory" in said


def machine(**given: Any) -> dict[str, Verdict]:
    usual: dict[str, Any] = {
        "cpus": 4, "load_1m": 0.5, "cpu": None, "memory_total": 1000, "memory_available": 600, "swap_used": 0,
        "disk_total": 10, "disk_free": 5, "temperature_c": 50.0, "throttled": False, "under_voltage": False,
        "uptime_s": 9, "clock": Clock(synchronised=True, error_s=0.1), "reasons": {},
    }  # fmt: skip
    return {one.what: one.verdict for one in host._machine(HostState(**{**usual, **given}))}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"memory_available": 99}, {"memory": Verdict.WRONG}),
        ({"temperature_c": 80.0}, {"heat": Verdict.WRONG}),
        ({"temperature_c": None, "throttled": True}, {"heat": Verdict.WRONG}),
        ({"under_voltage": True}, {"power supply": Verdict.WRONG}),
        ({"clock": Clock(synchronised=False, error_s=16.0)}, {"NTP": Verdict.ODD}),
    ],
)
def test_a_machine_that_is_not_well(given: dict[str, Any], found: dict[str, Verdict]) -> None:
    well = machine()
    assert set(well.values()) == {Verdict.WELL}
    assert machine(**given) == well | found


def test_a_machine_that_tells_nothing() -> None:
    untold = dict.fromkeys(("memory_total", "memory_available", "temperature_c", "throttled", "under_voltage", "clock"))
    assert machine(**untold) == {}


def test_a_disk_that_is_nearly_full() -> None:
    assert host.disk(100 * 10**9, 11 * 10**9).verdict is Verdict.WELL
    full = host.disk(100 * 10**9, 4 * 10**9)
    assert (full.verdict, full.found) == (Verdict.WRONG, "4% of 100 GB free")


def test_a_package_that_is_missing(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "is_installed", lambda name: name != "apprise")
    patient.configured({"alerts": {"channels": [{"name": "ops", "url": "json://127.0.0.1"}]}})
    assert patient.seen()["packages"] == [("wrong", "apprise not installed")]


def test_too_few_open_files(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 64))
    (verdict, said), *_ = patient.seen()["open files"]
    assert verdict == "wrong"
    assert "64 at most" in said


def test_a_port_that_somebody_else_has(patient: Patient) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # bound, and nobody listens
        patient.environ["LODELINE_PAGE__PORT"] = str(other.getsockname()[1])
        ((verdict, said),) = patient.seen()["page"]
        assert (verdict, "in use" in said) == ("wrong", True)
        other.listen()
        ((verdict, said),) = patient.seen()["page"]
        assert verdict == "well"


def test_who_is_to_be_mailed_of_the_archive(patient: Patient, tmp_path: Path) -> None:
    archived = {
        "general": {"archive_base_path": str(tmp_path / "archive")},
        "archiving": {"notification_email": "ops@farm.example"},
    }
    patient.configured({}, archived)
    ((verdict, said),) = patient.seen()["archive mail"]
    assert (verdict, said[:16]) == ("odd", "ops@farm.example")
    mail = {"name": "mail", "url": "mailto://127.0.0.1/oncall@farm.example?from=l@farm.example"}
    patient.configured({"alerts": {"channels": [mail]}}, archived)
    assert patient.seen()["archive mail"] == [("well", "ops@farm.example is told by channel mail")]


def test_an_archive_beside_the_data(patient: Patient, tmp_path: Path) -> None:
    patient.configured({}, {"general": {"archive_base_path": str(tmp_path / "archive")}})
    ((verdict, said),) = patient.seen()["archive"]
    assert (verdict, "volume of the data" in said) == ("odd", True)


@pytest.mark.parametrize(
    ("skew_s", "verdict", "said"),
    [
        (0.5, Verdict.WELL, "agrees with it"),
        (-60.0, Verdict.WRONG, "this machine is 60 s behind it"),
        (60.0, Verdict.WRONG, "this machine is 60 s ahead of it"),
    ],
)
def test_clocks(skew_s: float, verdict: Verdict, said: str) -> None:
    now = 1_800_000_000.0
    (finding,) = clock("it", formatdate(now - skew_s, usegmt=True), now)
    assert (finding.verdict, finding.found) == (verdict, said)
    assert list(clock("it", None, now)) == []


def test_an_influxdb_that_is_not_there(patient: Patient) -> None:
    patient.environ["LODELINE_INFLUX__URL"] = "http://127.0.0.1:9"
    ((verdict, said),) = patient.seen()["InfluxDB"]
    assert verdict == "wrong"
    assert "127.0.0.1:9" in said


@pytest.mark.influx
def test_an_influxdb_that_is(patient: Patient, influx: InfluxSettings) -> None:
    patient.environ["LODELINE_INFLUX__URL"] = influx.url
    found = patient.seen()
    ((verdict, said),) = found["InfluxDB"]
    assert verdict == "well"
    assert said.startswith("influxdb-1")
    assert found["clock"] == [("well", f"agrees with InfluxDB at {influx.url}")]


def test_a_lane_that_stands_still_and_a_miner_that_is_silent(patient: Patient) -> None:
    now = int(time.time())
    report = TickReport(
        lane="miners", host="edge", slot=now - 3_600, finished=now - 3_599.0, polled=1, failed=0, points=1,
        points_accepted=1, failed_by_reason={}, points_stored=1, points_dead_lettered=0, points_shed=0, backlog=0,
        tick_s=1.0, loop_lag_ms=0.0, store="embedded", next_slot=now - 3_540,
    )  # fmt: skip
    (patient.data / "state").mkdir(parents=True)
    (patient.data / "state" / "miners.json").write_bytes(msgspec.json.encode(report))
    ((verdict, said),) = patient.seen()["pipeline"]
    assert (verdict, "stands still" in said) == ("wrong", True)


def test_alerts_that_nobody_looks_for_and_a_channel_that_fails(patient: Patient) -> None:
    patient.configured({"alerts": {"channels": [{"name": "ops", "url": "nosuch://hush"}]}})
    book = Book.open(patient.data / "state")
    with book.transaction():
        book.note_look(Look(at=time.time() - 7_200))
    book.note_channel("ops", time.time(), "it answered 500")
    book.close()
    found = patient.seen()
    assert found["alerts"] == [("wrong", "the last look was 2 h ago")]
    assert [verdict for verdict, _ in found["channels"]] == ["wrong", "wrong"]
    assert "hush" not in str(found)


class _Guarded(BaseHTTPRequestHandler):
    """Prefect's server with PREFECT_SERVER_API_AUTH_STRING: its health is told to all, the rest to who knows it."""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(b"ana:hush").decode()
        known = self.path == "/api/health" or self.headers["Authorization"] == wanted
        status, body = (200, b"true") if self.path == "/api/health" else (200, b'"9.9.9"') if known else (401, b"{}")
        status = 404 if known and "work_pools" in self.path else status
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


def test_a_prefect_server_that_lets_in_who_knows_its_word(patient: Patient) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Guarded) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        patient.environ["LODELINE_PREFECT__API_URL"] = f"http://127.0.0.1:{server.server_port}/api"
        ((verdict, said),) = patient.seen()["Prefect"]
        assert (verdict, "does not let us in (401)" in said) == ("wrong", True)
        patient.environ["PREFECT_API_AUTH_STRING"] = "ana:hush"
        found = patient.seen()
        assert found["Prefect"][0][1].startswith("server 9.9.9, here ")
        assert found["deployments"] == [("wrong", "there is no work pool lodeline")]
        server.shutdown()


@pytest.mark.prefect
def test_a_prefect_server_that_has_what_is_deployed(api: PrefectServer, patient: Patient) -> None:
    from deployments.prefect.deploy import register
    from deployments.prefect.plan import read_plan

    patient.environ["LODELINE_PREFECT__API_URL"] = api.url
    asyncio.run(register(read_plan()))
    found = patient.seen()
    assert found["Prefect"][0][0] == "well", found["Prefect"]
    assert found["clock"][0][0] == "well"
    assert found["deployments"][0][0] == "well"
    assert {verdict for verdict, _ in found["workers"]} <= {"well", "wrong"}
