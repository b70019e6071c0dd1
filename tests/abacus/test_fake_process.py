"""The fake as a process of its own: what ``lodeline up --with-fake-abacus`` starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from deployments.farm.abacus import configuration
from deployments.farm.abacus.foresight import deploy
from deployments.farm.abacus.server import FakeAbacus
from deployments.settings import load_settings
from deployments.up.simulated import Simulated
from deployments.up.summary import Summary
from deployments.up.supervisor import Options, Supervisor
from storage.declaration import MEASUREMENTS, Tier
from storage.errors import NeedsHuman
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.views import VIEWS
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from storage.settings import StorageSettings
from tasks.abacus.connection import Abacus, find_endpoints
from tasks.abacus.definition import definitions_of
from tasks.abacus.exporting import export_groups
from tasks.abacus.predicting import PredictionResult, fetch_predictions
from tests.abacus.conftest import KEY, Host, view_rows

START = 1_795_392_000  # 2026-11-23T00:00:00Z
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
        assert told == {"fake": True, "rows": {"miner_telemetry": 6}, "predicted": 0}
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


def test_the_whole_circle_of_a_session(tmp_path, monkeypatch):
    """What lodeline up --with-fake-abacus tells a host: prices go there, predictions come back and are scored."""
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())
    store = EmbeddedStore(tmp_path / "lake")
    storage = StorageSettings(data_directory=tmp_path)

    def prices(first: int, count: int, price: float) -> None:
        times = [START + (first + at) * 300 for at in range(count)]
        columns: dict[str, list[Any]] = {
            "source": ["coingecko"] * count, "coin_id": ["bitcoin"] * count, "price_usd": [price] * count,
        }  # fmt: skip
        store.write([build_frame("market_data", times, columns)])
        kept = {bucket: 30 for bucket in MEASUREMENTS["market_data"].buckets.values()}
        with OnlineStore(tmp_path / "features.sqlite") as online:
            publish(store, tmp_path / "lake", online, times[-1] + 60, kept, views=[VIEWS["market"]])

    with FakeAbacus(KEY) as fake:
        deploy(fake.backend)
        assert fake.backend.answers({"price_usd": 5.0}) == {"predicted": 5.0}  # lodeline abacus ask
        said = load_settings(None, configuration.variables(fake.url, KEY)).abacus
        assert said is not None
        endpoints = asyncio.run(find_endpoints(said))

        def fetch(now: int) -> PredictionResult:
            (result,) = fetch_predictions(said, endpoints, storage, clock=lambda: now)
            return result

        early = fetch(START + 650)
        assert early.report is not None
        assert (early.report.status, early.trouble) == ("PENDING", "")  # nothing was exported: the batch waits
        prices(0, 3, 50_000.0)
        export_groups(said, endpoints, storage, clock=lambda: START + 700)
        first = fetch(START + 700)
        assert first.report is not None, first.trouble
        assert (first.report.rows, first.scores) == (24, 0)  # of 00:15, 00:20 and so on
        assert fake.predicted() == 24
        prices(3, 2, 50_500.0)
        scored = fetch(START + 1_500)
        assert scored.scores >= 2
    rows = store.read(MEASUREMENTS["prediction_score"], Tier.RAW, START, START + 1_300).to_pylist()
    store.close()
    # what came is 500 USD more than the price that was to stay
    assert [(row["actual"], row["error"]) for row in rows] == [(50_500.0, -500.0)] * 2


def test_the_end_of_a_session_says_fake(tmp_path):
    summary = Summary(StorageSettings(data_directory=tmp_path))
    assert "Abacus" not in summary.in_words()
    assert "fake_abacus" not in summary.as_json()
    summary.fake_abacus = {"market_data": 7}
    assert summary.in_words().endswith("The FAKE of Abacus.AI holds 7 rows of market_data")
    assert summary.as_json()["fake_abacus"] == {"market_data": 7}
    summary.fake_predicted = 48
    assert summary.in_words().endswith("7 rows of market_data; it predicted 48 values, by no model")


def test_beside_the_service_there_is_no_fake(tmp_path, monkeypatch):
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LODELINE_ABACUS__GENERAL__PROJECT_ID", "mining")
    monkeypatch.setenv(configuration.KEY, KEY)
    options = Options(None, None, Simulated(1, 1, 5, (), services=False), None, None, fake_abacus=True)
    with pytest.raises(NeedsHuman, match=r"Abacus\.AI is configured"):
        Supervisor(options, print, print)
