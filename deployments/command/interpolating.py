"""Rows of ``lodeline query --interpolate``: a store's table, its short gaps closed and marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.miners.settings import MinerSettings
from tasks.normalize.interpolation import INTERPOLATED, NEEDED, interpolated_rows

if TYPE_CHECKING:
    import pyarrow as pa

_UNCONFIGURED_S = 300
"""Longest usual interval: of a miner that the configuration does not name, no shorter gap counts as one."""


def needed(columns: Sequence[str]) -> list[str]:
    """``columns`` and what has to be read beside them."""
    return list(dict.fromkeys([*columns, *NEEDED]))


def interpolated_table(table: pa.Table, miners: Sequence[MinerSettings], columns: Sequence[str] | None) -> pa.Table:
    """``table`` of ``miner_telemetry`` with column ``interpolated``; of its fields only ``columns``, None for all."""
    import pyarrow as pa

    longest = {miner.id: miner.telemetry_bounds().slowest_s for miner in miners}
    times = table["time"].cast(pa.int64()).to_pylist()
    rows = [{**row, "time": time} for row, time in zip(table.to_pylist(), times, strict=True)]
    found = interpolated_rows(rows, cadence_s=lambda miner_id: longest.get(miner_id, _UNCONFIGURED_S))
    kept = [name for name in table.column_names if columns is None or name not in NEEDED or name in columns]
    schema = pa.schema([*(table.schema.field(name) for name in kept), pa.field(INTERPOLATED, pa.string())])
    return pa.Table.from_pylist(found, schema=schema)
