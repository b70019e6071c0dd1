"""The flow that derives metrics, on a real server: readings that are rolled up become rows, once."""

from __future__ import annotations

import time

import pytest

from storage.downsample.run import GRACE_S
from storage.lake.store import EmbeddedStore
from tests.derive.test_operations import EVERY, HOUR_S, arrive, readings

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

NOTHING = "0 rows of operational metrics of 0 hours and days, 0 of financial metrics of 0, 0 days of pools"
ONE_HOUR = "1 rows of operational metrics of 1 hours and days, 4 of financial metrics of 1, 0 days of pools"
CONFIGURATION = """
miners:
  - {id: a, model: Antminer S19, ip: 127.0.0.1}
"""


async def test_hours_that_are_rolled_up_are_derived_once(api, tmp_path, monkeypatch):
    from flows.derive_metrics import derive_metrics
    from flows.downsample import downsample

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text(CONFIGURATION)
    config = str(tmp_path / "config")
    hour = int(time.time() - GRACE_S) // HOUR_S * HOUR_S - HOUR_S  # the newest that is over: later ones would be dark
    store = EmbeddedStore(tmp_path / "lake")
    arrive(store, readings(hour, EVERY))
    store.close()
    state = await derive_metrics(config, return_state=True)
    assert state.message == NOTHING
    await downsample(config, return_state=True)
    state = await derive_metrics(config, return_state=True)
    assert state.message == ONE_HOUR
    state = await derive_metrics(config, return_state=True)
    assert state.message == NOTHING
