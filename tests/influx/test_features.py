"""Features published from InfluxDB are those that are published from the same readings elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.downsample.run import roll_up
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.table import feature_table, published
from storage.features.views import VIEWS
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.store import Store
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, HOURLY, KEPT, T, poll
from tests.warehouse.seed import frame_of

pytestmark = pytest.mark.influx

FAST = 2.0**46
"""H/s that 16 bits hold exactly, so that nothing is rounded."""
VIEWS_OF_RAW = (VIEWS["market"], VIEWS["operational"], VIEWS["anomaly"])


def told(store: Store, folder: Path) -> list[dict[str, Any]]:
    """Everything that is published of two hours of two miners, one corrected, and of rows that come raw."""
    views = (HOURLY, *VIEWS_OF_RAW)
    with OnlineStore(folder / "online.sqlite") as online:
        for now, rate in ((T + HOUR + 300, FAST), (T + 2 * HOUR + 300, FAST / 2)):
            poll(store, ["m1"], T, rate, at=now - 200)
            poll(store, ["m2"], now // HOUR * HOUR - HOUR, 2 * rate, at=now - 200)
            price = {"time": now - 60, "source": "a/b", "coin_id": "bitcoin", "symbol": "BTC", "price_usd": rate / 1e9}
            score = {"time": T, "miner_id": "m1", "overall": rate / FAST, "anomalous": rate < FAST}
            worked = {"time": T, "miner_id": "m1", "uptime_percentage": 97.5}
            frames = [frame_of("market_data", [price])]
            for period in ("1h", "1d"):
                frames.append(frame_of("anomaly_score", [{**score, "time_period": period}]))
                frames.append(frame_of("operational_metrics", [{**worked, "time_period": period}]))
            store.write(frames)
            roll_up(store, now, measurements=["miner_telemetry"], retention_days=KEPT)
            publish(store, folder / "lake", online, now, KEPT, views=views)
    found = []
    for view in views:
        for row in published(feature_table(folder / "lake", view), view).to_pylist():
            found.append({"view": view.name, **row})
    return found


def test_features_of_influxdb(influx: InfluxSettings, tmp_path: Path) -> None:
    for name in ("influx", "memory"):
        (tmp_path / name).mkdir()
    store = InfluxStore(influx)
    try:
        rows = told(store, tmp_path / "influx")
    finally:
        store.close()
    assert rows == told(MemoryStore(), tmp_path / "memory")
    corrected = [row["hashrate_hs"] for row in rows if row["view"] == "miner_hourly" and row["miner_id"] == "m1"]
    assert corrected == [FAST, FAST / 2]
    assert len([row for row in rows if row["view"] == "anomaly"]) == 2
    assert len([row for row in rows if row["view"] == "operational"]) == 1
    assert {int(row["time"].timestamp()) for row in rows if row["view"] == "anomaly"} == {T + HOUR}
