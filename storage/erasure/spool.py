"""Out of the spool: segments, those delivered too, dead letters, troubles and quarantine of every lane.

Records keep their place, their length and their count of points, so that marks and books stay true and a reader that
holds an offset finds the next record there: rows of the entity become empty ones, which no sink stores, and the record
is filled up behind its deflated payload. A segment is replaced as a whole, so a kill leaves the old or the new one.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from storage.delivery.dead_letters import Letter
from storage.erasure.entity import ERASED, Entity
from storage.erasure.rows import scrub_frame
from storage.errors import NeedsHuman, TryAgain
from storage.spool.codec import HEADER_BYTES, decode, parse_header, refilled
from storage.spool.durable import replace_file, sync_directory
from storage.spool.lock import holder_of, try_lock
from storage.spool.record import Batch
from storage.spool.segment import QUARANTINE, Segment, Stored, scan, segments_of

LOCK_PATIENCE_S = 90.0
"""A shift that was asked to end does so between two ticks."""


@dataclass(slots=True)
class SpoolErased:
    """What was done: rows emptied or redacted, dead letters emptied, files removed from quarantine."""

    rows: int = 0
    letters: int = 0
    files: int = 0


def erase_from_spool(root: Path, entity: Entity, *, patience_s: float = LOCK_PATIENCE_S) -> SpoolErased:
    """Take ``entity`` out of every lane under the spool folder ``root``.

    Raises:
        TryAgain: a lane that holds something of it is in use for longer than ``patience_s``.
        NeedsHuman: a segment is damaged or of another release.
    """
    done = SpoolErased()
    for lane in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        for segment in segments_of(lane):
            if _scrubbed(segment, entity)[1]:
                with held(lane, "lock.writer", patience_s):
                    content, rows = _scrubbed(segment, entity)
                    if rows:
                        replace_file(segment.path, content)
                        done.rows += rows
        for path in sorted(lane.glob("dead.*.jsonl")):
            sink = path.name.split(".")[1]
            if _letters(path, entity)[1]:
                with held(lane, f"lock.{sink}", patience_s):
                    lines, letters = _letters(path, entity)
                    replace_file(path, lines)
                    done.letters += letters
        for path in [*lane.glob("trouble.*.json"), *(lane / QUARANTINE).glob("*")]:
            if _may_hold(path, entity):
                path.unlink(missing_ok=True)
                sync_directory(path.parent)
                done.files += 1
    return done


@contextmanager
def held(lane: Path, name: str, patience_s: float) -> Iterator[None]:
    """Hold lock ``name`` of ``lane``, waiting for it.

    Raises:
        TryAgain: it is not free in time; names the holder.
    """
    give_up = time.monotonic() + patience_s
    while (lock := try_lock(lane / name, f"process {os.getpid()}, erasing")) is None:
        if time.monotonic() >= give_up:
            raise TryAgain(
                f"spool lane {lane.name} is in use by {holder_of(lane / name)}, and holds what is to be erased. "
                "End that process and run the same command again: it goes on where it was"
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(lock)


def _scrubbed(segment: Segment, entity: Entity) -> tuple[bytes, int]:
    """The segment's bytes without the entity, and the rows that changed."""
    content, rows = bytearray(segment.path.read_bytes()), 0
    for found in scan(segment.path):
        if not isinstance(found, Stored):
            if entity.in_bytes is None or not _readable_without(found.content, entity):
                raise NeedsHuman(
                    f"{segment.path}: bytes from {found.offset} to {found.end} are no intact record and may hold what "
                    "is to be erased",
                    remedy="Let the lane's shift run once, which sets them aside, and erase again",
                )
            continue
        batch = decode(found.header, found.payload, str(segment.path))
        scrubbed = [scrub_frame(frame, entity) for frame in batch.frames]
        changed = sum(touched for _, touched in scrubbed)
        if changed:
            frames = [frame for frame, _ in scrubbed]
            slim = Batch(batch.batch_id, batch.slot, batch.run_id, frames)
            content[found.offset : found.end] = refilled(found.header, slim, str(segment.path))
            rows += changed
    return bytes(content), rows


def _letters(path: Path, entity: Entity) -> tuple[bytes, int]:
    lines, count = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        if entity.in_bytes is not None and entity.in_bytes.search(line):
            try:
                letter = msgspec.json.decode(line, type=Letter)
            except msgspec.MsgspecError:
                continue  # torn by a crash: nobody was told of it
            emptied = msgspec.structs.replace(letter, line=ERASED, reason=ERASED)
            line, count = msgspec.json.encode(emptied) + b"\n", count + 1  # noqa: PLW2901
        lines.append(line)
    return b"".join(lines), count


def _may_hold(path: Path, entity: Entity) -> bool:
    """Whether a file holds the name, or bytes in which it cannot be looked for."""
    if entity.in_bytes is None:
        return False
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return False
    return not _readable_without(content, entity)


def _readable_without(content: bytes, entity: Entity) -> bool:
    """Whether what can be inflated of damaged bytes is all of them, and free of the name."""
    assert entity.in_bytes is not None  # noqa: S101  # both callers looked
    if entity.in_bytes.search(content):
        return False
    header = parse_header(content)
    if header is None:
        return not content.strip(b"\0")
    try:
        plain = zlib.decompressobj().decompress(content[HEADER_BYTES:])
    except zlib.error:
        return False
    return entity.word is None or entity.word.encode() not in plain
