"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.derive.opportunities.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something worth changing. ``impact`` in USD a day, None where a price is missing."""

    subject: str
    description: str
    impact: float | None
    confidence: float
    evidence: str
    falsified_by: str


@dataclass(frozen=True, slots=True)
class Rule:
    """``find`` gives what holds now. ``known``: whether the facts suffice to say that it does not. ``taken``: whether
    what was advised of a subject has been done; what holds no longer and was not taken is refuted."""

    type: str
    find: Callable[[Facts], Sequence[Found]]
    known: Callable[[Facts], bool]
    taken: Callable[[Facts, str], bool]


def confidence(certainty: float, seen: float, wanted: float) -> float:
    """``certainty`` of the rule (how directly its measurement shows the cause), less where less was seen."""
    return round(certainty * min(1.0, max(seen, 0.0) / wanted), 2)


def less(gain: float | None, cost: float | None) -> float | None:
    """The difference; None where one of them is not known."""
    return None if gain is None or cost is None else gain - cost
