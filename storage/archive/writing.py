"""Files of the archive: one of a file of the lake, or of rows of a store; each is read back before it counts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time as clock
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from storage.archive.catalogue import Catalogue, period_of
from storage.archive.content import ContentSum, content_of
from storage.archive.part import ArchivedPart, State
from storage.arrow_schema import file_schema, numbers
from storage.declaration import Measurement, Tier
from storage.errors import NeedsHuman
from storage.lake.damage import damage_named, sound
from storage.lake.disk import explained, make_folder, sync
from storage.lake.layout import date_of
from storage.lake.location import LakeLocation, readable
from storage.lake.parquet import SCHEMA_KEY, Encoding
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable

LEVEL = 9
"""Of zstd: 5 % smaller than the lake's 3 for half a second of the processor per hour and 1,000 miners; 19 would give
5 % more for four times that (reference/lake.md 7)."""

_BLOCK = 1 << 20


def write_part(
    catalogue: Catalogue, table: LakeTable, part: Part, version_: int, *, compare: bool = True
) -> ArchivedPart:
    """Copy ``part`` of ``table`` (at ``version_``) into the archive, verify, and enter it as COPIED; durable.

    With ``compare`` every row is read back and compared with what was read of the source; the hash and the number of
    rows are checked in any case. The same call again finds what the first wrote. Row groups are rewritten one by one,
    so memory is that of one.

    Raises:
        NeedsHuman: the source is damaged, the disk is full, or what was written reads back otherwise.
    """
    folder = catalogue.folder(table.measurement, table.tier, part.date)
    path = folder / part.path.name
    for known in catalogue.of_period(table.measurement, table.tier, part.date):
        if known.source == part.path.name and known.state is not State.DAMAGED and path.exists():
            _check(path, known, compare=None)
            return known
    with explained(f"archive {path}"):
        make_folder(folder)
        draft = path.with_name(f".{path.name}.new")
        sums = _rewrite(table, part, draft)
        written = _settle(draft, path)
    start, stop = period_of(part.date, table.period)
    entered = ArchivedPart(
        measurement=table.measurement.name,
        tier=table.tier,
        date=part.date,
        start=start,
        stop=stop,
        path=path.relative_to(catalogue.root).as_posix(),
        rows=sums.rows,
        content=sums.text(),
        first=part.first,
        last=part.last,
        low=dict(part.low),
        high=dict(part.high),
        fingerprint=part.schema,
        source=part.path.name,
        source_version=version_,
        order=part.modified_ms,
        archived_s=int(clock.time()),
        lodeline=version("lodeline"),
        state=State.COPIED,
        **written,
    )
    if sums.rows != part.rows:
        raise NeedsHuman(
            f"lake table {table.name}: {part.relative} has {sums.rows} rows, its table says {part.rows}",
            remedy="Run lodeline's upkeep of the lake; the file was left where it is",
        )
    _check(path, entered, compare=sums if compare else None)
    catalogue.put(entered)
    return entered


def rewrite_part(catalogue: Catalogue, part: ArchivedPart, pieces: Iterable[pa.Table]) -> ArchivedPart:
    """Put ``pieces``, the rows of ``part`` less some, in its place: a new file, verified, entered, and the old one
    deleted. Memory is that of one piece.

    The same call again after a kill ends the same. Of no rows at all nothing is left.

    Raises:
        NeedsHuman: the disk is full, or what was written reads back otherwise.
    """
    rest = (piece for piece in pieces if piece.num_rows)
    if (first := next(rest, None)) is None:
        catalogue.drop(part)
        return part
    encoding = Encoding.of(part.declared, part.tier, file_schema(part.declared, part.tier))
    metadata = {**encoding.metadata, SCHEMA_KEY: part.fingerprint}
    path = catalogue.path(part)
    with explained(f"archive {path}"):
        draft = path.with_name(f".{path.name}.new")
        extent = write_draft(draft, encoding, metadata, part.low, chain([first], rest))
        path = path.with_name(f"{path.stem}.{extent.sums.text()}.parquet")
        written = _settle(draft, path)
    entered = msgspec.structs.replace(
        part, path=path.relative_to(catalogue.root).as_posix(), **written, **extent.told()
    )
    _check(path, entered, compare=extent.sums)
    catalogue.put(entered)
    catalogue.drop(part)
    return entered


def enter_rows(
    catalogue: Catalogue,
    measurement: Measurement,
    tier: Tier,
    period: tuple[int, int],
    pieces: Iterable[pa.Table],
    *,
    version_: int,
    compare: bool = True,
) -> ArchivedPart | None:
    """Write ``pieces`` (file schema, sorted, all of ``period``, none empty) as one file, a group of rows each; verify
    it, enter it as MOVED, durable; None where there is no piece.

    The file is named by its rows: the same ones again are the same file. Memory is that of one piece.

    Raises:
        NeedsHuman: the disk is full, or what was written reads back otherwise.
    """
    rest = iter(pieces)
    if (first := next(rest, None)) is None:
        return None
    encoding = Encoding.of(measurement, tier, file_schema(measurement, tier))
    date = date_of(period[0])
    folder = catalogue.folder(measurement, tier, date)
    with explained(f"archive {folder}"):
        make_folder(folder)
        draft = folder / ".copy.parquet.new"
        extent = write_draft(draft, encoding, encoding.metadata, measurement.tag_names, chain([first], rest))
        path = folder / f"{encoding.fingerprint}-copy-{extent.sums.text()}.parquet"
        written = _settle(draft, path)
    entered = ArchivedPart(
        measurement=measurement.name,
        tier=tier,
        date=date,
        start=period[0],
        stop=period[1],
        path=path.relative_to(catalogue.root).as_posix(),
        fingerprint=encoding.fingerprint,
        source=path.name,
        source_version=version_,
        order=clock.time_ns() // 1_000_000,
        archived_s=int(clock.time()),
        lodeline=version("lodeline"),
        state=State.MOVED,
        **written,
        **extent.told(),
    )
    _check(path, entered, compare=extent.sums if compare else None)
    catalogue.put(entered)
    return entered


class Extent:
    """Adds up what is written: the sum over the rows, and the ends of time (Unix seconds) and of each of ``tags``."""

    def __init__(self, tags: Iterable[str]) -> None:
        self.sums = ContentSum()
        self._times: list[int] = []
        self._words: dict[str, list[str]] = {tag: [] for tag in tags}

    def add(self, rows: pa.Table) -> None:
        """Add ``rows``."""
        if not rows.num_rows:
            return
        self.sums.add(rows)
        times = numbers(rows["time"])
        self._times += [int(times.min()) // 1_000_000, -(-int(times.max()) // 1_000_000)]
        for tag, ends in self._words.items():
            found = [word or "" for word in rows[tag].cast(pa.string()).unique().to_pylist()]
            ends += [min(found), max(found)]

    def told(self) -> dict[str, Any]:
        """What an :class:`ArchivedPart` says of it. There must be a row."""
        return {
            "rows": self.sums.rows,
            "content": self.sums.text(),
            "first": min(self._times),
            "last": max(self._times),
            "low": {tag: min(ends) for tag, ends in self._words.items()},
            "high": {tag: max(ends) for tag, ends in self._words.items()},
        }


def write_draft(
    draft: Path, encoding: Encoding, metadata: Mapping[str, str], tags: Iterable[str], pieces: Iterable[pa.Table]
) -> Extent:
    """Write ``pieces``, one at least, of one schema into the new file ``draft``."""
    extent = Extent(tags)
    with contextlib.ExitStack() as stack:
        writer = None
        for rows in pieces:
            if writer is None:
                writer = stack.enter_context(_writer(draft, rows.schema, encoding))
                writer.add_key_value_metadata(dict(metadata))
            extent.add(rows)
            writer.write_table(rows, row_group_size=encoding.rows_of_group)
    return extent


def _settle(draft: Path, path: Path) -> dict[str, Any]:
    """Give ``draft`` its name, durably; what an :class:`ArchivedPart` says of its bytes."""
    sync(draft)
    draft.replace(path)
    sync(path.parent)
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path), "footer": _sha256_of_footer(path)}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sha256_of_footer(path: Path) -> str:
    """SHA-256, in hex, of what a Parquet file ends with: metadata, their length in four bytes, and four letters."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return hashlib.sha256(file.read()).hexdigest()


