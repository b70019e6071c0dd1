"""A tick in parts of bounded size, so that no step on its way holds all answers of a large fleet at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage.declaration.payload import RAW_PAYLOAD
from storage.frame import Frame

PART_TEXT = 8_000_000
"""Characters of kept answers in one part: 3,000 answers of a usual miner, some 2 MB in the spool.

Measured with 10,000 miners of two answers each: in one record, its encoding, decoding and conversion for the lake
take the process to 880 MB, in parts of this size to 520 to 610 MB.
"""


def parts_of(frames: Sequence[Frame], part_text: int = PART_TEXT) -> list[list[Frame]]:
    """``frames`` as parts to spool, in order: the first has all readings, and the answers too where they fit.

    Answers that do not fit follow in parts of their own, of at most ``part_text`` characters each, or of one answer
    that is longer.
    """
    answers = [frame for frame in frames if frame.measurement == RAW_PAYLOAD.name]
    if sum(map(sum, map(_lengths, answers))) <= part_text:
        return [list(frames)]
    readings = [frame for frame in frames if frame.measurement != RAW_PAYLOAD.name]
    return [readings, *([part] for frame in answers for part in _split(frame, part_text))]


def _split(frame: Frame, part_text: int) -> Iterator[Frame]:
    start = taken = 0
    for row, length in enumerate(_lengths(frame)):
        if row > start and taken + length > part_text:
            yield _rows(frame, start, row)
            start, taken = row, 0
        taken += length
    yield _rows(frame, start, len(frame))


def _lengths(frame: Frame) -> list[int]:
    """Characters of each answer; none where no answer came."""
    return [len(body or "") for body in frame.columns.get("body", [])] or [0] * len(frame)


def _rows(frame: Frame, start: int, stop: int) -> Frame:
    columns = {name: values[start:stop] for name, values in frame.columns.items()}
    return Frame(frame.measurement, frame.times[start:stop], columns)
