"""The feature store with its tables on an object store: published, corrected, asked by time and exported from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.declaration import Measurement
from storage.downsample.run import roll_up
from storage.errors import TryAgain
from storage.features.changes import rows_known_in, settled_until
from storage.features.offline import OfflineStore
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.turn import CLOCKS_S, LASTS_S, turn
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


def test_of_two_hosts_at_once_one_publishes(root: ObjectLocation, tmp_path: Path) -> None:
    """While the first reads its source the second begins: it would add the same rows, and settle past those of the
    first.
    """
    store, skipped = MemoryStore(), []

    class Met(MemoryStore):
        def read(self, measurement: Measurement, *more: Any, **other: Any) -> pa.Table:
            if measurement is HOURLY.measurement:
                with OnlineStore(tmp_path / "second.sqlite") as second:
                    report = publish(store, root, second, T + HOUR + 300, KEPT, views=[HOURLY])
                skipped.append(report.skipped)
            return store.read(measurement, *more, **other)

    poll(store, ["m1"], T, 1e14, at=T + HOUR)
    roll_up(store, T + HOUR + 300, measurements=["miner_telemetry"], retention_days=KEPT)
    with OnlineStore(tmp_path / "first.sqlite") as first:
        assert publish(Met(), root, first, T + HOUR + 300, KEPT, views=[HOURLY]).rows == {"miner_hourly": 1}
    assert skipped
    assert all(skipped)
    assert rows_known_in(root, HOURLY, -1, T + 2 * HOUR).num_rows == 1
    with OnlineStore(tmp_path / "second.sqlite") as second:  # its turn now, and all it has to do is follow
        report = publish(store, root, second, T + HOUR + 301, KEPT, views=[HOURLY])
    assert (report.skipped, report.rows, report.online) == (False, {}, 1)


def test_a_host_that_died_is_waited_for_and_one_that_stood_still_writes_no_more(root: ObjectLocation) -> None:
    times = {"one": 0.0, "other": LASTS_S / 2}
    with turn(root, lambda: times["one"]) as one:
        assert one is not None
        with turn(root, lambda: times["other"]) as early:
            assert early is None
        times["other"] = LASTS_S + CLOCKS_S + 1
        with turn(root, lambda: times["other"]) as other:
            assert other is not None
            times["one"] = times["other"]  # it stood still for so long
            with pytest.raises(TryAgain, match="another host publishes"):
                one.keep()
        times["one"] += 1
        one.keep()  # nobody has it any more
