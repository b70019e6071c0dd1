"""A table at one version: its live data files with what the log knows of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from storage.arrow_schema import FILE_TIME, PARTITION, numbers
from storage.lake.location import LakeLocation, open_table


@dataclass(frozen=True, slots=True)
class Part:
    """One live data file. ``first`` and ``last`` are Unix seconds, ``low`` and ``high`` the ends of each tag.

    A null tag counts as the empty string, which sorts first. ``schema`` is the fingerprint of the file's columns.
    """

    path: LakeLocation
    size: int
    rows: int
    modified_ms: int
    date: str
    first: int
    last: int
    low: Mapping[str, str]
    high: Mapping[str, str]

    @property
    def schema(self) -> str:
        """Fingerprint of the file's columns, which its name begins with."""
        return self.path.name.partition("-")[0]

    @property
    def relative(self) -> str:
        """The path as the log has it."""
        return f"{self.path.parent.name}/{self.path.name}"

    def overlaps(self, other: Part) -> bool:
        """False where no row of one can have the key of a row of the other."""
        return (
            self.first <= other.last
            and other.first <= self.last
            and all(self.low[tag] <= other.high[tag] and other.low[tag] <= self.high[tag] for tag in self.low)
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The table at one version. Commit removals through the very ``handle`` that chose them, and nothing else."""

    handle: DeltaTable
    version: int
    parts: tuple[Part, ...]

    @staticmethod
    def of(folder: LakeLocation, tags: Sequence[str], version: int | None = None) -> Snapshot:
        """Open the table in ``folder`` at its newest version, or the given one.

        Raises:
            DeltaError: it cannot be opened.
        """
        handle = open_table(folder, version)
        return Snapshot(handle, handle.version(), tuple(_parts(folder, live_files(handle), tags)))


def live_files(handle: DeltaTable) -> pa.Table:
    """One row per live file, with statistics, as the Delta library gives them."""
    # pyarrow.table() of the same would import pandas
    return pa.RecordBatchReader.from_stream(handle.get_add_actions(flatten=True)).read_all()


def _parts(folder: LakeLocation, files: pa.Table, tags: Sequence[str]) -> list[Part]:
    def per_tag(statistic: str) -> dict[str, list[str | int | None]]:
        names = {tag: f"{statistic}.{tag}" for tag in tags}
        nothing: list[str | int | None] = [None] * files.num_rows  # a tag declared after the table was written last
        return {tag: files[name].to_pylist() if name in files.column_names else nothing for tag, name in names.items()}

    low, high, nulls = per_tag("min"), per_tag("max"), per_tag("null_count")
    firsts, lasts = (numbers(files[f"{end}.time"].cast(FILE_TIME)).tolist() for end in ("min", "max"))
    paths, sizes, rows, modified, dates = (
        files[name].to_pylist()
        for name in ("path", "size_bytes", "num_records", "modification_time", f"partition.{PARTITION}")
    )
    return [
        Part(
            path=folder / path,
            size=sizes[at],
            rows=rows[at],
            modified_ms=modified[at],
            date=dates[at].isoformat(),
            first=firsts[at] // 1_000_000,
            last=-(-lasts[at] // 1_000_000),
            low={tag: "" if nulls[tag][at] else str(low[tag][at] or "") for tag in tags},
            high={tag: str(high[tag][at] or "") for tag in tags},
        )
        for at, path in enumerate(paths)
    ]
