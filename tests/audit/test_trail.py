"""The trail: what is recorded stays, whatever is killed, and whatever is changed is found and named."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.audit.entry import FIRST_PREVIOUS
from storage.audit.trail import AuditKind, Trail
from storage.audit.verify import Anchor, verify
from storage.errors import NeedsHuman
from storage.spool.lane import Lane, LaneReader

HOST = "Mine-1"


def recorded(folder: Path, number: int) -> Trail:
    trail = Trail.open(folder, HOST)
    for at in range(number):
        trail.record(AuditKind.COMPACTED, f"table {at}", actor="flow maintain-lake", detail={"files": at})
    return trail


def lines_of(trail: Trail) -> list[bytes]:
    return trail.path.read_bytes().splitlines(keepends=True)


def test_entries_are_chained_and_read_back_as_recorded(tmp_path: Path) -> None:
    trail = Trail.open(tmp_path, HOST)
    told = {"rows": 3, "share": 0.5, "why": None, "all": True, "nan": float("nan")}
    first = trail.record(AuditKind.EXPIRED, "mining_raw/miner_telemetry", actor="flow maintain-lake", detail=told)
    second = trail.record(AuditKind.OVERRIDE_SET, "miner_0001", actor="someone")
    assert first.sequence == 1
    assert first.previous == FIRST_PREVIOUS
    assert second.previous == first.hash
    assert first.detail == told | {"nan": None}
    assert list(trail.entries()) == [first, second]
    assert verify(trail.path).is_whole
    assert verify(trail.path).entries == 2


def _change(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"files":2', b'"files":9') for line in lines]


def _change_actor(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"flow maintain-lake", b"flow maintain-lakE"), *lines[3:]]


def _reorder(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1], lines[3], lines[2], *lines[4:]]


def _respell(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], json.dumps(json.loads(lines[2])).encode() + b"\n", *lines[3:]]


def _take_content(lines: list[bytes]) -> list[bytes]:
    gone = json.loads(lines[2]) | {"subject": None, "detail": None, "salt": None}
    return [*lines[:2], json.dumps(gone, sort_keys=True, separators=(",", ":")).encode() + b"\n", *lines[3:]]


@pytest.mark.parametrize(
    ("forge", "line"),
    [
        (_change, 3),
        (_change_actor, 3),
        (lambda lines: lines[:2] + lines[3:], 3),  # one removed
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),  # one inserted
        (_reorder, 3),
        (lambda lines: lines[2:], 1),  # the beginning removed, and no cut recorded
        (_respell, 3),
        (_take_content, 3),
        (lambda lines: [*lines[:2], b"garbage\n", *lines[3:]], 3),
    ],
    ids=["changed", "actor", "removed", "inserted", "reordered", "beginning", "respelled", "content", "garbage"],
)
def test_a_forged_file_is_found_and_the_first_wrong_line_named(
    tmp_path: Path, forge: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    trail = recorded(tmp_path, 6)
    trail.path.write_bytes(b"".join(forge(lines_of(trail))))
    found = verify(trail.path)
    assert not found.is_whole
    assert found.line == line


def test_entries_cut_off_at_the_end_are_found_against_the_anchor(tmp_path: Path) -> None:
    trail = recorded(tmp_path, 6)
    *_, last = trail.entries()
    anchor = Anchor(last.sequence, last.hash)
    assert verify(trail.path, anchor).is_whole
    trail.path.write_bytes(b"".join(lines_of(trail)[:4]))
    assert verify(trail.path).is_whole  # the file alone cannot know
    found = verify(trail.path, anchor)
    assert "cut off" in (found.fault or "")
    assert found.line == 5
    trail.path.unlink()
    assert not verify(trail.path, anchor).is_whole


def test_a_chain_written_anew_from_the_end_is_found_against_the_anchor(tmp_path: Path) -> None:
    trail = recorded(tmp_path, 3)
    *_, last = trail.entries()
    trail.path.unlink()
    forged = recorded(tmp_path, 3)
    assert verify(forged.path).is_whole
    assert "another hash" in (verify(forged.path, Anchor(last.sequence, last.hash)).fault or "")


@pytest.mark.parametrize("kept", [1, 60, -1])
def test_a_line_torn_by_a_kill_is_set_aside_and_breaks_no_chain(tmp_path: Path, kept: int) -> None:
    trail = recorded(tmp_path, 3)
    *whole, torn = lines_of(trail)
    trail.path.write_bytes(b"".join(whole) + torn[:kept])
    assert verify(trail.path).is_whole
    entry = trail.record(AuditKind.VERIFIED, "archive", actor="test")
    assert entry.sequence == 3
    assert verify(trail.path).entries == 3
    assert verify(trail.path).is_whole
    (aside,) = trail.path.parent.glob("*.torn")
    assert aside.read_bytes() == torn[:kept]


def test_nothing_is_recorded_after_a_line_that_is_no_entry(tmp_path: Path) -> None:
    trail = recorded(tmp_path, 2)
    trail.path.write_bytes(trail.path.read_bytes() + b"{}\n")
    with pytest.raises(NeedsHuman, match="no entry of an audit trail"):
        trail.record(AuditKind.VERIFIED, "archive", actor="test")


def test_a_long_entry_is_found_again_at_the_end(tmp_path: Path) -> None:
    trail = Trail.open(tmp_path, HOST)
    trail.record(AuditKind.CONFIGURATION_CHANGED, "a", actor="test", detail={"long": "x" * 200_000})
    assert trail.record(AuditKind.VERIFIED, "b", actor="test").sequence == 2
    assert verify(trail.path).is_whole


def test_after_a_cut_the_rest_verifies_and_goes_on(tmp_path: Path) -> None:
    trail = recorded(tmp_path, 5)
    assert trail.cut(int(time.time()) - 60, actor="test") == 0
    assert trail.cut(int(time.time()) + 60, actor="test") == 5
    (cut,) = trail.entries()
    assert cut.kind == AuditKind.TRAIL_CUT
    assert cut.sequence == 6
    trail.record(AuditKind.VERIFIED, "archive", actor="test")
    assert verify(trail.path).is_whole
    lines = lines_of(trail)
    trail.path.write_bytes(lines[1])  # the cut itself taken away: nothing excuses the missing beginning
    assert not verify(trail.path).is_whole


def test_a_cut_killed_before_it_removed_anything_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = recorded(tmp_path, 4)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("storage.audit.trail.replace_file", killed)
        with pytest.raises(KeyboardInterrupt):
            trail.cut(int(time.time()) + 60, actor="test")
    assert verify(trail.path).is_whole
    assert trail.cut(int(time.time()) + 60, actor="test") == 5
    assert verify(trail.path).is_whole


def _record_many(folder: Path, number: int) -> None:
    recorded(folder, number)


def test_processes_side_by_side_make_one_chain(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_record_many, args=(tmp_path, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    trail = Trail.open(tmp_path, HOST)
    assert verify(trail.path).is_whole
    assert verify(trail.path).entries == 60
    assert LaneReader(tmp_path / "spool" / "audit-mine-1").points_accepted == 60


def test_rows_follow_into_the_spool_once_the_lane_is_free(tmp_path: Path) -> None:
    with Lane.open(tmp_path / "spool", "audit-mine-1", cap_bytes=2**24):
        trail = recorded(tmp_path, 3)
    assert LaneReader(tmp_path / "spool" / "audit-mine-1").points_accepted == 0
    newest = trail.record(AuditKind.VERIFIED, "archive", actor="test")
    records = LaneReader(tmp_path / "spool" / "audit-mine-1").records_after(0, 100)
    rows = [frame for record in records for frame in record.batch.frames]
    assert [frame.columns["sequence"][0] for frame in rows] == [1, 2, 3, 4]
    assert rows[-1].columns["hash"] == [newest.hash]
    assert {frame.measurement for frame in rows} == {"audit_event"}


def test_a_spool_that_cannot_be_written_keeps_nothing_from_being_recorded(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("not a folder")
    trail = recorded(tmp_path, 2)
    assert verify(trail.path).entries == 2
