"""The flow that derives the quality of sources, on a real server: a day that is over becomes a row, once."""

from __future__ import annotations

import time

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.lake.store import EmbeddedStore
from tasks.health.fleet import kept
from tests.derive.source_quality.test_deriving import DAY_S, arrive, polls

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

CONFIGURATION = """
miners:
  - {id: a, model: Antminer S19, ip: 127.0.0.1}
"""


async def test_a_day_that_is_over_is_derived_once(api, tmp_path, monkeypatch):
    from flows.derive_quality import derive_quality

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text(CONFIGURATION)
    config = str(tmp_path / "config")
    store = EmbeddedStore(tmp_path / "lake")
    arrive(store, polls([3], day=int(time.time()) // DAY_S * DAY_S - 2 * DAY_S))
    store.close()
    state = await derive_quality(config, return_state=True)
    # the day before yesterday, and yesterday, of which nothing is there
    quality, health = str(state.message).split("; ", 1)
    assert quality in {"2 rows of source_quality of 2 days", "1 rows of source_quality of 1 days"}
    assert health == "0 hours of sources; 0 of 1 miners known"
    state = await derive_quality(config, return_state=True)
    assert str(state.message).startswith("0 rows of source_quality of 0 days; ")
    told = kept(tmp_path / "state")
    assert told is not None
    store = EmbeddedStore(tmp_path / "lake")
    rows = store.read(MEASUREMENTS["fleet_health"], Tier.RAW, told.time - 7_200, told.time + 1).to_pylist()
    store.close()
    assert {(row["scope"], row["miners"], row["known_ratio"]) for row in rows} == {("fleet", 1, 0.0)}
