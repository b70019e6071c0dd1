"""A lake on an object store is archived into a folder as one on a disk is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import storage.archive.moving as moving
from storage.archive.catalogue import Catalogue
from storage.archive.moving import ArchiveReport, archive_table, away_from_upkeep
from storage.archive.part import State
from storage.archive.reading import ArchiveReader
from storage.declaration import Tier
from storage.lake.compaction import compact
from storage.lake.object_store import ObjectLocation
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, stored_rows, tick

BEFORE = NOON + 43_200
LATER = NOON + 40 * 86_400


def read(root: ObjectLocation) -> Any:
    store = EmbeddedStore(root)
    try:
        return store.read(FAN, Tier.RAW, 0, LATER)
    finally:
        store.close()


def run(root: ObjectLocation, archive: Path) -> ArchiveReport:
    with away_from_upkeep(root):
        return archive_table(root, archive, FAN, Tier.RAW, BEFORE)


@pytest.fixture
def filled(root: ObjectLocation) -> ObjectLocation:
    sink = LakeSink(root, "host")
    for number in range(1, 4):
        sink.deliver([tick(number)])
    return root


def test_rows_move_and_read_the_same(filled: ObjectLocation, tmp_path: Path) -> None:
    before = read(filled)
    report = run(filled, tmp_path)
    assert (report.rows, report.troubles) == (9, [])
    assert stored_rows(filled) == []
    assert ArchiveReader(tmp_path).read(FAN, Tier.RAW, 0, LATER).equals(before)
    assert run(filled, tmp_path).files == 0


def test_upkeep_that_rewrites_what_is_copied_costs_nothing(
    filled: ObjectLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing locks an object store: the files are merged after they were copied and before they are taken out."""
    before = read(filled)
    take_out = moving._take_out

    def merge_first(*given: Any) -> bool:
        monkeypatch.undo()
        assert compact(LakeTable(filled, FAN, Tier.RAW), LATER) == 3
        return take_out(*given)

    monkeypatch.setattr(moving, "_take_out", merge_first)
    assert run(filled, tmp_path).files == 0
    assert read(filled).equals(before)
    assert {part.state for part in Catalogue.open(tmp_path).parts()} == {State.COPIED}
    assert run(filled, tmp_path).rows == 9
    assert sum(part.rows for part in Catalogue.open(tmp_path).parts()) == 9
    assert ArchiveReader(tmp_path).read(FAN, Tier.RAW, 0, LATER).equals(before)
    assert stored_rows(filled) == []
