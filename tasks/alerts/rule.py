"""What a rule of alerts is, and what it finds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tasks.alerts.composite import Composite
    from tasks.alerts.facts import Facts


class Level(StrEnum):
    """How bad: money or hardware at risk now, to be looked at today, good to know."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0, 1, 2 as it gets worse."""
        return list(Level).index(self)


class About(StrEnum):
    """What kind of thing a rule looks at."""

    MINER = "miner"
    SITE = "site"
    POOL = "pool"
    MARKET = "market"
    PIPELINE = "pipeline"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a rule finds wrong now.

    ``subject`` names it within the rule, e.g. ``miner_0001 fan 2``; ``entity`` is the miner, pool, coin or lane that it
    belongs to, and ``site`` where that stands, empty where it stands nowhere. ``within`` is what the entity belongs to,
    e.g. the pool of a worker. ``value`` is what was measured, in the
    rule's unit; ``message`` says it in words. ``level`` where it is not the rule's: worse than usual, say.
    """

    subject: str
    entity: str
    message: str
    site: str = ""
    rack: str = ""
    within: str = ""
    value: float | None = None
    level: Level | None = None


class Found(msgspec.Struct, frozen=True):
    """What a rule says of all its entities now: what is wrong, and of whom it cannot know.

    An alert of an entity in ``unknown`` that fires is not resolved: a miner that does not answer is not known to have
    cooled down. One that is pending waits for some looks, and then begins again: nobody knows that it lasted.
    """

    findings: tuple[Finding, ...]
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, declared once: the watch, the generated documentation and Grafana's rules follow from it.

    Args:
        name: in lower case with underscores; part of every alert's identity.
        level: how bad it is.
        about: what kind of thing it looks at.
        meaning: what is wrong, for an operator.
        remedy: what to do first.
        find: from facts and the limit in force to what is wrong.
        for_s: how long it has to last without a break before it fires, seconds.
        keep_s: how long it has to be over before the alert is resolved, seconds.
        limit: number that is compared with, None where there is none; configuration may set another.
        unit: unit of limit and value, by the declaration's names.
        muted_by: rules whose alert for the same entity says it all, so that this one is not told.
        composite: what it is made of, where it is one of other rules and conditions; ``find`` is not asked then.
        from_store: it looks at what is stored, so nothing can be said while the store does not answer; all rules do
            that are not about the pipeline.
    """

    name: str
    level: Level
    about: About
    meaning: str
    remedy: str
    find: Callable[[Facts, float | None], Found]
    for_s: int
    keep_s: int
    limit: float | None = None
    unit: str = ""
    muted_by: frozenset[str] = frozenset()
    composite: Composite | None = None
    from_store: bool = False

    @property
    def needs_store(self) -> bool:
        """Whether it cannot be asked without a store."""
        return self.from_store or self.about is not About.PIPELINE


def fingerprint(rule: str, subject: str) -> str:
    """Identity of an alert, ten hex digits: the same for one rule and subject at every host and after a restart."""
    return hashlib.sha256(f"{rule}\0{subject}".encode()).hexdigest()[:10]


def named(rules: Sequence[Rule]) -> dict[str, Rule]:
    """Rules by name. Raises ValueError where two share one."""
    by_name = {rule.name: rule for rule in rules}
    if len(by_name) < len(rules):
        raise ValueError("two rules of alerts have the same name")
    return by_name


def said(value: object, instead: str) -> str:
    """A cell of text, or ``instead`` where it holds none: None, NaN, or an empty text."""
    return value if isinstance(value, str) and value else instead


def missing(value: float | None) -> bool:
    """Whether a cell of a table holds nothing: None, or the NaN that tables of numbers have for it."""
    return value is None or math.isnan(value)
