"""Kills and a full disk, by real processes and the real kernel: nothing lost or doubled, and the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from storage.archive.catalogue import FILE_NAME, Catalogue
from storage.archive.moving import archive_table
from storage.archive.restoring import restore
from storage.declaration import Tier
from storage.errors import NeedsHuman
from storage.lake.table import LakeTable
from tests.archive.test_archive import ARCHIVED_DAY, Host, run_and_die
from tests.lake.rows import FAN, live_paths, stored_rows

FULL = Path("/dev/full")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.deliver()
    return made


def hashes(archive: Path) -> dict[str, str]:
    return {part.path: part.sha256 for part in Catalogue.open(archive).parts()}


def killed(work: Any, *args: Any) -> None:
    process = get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.faults
@pytest.mark.parametrize(("point", "nth"), [("write_part", 3), ("put", 2), ("commit", 2)])
def test_killed_and_run_again_gives_the_bytes_of_a_run_that_was_not(host: Host, point: str, nth: int) -> None:
    undisturbed = host.archive.with_name("undisturbed")
    shutil.copytree(host.lake, host.lake.with_name("copy"))
    archive_table(host.lake.with_name("copy"), undisturbed, FAN, Tier.RAW, ARCHIVED_DAY)
    killed(run_and_die, host.lake, host.archive, point, nth)
    host.run()
    assert hashes(host.archive) == hashes(undisturbed)
    assert len(hashes(undisturbed)) == 4


def restore_and_die(archive: Path, lake: Path, point: str, nth: int) -> None:
    """A restore that is killed when it comes to ``point`` for the ``nth`` time."""
    real = getattr(LakeTable, point)
    calls = 0

    def mortal(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)

    setattr(LakeTable, point, mortal)
    catalogue = Catalogue.open(archive)
    restore(catalogue, catalogue.parts(), lake)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["append", "commit", "make_durable"])
@pytest.mark.parametrize("nth", [2, 4])
def test_a_restore_that_is_killed_goes_on(host: Host, point: str, nth: int) -> None:
    before = host.read("lake")
    host.run()
    killed(restore_and_die, host.archive, host.restored, point, nth)
    report = restore(host.catalogue, host.catalogue.parts(), host.restored)
    assert 0 < report.rows < 12  # it went on, and did not begin again
    assert len(stored_rows(host.restored)) == 12
    assert host.read("restored").equals(before)


@pytest.mark.skipif(not FULL.exists(), reason=f"{FULL} is not here")
@pytest.mark.parametrize("which", ["file", "catalogue"])
def test_a_full_disk_stops_the_table_and_costs_nothing(host: Host, which: str) -> None:
    """The kernel itself says that no space is left, wherever the first file or its entry is written."""
    first = live_paths(host.lake)[0]
    folder = host.catalogue.folder(FAN, Tier.RAW, first.parent.name.removeprefix("date="))
    folder.mkdir(parents=True)
    drafts = [f".{path.name}.new" for path in live_paths(host.lake)] if which == "file" else [f"{FILE_NAME}.new"]
    for name in drafts:
        (folder / name).symlink_to(FULL)
    (trouble,) = host.run().troubles
    assert "No space left on device" in trouble
    assert len(stored_rows(host.lake)) == 12
    assert host.catalogue.parts() == []
    for name in drafts:
        (folder / name).unlink(missing_ok=True)
    assert host.run().rows == 12  # space was made
    assert host.read("archive").num_rows == 12


def test_a_restore_onto_a_full_disk_goes_on_when_there_is_space(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.lake import location, parquet

    host.run()
    written = 0
    real = location.put

    def put(path: Any, content: Any) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(parquet, "put", put)
    with pytest.raises(NeedsHuman, match="No space left"):
        restore(host.catalogue, host.catalogue.parts(), host.restored)
    report = restore(host.catalogue, host.catalogue.parts(), host.restored)
    assert (report.rows, len(stored_rows(host.restored))) == (6, 12)
