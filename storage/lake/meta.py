"""Tables that the lake keeps of itself, under ``<lake>/meta``: which schemas there were, which files were checked when.

They are no measurements: nobody collects them, no retention ends them, and InfluxDB does not have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from storage.arrow_schema import ARROW_TYPES, FILE_TIME, column_of, integers
from storage.declaration import Measurement, Tag, Type
from storage.lake.layout import Layout, Period
from storage.lake.location import LakeLocation
from storage.lake.merge import merged
from storage.lake.parquet import read_file
from storage.lake.table import LakeTable

FOLDER = "meta"


@dataclass(frozen=True)
class MetaTable:
    """Declaration of one: a row is known by ``time`` and ``key``, all of them texts; then come ``columns``."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: Mapping[str, Type]

    @property
    def schema(self) -> pa.Schema:
        """Columns as files hold them."""
        columns = [(name, ARROW_TYPES[kind]) for name, kind in self._types.items()]
        return pa.schema([("time", FILE_TIME), *columns])

    @property
    def _types(self) -> dict[str, Type]:
        return {**dict.fromkeys(self.key, Type.STRING), **self.columns}

    def of(self, root: LakeLocation) -> LakeTable:
        """The table under ``root``."""
        identity = Measurement(self.name, FOLDER, self.meaning, tuple(Tag(name, "") for name in self.key), (), {})
        return LakeTable.undeclared(root, identity, FOLDER, self.schema, Layout(Period.YEAR, self.key))

    def append(self, root: LakeLocation, time: int, rows: Sequence[Mapping[str, object]]) -> None:
        """Add ``rows`` with ``time`` (Unix seconds), durably; the same again changes nothing that is read."""
        if not rows:
            return
        times = integers(np.full(len(rows), time * 1_000_000, dtype=np.int64)).cast(FILE_TIME)
        others = [column_of(kind, [row.get(name) for row in rows]) for name, kind in self._types.items()]
        self.of(root).append([(0, pa.Table.from_arrays([times, *others], schema=self.schema))])

    def rows(self, root: LakeLocation) -> list[dict[str, object]]:
        """Every row once, oldest first."""
        table = self.of(root)
        snapshot = table.snapshot()
        if snapshot is None or not snapshot.parts:
            return []
        with table.failures():
            rows = merged(pa.concat_tables([read_file(part.path, self.schema) for part in snapshot.parts]), self.key)
        return sorted(rows.to_pylist(), key=lambda row: (row["time"], *(row[name] for name in self.key)))
