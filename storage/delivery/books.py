"""The books of a spool: for every lane and sink, where every accepted point is. Any process may read them any time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.delivery.lag import Lag, lag_of
from storage.delivery.trouble import trouble_of
from storage.spool.mark import Mark, marks_of
from storage.spool.reader import Extent, LaneReader
from storage.spool.segment import segments_of


@dataclass(frozen=True, slots=True)
class Books:
    """Points of one lane as one sink has them: ``accepted = stored + dead_lettered + shed + backlog``, always.

    ``accepted`` counts from the sink's first record on. ``trouble`` says why nothing moves, None when all is well.
    ``lag`` tells how late the sink got them, None where it got none since that is counted.
    """

    accepted: int
    stored: int
    dead_lettered: int
    shed: int
    backlog: int
    trouble: str | None
    lag: Lag | None = None


def lanes_of(spool_root: Path) -> list[Path]:
    """Folders of all lanes under ``spool_root``, by name."""
    if not spool_root.is_dir():
        return []
    return sorted(path for path in spool_root.iterdir() if path.is_dir() and segments_of(path))


def books(spool_root: Path) -> dict[str, dict[str, Books]]:
    """Books by lane, then by sink. A sink has books in a lane from its first delivery attempt on."""
    return {lane.name: books_of_lane(lane) for lane in lanes_of(spool_root)}


def books_of_lane(lane: Path) -> dict[str, Books]:
    """Books of one lane by sink."""
    # The extent first: records removed by then have been passed by the marks that are read now, so that what was
    # delivered in between is never taken for shed.
    extent = LaneReader(lane).extent()
    marks = marks_of(lane)
    return {sink: _balance(mark, extent, lane) for sink, mark in marks.items()}


def _balance(mark: Mark, extent: Extent, lane: Path) -> Books:
    newest = max(extent.newest.points, mark.points)
    shed_unseen = max(0, extent.oldest.points - mark.points)
    trouble = trouble_of(lane, mark.sink)
    return Books(
        accepted=newest - mark.points_before_start,
        stored=mark.points_stored,
        dead_lettered=mark.points_dead_lettered,
        shed=mark.points_shed + shed_unseen,
        backlog=newest - mark.points - shed_unseen,
        trouble=trouble.message if trouble else None,
        lag=lag_of(lane, mark.sink),
    )