def pieces_of(path: LakeLocation) -> Iterator[pa.Table]:
    """Row groups of a file of the archive or of the lake, page checksums verified.

    Raises:
        OSError, ValueError: the file is damaged.
    """
    return _groups_of(readable(path))


def _groups_of(source: Path | pa.BufferReader) -> Iterator[pa.Table]:
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).replace_schema_metadata()


def _rewrite(table: LakeTable, part: Part, draft: Path) -> ContentSum:
    metadata = {**table.encoding.metadata, SCHEMA_KEY: part.schema}
    source = sound(part.path)
    with damage_named(part.path):
        return write_draft(draft, table.encoding, metadata, (), _groups_of(source)).sums


def _writer(draft: Path, schema: pa.Schema, encoding: Encoding) -> pq.ParquetWriter:
    """A writer of archived files: the lake's encodings of those columns that are there, compressed harder."""
    return pq.ParquetWriter(
        draft,
        schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[name for name in encoding.dictionaries if name in schema.names],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in encoding.deltas if name in schema.names},
        write_statistics=list(encoding.statistics),
        write_page_checksum=True,
        store_schema=False,
    )


def _check(path: Path, entered: ArchivedPart, *, compare: ContentSum | None) -> None:
    fault = fault_of(path, entered, compare=compare)
    if fault is not None:
        raise NeedsHuman(f"archive: {fault}", remedy="Check the disk of the archive; the source was left as it is")


