"""Printing a table of rows: as text, CSV, JSON or Parquet. Times are UTC, null is empty (JSON: null)."""

from __future__ import annotations

import datetime as dt
import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 10_000


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


FormatOption = Annotated[
    Format,
    typer.Option("--format", help="How rows are printed; parquet goes to stdout as bytes, so send it into a file."),
]


def print_rows(rows: pa.Table, how: Format) -> None:
    """Write ``rows`` to stdout. JSON is one array of objects."""
    import sys

    if how is Format.PARQUET:
        import pyarrow.parquet as pq

        pq.write_table(rows, sys.stdout.buffer, compression="zstd")
        sys.stdout.buffer.flush()
    elif how is Format.CSV:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows.column_names)
        for part in _parts(rows):
            writer.writerows([plain(value) for value in row.values()] for row in part)
    elif how is Format.JSON:
        import msgspec

        sys.stdout.write("[")
        between = ""
        for part in _parts(rows):
            for row in part:
                shown = {name: plain(value) for name, value in row.items()}
                sys.stdout.write(f"{between}{msgspec.json.encode(shown).decode()}")
                between = ",\n"
        sys.stdout.write("]\n")
    else:
        _print_text(rows)


def _print_text(rows: pa.Table) -> None:
    lines = [rows.column_names] + [[_shown(value) for value in row.values()] for part in _parts(rows) for row in part]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numbers = [_is_number(field.type) for field in rows.schema]
    for line in lines:
        cells = zip(line, widths, numbers, strict=True)
        typer.echo("  ".join(c.rjust(w) if is_number else c.ljust(w) for c, w, is_number in cells).rstrip())


def _parts(rows: pa.Table) -> Any:
    for first in range(0, rows.num_rows, _AT_ONCE):
        yield rows.slice(first, _AT_ONCE).to_pylist()


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def plain(value: Any) -> Any:
    """Times in ISO 8601 with a Z; decimals, which DuckDB makes of sums of integers, as numbers."""
    if isinstance(value, dt.datetime):
        told = value.astimezone(dt.UTC) if value.tzinfo else value
        return told.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time | dt.timedelta | bytes):
        return str(value)
    return value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return in_figures(value) if isinstance(value, float) else str(plain(value))


def in_figures(value: float) -> str:
    """Up to ten figures; from ten millions on by the thousand, so that 94.768453e12 H/s are 94.8 TH/s to the eye."""
    if not math.isfinite(value) or abs(value) < 1e7:
        return f"{value:.10g}"
    thousands = (len(f"{abs(value):.0f}") - 1) // 3 * 3
    return f"{value / 10**thousands:.10g}e{thousands}"
