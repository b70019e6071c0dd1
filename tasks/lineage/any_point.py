"""Any stored point: of a miner, of a pool or market source, or worked out of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from storage.declaration import Measurement
from storage.errors import NeedsHuman
from tasks.lineage.brought import BROUGHT
from tasks.lineage.made_from import MADE_FROM
from tasks.lineage.of_derived import DerivedTrace, trace_derived
from tasks.lineage.of_sources import SourceTrace, trace_source
from tasks.lineage.trace import TRACEABLE, Trace, trace

if TYPE_CHECKING:
    from storage.store import Store


def trace_any(
    store: Store,
    lake: Store | None,
    spool: Path,
    declared: Measurement,
    *,
    where: Mapping[str, Sequence[str]],
    at: int,
    now: int,
    keep_days: int,
) -> Trace | SourceTrace | DerivedTrace:
    """Trace the newest point of ``declared`` at or before ``at`` of which ``where`` (values of its tags) is true.

    Arguments and errors are those of :func:`tasks.lineage.trace.trace`,
    :func:`tasks.lineage.of_sources.trace_source` and :func:`tasks.lineage.of_derived.trace_derived`.
    """
    name = declared.name
    if name in BROUGHT:
        return trace_source(store, lake, measurement=name, where=where, at=at, now=now, keep_days=keep_days)
    if name in MADE_FROM:
        return trace_derived(store, measurement=name, where=where, at=at)
    if name not in TRACEABLE:
        known = ", ".join([*TRACEABLE, *BROUGHT, *MADE_FROM])
        raise NeedsHuman(f"{name!r} cannot be traced", remedy=f"Take one of {known}")
    miners = where.get("miner_id", ())
    if len(miners) != 1:
        raise NeedsHuman(f"{name} is traced for one miner", remedy="Say which: --miner ID")
    further = {tag: values for tag, values in where.items() if tag != "miner_id"}
    return trace(
        store, lake, spool, measurement=name, miner_id=miners[0], at=at, now=now, keep_days=keep_days, where=further
    )
