"""The flow that scores hours, on a real server; and what of the Abacus.AI file it takes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from flows.settings import real_time_or_default
from storage.lake.store import EmbeddedStore
from tasks.abacus.settings import RealTimeSettings
from tests.derive.anomaly.test_hours import MINERS, NOON, hours, put

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]


@pytest.fixture
def config(api, tmp_path, monkeypatch):
    """A lake of eight days, in whose last hour m2 has lost a board; and the folder of its configuration."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    folder = tmp_path / "config"
    folder.mkdir()
    miners = [{"id": f"m{row}", "ip": f"127.0.0.{row + 1}", "model": "S19"} for row in range(MINERS)]
    (folder / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": miners}))
    (folder / "abacus_integration_config.yaml").write_text(
        "general: {project_id: p, api_key: '${ABACUS_API_KEY}'}\nreal_time: {anomaly_detection: {sensitivity: low}}\n"
    )
    of = hours(180)
    of.boards_lost[2, -1] = 1.0
    store = EmbeddedStore(tmp_path / "lake")
    put(store, of, NOON)
    monkeypatch.setattr("tasks.derive.steps.time", SimpleNamespace(time=lambda: NOON + 24 * 60))
    store.close()
    return folder


async def test_hours_are_scored_once_without_the_key(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.derive_anomalies import derive_anomalies

    first = await derive_anomalies(str(config), return_state=True)
    assert first.message == "48 hours judged, 384 scores written, 1 miner-hours are anomalous"
    again = await derive_anomalies(str(config), return_state=True)
    assert again.message == "6 hours judged, 0 scores written, 1 miner-hours are anomalous"
    monkeypatch.setenv("LODELINE_ABACUS__REAL_TIME__ANOMALY_DETECTION__ENABLED", "false")
    assert (await derive_anomalies(str(config), return_state=True)).name == "Skipped"


async def test_a_fault_of_the_file_does_not_stop_the_collector(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert (await real_time_or_default(str(config))).anomaly_detection.sensitivity == "low"
    (config / "abacus_integration_config.yaml").write_text("real_time: {anomaly_detection: {sensitivity: so}}\n")
    assert await real_time_or_default(str(config)) == RealTimeSettings()
    assert "anomaly_detection.sensitivity" in caplog.text
