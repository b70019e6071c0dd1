"""Quality of sources by day, as people ask for it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from storage.declaration import Tier
from storage.store import Store
from tasks.derive.source_quality.deriving import SOURCE_QUALITY


def days(store: Store, start: int, stop: int, sources: Sequence[str] | None, kind: str | None) -> pa.Table:
    """Rows of source_quality of days that start in ``[start, stop)`` (Unix seconds); the newest day first, and of a day
    the worst first. ``sources``, ``kind``: of these alone.

    Raises:
        TryAgain: the store does not answer.
    """
    where: dict[str, str | Sequence[str]] = {} if sources is None else {"source": list(sources)}
    if kind is not None:
        where["kind"] = kind
    rows = store.read(SOURCE_QUALITY, Tier.RAW, start, stop, where=where)
    return rows.sort_by(
        [("time", "descending"), ("score", "ascending"), ("kind", "ascending"), ("source", "ascending")]
    )
