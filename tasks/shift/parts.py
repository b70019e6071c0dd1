"""A tick in parts of bounded size, so that no step on its way holds all of a large fleet at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from storage.declaration.payload import RAW_PAYLOAD
from storage.frame import Frame

PART_TEXT = 6_000_000
"""Characters of kept answers in one part: those of some 2,000 usual miners, 1.5 MB in the spool."""

PART_POINTS = 30_000
"""Rows in one part: those of some 2,300 miners with their boards, fans and pools.

Measured with a tick of 10,000 miners: decoding it and converting it for the lake takes 75 MB more in one record than in
parts of 40,000 rows, and 20 MB less in parts of 20,000, each of which is a commit to each table.
"""

_MINER = "miner_id"


def parts_of(
    frames: Sequence[Frame], part_text: int = PART_TEXT, part_points: int = PART_POINTS
) -> Iterator[list[Frame]]:
    """``frames`` as parts to spool, in order, each made when it is asked for. A miner's rows, readings and answers, are
    all in one part.

    A part has at most ``part_points`` rows and ``part_text`` characters of answers, or one miner that has more. Rows of
    no miner are in the first part.
    """
    points, text = _weights(frames)
    if points.total() <= part_points and text.total() <= part_text:
        yield list(frames)
        return
    place = _placed(points, text, part_text, part_points)
    placed = [(frame, np.array([place[miner] for miner in _miners(frame)])) for frame in frames]
    for number in range(max(place.values()) + 1):
        rows = [(frame, np.flatnonzero(own == number).tolist()) for frame, own in placed]
        yield [_rows(frame, mine) for frame, mine in rows if mine]


def without(frames: Iterable[Frame], miners: Collection[str]) -> list[Frame]:
    """Rows of other miners than ``miners``; none of no miner."""
    kept = []
    for frame in frames:
        rows = [row for row, miner in enumerate(_miners(frame)) if miner is not None and miner not in miners]
        if rows:
            kept.append(_rows(frame, rows))
    return kept


def miners_in(frames: Iterable[Frame]) -> set[str]:
    """Miners that have a row in any of ``frames``."""
    return {miner for frame in frames for miner in _miners(frame) if miner is not None}


def _miners(frame: Frame) -> Sequence[str | None]:
    """Whose each row is; None for rows of no miner."""
    found: Sequence[str | None] | None = frame.columns.get(_MINER)
    return found if found is not None else [None] * len(frame)


def _weights(frames: Sequence[Frame]) -> tuple[Counter[str | None], Counter[str | None]]:
    """Rows of each miner, and characters of its answers."""
    points, text = Counter[str | None](), Counter[str | None]()
    for frame in frames:
        points.update(_miners(frame))
        if frame.measurement == RAW_PAYLOAD.name and "body" in frame.columns:
            for miner, body in zip(_miners(frame), frame.columns["body"], strict=True):
                text[miner] += len(body or "")
    return points, text


def _placed(
    points: Mapping[str | None, int], text: Mapping[str | None, int], part_text: int, part_points: int
) -> dict[str | None, int]:
    """The part of each miner, filled one after the other."""
    place: dict[str | None, int] = {None: 0}
    number = rows = length = 0
    for miner, own in points.items():
        if miner is None:
            continue
        if rows and (rows + own > part_points or length + text[miner] > part_text):
            number, rows, length = number + 1, 0, 0
        place[miner] = number
        rows += own
        length += text[miner]
    return place


def _rows(frame: Frame, rows: list[int]) -> Frame:
    def chosen(values: list[Any]) -> list[Any]:
        return [values[rows[0]]] if len(rows) == 1 else list(itemgetter(*rows)(values))

    if len(rows) == len(frame):
        return frame
    return Frame(
        frame.measurement, chosen(frame.times), {name: chosen(values) for name, values in frame.columns.items()}
    )
