"""A table of the star as a Delta table: the lake's commit recipe over declared columns."""

from __future__ import annotations

import threading

import pyarrow as pa

from storage.arrow_schema import FILE_TIME
from storage.declaration import Measurement, Tag, Tier
from storage.lake.location import LakeLocation
from storage.lake.parquet import Encoding
from storage.lake.table import LakeTable
from storage.warehouse.star import ColumnType, StarTable

FOLDER = "warehouse"
"""Folder of the star in the lake."""

ARROW = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.TIME: FILE_TIME,
}


class WarehouseTable(LakeTable):
    """One table of the star under the lake's ``root``."""

    def __init__(self, root: LakeLocation, star: StarTable) -> None:
        self.star = star
        # A measurement of its identity alone: what the lake's machinery wants to know of a table.
        self.measurement = Measurement(
            star.name, "warehouse", star.meaning, tuple(Tag(n, "") for n in star.identity), (), {}
        )
        self.tier = Tier.HOURLY  # rows are replaced, never stamped with their arrival
        self.name = f"{FOLDER}/{star.name}"
        self.folder: LakeLocation = root.absolute() / FOLDER / star.name
        self.period = star.period
        self.order = star.identity
        self.schema = schema(star)
        self.encoding = Encoding.of(self.measurement, self.tier, self.schema)
        self._lock_path = self.folder.parent / f".{self.folder.name}.lock"
        self._log = self.folder / "_delta_log"
        self._examined = False
        self._snapshot = None
        self._guard = threading.Lock()


def schema(star: StarTable) -> pa.Schema:
    """Columns as files hold them: ``time``, then the declared ones."""
    return pa.schema([("time", FILE_TIME), *((column.name, ARROW[column.type]) for column in star.columns)])
