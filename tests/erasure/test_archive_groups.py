"""Out of an archived file of many groups of rows: a group in memory at a time, and what stays is as it was."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from storage.archive import writing
from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart
from storage.archive.verifying import verify
from storage.archive.writing import enter_rows, pieces_of, sha256_of
from storage.arrow_schema import file_schema
from storage.declaration import MEASUREMENTS, Tier
from storage.erasure import archive
from storage.erasure.archive import erase_from_archive
from storage.erasure.entity import Entity
from storage.errors import NeedsHuman

TELEMETRY = MEASUREMENTS["miner_telemetry"]
DAY = 86_400
START = 1_700_000_000 // DAY * DAY
GROUPS, GROUP_S = 12, 7200
SCHEMA = file_schema(TELEMETRY, Tier.RAW)


def group(number: int, ids: tuple[str, ...]) -> pa.Table:
    """Two hours of minutes of ``ids``; m1 has nothing to say in the first group."""
    times = range(START + number * GROUP_S, START + (number + 1) * GROUP_S, 60)
    rows = [
        {"time": at * 1_000_000, "miner_id": name, "power_w": at % 997, "ingest_ms": 1, "ingest_version": number}
        for name in ids
        for at in times
    ]
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA.names}
    return pa.Table.from_arrays(
        [
            pa.array(columns[f.name], pa.int64()).cast(f.type)
            if f.name == "time"
            else pa.array(columns[f.name], f.type)
            for f in SCHEMA
        ],
        schema=SCHEMA,
    )


def archived(root: Path, groups: Mapping[int, tuple[str, ...]]) -> ArchivedPart:
    pieces = (group(number, ids) for number, ids in groups.items())
    part = enter_rows(Catalogue.open(root), TELEMETRY, Tier.RAW, (START, START + DAY), pieces, version_=0)
    assert part is not None
    return part


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many groups were held whenever a further one was read."""
    held: list[weakref.ref[pa.Table]] = []
    counts: list[int] = []

    def watched(path: Path) -> Iterator[pa.Table]:
        for piece in pieces_of(path):
            held.append(weakref.ref(piece))
            counts.append(sum(ref() is not None for ref in held))
            yield piece
            del piece

    monkeypatch.setattr(archive, "pieces_of", watched)
    monkeypatch.setattr(writing, "pieces_of", watched)
    return counts


def test_the_groups_of_a_file_are_never_held_together(tmp_path: Path, alive: list[int]) -> None:
    groups = {number: ("m1", "m2") if number else ("m2",) for number in range(GROUPS)}
    before = archived(tmp_path, groups)
    whole = pa.concat_tables(pieces_of(tmp_path / before.path))
    alive.clear()
    done = erase_from_archive(tmp_path, Entity({"miner_id": "m1"}))
    # each group once to be written and once to be read back; to be found, up to the first that has any
    assert len(alive) == 2 + GROUPS + GROUPS
    assert max(alive) <= 3
    assert (done.rows, done.files_rewritten, done.files_deleted) == ((GROUPS - 1) * 120, 1, 0)
    (after,) = Catalogue.open(tmp_path).parts()
    assert pa.concat_tables(pieces_of(tmp_path / after.path)).equals(whole.filter(pc.equal(whole["miner_id"], "m2")))
    assert (after.rows, after.low, after.high) == (GROUPS * 120, {**before.low, "miner_id": "m2"}, before.high)
    assert after.sha256 == sha256_of(tmp_path / after.path) != before.sha256
    assert after.content != before.content
    assert [path.name for path in tmp_path.rglob("*.parquet*")] == [Path(after.path).name]
    assert verify(Catalogue.open(tmp_path), [after], read=True).faults == []
    assert pq.read_metadata(tmp_path / after.path).num_row_groups == GROUPS


def test_a_group_that_is_all_of_the_entity_leaves_none_behind(tmp_path: Path) -> None:
    archived(tmp_path, {0: ("m1",), 1: ("m2",), 2: ("m1",), 3: ("m2",), 4: ("m1",)})
    erase_from_archive(tmp_path, Entity({"miner_id": "m1"}))
    (after,) = Catalogue.open(tmp_path).parts()
    assert pq.read_metadata(tmp_path / after.path).num_row_groups == 2
    assert (after.first, after.last) == (START + GROUP_S, START + 4 * GROUP_S - 60)


def test_a_file_that_is_all_of_the_entity_goes(tmp_path: Path) -> None:
    archived(tmp_path, dict.fromkeys(range(3), ("m1",)))
    done = erase_from_archive(tmp_path, Entity({"miner_id": "m1"}))
    assert (done.rows, done.files_rewritten, done.files_deleted) == (360, 0, 1)
    assert Catalogue.open(tmp_path).parts() == []
    assert list(tmp_path.rglob("*.parquet*")) == []


def test_a_file_that_only_could_hold_the_entity_is_left_to_the_byte(tmp_path: Path) -> None:
    part = archived(tmp_path, {0: ("m1", "m3")})
    written = (tmp_path / part.path).stat().st_mtime_ns
    assert erase_from_archive(tmp_path, Entity({"miner_id": "m2"})).files_rewritten == 0
    assert Catalogue.open(tmp_path).parts() == [part]
    assert (tmp_path / part.path).stat().st_mtime_ns == written


def test_what_reads_back_otherwise_is_not_entered_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archived(tmp_path, dict.fromkeys(range(3), ("m1", "m2")))

    def lossy(path: Path) -> Iterator[pa.Table]:
        yield from list(pieces_of(path))[1:]

    monkeypatch.setattr(writing, "pieces_of", lossy)
    with pytest.raises(NeedsHuman, match="reads back 240 rows"):
        erase_from_archive(tmp_path, Entity({"miner_id": "m1"}))
    assert Catalogue.open(tmp_path).parts() == [before]
    assert sha256_of(tmp_path / before.path) == before.sha256
    monkeypatch.undo()
    erase_from_archive(tmp_path, Entity({"miner_id": "m1"}))
    (after,) = Catalogue.open(tmp_path).parts()
    assert [path.name for path in tmp_path.rglob("*.parquet*")] == [Path(after.path).name]
