"""Rows that are gone from the store although they are not past their retention: what was made of them stays.

A window whose roll-up was made while they were there is *held* (``window_held``): rolled up anew it would lose them.
One that was never rolled up is not: what is left of it is all that there will be. When the rows are put back, what was
held is let go and made due.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from storage.declaration import Measurement, Tier
from storage.downsample.books import REDO, held_windows, rolled_windows
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.downsample.windows import unix_seconds
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
    marks = set(rolled_windows(store, measurement, after, window_of(first, length), last + 1))
    if after is Tier.HOURLY:
        return marks
    # a day is in the book from its first hour on, and to be done again whenever an hour of it was
    days = store.read(measurement, after, window_of(first, length), last + 1, columns=[])
    return marks & set(unix_seconds(days).tolist())


def hold(store: Store, measurement: Measurement, tier: Tier, windows: Collection[int], path: str) -> None:
    """Hold ``windows`` of the tier after ``tier``, since the file ``path`` is set aside; durable. Again is once.

    Raises:
        TryAgain: the store does not answer.
    """
    if not windows:
        return
    _write(store, "window_held", measurement, _NEXT[tier][0], windows, path=path)


def let_go(
    store: Store, measurement: Measurement, tier: Tier, span: tuple[int, int], others: Collection[tuple[int, int, str]]
) -> set[int]:
    """Rows of ``tier`` in ``span`` (first and last Unix second) are back: hold none of the windows made of them but
    those that ``others`` have a part in, first and last second and path of files that are gone still; those let go.

    Raises:
        TryAgain: the store does not answer. NeedsHuman: a file of its books is damaged.
    """
    if tier not in _NEXT:
        return set()
    after, length = _NEXT[tier]
    first, last = span
    held = held_windows(store, measurement, after, window_of(first, length), last + 1)
    paths = {
        window: next((path for one, end, path in others if one < window + length and end >= window), "")
        for window in held
    }
    for path in set(paths.values()):
        _write(store, "window_held", measurement, after, [at for at in held if paths[at] == path], path=path)
    return {window for window, path in paths.items() if not path}


def make_due(store: Store, measurement: Measurement, tier: Tier, span: tuple[int, int], host: str) -> int:
    """Rows of ``tier`` came in ``span``: let the next roll-up do the windows that are made of them, as a late
    delivery would; their number. Again does no harm.

    Raises:
        TryAgain: the store does not answer. NeedsHuman: a file of its books is damaged.
    """
    if tier not in _NEXT or _NEXT[tier][0] not in measurement.buckets:
        return 0
    after, length = _NEXT[tier]
    first, last = span
    if after is Tier.HOURLY:
        hours = range(window_of(first, length), last + 1, length)
        columns: dict[str, Value] = {"host": host, "measurement": measurement.name, "touched_ns": time.time_ns()}
        touched = {name: [value] * len(hours) for name, value in columns.items()}
        store.write([build_frame("window_touched", hours, touched)])
        return len(hours)
    days = rolled_windows(store, measurement, after, window_of(first, length), last + 1)
    if days:
        _write(store, "window_rolled", measurement, after, days, covered=REDO)
    return len(days)


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
