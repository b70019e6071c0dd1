"""A tick in parts of bounded size, so that no step on its way holds all answers of a large fleet at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from storage.declaration.payload import RAW_PAYLOAD
from storage.frame import Frame

PART_TEXT = 8_000_000
"""Characters of kept answers in one part: 3,000 answers of a usual miner, some 2 MB in the spool.

Measured with 10,000 miners of two answers each: in one record, its encoding, decoding and conversion for the lake
take the process to 880 MB, in parts of this size to 640 MB, to 545 MB with the allocators as a worker sets them
(deployments/prefect/environment.py).
"""


def parts_of(frames: Sequence[Frame], part_text: int = PART_TEXT) -> list[list[Frame]]:
    """``frames`` as parts to spool, in order: the first has all readings, and the answers too where they fit.

    Answers that do not fit follow in parts of their own, of at most ``part_text`` characters each, or of one miner
    that said more: a miner's answers are all in one part.
    """
    answers = [frame for frame in frames if frame.measurement == RAW_PAYLOAD.name]
    if sum(_text(frame, range(len(frame))) for frame in answers) <= part_text:
        return [list(frames)]
    readings = [frame for frame in frames if frame.measurement != RAW_PAYLOAD.name]
    return [readings, *([part] for frame in answers for part in _split(frame, part_text))]


def _split(frame: Frame, part_text: int) -> Iterator[Frame]:
    start = taken = 0
    for rows in _by_miner(frame):
        length = _text(frame, rows)
        if rows.start > start and taken + length > part_text:
            yield _rows(frame, start, rows.start)
            start, taken = rows.start, 0
        taken += length
    yield _rows(frame, start, len(frame))


def _by_miner(frame: Frame) -> Iterator[range]:
    """Rows that follow one another and are of one miner."""
    start = 0
    for _, rows in groupby(frame.columns["miner_id"]):
        stop = start + len(list(rows))
        yield range(start, stop)
        start = stop


def _text(frame: Frame, rows: range) -> int:
    """Characters of the answers in ``rows``."""
    return sum(map(len, filter(None, frame.columns.get("body", [])[rows.start : rows.stop])))


def _rows(frame: Frame, start: int, stop: int) -> Frame:
    columns = {name: values[start:stop] for name, values in frame.columns.items()}
    return Frame(frame.measurement, frame.times[start:stop], columns)
