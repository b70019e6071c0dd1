"""Which host asks a miner or a source: an override is a file of that host, and no other reads it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from storage.declaration.pipeline import COLLECTOR_TICK
from storage.errors import NeedsHuman, TryAgain
from storage.store import Store
from tasks.miners.report import newest_reports

LATELY_S = 3_600
"""A lane that ticked within it is asked by the host of that tick."""


@dataclass(frozen=True, slots=True)
class Asking:
    """``here``: this host has ticked the lane, lately or once. ``elsewhere``: the host that ticks it in its place."""

    here: bool
    elsewhere: str | None = None


def asking(lanes: Collection[str], state: Path, open_store: Callable[[], Store], *, host: str, now: float) -> Asking:
    """Who ticks ``lanes``: by the files under ``state`` (``<data>/state``) of this ``host``; where it has not done so
    lately, by what is stored. A store that does not answer knows of nobody. ``now``: Unix seconds."""
    ticked = [report.slot for report in newest_reports(state)[0].values() if report.lane in lanes]
    if any(now - slot < LATELY_S for slot in ticked):
        return Asking(here=True)
    try:
        store = open_store()
        try:
            rows = store.newest(COLLECTOR_TICK, int(now) - LATELY_S, where={"lane": sorted(lanes)})
        finally:
            store.close()
    except (TryAgain, NeedsHuman):
        return Asking(here=bool(ticked))
    others = sorted(zip(rows["time"].to_pylist(), rows["host"].to_pylist(), strict=True))
    if not others or any(name == host for _, name in others):
        return Asking(here=bool(ticked) or bool(others))
    return Asking(here=False, elsewhere=others[-1][1])
