"""Marks: how far a sink has come in a lane, and what became of every point until there.

One file per lane and sink, ``mark.<sink>.json``, replaced atomically and durably. Whoever delivers writes it, the
writer of the lane reads it (what may be shed), and so does whoever wants to know the books.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from storage.errors import NeedsHuman
from storage.spool.durable import replace_file

_PREFIX, _SUFFIX = "mark.", ".json"
_log = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Books of one sink up to and with record ``sequence``.

    ``points_before_start`` were gone from the lane before this sink began: they count as nothing in its books.
    ``points_shed`` were dropped by the cap before this sink had them.
    """

    sink: str
    sequence: int
    points_before_start: int
    points_stored: int = 0
    points_dead_lettered: int = 0
    points_shed: int = 0

    @property
    def points(self) -> int:
        """Points of the lane up to and with record ``sequence``."""
        return self.points_before_start + self.points_stored + self.points_dead_lettered + self.points_shed


def mark_path(lane: Path, sink: str) -> Path:
    """Where the mark of ``sink`` lies in ``lane``."""
    return lane / f"{_PREFIX}{sink}{_SUFFIX}"


def load_mark(lane: Path, sink: str) -> Mark | None:
    """The mark of ``sink``, None when it has none yet.

    Raises:
        NeedsHuman: the file is there but is no mark.
    """
    path = mark_path(lane, sink)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise NeedsHuman(
            f"{path} is no mark of a sink ({error})",
            remedy="Move it away: all that the lane still holds is then delivered again, which changes nothing stored",
        ) from error


def save_mark(lane: Path, mark: Mark) -> None:
    """Make ``mark`` durable before returning."""
    replace_file(mark_path(lane, mark.sink), msgspec.json.encode(mark) + b"\n")


def marks_of(lane: Path) -> dict[str, Mark]:
    """All readable marks of a lane by sink; an unreadable one is logged (its deliverer reports it as trouble)."""
    marks: dict[str, Mark] = {}
    for path in sorted(lane.glob(f"{_PREFIX}*{_SUFFIX}")):
        sink = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        try:
            mark = load_mark(lane, sink)
        except NeedsHuman as error:
            _log.warning("%s", error)
            continue
        if mark is not None:
            marks[sink] = mark
    return marks
