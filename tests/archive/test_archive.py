"""Rows past their retention move into the archive, once, whole, and are read from there as before."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import storage.archive.moving as moving
from storage.archive.catalogue import Catalogue
from storage.archive.moving import archive_table
from storage.archive.part import State
from storage.archive.reading import ArchiveReader
from storage.archive.restoring import restore
from storage.archive.verifying import verify
from storage.declaration import Tier
from storage.errors import NeedsHuman
from storage.lake.maintenance import expire
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, fan_frame, live_paths, record, stored_rows, tick

DAY = 86_400
YEARS = NOON + 5 * 366 * DAY
ARCHIVED_DAY = NOON + DAY // 2  # the first midnight after all of tick()'s rows


class Host:
    """A lake with some ticks of one day, and an archive."""

    def __init__(self, folder: Path) -> None:
        self.lake, self.archive, self.restored = folder / "lake", folder / "archive", folder / "restored"
        self.catalogue = Catalogue.open(self.archive)
        self._sequence = 0

    def deliver(self, *, day: int = 0, ticks: int = 4, miners: int = 3) -> None:
        sink = LakeSink(self.lake, "host")
        for number in range(ticks):
            self._sequence += 1
            sink.deliver([tick(self._sequence, miners, NOON + day * DAY + 60 * number)])

    def correct(self, rpm: int) -> None:
        """A late row for a key that is there already."""
        self._sequence += 1
        LakeSink(self.lake, "host").deliver([record(self._sequence, fan_frame([(NOON, "m0000", rpm)]))])

    def run(self, before: int = ARCHIVED_DAY, **more: Any) -> moving.ArchiveReport:
        return archive_table(self.lake, self.archive, FAN, Tier.RAW, before, **more)

    def read(self, place: str, **more: Any) -> pa.Table:
        if place == "archive":
            return ArchiveReader(self.archive).read(FAN, Tier.RAW, 0, YEARS, **more)
        store = EmbeddedStore(self.lake if place == "lake" else self.restored)
        try:
            return store.read(FAN, Tier.RAW, 0, YEARS, **more)
        finally:
            store.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.deliver()
    return made


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", ["told", "marked"])
def test_what_left_the_lake_is_told_even_after_a_kill(host: Host, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    heard: list[str] = []

    def told(part: Any) -> None:
        if at == "told" and len(heard) == 1:
            raise Killed
        heard.append(part.source)

    moved = [path.name for path in live_paths(host.lake)]
    with monkeypatch.context() as patch:
        if at == "marked":
            patch.setattr(Catalogue, "mark", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            host.run(told=told)
    at = ""
    host.run(told=told)
    assert set(heard) == set(moved)
    assert live_paths(host.lake) == []


def test_what_moved_reads_the_same_and_is_gone_from_the_lake(host: Host) -> None:
    host.correct(rpm=4242)
    before = host.read("lake")
    report = host.run()
    assert report.troubles == []
    assert report.rows == 4 * 3 + 1  # files go as they are; merging is for who reads
    assert host.read("archive").equals(before)
    assert stored_rows(host.lake) == []
    assert {part.state for part in host.catalogue.parts()} == {State.MOVED}


@pytest.mark.parametrize("compare", [True, False])
def test_the_day_that_is_kept_stays(host: Host, compare: bool) -> None:
    host.deliver(day=3)
    report = host.run(compare=compare)
    assert report.rows == 12
    assert {row["time"].timestamp() for row in stored_rows(host.lake)} == {NOON + 3 * DAY + 60 * n for n in range(4)}


def test_a_run_again_moves_nothing(host: Host) -> None:
    host.run()
    paths = {path: path.stat().st_mtime_ns for path in host.archive.rglob("*")}
    assert host.run().files == 0
    assert {path: path.stat().st_mtime_ns for path in host.archive.rglob("*")} == paths


def test_rows_that_came_late_are_a_part_more_and_win(host: Host) -> None:
    host.run()
    host.correct(rpm=4242)
    assert host.run().rows == 1
    first = host.read("archive").to_pylist()[0]
    assert (first["miner_id"], first["speed_rpm"]) == ("m0000", 4242)
    assert host.read("archive").num_rows == 12


@pytest.mark.parametrize(
    "question",
    [
        {"where": {"miner_id": "m0001"}},
        {"where": {"miner_id": ["m0000", "m0002"]}, "columns": ["speed_rpm"]},
        {"where": {"miner_id": "nobody"}},
        {"columns": []},
    ],
)
def test_questions_are_answered_as_the_store_does(host: Host, question: dict[str, Any]) -> None:
    before = host.read("lake", **question)
    host.run()
    after = host.read("archive", **question)
    assert after.schema == before.schema
    assert after.equals(before)


def test_an_unknown_tag_or_field_is_refused(host: Host) -> None:
    host.run()
    with pytest.raises(ValueError, match="has no tag"):
        host.read("archive", where={"colour": "red"})
    with pytest.raises(ValueError, match="has no field"):
        host.read("archive", columns=["colour"])


def test_an_empty_archive_answers_with_a_typed_empty_table(host: Host) -> None:
    answer = host.read("archive")
    assert (answer.num_rows, answer.schema) == (0, host.read("lake").schema)


def test_the_catalogue_is_searched_by_time_and_entity(host: Host) -> None:
    host.deliver(day=40)
    host.run(before=YEARS)
    assert len(host.catalogue.parts(FAN, Tier.RAW)) == 8
    assert len(host.catalogue.parts(FAN, Tier.RAW, NOON + 40 * DAY, None)) == 4
    assert len(host.catalogue.parts(FAN, Tier.RAW, None, NOON + 1)) == 1
    assert host.catalogue.parts(entity={"miner_id": "zzz"}) == []
    assert len(host.catalogue.parts(entity={"miner_id": "m0001"})) == 8


def flip(path: Path) -> None:
    """One bit in the middle of the data."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_named_and_nothing_of_it_is_restored(host: Host) -> None:
    host.run()
    (part, *_) = host.catalogue.parts()
    flip(host.catalogue.path(part))
    with pytest.raises(NeedsHuman, match=part.sha256):
        restore(host.catalogue, [part], host.restored)
    report = verify(host.catalogue, host.catalogue.parts())
    (fault,) = report.faults
    assert part.path in fault
    assert part.sha256 in fault
    assert [other.path for other in host.catalogue.parts() if other.state is State.DAMAGED] == [part.path]
    with pytest.raises(NeedsHuman, match="is damaged: its SHA-256 is"):
        host.read("archive")
    assert not host.restored.exists()
    flip(host.catalogue.path(part))  # a whole copy is put in its place
    assert verify(host.catalogue, host.catalogue.parts(), read=True).faults == []
    assert host.read("archive").num_rows == 12


