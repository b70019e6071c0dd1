"""What drivers do alike when they turn an answer into a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

_MOST = 1_000
"""No machine has so many parts; what a broken answer calls its number must not become a new series each poll."""

COSTS_ITS_FIELDS = ("http_status", "not_json", "truncated", "schema")
"""Failures of a secondary answer that cost its fields only; others mean that the miner itself does not answer."""

NO_POWER = frozenset({"power_w"})
"""What machines without a meter for their power cannot tell: Bitmain's own firmware, on most of its models."""

Item = TypeVar("Item")
Number = TypeVar("Number", int, float)


def by_id(
    items: list[Item] | None, identity: Callable[[Item], int | None], flag: str, flags: set[str]
) -> list[tuple[int, Item]]:
    """Items with the number that identifies them, the position where they have no sensible one.

    A number used again would be the same series at the same time: the later item is dropped and ``flag`` added.
    """
    found: dict[int, Item] = {}
    for position, item in enumerate(items or ()):
        own = identity(item)
        key = own if own is not None and 0 <= own < _MOST else position
        if key in found:
            flags.add(flag)
        else:
            found[key] = item
    return list(found.items())


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are known; None when none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def total(values: Iterable[Number | None]) -> Number | None:
    """Sum of the values that are known; None when none is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


def hottest(values: Iterable[float | None]) -> float | None:
    """Highest of the values that are known; None when none is."""
    return max((value for value in values if value is not None), default=None)


def flags_text(flags: Iterable[str]) -> str | None:
    """Flags as they are stored: sorted, comma-separated; None when there are none."""
    return ",".join(sorted(flags)) or None
