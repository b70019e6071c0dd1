"""Rows into a file, in one of three formats, some at a time."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from tasks.exports.asked import Column
from tasks.exports.settings import Format

ISO = "%Y-%m-%dT%H:%M:%SZ"
_JSON_ROWS = 10_000


class Hashed(io.RawIOBase):
    """A file that is written from its beginning to its end, and its SHA-256 and length."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.bytes = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Append ``content``, any bytes."""
        written = self._file.write(content)
        self._sum.update(content)
        self.bytes += written
        return written

    def tell(self) -> int:
        """Bytes so far."""
        return self.bytes

    @property
    def sha256(self) -> str:
        """Of all that was written, hex."""
        return self._sum.hexdigest()


class Writer(AbstractContextManager["Writer"]):
    """Writes rows in ``columns`` to ``file``; what is open at the end of the file is closed on leaving."""

    def __init__(self, file: Hashed, how: Format, columns: Sequence[Column], about: dict[str, str]) -> None:
        self._file, self._how = file, how
        self.schema = pa.schema(
            [pa.field(one.name, one.type, metadata={"unit": one.unit, "meaning": one.meaning}) for one in columns],
            metadata=about,
        )
        self._times = [one.name for one in columns if pa.types.is_timestamp(one.type)]
        self._parquet = self._csv = None
        self._between = b"["
        if how is Format.PARQUET:
            self._parquet = pq.ParquetWriter(file, self.schema, compression="zstd", write_page_checksum=True)
        elif how is Format.CSV:
            self._csv = pcsv.CSVWriter(file, self._in_words(self.schema.empty_table()).schema)

    def write(self, rows: pa.Table) -> None:
        """Append ``rows``."""
        if not rows.num_rows:
            return
        if self._parquet is not None:
            self._parquet.write_table(rows.cast(self.schema))
        elif self._csv is not None:
            self._csv.write(self._in_words(rows))
        else:
            words = self._in_words(rows)
            for first in range(0, words.num_rows, _JSON_ROWS):
                lines = [msgspec.json.encode(row) for row in words.slice(first, _JSON_ROWS).to_pylist()]
                self._file.write(self._between + b",\n".join(lines))
                self._between = b",\n"

    def _in_words(self, rows: pa.Table) -> pa.Table:
        for name in self._times:
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, name, pc.strftime(rows[name], format=ISO))
        return rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for open_one in (self._parquet, self._csv):
            if open_one is not None:
                open_one.close()
        if self._how is Format.JSON:
            self._file.write(b"[]\n" if self._between == b"[" else b"]\n")


def types_of(columns: Sequence[Column], how: Format) -> list[dict[str, str]]:
    """What a sidecar says of columns: ``type`` as a reader of ``how`` finds it."""
    return [
        {
            "name": one.name,
            "type": "ISO 8601 UTC" if pa.types.is_timestamp(one.type) and how is not Format.PARQUET else str(one.type),
            "unit": one.unit,
            "meaning": one.meaning,
        }
        for one in columns
    ]


def as_json(value: object) -> bytes:
    """A sidecar, for people and programs."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
