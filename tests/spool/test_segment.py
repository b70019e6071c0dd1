"""Records on disk: what was written is read back, whatever is cut off or flipped around it."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import NeedsHuman
from storage.spool import codec
from storage.spool.lane import Lane
from storage.spool.reader import LaneReader, Position
from storage.spool.record import Batch
from storage.spool.segment import Damaged, Segment, Stored, scan, scan_file, segments_of
from tests.spool.batches import numbered, points_in

SIZES = (2, 3, 1)


def write_segment(lane: Path, first: int = 1, before: int = 0, sizes: tuple[int, ...] = SIZES) -> list[int]:
    """Write a segment by the codec alone; the ends of its records."""
    lane.mkdir(exist_ok=True)
    content = b""
    ends = []
    path = Segment.at(lane, first, before).path
    for sequence, size in enumerate(sizes, first):
        content += codec.encode(sequence, before, numbered(sequence, size))[1]
        before += size
        ends.append(len(content))
    path.write_bytes(content)
    return ends


def test_header_has_the_documented_layout():
    header, content = codec.encode(7, 1234, numbered(7, 3))
    assert content[:5] == b"LDL\xa5\x01"
    assert int.from_bytes(content[8:12], "little") == len(content) - 36
    assert int.from_bytes(content[12:16], "little") == header.points == 3
    assert int.from_bytes(content[16:24], "little") == 7
    assert int.from_bytes(content[24:32], "little") == 1234
    assert int.from_bytes(content[32:36], "little") == zlib.crc32(content[:32] + content[36:])
    assert msgspec.msgpack.decode(zlib.decompress(content[36:]), type=Batch) == numbered(7, 3)


def test_a_read_is_bounded_by_bytes_across_segments_and_goes_on_where_it_stopped(tmp_path):
    lane = tmp_path / "miners"
    ends = write_segment(lane)
    write_segment(lane, first=4, before=6)
    first_two = ends[1] - 2 * codec.HEADER_BYTES
    for max_bytes, expected in [(1, [[1], [2], [3], [4], [5], [6]]), (first_two, [[1, 2], [3, 4], [5, 6]])]:
        reader, position, found = LaneReader(lane), Position(0, 0), []
        while (extract := reader.read_after(position, 1000, max_bytes)).records:
            found.append([record.sequence for record in extract.records])
            position = extract.position
        assert found == expected
        assert position == Position(6, 12)


def test_segment_names_sort_and_tell_where_they_begin(tmp_path):
    for first, before in [(1, 0), (99, 5), (1_000_000_000_000, 3 * 10**15)]:
        Segment.at(tmp_path, first, before).path.touch()
    (tmp_path / "shed.jsonl").touch()
    assert [(s.first_sequence, s.points_before) for s in segments_of(tmp_path)] == [
        (1, 0),
        (99, 5),
        (1_000_000_000_000, 3 * 10**15),
    ]


def test_cut_at_every_byte_gives_exactly_the_whole_records(tmp_path):
    lane = tmp_path / "miners"
    ends = write_segment(lane)
    path = segments_of(lane)[0].path
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = [end for end in ends if end <= length]
        found = list(scan(path))
        assert [record.end for record in found if isinstance(record, Stored)] == whole
        torn = [part for part in found if isinstance(part, Damaged)]
        rest = length - (whole[-1] if whole else 0)
        assert [(part.at_end, part.end - part.offset) for part in torn] == ([(True, rest)] if rest else [])
        assert LaneReader(lane).last_sequence == len(whole)
        assert LaneReader(lane).points_accepted == sum(SIZES[: len(whole)])


def test_a_flip_of_every_byte_costs_one_record_and_is_booked_to_the_point(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda fd: None)
    lane = tmp_path / "miners"
    ends = write_segment(lane)
    path = segments_of(lane)[0].path
    content = path.read_bytes()
    for offset in range(ends[1]):  # the last record tells what the ones before it were
        broken = bytearray(content)
        broken[offset] ^= 1 << (offset % 8)
        path.write_bytes(broken)
        bad = 1 if offset < ends[0] else 2
        extract = LaneReader(lane).read_after(Position(0, 0), 1000)
        assert [record.sequence for record in extract.records] == [n for n in (1, 2, 3) if n != bad]
        (loss,) = extract.losses
        assert (loss.cause, loss.first_sequence, loss.last_sequence, loss.points) == (
            "damaged",
            bad,
            bad,
            SIZES[bad - 1],
        )
        start = 0 if bad == 1 else ends[0]
        assert Path(loss.where).read_bytes() == bytes(broken[start : ends[bad - 1]])
        assert extract.position == Position(3, sum(SIZES))


@given(st.binary(max_size=200), st.integers(0, 3))
def test_garbage_before_and_between_records_is_stepped_over(tmp_path_factory, garbage, where):
    lane = tmp_path_factory.mktemp("spool") / "miners"
    ends = [0, *write_segment(lane)]
    path = segments_of(lane)[0].path
    content = path.read_bytes()
    path.write_bytes(content[: ends[where]] + garbage + content[ends[where] :])
    with mock.patch("os.fsync"):
        extract = LaneReader(lane).read_after(Position(0, 0), 1000)
    assert points_in(extract.records) == [f"p{n}.{row}" for n, size in enumerate(SIZES, 1) for row in range(size)]
    assert extract.losses == []


def test_a_record_completed_while_it_was_being_read_is_whole_at_the_second_look():
    header, record = codec.encode(1, 0, numbered(1))

    class Growing(io.BytesIO):
        """Only half of the record is there at the first read of its payload."""

        looks = 0

        def read(self, size=-1):
            if size == header.length:
                self.looks += 1
            return super().read(size // 2 if size == header.length and self.looks == 1 else size)

    (found,) = list(scan_file(Growing(record), 0))
    assert isinstance(found, Stored)


def test_damage_at_the_end_of_a_sealed_segment_is_booked_by_the_next_one(tmp_path):
    lane = tmp_path / "miners"
    ends = write_segment(lane)
    path = segments_of(lane)[0].path
    path.write_bytes(path.read_bytes()[: ends[2] - 1])
    reader = LaneReader(lane)
    assert [record.sequence for record in reader.read_after(Position(0, 0), 1000).records] == [1, 2]
    write_segment(lane, first=4, before=sum(SIZES), sizes=(5,))
    extract = reader.read_after(Position(2, 5), 1000)
    assert [record.sequence for record in extract.records] == [4]
    assert [(loss.cause, loss.first_sequence, loss.points) for loss in extract.losses] == [("damaged", 3, 1)]


def test_missing_oldest_segments_are_shed_and_missing_middle_ones_damaged(tmp_path):
    lane = tmp_path / "miners"
    write_segment(lane, first=3, before=10, sizes=(1,))
    write_segment(lane, first=6, before=20, sizes=(2,))
    extract = LaneReader(lane).read_after(Position(0, 0), 1000)
    assert [(x.cause, x.first_sequence, x.last_sequence, x.points) for x in extract.losses] == [
        ("shed", 1, 2, 10),
        ("damaged", 4, 5, 9),
    ]
    assert extract.position == Position(6, 22)


def test_reads_are_bounded_by_points_but_never_stuck(tmp_path):
    lane = tmp_path / "miners"
    write_segment(lane, sizes=(2, 3, 1, 50, 0, 0, 4))
    reader = LaneReader(lane)
    taken, sequence = [], 0
    while records := reader.records_after(sequence, 5):
        taken.append([record.sequence for record in records])
        sequence = records[-1].sequence
    assert taken == [[1, 2], [3], [4], [5, 6], [7]]


def test_a_lane_put_back_from_a_copy_is_told_not_miscounted(tmp_path):
    lane = tmp_path / "miners"
    write_segment(lane, first=5, before=10)
    with pytest.raises(NeedsHuman, match=r"30 points are booked up to record 2.*put back from a copy"):
        LaneReader(lane).read_after(Position(2, 30), 1000)


def test_a_record_of_another_release_is_held_not_thrown_away(tmp_path, monkeypatch):
    lane = tmp_path / "miners"
    monkeypatch.setattr(codec, "VERSION", 2)
    write_segment(lane)
    monkeypatch.undo()
    with pytest.raises(NeedsHuman, match=r"record 1 is intact.*version 2, this release reads 1.*another release"):
        LaneReader(lane).records_after(0, 1000)
    with Lane.open(tmp_path, "miners", cap_bytes=10**6) as writer:  # collecting goes on behind it
        assert writer.append(numbered(4)).sequence == 4


def test_a_lane_that_does_not_exist_is_empty(tmp_path):
    reader = LaneReader(tmp_path / "nowhere")
    assert (reader.last_sequence, reader.points_accepted, reader.records_after(0, 10)) == (0, 0, [])
