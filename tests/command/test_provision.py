"""``lodeline provision`` against Debian's InfluxDB and the fake InfluxDB 2."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.command import app
from storage.audit.trail import Trail
from storage.declaration import BUCKETS
from tests.influx.fake import ORG, TOKEN, FakeInflux
from tests.influx.server import InfluxServer

NAMES = [name for name, bucket in BUCKETS.items() if bucket.in_influx]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeInflux]:
    with FakeInflux("2.9.1") as one:
        for name, value in (("URL", one.url), ("ORG", ORG), ("TOKEN", TOKEN)):
            monkeypatch.setenv(f"LODELINE_INFLUX__{name}", value)
        monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data"))
        yield one


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["provision", *arguments])
    assert TOKEN not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def entries(tmp_path: Path) -> list[tuple[str, str | None]]:
    (file,) = (tmp_path / "data" / "audit").glob("*.jsonl")
    return [(entry.kind, entry.subject) for entry in Trail.open(tmp_path / "data", file.stem).entries()]


@pytest.mark.influx
def test_makes_what_is_missing_with_the_retention_of_the_configuration(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "data_retention_config.yaml").write_text(
        "raw_data: {miner_telemetry: {high_resolution: {retention_days: 14, storage_format: parquet}}}\n"
    )
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data"))
    server = InfluxServer(tmp_path / "influxd").start()
    try:
        monkeypatch.setenv("LODELINE_INFLUX__URL", server.url)
        first = run("--config", str(tmp_path), "--json")
        assert first.exit_code == 0, first.output
        told = json.loads(first.stdout)
        assert told["plan"] == told["done"]
        assert [step["step"] for step in told["done"]] == ["CreateBucket"] * len(NAMES)
        assert told["secrets"] == {}, "a server without authentication has no users"
        policy = server.query('SHOW RETENTION POLICIES ON "mining_raw"')["results"][0]["series"][0]["values"][0]
        assert policy[1] == "336h0m0s"
        again = run("--config", str(tmp_path))
        assert again.stdout.splitlines()[0] == f"InfluxDB at {server.url} is as declared."
        assert "turn on its authentication" in again.stdout
        assert entries(tmp_path) == [("bucket_provisioned", f"bucket {name}") for name in NAMES]
    finally:
        server.stop()


def test_a_dry_run_shows_the_plan_and_changes_nothing(fake: FakeInflux, tmp_path: Path) -> None:
    dry = run("--dry-run")
    assert dry.exit_code == 1, dry.output
    assert "  make mining_raw, kept 30 d, shards of 1 d" in dry.stdout.splitlines()
    assert "  make access writer: writes " in dry.stdout
    assert (fake.two.buckets, fake.two.authorizations) == ({}, {})
    assert all(request.method == "GET" for request in fake.requests)
    assert not (tmp_path / "data").exists()
    assert run().exit_code == 0
    assert run("--dry-run").exit_code == 0


def test_a_secret_is_printed_once_and_never_again(fake: FakeInflux, tmp_path: Path) -> None:
    first = run()
    minted = set(fake.two.tokens) - {TOKEN}
    assert len(minted) == 3
    assert all(first.stdout.count(token) == 1 for token in minted)
    again = run()
    assert again.exit_code == 0
    assert not any(token in again.output for token in minted)
    (trail,) = (tmp_path / "data" / "audit").glob("*.jsonl")
    kept = [file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert not any(token.encode() in content for token in minted for content in kept)
    assert ("access_changed", "access writer") in entries(tmp_path)
    assert trail.is_file()


def test_secrets_in_files_that_nobody_else_reads(fake: FakeInflux, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    done = run("--secrets", str(folder), "--access", "host", "--access", "grafana")
    assert done.exit_code == 0, done.output
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    assert set(files) == {"host/LODELINE_INFLUX__TOKEN", "grafana/LODELINE_GRAFANA_INFLUX_TOKEN"}
    for file in files.values():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert file.read_text().rstrip("\n") in fake.two.tokens
        assert file.read_text().strip() not in done.output
    before = files["host/LODELINE_INFLUX__TOKEN"].read_text()
    assert run("--secrets", str(folder), "--rotate", "host").exit_code == 0
    after = files["host/LODELINE_INFLUX__TOKEN"].read_text()
    assert after != before
    assert (before.strip() in fake.two.tokens, after.strip() in fake.two.tokens) == (False, True)
    assert len(fake.two.authorizations) == 2, "rotating one makes no other"


def test_nothing_is_made_whose_secret_cannot_be_kept(fake: FakeInflux, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    refused = run("--secrets", str(tmp_path / "file"))
    assert refused.exit_code == 2
    assert "cannot be written" in refused.stderr
    assert fake.requests == []
    # It becomes unwritable in between: the new token is taken back.
    folder = tmp_path / "secrets"
    (folder / "writer").mkdir(parents=True)
    (folder / "writer" / "LODELINE_INFLUX__TOKEN").mkdir()
    (folder / "writer" / "LODELINE_INFLUX__TOKEN" / "x").touch()
    assert run("--secrets", str(folder), "--access", "writer").exit_code == 2
    assert fake.two.authorizations == {}


def test_shorter_retention_asks_for_yes(fake: FakeInflux, tmp_path: Path) -> None:
    assert run("--no-access").exit_code == 0
    (tmp_path / "data_retention_config.yaml").write_text(
        "raw_data: {miner_telemetry: {high_resolution: {retention_days: 14}, low_resolution: {retention_days: 2000}}}\n"
    )
    refused = run("--no-access", "--config", str(tmp_path))
    assert refused.exit_code == 2
    assert "DELETES 16 d of data" in refused.stdout
    assert "Give --yes" in refused.stderr
    days = {name: made["retentionRules"][0]["everySeconds"] // 86_400 for name, made in fake.two.buckets.items()}
    assert (days["mining_raw"], days["mining_daily"]) == (30, 1095), "nothing was changed, the longer one neither"
    assert run("--no-access", "--config", str(tmp_path), "--only-missing").exit_code == 0
    done = run("--no-access", "--config", str(tmp_path), "--yes")
    assert done.exit_code == 0, done.output
    assert fake.two.buckets["mining_raw"]["retentionRules"][0]["everySeconds"] == 14 * 86_400
    assert entries(tmp_path)[-2:] == [
        ("retention_changed", "bucket mining_raw"),
        ("retention_changed", "bucket mining_daily"),
    ]


def test_what_must_not_be_corrected_is_told_by_the_exit_code(fake: FakeInflux) -> None:
    assert run("--access", "writer").exit_code == 0
    (writer,) = fake.two.authorizations.values()
    writer["permissions"].pop()
    differs = run("--access", "grafana")
    assert differs.exit_code == 1, "seen though it was not asked for"
    assert "differs: access writer" in differs.stdout
    assert run("--access", "writer", "--rotate", "writer").exit_code == 0
    assert run("--access", "writer").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--access", "reader"), "There are writer, downsampler, grafana, host"),
        (("--rotate", "reader"), "no access reader"),
        (("--no-access", "--rotate", "writer"), "Leave one out"),
        (("--secrets", "x", "--prefect-secrets"), "Leave one out"),
    ],
)
def test_mistakes(fake: FakeInflux, arguments, said) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert fake.requests == []


def test_prefect_secrets_need_a_server(fake: FakeInflux, monkeypatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    done = run("--prefect-secrets")
    assert (done.exit_code, "Set PREFECT_API_URL" in done.stderr) == (2, True)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    done = run("--prefect-secrets")
    assert (done.exit_code, "does not answer" in done.stderr) == (2, True)
    assert fake.requests == []


def test_without_influxdb_there_is_nothing_to_make(monkeypatch) -> None:
    monkeypatch.delenv("LODELINE_INFLUX__URL", raising=False)
    done = run()
    assert done.exit_code == 2
    assert "Set LODELINE_INFLUX__URL" in done.output
