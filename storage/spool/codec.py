"""Bytes of one spool record: a header of 36 bytes and the batch as MessagePack, deflated.

====== ===== ==============================================================
offset bytes little endian
====== ===== ==============================================================
0      4     magic ``LDL\\xa5``
4      1     version, 1; three bytes of zero follow
8      4     length of the payload
12     4     points in the batch
16     8     sequence
24     8     points in all earlier records of the lane
32     4     CRC-32 of the 32 bytes before and the payload
36           payload: zlib level 1 of MessagePack of the batch
====== ===== ==============================================================

Measured with 5,000 rows of ``miner_telemetry``: level 1 costs 15 ms and makes 1.10 MB 0.30 MB, so that a spool of
a given size lasts 3.7 times as long an outage; levels 2 and 3 gain 1 % and 7 %.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from storage.errors import NeedsHuman
from storage.spool.record import Batch

T = TypeVar("T")

MAGIC = b"LDL\xa5"
VERSION = 1
_HEADER = struct.Struct("<4sB3xIIQQ")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size

_encode = msgspec.msgpack.Encoder().encode
_decode_batch = msgspec.msgpack.Decoder(Batch).decode


class _Identity(msgspec.Struct, array_like=True):
    """The first field of a batch; decoding stops caring after it."""

    batch_id: str


_decode_identity = msgspec.msgpack.Decoder(_Identity).decode


@dataclass(frozen=True, slots=True)
class Header:
    """What a record says of itself without its payload."""

    version: int
    length: int
    points: int
    sequence: int
    points_before: int

    @property
    def points_after(self) -> int:
        """Points of the lane up to and with this record."""
        return self.points_before + self.points


def encode(sequence: int, points_before: int, batch: Batch) -> tuple[Header, bytes]:
    """The record of ``batch`` at its place: its header and all its bytes."""
    payload = zlib.compress(_encode(batch), 1)
    header = Header(VERSION, len(payload), batch.points, sequence, points_before)
    head = _HEADER.pack(MAGIC, VERSION, header.length, header.points, sequence, points_before)
    return header, b"".join((head, _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head))), payload))


def refilled(header: Header, batch: Batch, where: str) -> bytes:
    """The record of ``header`` with ``batch`` in place of its own, of the same length and count of points.

    What the smaller payload leaves is filled with zeros behind the end of its deflate stream, which no reader reads.

    Raises:
        NeedsHuman: ``batch`` has other points, or is larger when deflated.
    """
    payload = min(_deflated(_encode(batch)), key=len)
    if batch.points != header.points or len(payload) > header.length:
        raise NeedsHuman(
            f"{where}: record {header.sequence} cannot be filled anew in its place ({len(payload)} bytes for "
            f"{header.length}, {batch.points} points for {header.points})",
            remedy="Deliver this lane until its segment is gone, then try again",
        )
    payload = payload.ljust(header.length, b"\0")
    head = _HEADER.pack(MAGIC, VERSION, header.length, header.points, header.sequence, header.points_before)
    return b"".join((head, _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head))), payload))


def _deflated(plain: bytes) -> Iterator[bytes]:
    """``plain`` deflated in every way there is: a small record may lose words and yet grow by a byte in one of them."""
    for level in range(1, 10):
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_FIXED):
            packer = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
            yield packer.compress(plain) + packer.flush()


def parse_header(head: bytes) -> Header | None:
    """The header in the first bytes of ``head``, or None when there is none. Its checksum is not looked at."""
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
        return None
    _, version, length, points, sequence, points_before = _HEADER.unpack_from(head)
    return Header(version, length, points, sequence, points_before)


def is_intact(head: bytes, payload: bytes) -> bool:
    """Whether the checksum in ``head`` fits header and payload."""
    (checksum,) = _CHECKSUM.unpack_from(head, _HEADER.size)
    return bool(zlib.crc32(payload, zlib.crc32(head[: _HEADER.size])) == checksum)


def decode(header: Header, payload: bytes, where: str) -> Batch:
    """The batch of an intact record.

    Raises:
        NeedsHuman: the record is intact but of another format, e.g. written by a newer release.
    """
    return _decoded(_decode_batch, header, payload, where)


def decode_batch_id(header: Header, payload: bytes, where: str) -> str:
    """Only the ``batch_id`` of an intact record, without building its frames. Raises as :func:`decode`."""
    return _decoded(_decode_identity, header, payload, where).batch_id


def _decoded(decoder: Callable[[bytes], T], header: Header, payload: bytes, where: str) -> T:
    try:
        if header.version != VERSION:
            raise ValueError(f"format version {header.version}, this release reads {VERSION}")
        return decoder(zlib.decompress(payload))
    except (ValueError, zlib.error) as error:  # msgspec's errors are ValueErrors
        raise NeedsHuman(
            f"{where}: record {header.sequence} is intact but cannot be read ({error})",
            remedy="It was probably written by another release: run that one until the spool is delivered",
        ) from error
