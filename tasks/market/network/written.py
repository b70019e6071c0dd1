"""Numbers as explorers write them: numbers, strings, ``"$1,876,804,032"``, and -1 or 0 where they know nothing."""

from __future__ import annotations

import re

from tasks.normalize.number import count, number

_GROUPED = re.compile(r"\$?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")


def told(value: object) -> float | None:
    """A finite number, also of text with a dollar sign and thousands set off by commas; None for everything else."""
    if isinstance(value, str) and _GROUPED.fullmatch(value.strip()):
        return number(value.strip().lstrip("$").replace(",", ""))
    return number(value)


def positive(value: object, factor: float = 1.0) -> float | None:
    """The same times ``factor``, but None unless above 0: no network has a hashrate, difficulty or reward of 0."""
    found = told(value)
    return found * factor if found is not None and found > 0 else None


def height(value: object) -> int | None:
    """The height of a block; None where it is none."""
    found = positive(value)
    return count(found) if found is not None and found.is_integer() else None


def age_s(told_at: float | None, slot: int) -> float | None:
    """How old at ``slot`` is what was true at ``told_at`` (Unix seconds); None where that is not known, or not past."""
    return slot - told_at if told_at is not None and 0 < told_at <= slot else None
