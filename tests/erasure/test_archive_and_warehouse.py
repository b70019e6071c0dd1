"""An entity leaves the archive and the warehouse as well; what others have there stays to the last bit."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.archive.catalogue import Catalogue
from storage.archive.moving import archive_table
from storage.archive.reading import ArchiveReader
from storage.archive.restoring import restore
from storage.archive.verifying import verify
from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.erasure.proof import search
from storage.erasure.run import Erasure, Places, erase
from storage.erasure.tombstones import Tombstones
from storage.lake.store import EmbeddedStore
from storage.warehouse.build import Surroundings, build
from storage.warehouse.star import FACT_TELEMETRY_HOURLY
from storage.warehouse.table import WarehouseTable
from tests.erasure.host import GONE, HOST, OTHERS, T0, fill
from tests.erasure.test_erase import NOW, WHOLE

TELEMETRY = MEASUREMENTS["miner_telemetry"]
YEARS = 36_500
"""Days."""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host whose raw telemetry is in the archive and whose warehouse is built."""
    data = tmp_path / "data"
    data.mkdir()
    fill(data, slots=61)
    store = EmbeddedStore(data / "lake")
    build(store, data / "lake", T0 + 3 * 86_400, Surroundings(dict.fromkeys(BUCKETS, 30), "UTC", {}, {}))
    store.close()
    report = archive_table(data / "lake", tmp_path / "archive", TELEMETRY, Tier.RAW, NOW + YEARS * 86_400)
    assert report.rows == 61 * 4
    return tmp_path


def run(host: Path) -> Erasure:
    places = Places(host / "data", host / "data" / "lake", host / "archive", None)
    return erase(places, WHOLE, host=HOST, actor="test", now=NOW)


def archived(host: Path) -> pa.Table:
    return ArchiveReader(host / "archive").read(TELEMETRY, Tier.RAW, 0, 2**33)


def facts(host: Path) -> list[str]:
    snapshot = WarehouseTable(host / "data" / "lake", FACT_TELEMETRY_HOURLY).snapshot(fresh=True)
    assert snapshot is not None
    from storage.lake.parquet import read_file

    table = WarehouseTable(host / "data" / "lake", FACT_TELEMETRY_HOURLY)
    return [name for part in snapshot.parts for name in read_file(part.path, table.schema)["miner_id"].to_pylist()]


def test_nothing_of_it_is_left_and_all_of_the_others(host: Path) -> None:
    before = archived(host)
    assert {*before["miner_id"].to_pylist()} == {*facts(host)} == {GONE, *OTHERS}
    done = run(host)
    assert done.is_done, done
    assert not search([host], WHOLE, whole=True).hits
    assert archived(host).equals(before.filter(pc.not_equal(before["miner_id"], GONE)))
    assert {*facts(host)} == set(OTHERS)
    assert done.counts["archive_rows"] == 61
    catalogue = Catalogue.open(host / "archive")
    assert verify(catalogue, catalogue.parts(), read=True).faults == []
    files = {path.relative_to(host / "archive").as_posix() for path in (host / "archive").rglob("*.parquet")}
    assert files == {part.path for part in catalogue.parts()}


@pytest.mark.parametrize("at", ["its entry is dropped", "it is deleted"])
def test_killed_before_the_old_file_is_gone_the_next_run_ends_it(
    host: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    class Killed(BaseException):
        pass

    real = Path.unlink

    def die(path: Path, **more: bool) -> None:
        if path.suffix == ".parquet" and path.is_relative_to(host / "archive"):
            raise Killed
        real(path, **more)

    with monkeypatch.context() as patch:
        if at == "it is deleted":
            patch.setattr(Path, "unlink", die)
        else:
            patch.setattr(Catalogue, "drop", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(host)
    done = run(host)
    assert done.is_done, done
    assert archived(host).num_rows == 61 * 3


def test_a_copy_brought_back_is_restored_without_it(host: Path, tmp_path: Path) -> None:
    """Somebody puts an old copy of the archive in its place; a restore must not bring back what was erased."""
    import shutil

    shutil.copytree(host / "archive", host / "copy")
    run(host)
    catalogue = Catalogue.open(host / "copy")
    erased = Tombstones(host / "data")
    restore(
        catalogue,
        catalogue.parts(),
        host / "restored",
        without=lambda part, rows: erased.without_erased_rows(part.declared, rows),
    )
    store = EmbeddedStore(host / "restored")
    rows = store.read(TELEMETRY, Tier.RAW, 0, 2**33)
    store.close()
    assert {*rows["miner_id"].to_pylist()} == set(OTHERS)
