"""Bytes flipped all over a file: whoever reads it says so and names it, and no process ends of it.

The readings are made in a process of their own: before files were hashed first, unpacking the statistics of some of
these footers ended it (SIGABRT), and others ended in a bare UnicodeDecodeError.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from storage.archive.moving import archive_table
from storage.archive.reading import ArchiveReader
from storage.declaration import Tier
from storage.erasure.entity import Entity
from storage.erasure.lake import erase_from_lake
from storage.erasure.proof import search
from storage.errors import NeedsHuman, TryAgain
from storage.lake.damage import DamagedFile
from storage.lake.history import checkpoint
from storage.lake.maintenance import maintain
from storage.lake.parquet import read_file
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from storage.warehouse.sql import answer
from tests.lake.rows import FAN, NOON, live_paths, log_of, tick

DAY = 86_400
Reading = Callable[[], object]


def flipped(path: Path, readings: dict[str, Reading], places: list[int], told: Connection) -> None:
    """Tell, for every reading and every place where a byte is flipped, whether it ended, and with which error."""
    whole = path.read_bytes()
    for name, reading in readings.items():
        right = reading()
        for place in places:
            content = bytearray(whole)
            content[place] ^= 0x20
            path.write_bytes(content)
            try:
                told.send((name, place, "as ever" if reading() == right else "other rows"))
            except NeedsHuman as error:
                told.send((name, place, "named" if path.name in str(error) else f"{type(error)} {error}"))
            except Exception as error:
                told.send((name, place, f"{type(error)} {error}"))
        path.write_bytes(whole)


def read_flipped(root: Path, archive: Path, told: Connection) -> None:
    (path,) = live_paths(root)
    store = EmbeddedStore(root)
    table = LakeTable(root, FAN, Tier.RAW)
    statement = f"SELECT miner_id, speed_rpm FROM {FAN.name} ORDER BY ALL"

    def asked() -> object:
        return store.read(FAN, Tier.RAW, 0, NOON * 2).to_pylist()

    def proved() -> object:
        proof = search([root], Entity({"miner_id": "nobody"}), whole=True)
        if proof.unreadable:
            raise NeedsHuman("; ".join(proof.unreadable), remedy="")
        return proof.hits

    size, footer = path.stat().st_size, _footer(path)
    whole: dict[str, Reading] = {"read_file": lambda: read_file(path, table.schema).to_pylist(), "proof": proved}
    flipped(path, whole, [*range(0, footer, 97), *_within(footer, size, 23)], told)
    flipped(path, {"store": asked}, _within(footer, size, 61), told)
    flipped(path, {"sql": lambda: answer(root, statement, timeout_s=60).to_pylist()}, _within(footer, size, 199), told)

    (path,) = archive.rglob("*.parquet")

    def archived() -> object:
        return ArchiveReader(archive).read(FAN, Tier.RAW, 0, NOON * 2, where={"miner_id": "m0001"}).to_pylist()

    size, footer = path.stat().st_size, _footer(path)
    flipped(path, {"archive": archived}, [*range(0, footer, 29), *_within(footer, size, 23)], told)


def _within(footer: int, size: int, step: int) -> list[int]:
    """Some places in the footer, and those near its beginning and middle where types are told that statistics have."""
    return [*range(footer, size, step), *(footer + at for at in (18, 20, 42, 306, 378)), size - 6]


def _footer(path: Path) -> int:
    content = path.read_bytes()
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def outcomes(lake: Path, archive: Path) -> dict[str, Counter[str]]:
    """What was told, counted by reading; the process must have ended by itself."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=read_flipped, args=(lake, archive, there))
    process.start()
    there.close()
    found: dict[str, Counter[str]] = {}
    last: tuple[str, int] | None = None
    while True:
        try:
            name, place, outcome = here.recv()
        except EOFError:
            break
        found.setdefault(name, Counter())[outcome] += 1
        last = (name, place)
    process.join()
    assert process.exitcode == 0, f"it ended of {process.exitcode} after {last}"
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    LakeSink(tmp_path / "lake", "host").deliver([tick(1)])
    return tmp_path / "lake"


def test_who_reads_a_file_names_it_wherever_a_byte_is_flipped(lake: Path, tmp_path: Path) -> None:
    archive_table(lake, tmp_path / "archive", FAN, Tier.RAW, NOON + DAY)
    LakeSink(lake, "host").deliver([tick(2)])
    found = outcomes(lake, tmp_path / "archive")
    for name in ("read_file", "proof"):
        assert set(found[name]) == {"named"}, name
    for name in ("store", "sql", "archive"):  # who needs but a part of the file does not see what is wrong elsewhere
        assert set(found[name]) == {"named", "as ever"}, name
    assert found["archive"]["named"] > 30


def test_an_archived_file_is_not_held_against_the_hash_in_its_name_which_is_that_of_its_source(
    lake: Path, tmp_path: Path
) -> None:
    LakeSink(lake, "host").deliver([tick(2, miners=3000)])  # else both are compressed to the same bytes
    archive = tmp_path / "archive"
    archive_table(lake, archive, FAN, Tier.RAW, NOON + DAY)
    largest = max(archive.rglob("*.parquet"), key=lambda path: path.stat().st_size)
    with pytest.raises(DamagedFile, match="SHA-256"):
        read_file(largest, LakeTable(lake, FAN, Tier.RAW).schema)
    assert ArchiveReader(archive).read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 3003


def test_a_disk_that_does_not_give_a_file_is_no_damage_and_is_tried_again(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LakeSink(lake, "host").deliver([tick(2)])

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("storage.lake.parquet.sound", broken)
    troubles = maintain(lake, NOON + 7200).troubles
    assert len(troubles) == 2, "both tables were tried"
    assert all("Input/output error" in trouble for trouble in troubles)
    with pytest.raises(TryAgain, match="Input/output error"):
        erase_from_lake(lake, Entity({"miner_id": "m0001"}))


def test_a_checkpoint_that_cannot_be_opened_is_set_aside_while_its_commits_are_there(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.lake.history.COMMITS_BEFORE_CHECKPOINT", 1)
    assert checkpoint(LakeTable(lake, FAN, Tier.RAW))
    (path,) = log_of(lake).glob("*.checkpoint.parquet")
    content = path.read_bytes()
    at = content.index(b'"type":"double"') + 9  # the schema in it says "double"; pyarrow reads any text
    path.write_bytes(content[:at] + b"J" + content[at + 1 :])
    assert EmbeddedStore(lake).read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 3
    assert not path.exists()
    assert (log_of(lake) / f"_aside.{path.name}").exists()