def test_a_missing_file_is_named(host: Host) -> None:
    host.run()
    (part, *_) = host.catalogue.parts()
    host.catalogue.path(part).unlink()
    (fault,) = verify(host.catalogue, [part]).faults
    assert part.path in fault


def test_a_damaged_source_is_neither_archived_nor_removed(host: Host) -> None:
    path = live_paths(host.lake)[0]
    flip(path)
    (trouble,) = host.run().troubles
    assert "is damaged" in trouble
    assert path.exists()
    assert path.name not in {part.source for part in host.catalogue.parts()}


def test_a_copy_that_reads_back_otherwise_stops_the_move(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the archive loses a row between writing and reading back."""
    import storage.archive.writing as writing

    whole = writing.pieces_of

    def pieces_of(path: Path) -> Iterator[pa.Table]:
        return (piece.slice(1) if path.is_relative_to(host.archive) else piece for piece in whole(path))

    monkeypatch.setattr(writing, "pieces_of", pieces_of)
    (trouble,) = host.run().troubles
    assert "reads back" in trouble
    assert len(stored_rows(host.lake)) == 12
    assert host.catalogue.parts() == []


def test_restored_twice_is_there_once_and_survives_retention(host: Host) -> None:
    before = host.read("lake")
    host.run()
    first = restore(host.catalogue, host.catalogue.parts(), host.restored)
    again = restore(host.catalogue, host.catalogue.parts(), host.restored)
    assert (first.rows, again.rows) == (12, 0)
    assert host.read("restored").equals(before)
    expire(LakeTable(host.lake, FAN, Tier.RAW), YEARS)  # the next retention run, which knows the lake alone
    host.run(before=YEARS)
    assert host.read("restored").equals(before)


def test_rows_that_may_not_come_back_are_left_out(host: Host) -> None:
    import pyarrow.compute as pc

    host.run()
    report = restore(
        host.catalogue,
        host.catalogue.parts(),
        host.restored,
        without=lambda _, rows: rows.filter(pc.not_equal(rows["miner_id"], "m0001")),
    )
    assert report.rows == 8
    assert set(host.read("restored")["miner_id"].to_pylist()) == {"m0000", "m0002"}


def run_and_die(lake: Path, archive: Path, point: str, nth: int) -> None:
    """A run that is killed when it comes to ``point`` for the ``nth`` time, before it or right after."""
    calls = 0

    def mortal(real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **more)
            calls += 1
            if calls == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call

    if point == "mark":
        Catalogue.mark = mortal(Catalogue.mark)  # type: ignore[method-assign]
    elif point == "put":
        Catalogue.put = mortal(Catalogue.put)  # type: ignore[method-assign]
    elif point == "commit":
        LakeTable.commit = mortal(LakeTable.commit)  # type: ignore[method-assign]
    else:
        setattr(moving, point, mortal(getattr(moving, point)))
    archive_table(lake, archive, FAN, Tier.RAW, ARCHIVED_DAY)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["write_part", "put", "commit", "mark"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_killed_anywhere_and_run_again_nothing_is_lost_or_doubled(host: Host, point: str, nth: int) -> None:
    before = host.read("lake")
    process = get_context("spawn").Process(target=run_and_die, args=(host.lake, host.archive, point, nth))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    between = [*stored_rows(host.lake), *host.read("archive").to_pylist()]
    keys = {(row["time"].timestamp(), row["miner_id"]) for row in between}
    assert len(keys) == 12  # at any moment every row is somewhere
    assert host.run().troubles == []
    assert host.read("archive").equals(before)
    assert stored_rows(host.lake) == []
    assert sum(part.rows for part in host.catalogue.parts()) == 12
    assert verify(host.catalogue, host.catalogue.parts(), read=True).faults == []
    files = {path.relative_to(host.archive).as_posix() for path in host.archive.rglob("*.parquet")}
    assert {part.path for part in host.catalogue.parts()} == files


def test_a_copy_whose_source_was_rewritten_meanwhile_goes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "_take_out", lambda *_: False)  # killed before its removal
    host.run()
    monkeypatch.undo()
    from storage.lake.compaction import compact

    compact(LakeTable(host.lake, FAN, Tier.RAW), YEARS)
    before = host.read("lake")
    assert host.run().rows == 12
    assert sum(part.rows for part in host.catalogue.parts()) == 12
    assert host.read("archive").equals(before)


def test_only_groups_of_rows_that_can_hold_the_answer_are_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.archive import reading
    from storage.lake.compaction import compact
    from storage.lake.parquet import read_rows as real

    monkeypatch.setattr("storage.lake.parquet.ROW_GROUP_ROWS", 4)
    compact(LakeTable(host.lake, FAN, Tier.RAW), YEARS)  # one file: four rows of each of three miners
    before = {name: host.read("lake", where={"miner_id": name}) for name in ("m0000", "m0001", "m0002")}
    host.run()
    taken: list[int] = []

    def read_rows(path: Path, schema: pa.Schema, groups: Any) -> pa.Table:
        taken.append(len(groups))
        return real(path, schema, groups)

    monkeypatch.setattr(reading, "read_rows", read_rows)
    for name, answer in before.items():
        assert host.read("archive", where={"miner_id": name}).equals(answer)
    assert taken == [1, 1, 1]
    assert host.read("archive").num_rows == 12
