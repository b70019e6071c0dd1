"""Stretches of time cut at borders of windows."""

from __future__ import annotations

from collections.abc import Iterator, Set

from storage.downsample.rollup import window_of


def end_of(time: int, every_s: int) -> int:
    """The border of windows at or after ``time``."""
    return -window_of(-time, every_s)


def slices(start: int, stop: int, every_s: int) -> Iterator[tuple[int, int]]:
    """``[start, stop)`` cut at multiples of ``every_s``."""
    while start < stop:
        end = min(stop, window_of(start, every_s) + every_s)
        yield start, end
        start = end


def runs(start: int, stop: int, every_s: int, chosen: Set[int]) -> Iterator[tuple[int, int, bool]]:
    """``[start, stop)`` as runs of windows that are ``chosen`` and runs that are not: (start, stop, chosen)."""
    while start < stop:
        is_chosen = window_of(start, every_s) in chosen
        end = window_of(start, every_s) + every_s
        while end < stop and (end in chosen) == is_chosen:
            end += every_s
        yield start, min(end, stop), is_chosen
        start = end
