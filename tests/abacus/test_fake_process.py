"""The fake as a process of its own: what ``lodeline up --with-fake-abacus`` starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from deployments.farm.abacus import configuration
from deployments.settings import load_settings
from deployments.up.summary import Summary
from deployments.up.supervisor import Options, Supervisor
from storage.errors import NeedsHuman
from storage.settings import StorageSettings
from tasks.abacus.definition import definitions_of
from tests.abacus.conftest import KEY, Host, view_rows

ROOT = Path(__file__).parents[2]


class Process:
    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "deployments.farm.abacus", "--state", str(state)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), configuration.KEY: KEY}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode


def test_it_says_that_it_is_one_and_remembers(tmp_path):
    first = Process(tmp_path / "abacus.sqlite")
    try:
        host = Host(first.url, tmp_path, view_rows(6))
        host.part_bytes = 5 << 20
        assert host.run().rows == 6
        told = httpx.get(f"{first.url}/fake", trust_env=False).json()
        assert told == {"fake": True, "rows": {"miner_telemetry": 6}}
    finally:
        assert first.end() == 0
    second = Process(tmp_path / "abacus.sqlite")
    try:
        assert Host(second.url, tmp_path, view_rows(6)).run().rows == 0
        assert httpx.get(f"{second.url}/fake", trust_env=False).json() == told
    finally:
        assert second.end() == 0


def test_a_host_of_the_fake_is_told_groups_that_its_views_have():
    environ = configuration.variables("http://127.0.0.1:9", configuration.fresh_key())
    abacus = load_settings(None, environ).abacus
    assert abacus is not None
    assert [d.name for d in definitions_of(abacus.feature_groups)] == [
        "miner_telemetry", "pool_performance", "market_data",
    ]  # fmt: skip
    assert isinstance(abacus.general.api_key, SecretStr)
    assert abacus.general.environment == "fake"


def test_the_end_of_a_session_says_fake(tmp_path):
    summary = Summary(StorageSettings(data_directory=tmp_path))
    assert "Abacus" not in summary.in_words()
    assert "fake_abacus" not in summary.as_json()
    summary.fake_abacus = {"market_data": 7}
    assert summary.in_words().endswith("The FAKE of Abacus.AI holds 7 rows of market_data")
    assert summary.as_json()["fake_abacus"] == {"market_data": 7}


def test_beside_the_service_there_is_no_fake(tmp_path, monkeypatch):
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LODELINE_ABACUS__GENERAL__PROJECT_ID", "mining")
    monkeypatch.setenv(configuration.KEY, KEY)
    options = Options(None, None, 1, 1, 5, (), False, None, None, fake_abacus=True)
    with pytest.raises(NeedsHuman, match=r"Abacus\.AI is configured"):
        Supervisor(options, print)
