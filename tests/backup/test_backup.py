"""A set put back: nothing that was stored is lost, nothing is stored twice, and what is not whole is refused."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.audit.trail import AuditKind, Trail
from storage.audit.verify import verify as verify_trail
from storage.backup import moment
from storage.backup.copying import Copier, MovedOn, Place
from storage.backup.making import TRIES, make_backup
from storage.backup.manifest import load_manifest, save_manifest, sets_in
from storage.backup.restoring import newer_erasures, restore_set
from storage.backup.verifying import verify_set
from storage.delivery.books import books
from storage.erasure.entity import Entity
from storage.erasure.tombstones import Tombstones
from storage.errors import NeedsHuman, TryAgain
from storage.lake.disk import locked
from storage.spool.segment import lane_id_of, segments_of
from tasks.alerts.book import Book, Look
from tests.backup.host import NAME, Host, T


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of one that has worked for some hours."""
    host = Host(tmp_path_factory.mktemp("worked") / "data")
    for _ in range(5):
        host.work()
    host.stop()
    return host.data


@pytest.fixture
def host(worked: Path, tmp_path: Path) -> Iterator[Host]:
    shutil.copytree(worked, tmp_path / "data")
    host = Host(tmp_path / "data")
    yield host
    host.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def test_made_while_all_is_at_work(host: Host, folder: Path, tmp_path: Path) -> None:
    asked = itertools.count()

    def told(_: int) -> None:
        if next(asked) % 20 == 3:
            host.work()

    make_backup(host.sources, folder, actor="test", told=told)
    stored, steps = host.stored, host.steps
    made, manifest = make_backup(host.sources, folder, actor="test", told=told)
    assert host.steps > steps + 2, "it did not work meanwhile"
    assert stored <= manifest.lanes["miners"] <= host.slot
    assert manifest.copied_bytes < manifest.bytes / 2, "what the set before has is linked"
    assert [verify_set(path).faults for path in sets_in(folder)] == [[], []]

    restore_set(made, tmp_path / "again" / "data", actor="test")
    again = Host(tmp_path / "again" / "data")
    assert again.slot == manifest.lanes["miners"]
    assert not any(again.data.glob("spool/*/quarantine")), "the copy ends with a whole record"
    # It goes on where the set ends: numbers of records are given a second time, to records that nobody has.
    for _ in range(3):
        again.work()
    again.deliver()
    again.roll()
    assert again.rows_in_files() == again.wanted_rows()
    assert again.hours() == again.wanted_hours()
    lake = again.books
    assert (lake.backlog, lake.shed, lake.dead_lettered) == (0, 0, 0)
    assert lake.stored == lake.accepted == 2 * again.slot
    chain = verify_trail(Trail.open(again.data, NAME).path)
    assert chain.fault is None
    again.stop()


