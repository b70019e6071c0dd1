"""What was read before an erasure and is written after it does not bring the entity back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.run import Places, erase
from storage.lake.disk import locked_if_free
from storage.lake.store import EmbeddedStore
from storage.opening import open_store
from storage.settings import StorageSettings
from storage.spool.lane import Lane
from tests.erasure.host import GONE, HOST, OTHERS, T0, batch, deliver, fill, places
from tests.memory import memory_folder

TELEMETRY = MEASUREMENTS["miner_telemetry"]
LATER = T0 + 4 * 86_400


def miners(data: Path, tier: Tier) -> set[str]:
    rows = EmbeddedStore(data / "lake").read(TELEMETRY, tier, 0, 2**33)
    return set(rows["miner_id"].to_pylist())


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as made:
        yield made


@pytest.mark.parametrize("tier", [Tier.RAW, Tier.HOURLY])
def test_a_roll_up_under_way_does_not_write_it_again(folder: Path, monkeypatch: pytest.MonkeyPatch, tier: Tier) -> None:
    fill(folder, slots=3)
    with Lane.open(folder / "spool", "miners", cap_bytes=2**30) as lane:
        lane.append(batch(T0 + 600))  # late, so the hour and its day are due again
    deliver(folder)
    now = int(time.time()) + 3600
    read = EmbeddedStore.read

    def meanwhile(self: EmbeddedStore, measurement: Any, of: Tier, *span: int, **more: Any) -> Any:
        rows = read(self, measurement, of, *span, **more)
        if (measurement.name, of) == (TELEMETRY.name, tier) and more.get("columns") is None:
            monkeypatch.setattr(EmbeddedStore, "read", read)
            assert GONE in rows["miner_id"].to_pylist()
            done = erase(places(folder), Entity({"miner_id": GONE}, 0, now), host=HOST, actor="test", now=now)
            assert done.is_done
        return rows

    monkeypatch.setattr(EmbeddedStore, "read", meanwhile)
    store = open_store(StorageSettings(data_directory=folder))
    roll_up(store, LATER, measurements=[TELEMETRY.name])
    store.close()
    assert EmbeddedStore.read is read, "it was erased in the middle"
    for each in Tier:
        assert miners(folder, each) == set(OTHERS)


def test_a_window_that_the_range_cuts_is_written_as_it_is_made_of_the_rest(folder: Path) -> None:
    fill(folder, slots=3)
    erase(places(folder), Entity({"miner_id": GONE}, 0, T0 + 90), host=HOST, actor="test", now=LATER)
    store = open_store(StorageSettings(data_directory=folder))
    roll_up(store, LATER, measurements=[TELEMETRY.name])
    store.close()
    for tier in (Tier.HOURLY, Tier.DAILY):
        rows = EmbeddedStore(folder / "lake").read(TELEMETRY, tier, 0, 2**33, where={"miner_id": GONE})
        assert rows["hashrate_hs_count"].to_pylist() == [1], "the row of 120 s is left"


def test_nothing_is_built_published_or_archived_while_it_is_erased(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import storage.erasure.lake as lake

    fill(folder, slots=1)
    locks = [
        folder / "lake" / "warehouse" / ".build.lock",
        folder / "lake" / "features" / ".publish.lock",
        folder / "archive" / ".lock",
    ]
    for lock in locks:
        (lock.parent / "table").mkdir(parents=True)
    free: list[bool] = []
    real = lake.erase_from_lake

    def looking(*arguments: Any, **more: Any) -> Any:
        for lock in locks:
            with locked_if_free(lock) as ours:
                free.append(ours)
        return real(*arguments, **more)

    monkeypatch.setattr(lake, "erase_from_lake", looking)
    everywhere = Places(folder, folder / "lake", folder / "archive", None)
    erase(everywhere, Entity({"miner_id": GONE}, 0, LATER), host=HOST, actor="test", now=LATER)
    assert set(free) == {False}
    for lock in locks:
        with locked_if_free(lock) as ours:
            assert ours
