"""The flow that derives from pools, on a real server: a miner meets its worker, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from storage.lake.store import EmbeddedStore
from tests.pools.telling import H, deliver, stored

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

CONFIGURATION = """
miners:
  - {id: m1, ip: 127.0.0.1, model: L7, pool: ltc, worker: rig1}
pools:
  - {id: ltc, kind: litecoinpool, account: Farm, state: gone}
"""


@pytest.fixture
def data(api, tmp_path, monkeypatch):
    """A lake with the hour before the last: 9.5 GH/s of a miner, and 9 GH/s of its worker in the pool's books."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text(CONFIGURATION)
    hour = (int(time.time()) - 2 * H) // H * H
    times = [hour + 600 * n for n in range(6)]
    worker = {"pool_id": "ltc", "worker_id": "farm.rig1", "algorithm": "scrypt", "status": "online"}
    store = EmbeddedStore(tmp_path / "lake")
    deliver(store, "miner_telemetry", [{"time": at, "miner_id": "m1", "hashrate_hs": 9.5e9} for at in times])
    deliver(
        store,
        "miner_pool",
        [{"time": at, "miner_id": "m1", "slot": "0", "status": "active", "user": "FARM.rig1"} for at in times],
    )
    deliver(
        store,
        "pool_performance",
        [{**worker, "time": at, "work_accepted_d1": 9e9 / 65_536 * (at - hour + H)} for at in times],
    )
    store.close()
    return tmp_path


async def test_a_miner_meets_its_worker_once(data: Path) -> None:
    from flows.derive_pools import derive_pools

    first = await derive_pools(str(data / "config"), return_state=True)
    assert first.message == "1 matches of workers, 2 rows of summaries, 0 payouts valued, 0 reconciled days"
    store = EmbeddedStore(data / "lake")
    (row,) = stored(store, "worker_match")
    store.close()
    assert (row["pool_id"], row["worker_id"], row["miner_id"], row["status"]) == ("ltc", "farm.rig1", "m1", "matched")
    assert row["gap_ratio"] == pytest.approx(1 - 9 / 9.5, rel=1e-3)
    again = await derive_pools(str(data / "config"), return_state=True)
    assert again.message == "0 matches of workers, 0 rows of summaries, 0 payouts valued, 0 reconciled days"


async def test_no_pool_is_nothing_derived(api, tmp_path, monkeypatch) -> None:
    from flows.derive_pools import derive_pools

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    state = await derive_pools(return_state=True)
    assert state.message == "0 matches of workers, 0 rows of summaries, 0 payouts valued, 0 reconciled days"
