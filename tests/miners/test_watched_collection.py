"""A collector whose readings are looked at: from a fan that stands still to the stored event and scores."""

from __future__ import annotations

import asyncio
from pathlib import Path

from deployments.farm.farm import Farm
from deployments.farm.faults import Fault
from storage.declaration import MEASUREMENTS, Tier
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.settings import StorageSettings
from tasks.derive.anomaly.watch_file import Watching
from tasks.miners.collection import open_collection
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.shift.delivering import Delivering
from tasks.shift.slots import Slot
from tests.farm.clock import Clock

NOON = 1_800_000_000 // 86_400 * 86_400 + 43_200


async def test_from_a_fan_to_the_store_and_over_a_restart(tmp_path: Path) -> None:
    clock = Clock(NOON)
    storage = StorageSettings(data_directory=tmp_path)
    sink = LakeSink(storage.lake_directory, "host")
    async with Farm(2, seed=3, port=0, clock=clock) as farm:
        miners = [MinerSettings.model_validate(each) for each in farm.configuration(60)["miners"]]
        odd = miners[0].id

        async def collect(first: int, count: int) -> list[str]:
            told = []
            async with open_collection(
                miners,
                limits=FleetSettings(),
                storage=storage,
                host="host",
                sinks=[sink.name],
                run_id="run",
                watching=Watching(),
            ) as collection:
                for number in range(first, first + count):
                    clock.now = float(NOON + 60 * number)
                    farm.settle()
                    await collection.tick(Slot(NOON + 60 * number))
                    told += [f"{event.kind} {event.miner.miner_id}" for event in collection.events]
            return told

        assert not [kind for kind in await collect(0, 4) if kind.startswith("anomaly")]
        assert (storage.state_directory / "miners.anomalies.npz").exists()
        farm.inject(odd, Fault(kind="fan_lost", fan=1))
        assert f"anomaly_began {odd}" in await collect(4, 8), "the usual number of fans is known from before"
    delivering = Delivering(storage.spool_directory, [sink], "host")
    delivering.start()
    await asyncio.to_thread(delivering.end, 30.0)
    store = EmbeddedStore(storage.lake_directory)
    where = {"miner_id": odd}
    events = store.read(MEASUREMENTS["miner_event"], Tier.RAW, 0, 2**32, where=where | {"kind": "anomaly_began"})
    (event,) = events.to_pylist()
    assert "3 of 4 fans turn" in event["message"]
    scores = store.read(MEASUREMENTS["anomaly_score"], Tier.RAW, 0, 2**32, where=where).to_pylist()
    store.close()
    assert [row["temperature"] for row in scores][-1] == 0.9
    assert "3 of 4 fans turn" in scores[-1]["reasons"]
