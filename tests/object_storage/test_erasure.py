"""Erasing from a lake on an object store leaves what erasing from one on a disk leaves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import roll_up
from storage.erasure import lake as erasing
from storage.erasure.entity import Entity
from storage.erasure.run import Erasure, Places, erase
from storage.lake.location import LakeLocation, files_below, put
from storage.lake.object_store import ObjectLocation
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.spool.record import SpoolRecord
from tests.erasure.host import GONE, HOST, OTHERS, T0, batch

NOW = T0 + 2 * 86_400
TELEMETRY = MEASUREMENTS["miner_telemetry"]


def filled(root: LakeLocation) -> None:
    """Two deliveries, rolled up."""
    sink = LakeSink(root, HOST)
    for sequence in (1, 2):
        sink.deliver([SpoolRecord("miners", sequence, 0, batch(T0 + 60 * sequence))])
    store = EmbeddedStore(root)
    roll_up(store, NOW, measurements=["miner_telemetry"])
    store.close()


def erased(root: LakeLocation, data: Path, *measurements: str) -> Erasure:
    entity = Entity({"miner_id": GONE}, 0, NOW + 1, frozenset(measurements) or None)
    return erase(Places(data, root, None, None), entity, host=HOST, actor="test", now=NOW)


def rows(root: LakeLocation) -> list[pa.Table]:
    store = EmbeddedStore(root)
    found = [store.read(TELEMETRY, tier, 0, NOW) for tier in Tier]
    found.append(store.read(MEASUREMENTS["source_payload"], Tier.RAW, 0, NOW))
    store.close()
    return found


def test_the_same_is_left_as_on_a_disk_and_no_byte_of_the_bucket_names_it(root: ObjectLocation, tmp_path: Path) -> None:
    places: tuple[LakeLocation, ...] = (tmp_path / "lake", root)
    left = []
    for number, place in enumerate(places):
        filled(place)
        done = erased(place, tmp_path / f"data{number}")
        assert done.is_done, done
        left.append((rows(place), {k: v for k, v in done.counts.items() if k.startswith("lake_")}))
    assert left[0] == left[1]
    assert set(left[1][0][0]["miner_id"].to_pylist()) == set(OTHERS)
    held = b"".join(path.read_bytes() for path in files_below(root) if path.suffix != ".parquet")
    assert held
    assert Entity({"miner_id": GONE}).in_bytes.search(held) is None  # type: ignore[union-attr]
    assert LakeSink(root, HOST).deliver([SpoolRecord("miners", 3, 0, batch(T0 + 180))]).stored > 0


def test_a_file_that_may_be_about_to_be_committed_stays_and_is_named(
    root: ObjectLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LakeSink(root, HOST).deliver([SpoolRecord("miners", 1, 0, batch(T0))])
    (live,) = (path for path in files_below(root / "mining_raw" / TELEMETRY.name) if path.suffix == ".parquet")
    coming = live.parent / f"{'0' * 12}-{'0' * 8}-coming.parquet"
    put(coming, pa.py_buffer(live.read_bytes()))
    done = erased(root, tmp_path, TELEMETRY.name)
    assert not done.is_done
    assert list(done.proof.hits) == [str(coming)]
    monkeypatch.setattr(erasing, "_COMING_S", -60)  # an hour later
    assert erased(root, tmp_path, TELEMETRY.name).is_done
    assert not coming.exists()
