"""One publication at a time on a lake: see tests/object_storage/test_features.py for a lake without locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import TryAgain
from storage.features.turn import nothing_published, turn
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, T, follow, poll


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
