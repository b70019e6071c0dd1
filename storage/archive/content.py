"""A sum over rows that does not depend on their order: what went in is what can be read back, to the last bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.arrow_schema import numbers

Bits = npt.NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class ContentSum:
    """Adds up rows in any order and in any pieces; equal for equal rows, duplicates counted.

    Each row is mixed into 64 bits (splitmix64, Steele et al. 2014) and the rows are added modulo 2^64. It finds faults
    of reading and writing, not forgeries: those are for the file's SHA-256.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = np.uint64(0)

    def add(self, rows: pa.Table) -> None:
        """Add ``rows``; every piece has the same columns in the same order."""
        if not rows.num_rows:
            return
        with np.errstate(over="ignore"):
            mixed = np.zeros(rows.num_rows, dtype=np.uint64)
            for column in rows.columns:
                mixed = _mixed(mixed * _MIX + _bits(column))
            self._sum += mixed.sum(dtype=np.uint64)
        self.rows += rows.num_rows

    def text(self) -> str:
        """The sum in hex digits."""
        return f"{int(self._sum):016x}"


def content_of(pieces: Iterable[pa.Table]) -> ContentSum:
    """The sum of all ``pieces``."""
    total = ContentSum()
    for piece in pieces:
        total.add(piece)
    return total


def _mixed(values: Bits) -> Bits:
    values = (values ^ (values >> _SHIFTS[0])) * _FACTORS[0]
    values = (values ^ (values >> _SHIFTS[1])) * _FACTORS[1]
    return values ^ (values >> _SHIFTS[2])


def _bits(column: pa.ChunkedArray) -> Bits:
    """64 bits a value, of its exact representation; null is told from every value of a number by a bit pattern."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    valid = numbers(column.is_valid()) == 1
    if pa.types.is_string(column.type):
        coded = column.combine_chunks().dictionary_encode()
        words = [_hash(word) for word in coded.dictionary.to_pylist()]
        table = np.array([*words, 0], dtype=np.uint64)
        codes = np.where(valid, numbers(coded.indices), len(words))
        return table[codes]
    raw = _raw_floats(column) if pa.types.is_floating(column.type) else numbers(column).view(np.uint64)
    return np.where(valid, raw ^ np.uint64(0x5851F42D4C957F2D), np.uint64(0))


def _raw_floats(column: pa.ChunkedArray) -> Bits:
    """The bits of doubles. ``to_numpy`` would import pandas."""
    array = column.combine_chunks()
    whole = np.frombuffer(array.buffers()[1] or b"", dtype=np.uint64)
    return whole[array.offset : array.offset + len(array)]


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little") | 1
