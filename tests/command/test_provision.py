"""``lodeline provision`` against Debian's InfluxDB."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.declaration import BUCKETS
from tests.influx.server import InfluxServer


@pytest.mark.influx
def test_makes_what_is_missing_with_the_retention_of_the_configuration(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "data_retention_config.yaml").write_text(
        "raw_data: {miner_telemetry: {high_resolution: {retention_days: 14, storage_format: parquet}}}\n"
    )
    server = InfluxServer(tmp_path / "influxd").start()
    try:
        monkeypatch.setenv("LODELINE_INFLUX__URL", server.url)
        first = CliRunner().invoke(app, ["provision", "--config", str(tmp_path), "--json"])
        assert first.exit_code == 0, first.output
        wanted = [name for name, bucket in BUCKETS.items() if bucket.in_influx]
        assert {one["bucket"]: one["done"] for one in json.loads(first.stdout)} == dict.fromkeys(wanted, "created")
        policy = server.query('SHOW RETENTION POLICIES ON "mining_raw"')["results"][0]["series"][0]["values"][0]
        assert policy[1] == "336h0m0s"
        again = CliRunner().invoke(app, ["provision", "--config", str(tmp_path)])
        assert "mining_raw: kept, 14 days" in again.stdout
    finally:
        server.stop()


def test_without_influxdb_there_is_nothing_to_make(monkeypatch) -> None:
    monkeypatch.delenv("LODELINE_INFLUX__URL", raising=False)
    done = CliRunner().invoke(app, ["provision"])
    assert done.exit_code == 2
    assert "Set LODELINE_INFLUX__URL" in done.output
