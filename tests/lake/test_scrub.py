"""A flipped bit on the disk is found within a month and named, wherever in the file it is."""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

import pytest

from storage.declaration import Tier
from storage.lake import scrub as scrubbing
from storage.lake.compaction import compact
from storage.lake.maintenance import maintain
from storage.lake.scrub import DAYS, FILE_CHECKSUM, scrub
from storage.lake.sink import LakeSink
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON, live_paths, log_of, tick

DAY = 86400


@pytest.fixture
def lake(tmp_path):
    sink = LakeSink(tmp_path, "host")
    for sequence in range(1, 6):
        sink.deliver([tick(sequence)])
    return tmp_path


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << at % 8
    path.write_bytes(content)


def test_a_sound_lake_is_said_to_be_sound_and_each_file_is_in_the_book(lake):
    report = scrub(lake, NOON, days=1)
    assert (report.tables, report.damaged, report.troubles) == (2, [], [])
    rows = FILE_CHECKSUM.rows(lake)
    assert len(rows) == report.files == 5 + 5
    assert report.bytes == sum(int(str(row["bytes"])) for row in rows)
    hashes = {row["path"]: row["sha256"] for row in rows if row["table"] == "mining_raw/miner_fan"}
    for path in live_paths(lake):
        assert hashes[f"{path.parent.name}/{path.name}"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_flipped_bit_anywhere_is_found_and_file_and_both_hashes_are_named(lake):
    chance = random.Random(5)
    path = live_paths(lake)[2]
    whole = path.read_bytes()
    written = hashlib.sha256(whole).hexdigest()
    places = [4, len(whole) - 9, *(chance.randrange(len(whole)) for _ in range(6))]
    for at in places:
        path.write_bytes(whole)
        flip(path, at)
        (line,) = scrub(lake, NOON, days=1).damaged
        found = re.fullmatch(r"(\S+): written was sha256 (\w{16}), on disk is sha256 (\w{64})", line)
        assert found is not None
        assert (found[1], found[2]) == (str(path), written[:16])
        assert found[3] == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(whole)
    assert scrub(lake, NOON, days=1).damaged == []


def test_every_file_has_its_turn_once_in_thirty_days(lake):
    seen: list[object] = []
    for day in range(DAYS):
        scrub(lake, NOON + day * DAY)
    seen = [(row["table"], row["path"]) for row in FILE_CHECKSUM.rows(lake)]
    assert len(seen) == len(set(seen)) == 10


def test_a_file_whose_name_tells_no_hash_is_held_against_the_first_sound_look(lake, monkeypatch):
    monkeypatch.setattr(scrubbing, "named_digest", lambda path: None)
    path = live_paths(lake)[0]
    scrub(lake, NOON, days=1)
    flip(path, 2)  # in the head, which no page checksum covers
    (line,) = scrub(lake, NOON + DAY, days=1).damaged
    assert str(path) in line
    assert (line.count("sha256"), "pages" in line) == (2, False)


def test_damage_stays_where_it_is_and_the_others_are_kept(lake):
    path = live_paths(lake)[0]
    flip(path, path.stat().st_size // 2)
    scrub(lake, NOON, days=1)
    assert path.exists()
    assert [row["sound"] for row in FILE_CHECKSUM.rows(lake)].count(False) == 1


def test_a_torn_table_is_a_trouble_and_the_others_are_read(lake):
    (log_of(lake) / f"{2:020}.json").write_text("")
    report = scrub(lake, NOON, days=1)
    assert (report.tables, report.files) == (1, 5)
    assert "mining_raw/miner_fan" in report.troubles[0]


def test_a_file_merged_away_while_it_was_at_it_is_no_damage(lake, monkeypatch):
    exists = LakeTable.snapshot

    def merged_in_between(self, **named):
        snapshot = exists(self, **named)
        if self.measurement is FAN and named.get("fresh"):
            monkeypatch.undo()
            old = live_paths(lake)
            compact(LakeTable(lake, FAN, Tier.RAW), NOON + 7200)
            for path in old:
                path.unlink()
        return snapshot

    monkeypatch.setattr(LakeTable, "snapshot", merged_in_between)
    assert scrub(lake, NOON, days=1).damaged == []
    live_paths(lake)[0].unlink()
    assert "missing" in "".join([*scrub(lake, NOON, days=1).troubles])


def test_the_book_is_no_measurement_and_survives_upkeep(lake):
    scrub(lake, NOON, days=1)
    scrub(lake, NOON, days=1)
    assert len(FILE_CHECKSUM.rows(lake)) == 10
    scrub(lake, NOON + DAY, days=1)
    assert maintain(lake, NOON + 4000 * DAY).troubles == []
    assert len(FILE_CHECKSUM.rows(lake)) == 20
    snapshot = FILE_CHECKSUM.of(lake).snapshot()
    assert snapshot is not None
    assert len(snapshot.parts) == 1, "kept small like any other table"