@pytest.mark.parametrize("late", [0, TRIES])
def test_a_lane_that_is_delivered_faster_than_copied_begins_the_moment_anew(
    host: Host, folder: Path, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """What makes it so is an own segment that is gone between the marks and its copy."""
    happened = []

    def removed(copier: Copier, lane: object, stands: object) -> None:
        happened.append(lane)
        if len(happened) <= max(late, 1):
            raise MovedOn("gone")
        original(copier, lane, stands)  # type: ignore[arg-type]

    original = moment._copy_begin
    monkeypatch.setattr(moment, "_copy_begin", removed)
    if late:
        with pytest.raises(TryAgain, match=f"{TRIES} tries: gone"):
            make_backup(host.sources, folder, actor="test")
        assert sets_in(folder) == []
    else:
        made, _ = make_backup(host.sources, folder, actor="test")
        assert verify_set(made).faults == []


def test_segments_that_are_gone_are_missed(host: Host, tmp_path: Path) -> None:
    copier = Copier(tmp_path / "draft", None, {})
    spool = Place(host.data / "spool", "spool").below("miners")
    with pytest.raises(MovedOn, match="delivered faster"):
        moment._copy_begin(copier, spool, {"mark.lake.json": (0, b"")})
    moment._copy_segments(copier, spool)
    for segment in segments_of(spool.source):
        segment.path.unlink()
    host.collect(9)
    with pytest.raises(MovedOn):
        moment._copy_rest(copier, spool)


def test_killed_it_leaves_no_set_and_the_next_one_is_whole(host: Host, folder: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from storage.backup.making import Sources, make_backup\n"
        "from storage.settings import StorageSettings\n"
        "sources = Sources.of(StorageSettings(data_directory=Path(sys.argv[1])), None)\n"
        "done = []\n"
        "def told(_):\n"
        "    done.append(1)\n"
        "    if len(done) == 9: os.kill(os.getpid(), 9)\n"
        "make_backup(sources, Path(sys.argv[2]), actor='test', told=told)"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", program, str(host.data), str(folder)], cwd=root, check=False)
    assert ended.returncode == -9
    assert list(folder.glob("*.unfinished/data/*"))
    assert sets_in(folder) == []
    made, _ = make_backup(host.sources, folder, actor="test")
    assert [path for path in folder.iterdir() if path.name != ".lock"] == [made]
    assert verify_set(made).faults == []


def test_a_set_costs_what_is_new_and_any_may_go(host: Host, folder: Path) -> None:
    first, before = make_backup(host.sources, folder, actor="test")
    host.collect(3)
    host.deliver()
    second, after = make_backup(host.sources, folder, actor="test", keep=2)
    shared = [file.path for file in before.files if file.path.endswith(".parquet") and file in after.files]
    assert shared
    assert {os.path.samefile(first / "data" / path, second / "data" / path) for path in shared} == {True}
    mutable = "spool/miners/mark.lake.json"
    assert (first / "data" / mutable).read_bytes() != (second / "data" / mutable).read_bytes()
    third, _ = make_backup(host.sources, folder, actor="test", keep=2)
    assert sets_in(folder) == [second, third]
    assert [verify_set(path).faults for path in sets_in(folder)] == [[], []]
    kinds = [entry.kind for entry in Trail.open(host.data, os.uname().nodename).entries()]
    assert kinds.count(AuditKind.BACKED_UP) == 3


def test_books_in_sqlite_and_what_is_left_out(host: Host, folder: Path, tmp_path: Path) -> None:
    book = Book.open(host.data / "state")
    with book.transaction():
        book.note_look(Look(at=float(T), muted={}))
    book.close()
    left = {"logs/x.log": "x", "page.secret": "s", "prefect/p.db": "p", "locks/miners.now": "", "state/b.new": "x"}
    for path, content in {**left, "reports/daily/a.md": "kept", "state/a.jsonl": "whole\nhal"}.items():
        (host.data / path).parent.mkdir(parents=True, exist_ok=True)
        (host.data / path).write_text(content)
    made, manifest = make_backup(host.sources, folder, actor="test")
    paths = {file.path for file in manifest.files}
    assert {"reports/daily/a.md", "state/a.jsonl", "state/alerts.sqlite"} <= paths
    assert not paths & left.keys()
    assert not [path for path in paths if path.endswith(".lock") or "/lock." in path]
    restore_set(made, tmp_path / "again", actor="test")
    assert (tmp_path / "again" / "state" / "a.jsonl").read_text() == "whole\n"
    with contextlib.closing(Book.open(tmp_path / "again" / "state")) as copied:
        look = copied.last_look()
    assert look is not None
    assert look.at == T


def test_lake_and_archive_elsewhere_come_back_inside(host: Host, folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "old" / "archive"
    (archive / "x").mkdir(parents=True)
    (archive / "x" / "catalogue.json").write_text("{}")
    (host.data / "lake").rename(tmp_path / "big")
    settings = host.settings.model_copy(
        update={"lake": host.settings.lake.model_copy(update={"directory": tmp_path / "big"})}
    )
    made, manifest = make_backup(type(host.sources).of(settings, archive), folder, actor="test")
    assert (manifest.lake, manifest.archive) == ("lake", "archive")
    restore_set(made, tmp_path / "again", actor="test")
    assert (tmp_path / "again" / "lake" / "mining_raw" / "miner_telemetry" / "_delta_log").is_dir()
    assert (tmp_path / "again" / "archive" / "x" / "catalogue.json").read_text() == "{}"


@pytest.mark.parametrize(("uri", "is_new"), [(None, False), ("s3://bucket/lake", True)])
def test_lanes_of_a_lake_that_is_elsewhere_get_a_new_identity(
    host: Host, folder: Path, tmp_path: Path, uri: str | None, is_new: bool
) -> None:
    """That lake knows records beyond the set; the next record must not be taken for one of them."""
    settings = host.settings.model_copy(update={"lake": host.settings.lake.model_copy(update={"uri": uri})})
    made, manifest = make_backup(type(host.sources).of(settings, None), folder, actor="test")
    assert (manifest.lake is None) is is_new
    restore_set(made, tmp_path / "again", actor="test")
    lane = tmp_path / "again" / "spool" / "miners"
    assert (lane_id_of(lane) != lane_id_of(host.data / "spool" / "miners")) is is_new
    assert books(tmp_path / "again" / "spool")["miners"]["lake"].stored == host.books.stored


@pytest.mark.parametrize("harm", ["flip", "gone", "manifest"])
def test_damage_is_found_and_nothing_is_restored(host: Host, folder: Path, tmp_path: Path, harm: str) -> None:
    made, manifest = make_backup(host.sources, folder, actor="test")
    path = made / "data" / next(file.path for file in manifest.files if file.path.endswith(".parquet"))
    if harm == "gone":
        path.unlink()
    elif harm == "manifest":
        (made / "manifest.json").write_bytes(
            (made / "manifest.json").read_bytes().replace(b'"format":1', b'"format":1 ')
        )
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    if harm == "manifest":
        with pytest.raises(NeedsHuman, match="is damaged"):
            verify_set(made)
    else:
        assert [path.name in fault for fault in verify_set(made).faults][:1] == [True]
    with pytest.raises(NeedsHuman, match="Take another set"):
        restore_set(made, tmp_path / "again", actor="test")
    assert not (tmp_path / "again").exists()


def test_a_set_of_a_later_release_is_refused(host: Host, folder: Path, tmp_path: Path) -> None:
    made, manifest = make_backup(host.sources, folder, actor="test")
    save_manifest(
        made, type(manifest)(**{**{f: getattr(manifest, f) for f in manifest.__struct_fields__}, "format": 2})
    )
    with pytest.raises(NeedsHuman, match="format 2, this release knows 1"):
        load_manifest(made)


def test_what_is_refused(host: Host, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NeedsHuman, match=r"lies in .* which is to be copied"):
        make_backup(host.sources, host.data / "backup", actor="test")
    with pytest.raises(NeedsHuman, match="no data directory"):
        type(host.sources).of(host.settings.model_copy(update={"data_directory": tmp_path / "nothing"}), None)
    made, _ = make_backup(host.sources, folder, actor="test")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("mine")
    with pytest.raises(NeedsHuman, match="is not empty"):
        restore_set(made, tmp_path / "full", actor="test")
    with locked(folder / ".lock"), pytest.raises(TryAgain, match="another backup"):
        make_backup(host.sources, folder, actor="test")


def test_erasures(host: Host, folder: Path) -> None:
    before, _ = make_backup(host.sources, folder, actor="test")
    tombstones = Tombstones(host.data)
    case = tombstones.begin(Entity({"miner_id": "m1"}, 0, T), int(time.time()))
    with pytest.raises(TryAgain, match=case.number):
        make_backup(host.sources, folder, actor="test")
    tombstones.finish(case)
    after, manifest = make_backup(host.sources, folder, actor="test")
    assert newer_erasures(before, load_manifest(before)) == [case.number]
    assert newer_erasures(after, manifest) == []
