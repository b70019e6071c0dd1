"""Whether a file is still what was written: told by its SHA-256 before anything in it is believed.

A footer has no checksum. What a flipped byte in it ends in depends on where it is: a wrong column name and so nulls, a
UnicodeDecodeError, or the end of the process, when statistics are unpacked by another type than they were packed by. So
who reads a whole file hashes it first, some 1 GB/s, and who asks DuckDB hashes the files when it failed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from storage.errors import NeedsHuman
from storage.lake.location import LakeLocation, readable


class DamagedFile(NeedsHuman):
    """A file is not what was written. The message names it."""

    def __init__(self, path: LakeLocation, why: str) -> None:
        super().__init__(
            f"{path} is damaged: {why}",
            remedy="Put a whole copy of this file in its place; without one see docs/operations.md, Damage",
        )


def digest(content: bytes | pa.Buffer) -> str:
    """First half of the SHA-256 of a file, which the file's name ends with."""
    return hashlib.sha256(content).hexdigest()[:16]


def named_digest(path: LakeLocation) -> str | None:
    """The :func:`digest` that the name of a file of the lake tells; None of a file of before, and of others."""
    parts = path.stem.split("-")
    return parts[2] if len(parts) == 3 and len(parts[2]) == 16 else None


def sound(path: LakeLocation) -> Path | pa.BufferReader:
    """What pyarrow reads the file ``path`` of the lake from, once its bytes are those that were written.

    Raises:
        DamagedFile: they are not.
        OSError: it is missing, or the disk does not give it.
    """
    source = readable(path)
    if (why := _other_bytes(path, source)) is not None:
        raise DamagedFile(path, why)
    return source


@contextlib.contextmanager
def damage_named(path: LakeLocation) -> Iterator[None]:
    """Turn what reading a damaged Parquet file ends in into the error that names it; for files without a hash.

    Raises:
        DamagedFile: it cannot be read.
        OSError: it is missing, or the disk does not give it.
    """
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk; Arrow's own errors about damage have no number
        raise DamagedFile(path, str(error)) from error


def first_damaged(paths: Iterable[LakeLocation]) -> DamagedFile | None:
    """The first of ``paths`` that is not what was written, for who could not read them; missing ones pass."""
    for path in paths:
        with contextlib.suppress(OSError):
            if (why := _other_bytes(path, readable(path))) is not None:
                return DamagedFile(path, why)
    return None


def _other_bytes(path: LakeLocation, source: Path | pa.BufferReader) -> str | None:
    written = named_digest(path)
    if written is None:
        return None
    if isinstance(source, Path):
        with source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        found = hashlib.sha256(source.read_buffer()).hexdigest()
        source.seek(0)
    return None if found.startswith(written) else f"its SHA-256 is {found}, written was {written}…"
