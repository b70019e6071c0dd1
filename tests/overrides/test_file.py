"""Overrides on the disk: whole after a kill, shared by processes, over by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.errors import NeedsHuman
from tasks.overrides import file as file_module
from tasks.overrides.file import OverrideFile, OverrideWatch
from tasks.overrides.override import Kind, Overrides, Target
from tests.overrides.given import T, override


def test_one_holds_from_now_until_before_its_end_or_until_it_is_taken_back(tmp_path: Path) -> None:
    file = OverrideFile(tmp_path)
    assert file.read() == []
    file.put(override("m1"))
    file.put(override("m2", Kind.FORCE, state="maintenance"))

    def held(now: float) -> list[str]:
        return [one.subject for one in Overrides.at(file.read(), now).all]

    assert held(T) == held(T + 3_599.9) == ["m1", "m2"]
    assert held(T + 3_600.0) == []
    assert file.end("nothing", T) is None
    ended = file.end("pause-m1", T + 10.0)
    assert ended is not None
    assert ended.subject == "m1"
    assert held(T + 11) == ["m2"]
    assert file.end("force-m2", T + 3_600.0) is None, "it is over by itself"


def test_one_of_the_same_kind_for_the_same_takes_its_place(tmp_path: Path) -> None:
    file = OverrideFile(tmp_path)
    file.put(override("m1", id="a"))
    file.put(override("m1", id="b", made=T + 1.0, until=T + 60.0))
    file.put(override("m1", Kind.FORCE, id="c", state="failed"))
    assert [one.id for one in file.read()] == ["b", "c"]
    now = Overrides.at(file.read(), T + 30)
    assert now.of_miner("m1") == file.read()[0], "that it is paused says more than a state"
    later = Overrides.at(file.read(), T + 61)
    assert later.of_miner("m1") == file.read()[1]
    assert later.of_miner("m2") is None


def test_what_ran_out_is_kept_for_a_week(tmp_path: Path) -> None:
    file = OverrideFile(tmp_path)
    file.put(override("m1", until=T + 60.0))
    file.put(override("m2", made=T + 60.0 + 7 * 86_400 - 1))
    assert [one.subject for one in file.read()] == ["m1", "m2"]
    file.put(override("m3", made=T + 60.0 + 7 * 86_400))
    assert [one.subject for one in file.read()] == ["m2", "m3"]


def test_killed_while_it_writes_the_file_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = OverrideFile(tmp_path)
    file.put(override("m1"))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dies)
        with pytest.raises(KeyboardInterrupt):
            file.put(override("m2"))
    assert [one.subject for one in file.read()] == ["m1"]
    file.put(override("m3"))
    assert [one.subject for one in file.read()] == ["m1", "m3"]


def test_processes_that_set_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tasks.overrides.file import OverrideFile\n"
        "from tests.overrides.given import override\n"
        "for number in range(10):\n    OverrideFile(Path(sys.argv[1])).put(override(f'{sys.argv[2]}-{number}'))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who]) for who in ("a", "b")]
    assert [process.wait() for process in running] == [0, 0]
    assert len(OverrideFile(tmp_path).read()) == 20


def test_a_damaged_file_is_named_and_a_shift_keeps_what_it_knew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, watch = OverrideFile(tmp_path), OverrideWatch(tmp_path)
    assert watch.look(T).all == ()
    file.put(override("m1"))
    assert watch.look(T).miners_paused() == {"m1"}
    file.path.write_bytes(b'{"overrides": [{"id"')
    with pytest.raises(NeedsHuman, match=r"overrides .*overrides\.json cannot be read"):
        file.read()
    with pytest.raises(NeedsHuman):
        file.put(override("m2"))
    assert watch.look(T).miners_paused() == {"m1"}
    assert watch.look(T + 3_600).miners_paused() == set(), "also such a one ends"
    assert caplog.text.count("overrides stay as they were") == 1, "told once, not at each tick"
    file.path.unlink()
    assert watch.look(T).all == ()


def test_the_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = OverrideWatch(tmp_path)
    OverrideFile(tmp_path).put(override("coingecko", target=Target.SOURCE))
    assert watch.look(T).sources_by_hand() == {"coingecko"}
    monkeypatch.setattr(file_module.OverrideFile, "read", lambda _: pytest.fail("nothing changed"))
    assert watch.look(T + 1).sources_by_hand() == {"coingecko"}
