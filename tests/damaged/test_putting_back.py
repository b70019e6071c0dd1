"""What was set aside comes back whole, once, without what was erased since; what was held for it is made again."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import storage.damaged.lake as damaged_lake
from storage.archive.catalogue import Catalogue
from storage.archive.moving import archive_table
from storage.archive.part import State
from storage.archive.reading import ArchiveReader
from storage.archive.verifying import verify
from storage.audit.entry import AuditKind
from storage.audit.trail import Trail
from storage.damaged.lake import live_parts
from storage.declaration import Tier
from storage.downsample.books import held_windows
from storage.erasure.entity import Entity
from storage.erasure.tombstones import Tombstones
from storage.errors import NeedsHuman
from storage.features.table import feature_table
from storage.features.views import VIEWS
from storage.lake.scrub import scrub
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.damaged.host import (
    DAY,
    HOUR,
    LATER,
    TELEMETRY,
    Host,
    Killed,
    damaged_file,
    flip,
    hours,
    rolled_up,
    second,
    telemetry,
)
from tests.downsample.test_run import polls
from tests.lake.rows import FAN, NOON, live_paths, record


def lost(host: Host, path: Path) -> Path:
    """Damage ``path`` and set it aside; a whole copy of it, as a backup has one."""
    copy = host.data / "backup.parquet"
    shutil.copyfile(path, copy)
    flip(path)
    host.set_aside(path, NOON + 2 * DAY)
    return copy


def rows(host: Host) -> list[dict[str, object]]:
    return EmbeddedStore(host.lake).read(FAN, Tier.RAW, 0, NOON * 2).to_pylist()  # type: ignore[no-any-return]


def test_a_whole_copy_comes_back_once(host: Host) -> None:
    path, before = second(host), rows(host)
    copy = lost(host, path)
    assert host.speeds() == [1, 3, 4]
    back = host.put_back(path, copy=copy)
    assert (back.is_whole, back.case is not None) == (True, True)
    assert rows(host) == before
    assert host.put_back(path, copy=copy).case is None, "it is back already"
    assert rows(host) == before
    assert host.told(AuditKind.PUT_BACK) == [str(path)]
    assert list((host.data / "damaged").rglob("*.parquet*")) == []
    assert scrub(host.lake, LATER, days=1).damaged == []
    parts = live_parts(LakeTable(host.lake, FAN, Tier.RAW))
    assert sum(part.rows for part in parts) == len(before), "no row is there twice"


def test_bytes_that_were_mended_where_they_are_kept_come_back(host: Host) -> None:
    path = second(host)
    copy = lost(host, path)
    shutil.copyfile(copy, host.data / "damaged" / "mining_raw" / "miner_fan" / path.name)
    host.put_back(path)
    assert host.speeds() == [1, 2, 3, 4]


def test_what_is_not_whole_and_what_was_not_set_aside_is_refused(host: Host) -> None:
    path = second(host)
    with pytest.raises(NeedsHuman, match="was not set aside here"):
        host.put_back(path)
    copy = lost(host, path)
    with pytest.raises(NeedsHuman, match="is not what was written"):
        host.put_back(path)
    with pytest.raises(NeedsHuman, match="there is no file"):
        host.put_back(path, copy=host.data / "nothing")
    flip(copy)
    with pytest.raises(NeedsHuman, match="is not what was written"):
        host.put_back(path, copy=copy)
    assert host.speeds() == [1, 3, 4]
    assert host.told(AuditKind.PUT_BACK) == []


def test_of_a_file_that_was_missing_a_copy_comes_back(host: Host) -> None:
    path = second(host)
    copy = shutil.move(path, host.data / "elsewhere.parquet")
    host.set_aside(path)
    with pytest.raises(NeedsHuman, match="no bytes"):
        host.put_back(path, as_it_is=True)
    host.put_back(path, copy=copy)
    assert host.speeds() == [1, 2, 3, 4]


def test_who_insists_has_the_damaged_file_where_it_was_and_can_set_it_aside_again(host: Host) -> None:
    path, before = second(host), live_parts(LakeTable(host.lake, FAN, Tier.RAW))
    whole = path.read_bytes()
    lost(host, path)
    damaged = (host.data / "damaged" / "mining_raw" / "miner_fan" / path.name).read_bytes()
    path.unlink()  # as the vacuum does a day later
    assert not host.put_back(path, as_it_is=True).is_whole
    assert path.read_bytes() == damaged
    again = {part.path: part for part in live_parts(LakeTable(host.lake, FAN, Tier.RAW))}
    was = {part.path: part for part in before}
    assert again.keys() == was.keys()
    for name in ("size", "rows", "date", "first", "last", "low", "high"):
        assert getattr(again[path], name) == getattr(was[path], name), name
    assert [case.path for case in host.cases()] == [str(path)]
    host.set_aside(path)
    assert host.speeds() == [1, 3, 4]
    assert host.told() == [str(path)] * 2
    path.write_bytes(whole)
    host.put_back(path, copy=path)
    assert host.speeds() == [1, 2, 3, 4]
    assert host.told(AuditKind.PUT_BACK) == [str(path)] * 2


@pytest.mark.parametrize("at", ["commit before", "commit after", "due", "told", "dropped"])
def test_killed_anywhere_the_same_again_goes_on(host: Host, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    path, before = second(host), rows(host)
    copy = lost(host, path)

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        match at:
            case "commit before":
                patch.setattr(damaged_lake, "put_rows", killed)
            case "commit after":
                patch.setattr(LakeTable, "make_durable", killed)
            case "due":
                patch.setattr("storage.damaged.putting_back.make_due", killed)
            case "told":
                patch.setattr(Trail, "record", killed)
            case "dropped":
                patch.setattr("storage.damaged.putting_back.drop", killed)
        with pytest.raises(Killed):
            host.put_back(path, copy=copy)
    for _ in range(2):
        host.put_back(path, copy=copy)
        assert rows(host) == before
        assert host.told(AuditKind.PUT_BACK) == [str(path)]


def test_what_was_erased_meanwhile_does_not_come_back(host: Host) -> None:
    path = second(host)
    copy = lost(host, path)
    Tombstones(host.data).begin(Entity({"miner_id": "m0001"}, 0, NOON + DAY), int(time.time()) + 1)
    with pytest.raises(NeedsHuman, match="may hold what erasure"):
        host.put_back(path, as_it_is=True)
    host.put_back(path, copy=copy)
    new = next(part for part in live_parts(LakeTable(host.lake, FAN, Tier.RAW)) if part.first == NOON + 120)
    assert (new.rows, new.low["miner_id"], new.high["miner_id"]) == (2, "m0000", "m0002")
    assert b"m0001" not in Path(str(new.path)).read_bytes()


def test_an_hour_that_was_held_is_made_of_all_its_rows(host: Host) -> None:
    paths, _ = telemetry(host)  # 100 and 300 H/s at noon, in files of their own
    copy = lost(host, paths[1])
    host.sink.deliver([record(22, polls([("m0", NOON + 120, 800.0, 1)]))])
    assert rolled_up(EmbeddedStore(host.lake)).hours == {}
    back = host.put_back(paths[1], copy=copy)
    assert (back.released, back.due) == (1, 1)
    rolled_up(EmbeddedStore(host.lake))
    assert hours(EmbeddedStore(host.lake)) == [400.0, 500.0]  # (100 + 300 + 800) / 3
    days = EmbeddedStore(host.lake).read(TELEMETRY, Tier.DAILY, 0, NOON * 2)
    assert days["hashrate_hs_count"].to_pylist() == [4]


def test_an_hour_stays_held_while_another_of_its_files_is_gone(host: Host) -> None:
    paths, _ = telemetry(host)
    copies: dict[Path, Path] = {}
    for path in paths[:2]:
        shutil.copyfile(lost(host, path), copies.setdefault(path, host.data / f"{path.name}.copy"))
    host.sink.deliver([record(22, polls([("m0", NOON + 120, 800.0, 1)]))])
    for path, released in zip(paths[:2], (0, 1), strict=True):
        assert held_windows(EmbeddedStore(host.lake), TELEMETRY, Tier.HOURLY, NOON, NOON + HOUR) == {NOON}
        assert rolled_up(EmbeddedStore(host.lake)).hours == {}
        assert host.put_back(path, copy=copies[path]).released == released
    rolled_up(EmbeddedStore(host.lake))
    assert hours(EmbeddedStore(host.lake)) == [400.0, 500.0]


def test_an_hour_that_was_made_of_what_was_left_is_made_again(host: Host) -> None:
    paths, _ = telemetry(host)
    for number, (after, rate) in enumerate([(0, 100.0), (60, 300.0)], start=31):
        host.sink.deliver([record(number, polls([("m0", NOON + 5 * HOUR + after, rate, 1)]))])
    new = next(path for path in map(Path, map(str, live_paths(host.lake, TELEMETRY))) if path not in paths)
    copy = lost(host, new)
    rolled_up(EmbeddedStore(host.lake))
    host.put_back(new, copy=copy)
    rolled_up(EmbeddedStore(host.lake))
    assert hours(EmbeddedStore(host.lake))[-1] == 200.0


def test_roll_ups_that_were_made_anew_are_not_there_twice(host: Host) -> None:
    _, store = telemetry(host)
    before = store.read(TELEMETRY, Tier.HOURLY, 0, NOON * 2)
    parts = live_parts(LakeTable(host.lake, TELEMETRY, Tier.HOURLY))
    path = next(Path(str(part.path)) for part in parts if part.first == NOON)
    copy = lost(host, path)
    host.sink.deliver([record(22, polls([("m0", NOON + 120, 800.0, 1)]))])
    rolled_up(EmbeddedStore(host.lake))
    with pytest.raises(NeedsHuman, match="made anew since"):
        host.put_back(path, as_it_is=True)
    host.put_back(path, copy=copy)
    rolled_up(EmbeddedStore(host.lake))
    after = EmbeddedStore(host.lake).read(TELEMETRY, Tier.HOURLY, 0, NOON * 2)
    assert after.num_rows == before.num_rows
    assert hours(EmbeddedStore(host.lake)) == [400.0, 500.0], "what was made of more rows stays"


def test_roll_ups_that_nobody_made_anew_are_there_again(host: Host) -> None:
    _, store = telemetry(host)
    before = store.read(TELEMETRY, Tier.DAILY, 0, NOON * 2)
    (path,) = map(Path, map(str, live_paths(host.lake, TELEMETRY, Tier.DAILY)))
    copy = lost(host, path)
    host.put_back(path, copy=copy)
    assert EmbeddedStore(host.lake).read(TELEMETRY, Tier.DAILY, 0, NOON * 2).equals(before)


def test_features_come_back(host: Host) -> None:
    table = feature_table(host.lake, VIEWS["miner_hourly"])
    path = damaged_file(table)
    whole = flip(path)  # the same bit again
    flip(path)
    host.set_aside(path)
    assert live_parts(table) == ()
    (host.data / "copy").write_bytes(whole)
    host.put_back(path, copy=host.data / "copy")
    assert [part.rows for part in live_parts(table)] == [1]


@pytest.mark.parametrize("at", ["", "storage.archive.catalogue.Catalogue.put", "storage.audit.trail.Trail.record"])
def test_a_file_of_the_archive_comes_back(host: Host, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    archive_table(host.lake, host.archive, FAN, Tier.RAW, NOON + DAY // 2)
    catalogue = Catalogue.open(host.archive)
    before = ArchiveReader(host.archive).read(FAN, Tier.RAW, 0, NOON * 2)
    entry = next(part for part in catalogue.parts() if part.first == NOON + 120)
    path = catalogue.path(entry)
    copy = host.data / "copy"
    shutil.copyfile(path, copy)
    flip(path)
    verify(catalogue, catalogue.parts())  # marks it
    host.set_aside(path)
    with pytest.raises(NeedsHuman, match="is not what was written"):
        host.put_back(path)
    if at:
        with monkeypatch.context() as patch:
            patch.setattr(at, lambda *_, **__: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                host.put_back(path, copy=copy)
    for _ in range(2):
        host.put_back(path, copy=copy)
    assert entry in catalogue.parts()
    assert verify(catalogue, catalogue.parts(), read=True).faults == []
    assert ArchiveReader(host.archive).read(FAN, Tier.RAW, 0, NOON * 2).equals(before)
    assert host.told(AuditKind.PUT_BACK) == [str(path)]


def test_of_the_archive_too_nothing_erased_and_damage_only_for_who_insists(host: Host) -> None:
    archive_table(host.lake, host.archive, FAN, Tier.RAW, NOON + DAY // 2)
    catalogue = Catalogue.open(host.archive)
    path = catalogue.path(next(part for part in catalogue.parts() if part.first == NOON + 120))
    copy = host.data / "copy"
    shutil.copyfile(path, copy)
    flip(path)
    host.set_aside(path)
    assert not host.put_back(path, as_it_is=True).is_whole
    assert [part.state for part in catalogue.parts() if part.first == NOON + 120] == [State.DAMAGED]
    host.set_aside(path)
    Tombstones(host.data).begin(Entity({"miner_id": "m0001"}, 0, NOON + DAY), NOON + DAY)
    host.put_back(path, copy=copy)
    part = next(part for part in catalogue.parts() if part.first == NOON + 120)
    assert (part.rows, verify(catalogue, [part], read=True).faults) == (2, [])
    assert b"m0001" not in catalogue.path(part).read_bytes()