def fault_of(path: Path, part: ArchivedPart, *, compare: ContentSum | None = None, read: bool = False) -> str | None:
    """What is wrong with the file of ``part``, naming it and both hashes; None: nothing.

    ``compare``: the rows must add up to it. ``read``: they must add up to what the catalogue says.
    """
    try:
        found = sha256_of(path)
    except OSError as error:
        return f"{part.path} cannot be read: {error.strerror or error}"
    if found != part.sha256:
        return f"{part.path} is damaged: its SHA-256 is {found}, the catalogue says {part.sha256}"
    if compare is None and not read:
        return None
    try:
        sums = content_of(pieces_of(path))
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"{part.path} cannot be read back: {error}"
    expected = (part.rows, part.content) if compare is None else (compare.rows, compare.text())
    if (sums.rows, sums.text()) != expected:
        return f"{part.path} reads back {sums.rows} rows with the sum {sums.text()}, expected {expected}"
    return None


def footer_fault_of(path: Path, part: ArchivedPart) -> str | None:
    """What is wrong with the end of the file of ``part``; None: nothing, and pages tell of themselves when read.

    Unpacking statistics of a damaged footer can end the process, so nobody looks into one before this has.
    """
    if part.footer is None:
        return fault_of(path, part)
    try:
        if _sha256_of_footer(path) == part.footer:
            return None
    except OSError as error:
        return f"{part.path} cannot be read: {error.strerror or error}"
    return fault_of(path, part) or f"{part.path} ends otherwise than the catalogue says"


def order_of(parts: Sequence[ArchivedPart]) -> list[ArchivedPart]:
    """Parts in the order in which their rows came: of two rows of one key the later part's counts."""
    return sorted(parts, key=lambda part: (part.start, part.order, part.path))
