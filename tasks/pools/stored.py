"""Raw rows of a measurement as mappings with ``time`` in Unix seconds, out of a store and into a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import Frame, build_frame
from storage.store import Store

Row = Mapping[str, Any]


def stored_rows(store: Store, name: str, start: int, stop: int, **how: Any) -> list[dict[str, Any]]:
    """Rows with ``start <= time < stop``; ``how`` is what Store.read takes besides. Raises TryAgain where the store
    does not answer."""
    table = store.read(MEASUREMENTS[name], Tier.RAW, start, stop, **how)
    return [{**row, "time": int(row["time"].timestamp())} for row in table.to_pylist()]


def frame_of_rows(name: str, rows: Iterable[Row]) -> Frame:
    """Rows of any order; what a row does not have is null."""
    declared, held = MEASUREMENTS[name], list(rows)
    names = (*declared.tag_names, *declared.field_by_name)
    return build_frame(
        name, [row["time"] for row in held], {column: [row.get(column) for row in held] for column in names}
    )
