"""A damaged file is taken out, its bytes are kept, all else goes on, and what was made of its rows stays."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import storage.damaged.lake as damaged_lake
from storage.across_tiers.places import Places
from storage.archive.catalogue import Catalogue
from storage.archive.moving import archive_table
from storage.archive.reading import ArchiveReader
from storage.archive.verifying import verify
from storage.audit.trail import Trail
from storage.damaged.elsewhere import elsewhere
from storage.damaged.lake import live_parts
from storage.declaration import Measurement, Tier
from storage.downsample.run import DECLARED_DAYS
from storage.errors import NeedsHuman, TryAgain
from storage.features.table import feature_table
from storage.features.views import VIEWS
from storage.lake.maintenance import maintain
from storage.lake.scrub import FILE_CHECKSUM, scrub
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


def test_a_damaged_file_is_named_with_what_the_log_says_of_it(host: Host) -> None:
    assert host.cases() == []
    path = second(host)
    whole, damaged = path.read_bytes(), flip(path)
    (case,) = host.cases()
    assert (case.path, case.table, case.measurement, case.tier) == (
        str(path),
        "mining_raw/miner_fan",
        "miner_fan",
        "raw",
    )
    assert (case.first, case.last, case.rows) == (NOON + 120, NOON + 120, 3)
    assert case.entities["miner_id"] == ("m0000", "m0002")
    assert case.written == f"sha256 {hashlib.sha256(whole).hexdigest()[:16]}"
    assert case.sha256 == hashlib.sha256(damaged).hexdigest()
    assert host.cases("miner_telemetry") == []
    assert [case for case in host.damage.search(None, NOON + 121, None, []) if case] == []


def test_what_was_held_up_goes_on_without_it(host: Host) -> None:
    path = second(host)
    damaged = flip(path)
    assert "damaged" in "".join(maintain(host.lake, LATER).troubles)
    with pytest.raises(NeedsHuman):
        host.speeds()
    host.set_aside(path)
    assert host.speeds() == [1, 3, 4]
    report = maintain(host.lake, LATER)
    assert (report.troubles, report.files_merged > 0) == ([], True)
    assert scrub(host.lake, LATER, days=1).damaged == []
    moved = archive_table(host.lake, host.archive, FAN, Tier.RAW, NOON + DAY // 2)
    assert (moved.troubles, moved.rows) == ([], 9)
    copy = host.data / "damaged" / "mining_raw" / "miner_fan" / path.name
    assert copy.read_bytes() == damaged
    assert host.told() == [str(path)]


@pytest.mark.parametrize("how", ["cut short", "missing"])
def test_a_file_that_stops_its_table_is_taken_out_too(host: Host, how: str) -> None:
    path = second(host)
    path.unlink() if how == "missing" else path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(NeedsHuman, match="data files are damaged"):
        host.speeds()
    (case,) = host.cases()
    assert (case.path, case.sha256 is None) == (str(path), how == "missing")
    host.set_aside(path)
    assert host.speeds() == [1, 3, 4]
    assert (host.data / "damaged" / case.table / path.name).exists() == (how == "cut short")


def test_a_whole_file_and_one_that_no_table_has_are_refused(host: Host) -> None:
    path = second(host)
    with pytest.raises(NeedsHuman, match="whole"):
        host.set_aside(path)
    for nowhere in (path.with_name("other.parquet"), host.data / "x", host.archive / "x"):
        with pytest.raises(NeedsHuman, match="no file that a table"):
            host.set_aside(nowhere)
    assert host.speeds() == [1, 2, 3, 4]
    assert host.told() == []


def test_behind_a_file_that_the_disk_does_not_give_the_others_are_read(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [part.path for part in live_parts(LakeTable(host.lake, FAN, Tier.RAW))]
    flip(Path(str(paths[-1])))
    read = Path.read_bytes

    def broken(path: Path) -> bytes:
        if path == paths[0]:
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    troubles: list[str] = []
    found = list(host.damage.search("miner_fan", None, None, troubles))
    assert [case.path for case in found if case] == [str(paths[-1])]
    assert (len(found), len(troubles)) == (len(paths) - 1, 1)
    assert f"{paths[0]}: [Errno 5] Input/output error" in troubles[0]


@pytest.mark.parametrize("at", ["note", "storage.damaged.setting_aside.hold", "commit before", "commit after", "told"])
def test_killed_anywhere_the_same_again_goes_on(host: Host, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    path = second(host)
    damaged = flip(path)

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        match at:
            case "note":
                patch.setattr("storage.damaged.case.replace_file", killed)  # copied, and not noted
            case "commit before":
                patch.setattr(damaged_lake, "take_out", killed)
            case "commit after":
                patch.setattr(LakeTable, "make_durable", killed)
            case "told":
                patch.setattr(Trail, "record", killed)
            case _:
                patch.setattr(at, killed)
        with pytest.raises(Killed):
            host.set_aside(path)
    for _ in range(2):
        host.set_aside(path)
        assert host.speeds() == [1, 3, 4]
        assert host.told() == [str(path)]
    assert (host.data / "damaged" / "mining_raw" / "miner_fan" / path.name).read_bytes() == damaged


def test_a_file_that_was_noted_and_mended_then_is_not_said_to_be_set_aside(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = second(host)
    whole = path.read_bytes()
    flip(path)
    with monkeypatch.context() as patch:
        patch.setattr(damaged_lake, "take_out", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            host.set_aside(path)
    path.write_bytes(whole)
    maintain(host.lake, LATER)  # merges it into another
    with pytest.raises(NeedsHuman, match="no file that a table"):
        host.set_aside(path)
    assert (host.speeds(), host.told()) == ([1, 2, 3, 4], [])


def test_a_file_of_the_archive_leaves_the_catalogue(host: Host) -> None:
    archive_table(host.lake, host.archive, FAN, Tier.RAW, NOON + DAY // 2)
    catalogue = Catalogue.open(host.archive)
    part = next(part for part in catalogue.parts() if part.first == NOON + 120)
    path = catalogue.path(part)
    with pytest.raises(NeedsHuman, match="whole"):
        host.set_aside(path)
    damaged = flip(path)
    verify(catalogue, catalogue.parts())  # marks it, as `lodeline archive verify` does
    (case,) = host.cases()
    assert (case.path, case.rows, case.archived) == (str(path), 3, True)
    for _ in range(2):
        host.set_aside(path)
    assert not path.exists()
    assert (host.data / "damaged" / "archive" / "mining_raw" / "miner_fan" / path.name).read_bytes() == damaged
    assert ArchiveReader(host.archive).read(FAN, Tier.RAW, 0, NOON * 2).num_rows == 9
    assert verify(catalogue, catalogue.parts()).faults == []
    assert host.told() == [str(path)]


def test_killed_between_catalogue_and_trail_the_archive_goes_on(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_table(host.lake, host.archive, FAN, Tier.RAW, NOON + DAY // 2)
    catalogue = Catalogue.open(host.archive)
    path = catalogue.path(catalogue.parts()[0])
    flip(path)
    for target in ("storage.archive.catalogue.Catalogue.drop", "storage.audit.trail.Trail.record"):
        with monkeypatch.context() as patch:
            patch.setattr(target, lambda *_, **__: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                host.set_aside(path)
    host.set_aside(path)
    assert host.told() == [str(path)]


def test_what_was_rolled_up_of_its_rows_stays_whatever_comes_late(host: Host) -> None:
    paths, store = telemetry(host)
    assert hours(store) == [200.0, 500.0]  # (100 + 300) / 2, and 500
    flip(paths[1])
    host.set_aside(paths[1], NOON + 2 * DAY)
    report = rolled_up(EmbeddedStore(host.lake))
    assert (report.hours, report.days) == ({}, {})
    for sequence, time in ((20, NOON - 2 * HOUR), (21, NOON - HOUR), (22, NOON + 120), (23, NOON + HOUR + 60)):
        host.sink.deliver([record(sequence, polls([("m0", time, 700.0, 1)]))])
    places = Places(EmbeddedStore(host.lake), None, DECLARED_DAYS, NOON + 2 * DAY)
    assert places.due_hours(TELEMETRY, NOON - DAY, NOON + DAY) == {NOON - 2 * HOUR, NOON - HOUR, NOON + HOUR}
    report = rolled_up(EmbeddedStore(host.lake))
    assert report.hours["miner_telemetry"] == 3, "the hours before and after, and not the one between"
    assert hours(EmbeddedStore(host.lake)) == [700.0, 700.0, 200.0, 600.0]
    assert report.watermark["miner_telemetry"] > NOON + DAY
    days = EmbeddedStore(host.lake).read(TELEMETRY, Tier.DAILY, 0, NOON * 2)
    assert days["hashrate_hs_count"].to_pylist() == [1 + 1 + 2 + 2]


@pytest.mark.parametrize("tier", [Tier.RAW, Tier.HOURLY])
def test_what_is_set_aside_while_it_is_rolled_up_spoils_no_roll_up(
    host: Host, monkeypatch: pytest.MonkeyPatch, tier: Tier
) -> None:
    paths, store = telemetry(host)
    before = [store.read(TELEMETRY, of, 0, NOON * 2) for of in (Tier.HOURLY, Tier.DAILY)]
    parts = live_parts(LakeTable(host.lake, TELEMETRY, Tier.HOURLY))
    path = paths[1] if tier is Tier.RAW else next(Path(str(part.path)) for part in parts if part.first == NOON)
    late = NOON + 120 if tier is Tier.RAW else NOON + 8 * HOUR
    host.sink.deliver([record(20, polls([("m0", late, 700.0, 1)]))])
    read = EmbeddedStore.read

    def meanwhile(self: EmbeddedStore, measurement: Measurement, of: Tier, start: int, *rest: Any, **more: Any) -> Any:
        whole_day = tier is Tier.RAW or (start % DAY == 0 and "columns" not in more)
        if (measurement.name, of) == (TELEMETRY.name, tier) and whole_day and path.exists():
            monkeypatch.setattr(EmbeddedStore, "read", read)
            flip(path)
            host.set_aside(path, NOON + 40 * DAY)  # too late to make hours anew of raw
            path.unlink()
        return read(self, measurement, of, start, *rest, **more)

    monkeypatch.setattr(EmbeddedStore, "read", meanwhile)
    if tier is Tier.RAW:
        with pytest.raises(TryAgain, match="were set aside while"):
            rolled_up(EmbeddedStore(host.lake))
    rolled_up(EmbeddedStore(host.lake))
    after = [EmbeddedStore(host.lake).read(TELEMETRY, of, 0, NOON * 2) for of in (Tier.HOURLY, Tier.DAILY)]
    assert after[1].equals(before[1])
    assert tier is Tier.HOURLY or after[0].equals(before[0])


def test_an_hour_that_was_not_rolled_up_is_made_of_what_is_left(host: Host) -> None:
    paths, _ = telemetry(host)
    host.sink.deliver([record(31, polls([("m0", NOON + 5 * HOUR, 100.0, 1)]))])
    host.sink.deliver([record(32, polls([("m0", NOON + 5 * HOUR + 60, 300.0, 1)]))])
    new = next(path for path in map(Path, map(str, live_paths(host.lake, TELEMETRY))) if path not in paths)
    flip(new)
    host.set_aside(new, NOON + 2 * DAY)
    assert rolled_up(EmbeddedStore(host.lake)).hours["miner_telemetry"] == 1
    assert hours(EmbeddedStore(host.lake))[-1] in {100.0, 300.0}


@pytest.mark.parametrize("tier", [Tier.HOURLY, Tier.DAILY])
def test_a_roll_up_is_made_anew_while_what_it_was_made_of_is_kept(host: Host, tier: Tier) -> None:
    _, store = telemetry(host)
    before = store.read(TELEMETRY, tier, 0, NOON * 2)
    for path in map(Path, map(str, live_paths(host.lake, TELEMETRY, tier))):
        flip(path)
        host.set_aside(path, NOON + 2 * DAY)
    assert EmbeddedStore(host.lake).read(TELEMETRY, tier, 0, NOON * 2).num_rows == 0
    report = rolled_up(EmbeddedStore(host.lake))
    assert report.days == ({} if tier is Tier.HOURLY else {"miner_telemetry": 1})
    assert EmbeddedStore(host.lake).read(TELEMETRY, tier, 0, NOON * 2).equals(before)


def test_a_day_stays_where_its_hours_are_gone_and_cannot_be_made_anew(host: Host) -> None:
    _, store = telemetry(host)
    before = store.read(TELEMETRY, Tier.DAILY, 0, NOON * 2)
    now = NOON + (DECLARED_DAYS[TELEMETRY.buckets[Tier.RAW]] + 2) * DAY
    for path in map(Path, map(str, live_paths(host.lake, TELEMETRY, Tier.HOURLY))):
        flip(path)
        host.set_aside(path, now)
    report = rolled_up(EmbeddedStore(host.lake), now)
    assert (report.hours, report.days) == ({}, {})
    assert EmbeddedStore(host.lake).read(TELEMETRY, Tier.DAILY, 0, NOON * 2).equals(before)


def test_where_else_the_rows_are(host: Host) -> None:
    paths, store = telemetry(host)
    flip(paths[0])
    (case,) = host.cases()
    assert elsewhere(case, lake=host.lake, archive=Catalogue.open(host.archive), store=store, has_influx=False) == [
        "archive: no rows of this time",
        "hourly tier: 1 of 1 windows of this time are rolled up, and stay",
        "daily tier: 1 of 1 windows of this time are rolled up, and stay",
    ]


def test_a_file_of_features_is_taken_out(host: Host) -> None:
    table = feature_table(host.lake, VIEWS["miner_hourly"])
    path = damaged_file(table)
    (case,) = host.cases(table.measurement.name)
    assert (case.path, case.table, case.tier, case.rows) == (str(path), table.name, None, 1)
    host.set_aside(path)
    assert live_parts(table) == ()
    assert host.told() == [str(path)]


def test_a_damaged_book_of_checksums_is_found_and_taken_out_as_well(host: Host) -> None:
    scrub(host.lake, LATER, days=1)
    (path,) = (Path(str(part.path)) for part in live_parts(FILE_CHECKSUM.of(host.lake)))
    flip(path)
    assert [case.path for case in host.cases()] == [str(path)]
    host.set_aside(path)
    assert scrub(host.lake, LATER, days=1).damaged == []
