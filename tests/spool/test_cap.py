"""The size cap: a bound that holds, drops the oldest first, and says what it dropped."""

from __future__ import annotations

import pytest

from storage.errors import NeedsHuman
from storage.spool.lane import Lane, LaneReader
from storage.spool.mark import Mark, save_mark
from storage.spool.reader import Position
from storage.spool.segment import segments_of
from storage.spool.shed import note_shed, sheds_of
from tests.spool.batches import numbered

CAP = 4_000


def size_of(lane) -> int:
    return sum(segment.path.stat().st_size for segment in segments_of(lane))


def fill(root, records: int, **more) -> None:
    with Lane.open(root, "miners", cap_bytes=CAP, **more) as lane:
        for number in range(1, records + 1):
            lane.append(numbered(number))
            assert size_of(root / "miners") <= CAP


def test_the_cap_holds_and_every_dropped_point_is_listed(tmp_path):
    path = tmp_path / "miners"
    fill(tmp_path, 100)
    sheds = sheds_of(path)
    oldest = segments_of(path)[0]
    assert oldest.first_sequence > 1
    assert [shed.first_sequence for shed in sheds] == [1, *(shed.last_sequence + 1 for shed in sheds[:-1])]
    assert sheds[-1].last_sequence == oldest.first_sequence - 1
    assert sum(shed.points for shed in sheds) == oldest.points_before
    extract = LaneReader(path).read_after(Position(0, 0), 10**6)
    assert [(loss.cause, loss.points) for loss in extract.losses] == [("shed", oldest.points_before)]
    assert sum(r.batch.points for r in extract.records) + oldest.points_before == 300


def test_a_shed_segment_tells_what_each_sink_had_not_confirmed(tmp_path):
    path = tmp_path / "miners"
    with Lane.open(tmp_path, "miners", cap_bytes=CAP, segment_bytes=700) as lane:
        for number in range(1, 4):
            lane.append(numbered(number))
        save_mark(path, Mark(sink="influx", sequence=1, points_before_start=0, points_stored=2, points_dead_lettered=1))
        save_mark(path, Mark(sink="lake", sequence=0, points_before_start=0))
        for number in range(4, 40):
            lane.append(numbered(number))
    first, second = sheds_of(path)[:2]
    assert first.first_sequence == 1
    assert first.points >= 6
    assert first.undelivered == {"influx": first.points - 3, "lake": first.points}
    assert second.undelivered == {"influx": second.points, "lake": second.points}


def test_what_every_sink_has_goes_without_being_called_shed(tmp_path):
    path = tmp_path / "miners"
    with Lane.open(tmp_path, "miners", cap_bytes=CAP) as lane:
        for number in range(1, 100):
            record = lane.append(numbered(number))
            save_mark(
                path, Mark(sink="lake", sequence=number, points_before_start=0, points_stored=record.points_after)
            )
    assert segments_of(path)[0].first_sequence > 1
    assert sheds_of(path) == []


def test_one_large_segment_is_no_way_around_the_cap(tmp_path):
    fill(tmp_path, 60, segment_bytes=10 * CAP)
    assert sheds_of(tmp_path / "miners") != []


def test_a_batch_larger_than_the_cap_is_refused_and_drops_nothing(tmp_path):
    with Lane.open(tmp_path, "miners", cap_bytes=CAP) as lane:
        lane.append(numbered(1))
        with pytest.raises(NeedsHuman, match=r"larger than the whole cap of 4000 bytes.*Raise the cap"):
            lane.append(numbered(2, 5_000))
        assert lane.append(numbered(3)).sequence == 2
    assert sheds_of(tmp_path / "miners") == []


def test_killed_between_the_note_and_the_removal_it_is_removed_at_the_next_start_and_noted_once(tmp_path, monkeypatch):
    path = tmp_path / "miners"

    class Killed(BaseException):
        pass

    def noted_then_killed(lane, shed):
        note_shed(lane, shed)
        raise Killed

    lane = Lane.open(tmp_path, "miners", cap_bytes=CAP)
    with monkeypatch.context() as killing:
        killing.setattr("storage.spool.lane.note_shed", noted_then_killed)
        with pytest.raises(Killed):
            _append_many(lane, range(1, 100))
    lane.close()
    (shed,) = sheds_of(path)
    assert (path / shed.segment).exists()
    with (path / "shed.jsonl").open("ab") as file:
        file.write(b'{"segment": "torn')
    with Lane.open(tmp_path, "miners", cap_bytes=CAP) as lane:
        assert not (path / shed.segment).exists()
        _append_many(lane, range(200, 300))
    assert len({shed.segment for shed in sheds_of(path)}) == len(sheds_of(path)) > 1


def _append_many(lane: Lane, numbers: range) -> None:
    for number in numbers:
        lane.append(numbered(number))
