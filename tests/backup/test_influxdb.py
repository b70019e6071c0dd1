"""InfluxDB's own backup, put into a new server, and what came after it out of the lake."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from deployments.up.ports import free_port
from storage.declaration import BUCKETS, Tier
from storage.delivery.delivery import Delivery
from storage.downsample.run import roll_up
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.influx.store import InfluxStore
from storage.lake.sink import LakeSink
from tests.backup.host import EVERY_S, NAME, TELEMETRY, Host, T
from tests.influx.server import InfluxServer
from tests.services import program

pytestmark = pytest.mark.influx


def deliver(data: Path, url: str) -> None:
    influx = InfluxSink(InfluxSettings(url=url), NAME)
    delivery = Delivery(data / "spool", [influx, LakeSink(data / "lake", NAME)], NAME)
    assert delivery.flush(60)
    delivery.close()
    influx.close()


def rows(url: str, tier: Tier) -> list[dict[str, object]]:
    store = InfluxStore(InfluxSettings(url=url))
    found: list[dict[str, object]] = store.read(TELEMETRY, tier, T, T + 10**6).to_pylist()
    store.close()
    return found


def rolled(url: str, host: Host) -> None:
    store = InfluxStore(InfluxSettings(url=url))
    roll_up(store, T + host.slot * EVERY_S, measurements=[TELEMETRY.name])
    store.close()


def test_restored_and_refilled(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    first = InfluxServer(tmp_path / "first", rpc_port=ports[0]).start()
    second = InfluxServer(tmp_path / "second", rpc_port=ports[1]).start()
    try:
        first.query("; ".join(f'CREATE DATABASE "{name}"' for name in BUCKETS))
        host = Host(tmp_path / "data")
        host.collect(30)
        deliver(host.data, first.url)
        rolled(first.url, host)
        moment, kept = T + host.slot * EVERY_S, str(tmp_path / "kept")
        influxd = program("influxd")
        subprocess.run(
            [influxd, "backup", "-portable", "-host", f"127.0.0.1:{ports[0]}", kept], check=True, capture_output=True
        )
        host.collect(25)
        deliver(host.data, first.url)
        rolled(first.url, host)
        wanted = {tier: rows(first.url, tier) for tier in (Tier.RAW, Tier.HOURLY)}
        first.stop()

        subprocess.run(
            [influxd, "restore", "-portable", "-host", f"127.0.0.1:{ports[1]}", kept], check=True, capture_output=True
        )
        assert rows(second.url, Tier.RAW) == [row for row in wanted[Tier.RAW] if int(row["time"].timestamp()) < moment]  # type: ignore[attr-defined]
        env = {"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(host.data), "LODELINE_INFLUX__URL": second.url}
        words = ["refill", "--from", str(moment), "--to", str(T + host.slot * EVERY_S), "--json"]
        for _ in range(2):
            ran = CliRunner(env=env).invoke(app, words)
            assert ran.exit_code == 0, ran.output
            assert json.loads(ran.stdout) == {"rows": {"miner_telemetry": 50}}
        rolled(second.url, host)
        assert {tier: rows(second.url, tier) for tier in wanted} == wanted
        assert len(wanted[Tier.RAW]) == 110
        host.stop()
    finally:
        first.stop()
        second.stop()


@pytest.mark.parametrize(
    ("variables", "words", "said"),
    [
        ({}, ["--from", "2026-11-25"], "No InfluxDB is configured"),
        (
            {"LODELINE_INFLUX__URL": "http://127.0.0.1:9", "LODELINE_LAKE__ENABLED": "false"},
            ["--from", "2026-11-25"],
            "is off",
        ),
        ({}, ["--from", "2026-11-25", "--to", "2026-11-24"], "Swap them"),
    ],
)
def test_mistakes(tmp_path: Path, variables: dict[str, str], words: list[str], said: str) -> None:
    env = {"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(tmp_path), **variables}
    refused = CliRunner(env=env).invoke(app, ["refill", *words])
    assert refused.exit_code == 2
    assert said in refused.output
