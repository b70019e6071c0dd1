"""A small farm whose telemetry is delivered, rolled up and published hour by hour, as a host does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage.declaration import BUCKETS
from storage.downsample.run import roll_up
from storage.downsample.touch import touched_frame
from storage.features.online import OnlineStore
from storage.features.publish import PublishReport, publish
from storage.features.view import FeatureView
from storage.features.views import VIEWS
from storage.spool.record import Batch, SpoolRecord
from storage.store import Store
from tests.warehouse.seed import frame_of

HOUR, DAY = 3600, 86400
T = 1_795_392_000  # 2026-11-23T00:00Z
KEPT = {name: min(bucket.retention_days, 30) for name, bucket in BUCKETS.items()}
HOURLY = VIEWS["miner_hourly"]


def poll(store: Store, miners: Sequence[str], hour: int, rate: float, *, at: int, site: str = "north") -> None:
    """Six readings of each miner in the hour that begins at ``hour``, delivered at ``at``."""
    rows = [
        {"time": hour + minute * 60, "miner_id": miner, "model": "S19", "site": site, "reachable": True}
        | {"state": "mining", "hashrate_hs": rate, "power_w": 3000}
        for miner in miners
        for minute in range(0, 60, 10)
    ]
    frames = [frame_of("miner_telemetry", rows)]
    store.write(frames)
    touched = touched_frame([SpoolRecord("miners", at, 0, Batch("b", at, "run", frames))], "host", at * 1_000_000_000)
    assert touched is not None
    store.write([touched])


def follow(store: Store, folder: Path, now: int, views: tuple[FeatureView, ...] = (HOURLY,)) -> PublishReport:
    """Roll up and publish at ``now``."""
    roll_up(store, now, measurements=["miner_telemetry"], retention_days=KEPT)
    with OnlineStore(folder / "online.sqlite") as online:
        report = publish(store, folder / "lake", online, now, KEPT, views=views)
    report.raise_troubles()
    return report
