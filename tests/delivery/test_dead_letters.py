from __future__ import annotations

import pytest

from storage.delivery.dead_letters import DeadLetterFile, letters_of
from storage.sink import DeadLetter
from storage.spool.reader import Loss


def dead(*lines: str) -> list[DeadLetter]:
    return [DeadLetter("miner_telemetry", line, "field type conflict") for line in lines]


def lines(lane) -> list[tuple[int, str]]:
    return [(letter.after, letter.line) for letter in letters_of(lane, "influx")]


@pytest.mark.parametrize("restart", [False, True])
def test_a_delivery_written_again_takes_the_place_of_its_first_try(tmp_path, restart):
    file = DeadLetterFile(tmp_path, "influx")
    file.write(0, dead("a", "b"), [])
    file.write(5, dead("c", "d"), [])
    if restart:
        file = DeadLetterFile(tmp_path, "influx")
    file.write(5, dead("d", "e"), [])
    file.write(9, dead("f"), [])
    assert lines(tmp_path) == [(0, "a"), (0, "b"), (5, "d"), (5, "e"), (9, "f")]


def test_a_point_taken_at_the_second_try_is_no_dead_letter(tmp_path):
    DeadLetterFile(tmp_path, "influx").write(5, dead("c"), [])
    DeadLetterFile(tmp_path, "influx").write(5, [], [])
    assert lines(tmp_path) == []


def test_torn_at_every_byte_the_next_try_makes_it_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda fd: None)
    DeadLetterFile(tmp_path, "influx").write(0, dead("kept"), [])
    path = tmp_path / "dead.influx.jsonl"
    kept = path.stat().st_size
    DeadLetterFile(tmp_path, "influx").write(3, dead("x", "y"), [])
    whole = path.read_bytes()
    for length in range(kept, len(whole) + 1):
        path.write_bytes(whole[:length])
        DeadLetterFile(tmp_path, "influx").write(3, dead("x", "y"), [])
        assert path.read_bytes() == whole


def test_lines_that_somebody_edited_stay(tmp_path):
    DeadLetterFile(tmp_path, "influx").write(0, dead("a"), [])
    path = tmp_path / "dead.influx.jsonl"
    path.write_bytes(b"looked at by Ann, reported to the vendor\n" + path.read_bytes())
    DeadLetterFile(tmp_path, "influx").write(3, dead("b"), [])
    assert lines(tmp_path) == [(0, "a"), (3, "b")]
    assert path.read_bytes().startswith(b"looked at by Ann")


def test_a_file_moved_away_is_begun_anew(tmp_path):
    file = DeadLetterFile(tmp_path, "influx")
    file.write(0, dead("a"), [])
    (tmp_path / "dead.influx.jsonl").unlink()
    file.write(3, dead("b"), [])
    assert lines(tmp_path) == [(3, "b")]


def test_a_damaged_record_is_one_line_with_all_its_points(tmp_path):
    DeadLetterFile(tmp_path, "influx").write(0, [], [Loss("damaged", 4, 4, 17, "quarantine/x.bin")])
    (letter,) = letters_of(tmp_path, "influx")
    assert (letter.points, letter.line) == (17, "quarantine/x.bin")
    assert "records 4 to 4" in letter.reason


def test_full_files_are_turned_over_and_the_oldest_dropped(tmp_path, caplog):
    file = DeadLetterFile(tmp_path, "influx", file_bytes=1, kept_files=2)
    for after in range(5):
        file.write(after, dead(f"p{after}"), [])
    assert lines(tmp_path) == [(2, "p2"), (3, "p3"), (4, "p4")]
    assert "dropped, more than 2 full files" in caplog.text
