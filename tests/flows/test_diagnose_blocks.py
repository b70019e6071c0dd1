"""``lodeline diagnose`` where secrets are in Secret blocks of a Prefect server."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from tests.command.test_diagnose import bundled
from tests.prefect_server import PrefectServer


def test_secrets_of_prefect_blocks_are_read_and_taken_out(tmp_path: Path, api: PrefectServer) -> None:
    """A password of the configuration that only a block has, a token that Lodeline asks for by name, and others'."""
    from prefect.blocks.system import Secret

    blocks: dict[str, Any] = {
        "diagnose-miner-password": "hush-miner-4714",
        "lodeline-influx-token": "hush-token-4714",
        "diagnose-other": {"deep": ["hush-deep-4714"], "address": "amqp://me:hush+url-4714@127.0.0.1/"},
    }
    for name, value in blocks.items():
        Secret(value=value).save(name, overwrite=True, _sync=True)  # type: ignore[call-arg]
    miner = {"id": "m1", "model": "S19", "ip": "127.0.0.1", "password": "${DIAGNOSE_MINER_PASSWORD}"}
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": [miner]}))
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    secrets = ["hush-miner-4714", "hush-token-4714", "hush-deep-4714", "hush+url-4714", "hush%2Burl-4714"]
    basic = base64.b64encode(b"hush-token-4714").decode()
    (logs / "worker.log").write_text("".join(f"said {secret} here\n" for secret in [*secrets, basic]) + "the end\n")
    environ = {"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")}
    environ |= {"LODELINE_INFLUX__URL": "http://127.0.0.1:9", "LODELINE_PREFECT__API_URL": api.url}
    try:
        text = bundled(CliRunner(env=environ), tmp_path)
    finally:
        for name in blocks:
            Secret.delete(name, _sync=True)  # type: ignore[call-arg]
    assert [secret for secret in ("hush", basic) if secret in text] == []
    assert "the end" in text
    assert '"password": "***' in text
