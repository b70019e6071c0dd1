"""A damaged file of the warehouse is taken out, and the next build makes what was in it anew of the tiers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.damaged.lake import live_parts
from storage.damaged.putting_back import put_back
from storage.damaged.setting_aside import Damage
from storage.downsample.run import DECLARED_DAYS, GRACE_S
from storage.errors import NeedsHuman, TryAgain
from storage.store import Store
from storage.warehouse.books import BUILT
from storage.warehouse.build import build
from storage.warehouse.remaking import nothing_built
from storage.warehouse.star import (
    DIM_MINER,
    DIM_POOL,
    FACT_EVENT,
    FACT_TELEMETRY_HOURLY,
    StarTable,
)
from storage.warehouse.table import WarehouseTable
from tests.damaged.host import flip
from tests.memory import memory_folder
from tests.warehouse.seed import DAYS, END, TOLD, seeded
from tests.warehouse.test_build import content

NOW = END + GRACE_S


@pytest.fixture(scope="module")
def farm() -> Iterator[tuple[Store, Path]]:
    with memory_folder() as folder:
        yield seeded(folder / "lake")[0], folder / "lake"


def damaged(data: Path, star: StarTable) -> tuple[Damage, list[str]]:
    """Every file of a table, damaged."""
    paths = [str(part.path) for part in live_parts(WarehouseTable(data / "lake", star))]
    for path in paths:
        flip(Path(path))
    return Damage(data, "host", data / "lake", None, None, DECLARED_DAYS), paths


def set_aside(damage: Damage, path: str) -> int:
    live = damage.live(path)
    assert live is not None
    assert damage.is_of_warehouse(live)
    return damage.set_aside(live, damage.case(live), why="", actor="test", now=NOW).days


@pytest.mark.parametrize(
    ("star", "days"),
    [
        (FACT_TELEMETRY_HOURLY, DAYS),
        (FACT_EVENT, 4),  # twelve events, seven hours apart: 84 hours
        (DIM_MINER, 0),
        (DIM_POOL, 0),
        (BUILT, 0),
    ],
    ids=lambda one: one.name if isinstance(one, StarTable) else "",
)
def test_what_was_in_a_damaged_file_is_made_anew(
    farm: tuple[Store, Path], folder: Path, star: StarTable, days: int
) -> None:
    store, lake = farm
    shutil.copytree(lake, folder / "lake")
    whole = content(lake)
    damage, paths = damaged(folder, star)
    troubles: list[str] = []
    assert [case.path for case in damage.search(star.name, None, None, troubles) if case] == paths
    assert sum(set_aside(damage, path) for path in paths) == days
    assert troubles == []
    build(store, folder / "lake", NOW, TOLD)
    assert content(folder / "lake") == whole
    with pytest.raises(NeedsHuman, match="made of the tiers"):
        put_back(damage, paths[0], why="", actor="test")


def test_while_the_warehouse_is_built_nothing_is_taken_out_of_it(farm: tuple[Store, Path], folder: Path) -> None:
    shutil.copytree(farm[1], folder / "lake")
    damage, (path, *_) = damaged(folder, FACT_EVENT)
    with nothing_built(folder / "lake"), pytest.raises(TryAgain, match="is being built"):
        set_aside(damage, path)
    assert damage.live(path) is not None
