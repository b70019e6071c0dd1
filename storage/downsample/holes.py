"""Rows that are gone from the store although they are not past their retention: what was made of them stays.

A window whose roll-up was made while they were there is *held* (``window_held``): rolled up anew it would lose them.
One that was never rolled up is not: what is left of it is all that there will be.
"""

from __future__ import annotations

from collections.abc import Collection

from storage.declaration import Measurement, Tier
from storage.downsample.books import REDO, held_windows, rolled_windows
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.frame import Value, build_frame
from storage.store import Store

_NEXT = {Tier.RAW: (Tier.HOURLY, HOUR_S), Tier.HOURLY: (Tier.DAILY, DAY_S)}


def windows_made(store: Store, measurement: Measurement, tier: Tier, first: int, last: int) -> set[int]:
    """Windows of the tier after ``tier`` that were made of rows of ``[first, last]`` (Unix seconds), and are whole.

    Raises:
        TryAgain: the store does not answer. NeedsHuman: a file of its books is damaged.
    """
    if tier not in _NEXT:
        return set()
    after, length = _NEXT[tier]
    if after not in measurement.buckets:
        return set()
    marks = rolled_windows(store, measurement, after, window_of(first, length), last + 1)
    # a day is to be done again from its first hour on, an hour is in the book only when it was done once
    return {window for window, mark in marks.items() if after is Tier.HOURLY or mark != REDO}


def hold(store: Store, measurement: Measurement, tier: Tier, windows: Collection[int], path: str) -> None:
    """Hold ``windows`` of the tier after ``tier``, since the file ``path`` is set aside; durable. Again is once.

    Raises:
        TryAgain: the store does not answer.
    """
    if not windows:
        return
    _write(store, "window_held", measurement, _NEXT[tier][0], windows, path=path)


def make_anew(store: Store, measurement: Measurement, tier: Tier, first: int, last: int) -> set[int]:
    """Make windows of the roll-up ``tier`` due that begin in ``[first, last]``, of which all is kept that they are made
    of; those. Windows that are held are not made anew.

    Raises:
        TryAgain: the store does not answer. NeedsHuman: a file of its books is damaged.
    """
    if tier is Tier.RAW:
        return set()
    held = held_windows(store, measurement, tier, first, last + 1)
    windows = set(rolled_windows(store, measurement, tier, first, last + 1)) - held
    if windows:
        _write(store, "window_rolled", measurement, tier, windows, covered=REDO)
    return windows


def _write(
    store: Store, book: str, measurement: Measurement, tier: Tier, windows: Collection[int], **column: Value
) -> None:
    columns = {"measurement": measurement.name, "tier": tier.value, **column}
    store.write([build_frame(book, sorted(windows), {name: [value] * len(windows) for name, value in columns.items()})])
