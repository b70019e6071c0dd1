"""Taking an answer apart: the parts that must be there, and those that may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.normalize.number import count, finite, number
from tasks.sources.failure import SourceFailure, SourceFailureKind

_FIRST_BLOCK = 1_231_006_505
"""Unix time of the first block of all; nothing was mined before."""
_YEAR_2100 = 4_102_444_800


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """``value`` as an object.

    Raises:
        SourceFailure: UNEXPECTED; ``what`` says where.
    """
    if not isinstance(value, Mapping):
        raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{what}: expected an object, got {type(value).__name__}")
    return value


def sequence(value: Any, what: str) -> Sequence[Any]:
    """``value`` as a list; see :func:`mapping`."""
    if not isinstance(value, list):
        raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{what}: expected a list, got {type(value).__name__}")
    return value


def part(value: Any, name: str) -> Mapping[str, Any]:
    """The object ``name`` of ``value``, empty where it is missing: pools leave out what is zero."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; nothing where it is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def scaled(value: Any, factor: float) -> float | None:
    """A number, written as one or as text, times ``factor``."""
    found = number(value)
    return None if found is None else finite(found * factor)


def amount(value: Any) -> float | None:
    """An amount of coins, never negative; a negative one is none."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def whole(value: Any) -> int | None:
    """A whole number, written as one or as text."""
    return count(number(value))


def instant(value: Any) -> int | None:
    """Unix seconds, written as a number or as text; None for what is no time that something was mined at, e.g. 0."""
    found = whole(value)
    return found if found is not None and _FIRST_BLOCK <= found < _YEAR_2100 else None


def utc_day(value: Any) -> str | None:
    """The UTC day of an instant, YYYY-MM-DD."""
    found = instant(value)
    return None if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d")
