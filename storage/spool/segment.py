"""Segments: the append-only files of a lane. Their names say where they begin, so an empty one tells the place too.

``000000000042-000000000380160.spool`` begins with record 42, before which the lane had 380,160 points.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from storage.spool.codec import HEADER_BYTES, MAGIC, Header, is_intact, parse_header
from storage.spool.durable import replace_file, sync_directory

QUARANTINE = "quarantine"
LANE_ID = "lane.id"

_NAME = re.compile(r"(\d{12,})-(\d{15,})\.spool")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: its first record and the points of the lane before it."""

    path: Path
    first_sequence: int
    points_before: int

    @classmethod
    def at(cls, lane: Path, first_sequence: int, points_before: int) -> Segment:
        """The segment of ``lane`` that begins there, whether it exists or not."""
        return cls(lane / f"{first_sequence:012d}-{points_before:015d}.spool", first_sequence, points_before)


def segments_of(lane: Path) -> list[Segment]:
    """Segments of a lane, oldest first. Empty where the lane does not exist (yet)."""
    try:
        names = [(entry, _NAME.fullmatch(entry.name)) for entry in lane.iterdir()]
    except FileNotFoundError:
        return []
    found = [Segment(path, int(match[1]), int(match[2])) for path, match in names if match]
    return sorted(found, key=lambda segment: segment.first_sequence)


def lane_id_of(lane: Path) -> str:
    """Identity of the lane in this folder: another one whenever a lane is begun anew. Empty where there is none."""
    try:
        return (lane / LANE_ID).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Stored:
    """An intact record in a segment, at ``offset`` up to ``end``."""

    offset: int
    end: int
    header: Header
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes from ``offset`` to ``end`` that are no intact record. ``at_end``: no intact record follows them.

    At the end of the newest segment that is a record being written, or one torn by a crash.
    """

    offset: int
    end: int
    content: bytes
    at_end: bool


def scan(path: Path, offset: int = 0) -> Iterator[Stored | Damaged]:
    """Everything in a segment from ``offset`` (a record's start) to its present end.

    Raises:
        FileNotFoundError: the segment was removed.
    """
    with path.open("rb") as file:
        yield from scan_file(file, offset)


def scan_file(file: BinaryIO, offset: int) -> Iterator[Stored | Damaged]:
    """As :func:`scan`, of an open file."""
    while True:
        file.seek(offset)
        head = file.read(HEADER_BYTES)
        if not head:
            return
        header = parse_header(head)
        found: Stored | Damaged | None = _stored(offset, head, file.read(header.length), header) if header else None
        if found is None:
            file.seek(offset)
            found = _search(offset, file.read())
        yield found
        if isinstance(found, Damaged) and found.at_end:
            return
        offset = found.end


def _search(offset: int, rest: bytes) -> Stored | Damaged:
    """What is at the beginning of ``rest``: damaged bytes up to the next intact record.

    Or that record itself, when it was half written at the first look and is whole now.
    """
    start = rest.find(MAGIC)
    while start >= 0:
        head = rest[start : start + HEADER_BYTES]
        header = parse_header(head)
        if header is not None:
            payload = rest[start + HEADER_BYTES : start + HEADER_BYTES + header.length]
            stored = _stored(offset + start, head, payload, header)
            if stored is not None:
                return stored if start == 0 else Damaged(offset, offset + start, rest[:start], at_end=False)
        start = rest.find(MAGIC, start + 1)
    return Damaged(offset, offset + len(rest), rest, at_end=True)


def _stored(offset: int, head: bytes, payload: bytes, header: Header) -> Stored | None:
    if len(payload) < header.length or not is_intact(head, payload):
        return None
    return Stored(offset, offset + HEADER_BYTES + header.length, header, payload)


def set_aside(segment: Segment, damaged: Damaged) -> Path:
    """Keep damaged bytes in the lane's quarantine and log it; the same again changes nothing. The file's path."""
    folder = segment.path.parent / QUARANTINE
    kept = folder / f"{segment.path.stem}.{damaged.offset}.{zlib.crc32(damaged.content):08x}.bin"
    if not kept.exists():
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)
        replace_file(kept, damaged.content)
        _log.warning(
            "%s: %d bytes at %d are no intact record; kept in %s",
            segment.path, damaged.end - damaged.offset, damaged.offset, kept,
        )  # fmt: skip
    return kept
