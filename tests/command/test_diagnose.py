"""``lodeline diagnose``: what is in the bundle, and that none of the planted secrets is."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from tasks.alerts.book import Book

SECRETS = ["hush-miner-4711", "hush/pool+4711", "hush-channel-4711", "hush-influx-4711", "hush-page-4711"]


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    miner, pool, channel, influx, page = SECRETS
    collection = {
        "miners": [{"id": "m1", "model": "S19", "ip": "127.0.0.1", "username": "admin", "password": miner}],
        "pools": [{"id": "ltc", "kind": "litecoinpool", "api_key": pool, "account": "acc"}],
        "alerts": {"channels": [{"name": "ops", "url": f"json://127.0.0.1/{channel}"}]},
    }
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump(collection))
    environ = {
        "LODELINE_CONFIG": str(tmp_path),
        "LODELINE_DATA_DIRECTORY": str(tmp_path / "data"),
        "LODELINE_INFLUX__URL": "http://127.0.0.1:9",
        "LODELINE_INFLUX__USERNAME": "lodeline",
        "LODELINE_INFLUX__PASSWORD": influx,
        "LODELINE_PAGE__PASSWORD": page,
        "LODELINE_PREFECT__API_URL": "http://127.0.0.1:9/api",
    }
    return CliRunner(env=environ)


def test_the_bundle_tells_all_but_secrets(runner: CliRunner, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "logs").mkdir(parents=True)
    spoken = "".join(f"GET /?key={secret} {base64.b64encode(secret.encode()).decode()}\n" for secret in SECRETS)
    (data / "logs" / "collect_pools.log").write_text(f"all is well\n{spoken}")
    Book.open(data / "state").close()
    (data / "state" / "market.sources.json").write_text(json.dumps([{"source": "ltc", "message": SECRETS[1]}]))
    target = tmp_path / "bundle.zip"
    made = runner.invoke(app, ["diagnose", "--out", str(target)])
    assert made.exit_code == 0, made.output
    assert target.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(target) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert {
        "about.json",
        "status.json",
        "doctor.json",
        "alerts.json",
        "metrics.txt",
        "state/market.sources.json",
    } <= set(texts)
    assert "configuration/collection.json" in texts
    assert texts["logs/collect_pools.log"].startswith("all is well\n")
    assert json.loads(texts["configuration/collection.json"])["miners"][0]["id"] == "m1"
    assert any(finding["what"] == "Prefect" for finding in json.loads(texts["doctor.json"]))
    assert "lodeline" in json.loads(texts["about.json"])["packages"]
    for secret in SECRETS:
        forms = (secret, base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1])
        assert [name for name, text in texts.items() if any(form in text for form in forms)] == []


def test_a_file_that_is_there_stays(runner: CliRunner, tmp_path: Path) -> None:
    target = tmp_path / "bundle.zip"
    target.write_text("mine")
    refused = runner.invoke(app, ["diagnose", "--out", str(target)])
    assert refused.exit_code == 2
    assert "is there already" in refused.output
    assert target.read_text() == "mine"
    assert runner.invoke(app, ["diagnose", "--out", str(tmp_path / "no" / "folder.zip")]).exit_code == 2


def test_what_cannot_be_told_is_told_so(runner: CliRunner, tmp_path: Path) -> None:
    state = tmp_path / "data" / "state"
    state.mkdir(parents=True)
    (state / "alerts.sqlite").write_bytes(b"no database" * 500)
    target = tmp_path / "bundle.zip"
    assert runner.invoke(app, ["diagnose", "--out", str(target)]).exit_code == 0
    with zipfile.ZipFile(target) as bundle:
        assert bundle.read("alerts.json").decode().startswith("cannot be told: NeedsHuman: the book of alerts")


def test_secrets_of_the_environment_are_taken_out_of_logs(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's own are no part of our configuration, and its server and worker log what they like."""
    environ = {
        "PREFECT_API_KEY": "hush-key-4712",
        "PREFECT_API_AUTH_STRING": "admin:hush-auth-4712",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://prefect:hush%2Fdb-4712@127.0.0.1/prefect",
        "SHORT_KEY": "the",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    basic = base64.b64encode(b"admin:hush-auth-4712").decode()
    spoken = ["hush-key-4712", "as admin with hush-auth-4712", f"Basic {basic}", "hush/db-4712", environ.popitem()[1]]
    (logs / "prefect.log").write_text("\n".join([*spoken, *environ.values()]) + "\nthe end\n")
    target = tmp_path / "bundle.zip"
    made = runner.invoke(app, ["diagnose", "--out", str(target)])
    assert made.exit_code == 0, made.output
    with zipfile.ZipFile(target) as bundle:
        text = "".join(bundle.read(name).decode() for name in bundle.namelist())
    assert [secret for secret in ("hush-key", "hush-auth", "hush/db", "hush%2Fdb", basic) if secret in text] == []
    assert "the end" in text


def test_secrets_of_addresses_and_of_names_with_a_number(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "HTTPS_PROXY": "http://proxy:hush%2fproxy-4713@127.0.0.1:9",
        "CODE_ADDRESS": "https://hush-alone-4713@127.0.0.1:9/x",
        "SITE_DB_PASS": "hush-pass-4713",
        "MINER_PASSWORD_2": "hush-second-4713",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    apart = ["hush%2fproxy-4713", "hush/proxy-4713", "hush-alone-4713"]
    (logs / "worker.log").write_text("".join(f"said {one} here\n" for one in [*apart, *environ.values()]) + "the end\n")
    text = bundled(runner, tmp_path)
    assert "hush" not in text
    assert "the end" in text


def bundled(runner: CliRunner, folder: Path) -> str:
    """All of the bundle."""
    made = runner.invoke(app, ["diagnose", "--out", str(folder / "bundle.zip")])
    assert made.exit_code == 0, made.output
    with zipfile.ZipFile(folder / "bundle.zip") as bundle:
        return "".join(bundle.read(name).decode() for name in bundle.namelist())
