"""The feature store with its tables on an object store: published, corrected, asked by time and exported from."""

from __future__ import annotations

from pathlib import Path

from storage.downsample.run import roll_up
from storage.features.changes import rows_known_in, settled_until
from storage.features.offline import OfflineStore
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.lake.object_store import ObjectLocation
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, HOURLY, KEPT, T, poll


def test_published_and_asked(root: ObjectLocation, tmp_path: Path) -> None:
    store = MemoryStore()
    with OnlineStore(tmp_path / "online.sqlite") as online:
        for now, rate in ((T, 0.0), (T + HOUR + 300, 1e14), (T + 2 * HOUR, 5e13)):
            if rate:
                poll(store, ["m1"], T, rate, at=now - 200)
            roll_up(store, now, measurements=["miner_telemetry"], retention_days=KEPT)
            publish(store, root, online, now, KEPT, views=[HOURLY])
        told = online.get(HOURLY, "m1", T + 3 * HOUR)
    offline = OfflineStore(root)
    assert told == offline.get(HOURLY, "m1", T + 3 * HOUR)
    assert told.values["hashrate_hs"] == 5e13
    assert offline.get(HOURLY, "m1", T + 2 * HOUR - 1).values["hashrate_hs"] == 1e14
    until = settled_until(root, HOURLY)
    assert until == T + 2 * HOUR
    assert rows_known_in(root, HOURLY, T + HOUR + 300, until)["hashrate_hs"].to_pylist() == [5e13]
