"""Files of an older release are read; those of a newer one are read as far as they go, or refused with a clear word."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage.archive.catalogue import FILE_NAME, Catalogue
from storage.declaration import MEASUREMENTS, Tier
from storage.erasure.tombstones import Tombstones
from storage.errors import NeedsHuman
from storage.frame import build_frame
from storage.spool import codec
from storage.spool.lane import Lane, LaneReader
from storage.spool.mark import load_mark
from storage.spool.record import Batch
from tasks.alerts.book import Book
from tasks.miners.memory import MemoryFile
from tasks.sources.standing import StandingsFile

T = 1_795_392_000
TELEMETRY = MEASUREMENTS["miner_telemetry"]


def spooled(root: Path) -> None:
    with Lane.open(root, "miners", cap_bytes=2**24) as lane:
        lane.append(
            Batch("b", T, "run", [build_frame("miner_telemetry", [T], {"miner_id": ["m1"], "power_w": [3000.0]})])
        )


def test_a_spool_of_a_newer_release_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(codec, "VERSION", 2)
        spooled(tmp_path)
    with pytest.raises(NeedsHuman, match=r"format version 2, this release reads 1.*another release"):
        LaneReader(tmp_path / "miners").records_after(0, 10)
    with monkeypatch.context() as newer:
        newer.setattr(codec, "VERSION", 2)
        assert LaneReader(tmp_path / "miners").records_after(0, 1)[0].batch.batch_id == "b", "it is all there"
    with Lane.open(tmp_path, "miners", cap_bytes=2**24) as lane:  # collecting need not wait
        lane.append(Batch("c", T + 60, "run", []))
    assert LaneReader(tmp_path / "miners").last_sequence == 2


def test_marks(tmp_path: Path) -> None:
    older = {"sink": "lake", "sequence": 4, "points_before_start": 0, "points_stored": 9}
    (tmp_path / "mark.lake.json").write_text(json.dumps(older))
    mark = load_mark(tmp_path, "lake")
    assert mark is not None
    assert (mark.points_stored, mark.points_shed) == (9, 0)
    (tmp_path / "mark.lake.json").write_text(json.dumps(older | {"points_lent": 1}))
    with pytest.raises(NeedsHuman, match=r"is no mark of a sink .*points_lent"):
        load_mark(tmp_path, "lake")


@pytest.mark.parametrize(("format_", "said"), [(None, None), (1, None), (2, "format 2, this release knows 1")])
def test_catalogues_of_the_archive(tmp_path: Path, format_: int | None, said: str | None) -> None:
    catalogue = Catalogue.open(tmp_path)
    folder = catalogue.folder(TELEMETRY, Tier.RAW, "2026-11-23")
    folder.mkdir(parents=True)
    content: dict[str, Any] = {"parts": []} | ({} if format_ is None else {"format": format_})
    (folder / FILE_NAME).write_text(json.dumps(content))
    if said is None:
        assert catalogue.parts(TELEMETRY) == []
    else:
        with pytest.raises(NeedsHuman, match=said):
            catalogue.parts(TELEMETRY)


def test_the_book_of_alerts(tmp_path: Path) -> None:
    Book.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "alerts.sqlite")) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(NeedsHuman, match="is of version 99, this Lodeline knows"):
        Book.open(tmp_path)


def test_what_is_known_of_miners_and_sources_begins_anew_where_it_is_not_understood(tmp_path: Path) -> None:
    lines = [{"miner_id": "m1", "driver": "vnish-rest", "of_tomorrow": 1}, {"miner_id": "m2"}, "no line at all"]
    memory = MemoryFile(tmp_path, "miners")
    memory.path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    assert memory.read()["m1"]["driver"] == "vnish-rest"
    (tmp_path / "pools.sources.json").write_text('[{"of": "another version"}]')
    assert StandingsFile(tmp_path, "pools").read() == []


def test_a_case_of_an_erasure_that_cannot_be_read_stops_all_storing(tmp_path: Path) -> None:
    (tmp_path / "erasure").mkdir()
    (tmp_path / "erasure" / "20261125-aa.json").write_text('{"number": "20261125-aa", "of_tomorrow": 1}')
    with pytest.raises(NeedsHuman, match="nothing is stored"):
        Tombstones(tmp_path).cases()
