"""The flow that writes exports, on a real server: a day once; its schedule carries its name."""

from __future__ import annotations

import time

import pandas as pd
import pytest

from storage.frame import build_frame
from storage.lake.store import EmbeddedStore

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

CONFIGURATION = """
exports:
  - {name: power, what: miner_telemetry, fields: [power_w], entity: [miner_id=a], keep: 2}
"""
DAY_S = 86_400


async def test_a_day_that_is_over_is_written_once(api, tmp_path, monkeypatch):
    from flows.export_series import export_series

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text(CONFIGURATION)
    config = str(tmp_path / "config")
    day = int(time.time() - 900) // DAY_S * DAY_S - DAY_S
    store = EmbeddedStore(tmp_path / "lake")
    store.write([build_frame("miner_telemetry", [day, day] * 2, {
        "miner_id": ["a", "b"] * 2, "power_w": [3000, 1, 3000, 1],
    }), build_frame("miner_telemetry", [day + DAY_S], {"miner_id": ["a"], "power_w": [9]})])  # fmt: skip
    store.close()
    name = time.strftime("power-%Y-%m-%d.csv", time.gmtime(day))
    state = await export_series("power", config=config, return_state=True)
    assert state.message == f"{name}: 1 rows"
    rows = pd.read_csv(tmp_path / "exports" / "power" / name)
    assert rows[["miner_id", "power_w"]].values.tolist() == [["a", 3000]]
    state = await export_series(config=config, return_state=True)
    assert state.message == "no export is due"
    state = await export_series("gone", config=config, return_state=True)
    assert state.message == "no export gone is configured"


async def test_the_schedule_carries_the_name(api):
    from prefect.client.orchestration import get_client

    from deployments.prefect.deploy import register
    from deployments.prefect.plan import read_plan
    from storage.retention_settings import RetentionSettings
    from tasks.exports.settings import ExportSettings

    export = ExportSettings(name="power", what="miner_telemetry")
    plan = read_plan()
    plan = plan.model_copy(update={"deployments": [one for one in plan.deployments if one.name == "export-series"]})
    registered = await register(plan.scheduled(RetentionSettings(), exports=[export]))
    deployment = registered.deployments["export-series/export-series"]
    async with get_client() as client:
        (schedule,) = await client.read_deployment_schedules(deployment)
        assert (schedule.slug, schedule.parameters) == ("power", {"name": "power"})
        await register(plan)
        assert await client.read_deployment_schedules(deployment) == []
