"""One publication at a time on a lake: see tests/object_storage/test_features.py for a lake without locks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import TryAgain
from storage.features.books import Books
from storage.features.offline import OfflineStore
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.rows import feature_schema
from storage.features.table import feature_table
from storage.features.turn import nothing_published, turn
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, HOURLY, KEPT, T, follow, poll


def test_who_comes_second_gives_way_and_says_so(tmp_path: Path) -> None:
    store = MemoryStore()
    with nothing_published(tmp_path / "lake"):
        pass
    assert not (tmp_path / "lake").exists()  # where no feature ever was there is nothing to wait for
    poll(store, ["m1"], T, 1e14, at=T + HOUR)
    with turn(tmp_path / "lake") as ours:
        assert ours is not None
        ours.keep()
        assert follow(store, tmp_path, T + 2 * HOUR).skipped
        with pytest.raises(TryAgain, match="being published"), nothing_published(tmp_path / "lake"):
            pass
    with nothing_published(tmp_path / "lake"):
        assert follow(store, tmp_path, T + 2 * HOUR).skipped
    assert follow(store, tmp_path, T + 2 * HOUR).rows == {"miner_hourly": 1}


def test_who_gives_way_still_serves_what_is_settled(tmp_path: Path) -> None:
    """Two hosts whose flows begin in the same second: else the slower one would never have a newest value."""
    store, now = MemoryStore(), T + 2 * HOUR
    poll(store, ["m1"], T, 1e14, at=T + HOUR)
    follow(store, tmp_path, now)
    settled = Books(tmp_path / "lake").settled(HOURLY)
    assert settled == now
    one = {"time": (T + 2 * HOUR) * 1_000_000, "known": settled + 5, "backfilled": False, "hashrate_hs": 2e14}
    rows = [{**one, "miner_id": miner} for miner in ("m1", "m2")]
    table = feature_table(tmp_path / "lake", HOURLY)
    with OnlineStore(tmp_path / "second.sqlite") as online:
        with turn(tmp_path / "lake"):
            table.append([(0, pa.Table.from_pylist(rows[:1], schema=feature_schema(HOURLY)))])
            report = publish(store, tmp_path / "lake", online, now + 9, KEPT, views=[HOURLY])
            assert (report.skipped, report.online, report.troubles) == (True, 1, {})
            assert online.get(HOURLY, "m1", now + 9).values["hashrate_hs"] == 1e14
            table.append([(0, pa.Table.from_pylist(rows[1:], schema=feature_schema(HOURLY)))])
            Books(tmp_path / "lake").write_settled({HOURLY.stored_name: settled + 5})
            assert publish(store, tmp_path / "lake", online, now + 9, KEPT, views=[HOURLY]).online == 2
        for miner in ("m1", "m2"):
            assert online.get(HOURLY, miner, now + 9) == OfflineStore(tmp_path / "lake").get(HOURLY, miner, now + 9)
