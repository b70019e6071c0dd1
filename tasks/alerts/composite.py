"""Rules made of other rules and of conditions over measurements, each with a window of its own.

A part holds for an entity, does not, or that is not known: a miner that does not answer is not known to have cooled
down. Parts are put together as Kleene's strong three-valued logic does it (Introduction to Metamathematics, 1952, par.
64): ``all_of`` is the least of its parts, ``any_of`` the greatest, ``none_of`` the opposite of the greatest. What is
unknown as a whole is no finding, and leaves an alert as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tasks.alerts.rule import About, Finding, Found, Rule, missing
from tasks.quantity import age

if TYPE_CHECKING:
    import pandas as pd

    from tasks.alerts.facts import Facts

FARM = "the farm"
"""Subject and entity of a rule over the farm as a whole."""

_PRICE_STALE_S = 3_600.0


class Truth(IntEnum):
    """Whether a part holds, in the order of the logic."""

    NO = 0
    UNKNOWN = 1
    YES = 2


def all_of(truths: Iterable[Truth]) -> Truth:
    """Whether all hold; yes where there is none."""
    return min(truths, default=Truth.YES)


def any_of(truths: Iterable[Truth]) -> Truth:
    """Whether at least one holds; no where there is none."""
    return max(truths, default=Truth.NO)


def none_of(truths: Iterable[Truth]) -> Truth:
    """Whether none holds; yes where there is none."""
    return Truth(2 - any_of(truths))


@dataclass(frozen=True, slots=True)
class RulePart:
    """Holds where another rule finds something, whether or not it has lasted long enough to fire."""

    rule: str
    within_s: float = 0.0

    @property
    def in_words(self) -> str:
        """The part, without its window."""
        return self.rule


@dataclass(frozen=True, slots=True)
class ConditionPart:
    """Holds where a field of the newest row is below, above, or one of some values; over another field if ``of`` is
    set. ``coin``: of market_data."""

    measurement: str
    field: str
    unit: str = ""
    below: float | None = None
    above: float | None = None
    is_one_of: tuple[str, ...] = ()
    of: str | None = None
    coin: str | None = None
    within_s: float = 0.0

    @property
    def in_words(self) -> str:
        """The part, without its window."""
        what = f"{self.coin} {self.field}" if self.coin else self.field
        what += f" / {self.of}" if self.of else ""
        if self.is_one_of:
            return f"{what} is {' or '.join(self.is_one_of)}"
        bound = f"below {self.below:g}" if self.below is not None else f"above {self.above:g}"
        return f"{what} {bound}{f' {self.unit}' if self.unit else ''}"


Part = RulePart | ConditionPart
Group = Literal["all_of", "any_of", "none_of"]


@dataclass(frozen=True, slots=True)
class Composite:
    """What a composite rule is made of; its groups must hold together. ``per``: for each miner, or for the farm."""

    per: Literal["miner", "farm"]
    parts: tuple[tuple[Group, Part], ...]

    @property
    def rules(self) -> frozenset[str]:
        """Rules that it is made of."""
        return frozenset(part.rule for _, part in self.parts if isinstance(part, RulePart))


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One part for one entity: when it was last seen to hold (Unix seconds, None: within its window not at all),
    whether it does now, and what was found then."""

    last: float | None = None
    now: Truth = Truth.NO
    message: str = ""


Memory = dict[str, list[dict[str, Held]]]
"""By composite rule: for each of its parts the entities for which it holds, did within its window, or may."""


def in_order(composites: Mapping[str, Composite]) -> list[str]:
    """Names such that each comes after those that it is made of.

    Raises:
        ValueError: some are made of each other; names the circle.
    """
    ordered: list[str] = []
    on_the_way: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        if name in on_the_way:
            circle = [*on_the_way[on_the_way.index(name) :], name]
            raise ValueError(f"composite rules are made of each other: {' -> '.join(circle)}")
        on_the_way.append(name)
        for other in sorted(composites[name].rules & composites.keys()):
            visit(other)
        on_the_way.pop()
        ordered.append(name)

    for name in composites:
        visit(name)
    return ordered


@dataclass(frozen=True, slots=True)
class _Told:
    """What a part says now: of whom it is true, with what was found, and of whom it is not known."""

    true: Mapping[str, str]
    unknown: frozenset[str] = frozenset()
    all_unknown: bool = False

    def of(self, entity: str) -> Truth:
        if entity in self.true:
            return Truth.YES
        return Truth.UNKNOWN if self.all_unknown or entity in self.unknown else Truth.NO


@dataclass(slots=True)
class Evaluation:
    """Asks composite rules, at one look.

    Args:
        facts: of this look.
        rules: those in force.
        found: what the rules that are no composites found; composites are added as they are asked.
        before: what the parts said at the look before.
    """

    facts: Facts
    rules: Mapping[str, Rule]
    found: dict[str, Found]
    before: Memory = field(default_factory=dict)
    after: Memory = field(default_factory=dict)

    def ask(self, rule: Rule) -> Found:
        """What ``rule`` finds now; ``after`` has its parts."""
        composite = rule.composite
        assert composite is not None  # noqa: S101 - only composites are asked here
        entities = [FARM] if composite.per == "farm" else list(map(str, self.facts.miners.index))
        known = self.before.get(rule.name, [])
        parts: list[dict[str, Held]] = []
        for number, (_, part) in enumerate(composite.parts):
            earlier = known[number] if number < len(known) and len(known) == len(composite.parts) else {}
            parts.append(self._held(part, entities, earlier, per=composite.per))
        self.after[rule.name] = parts
        findings, unknown = [], set()
        for entity in entities:
            truth = self._whole(composite, parts, entity)
            if truth is Truth.UNKNOWN:
                unknown.add(entity)
            elif truth is Truth.YES:
                findings.append(self._finding(composite, parts, entity))
        return Found(tuple(findings), frozenset(unknown))

    def _held(self, part: Part, entities: Sequence[str], earlier: Mapping[str, Held], *, per: str) -> dict[str, Held]:
        told = self._rule(part, per) if isinstance(part, RulePart) else self._condition(part, per)
        now = self.facts.now
        held = {}
        for entity in entities if told.all_unknown else {*told.true, *told.unknown, *earlier}.intersection(entities):
            before, truth = earlier.get(entity), told.of(entity)
            last = now if truth is Truth.YES else before.last if before is not None else None
            if last is not None and not 0 <= now - last <= part.within_s and truth is not Truth.YES:
                last = None
            if last is not None or truth is not Truth.NO:
                message = told.true.get(entity) or (before.message if before is not None and last is not None else "")
                held[entity] = Held(last, truth, message)
        return held

    def _whole(self, composite: Composite, parts: Sequence[Mapping[str, Held]], entity: str) -> Truth:
        by_group: dict[str, list[Truth]] = {"all_of": [], "any_of": [], "none_of": []}
        for (group, _), held in zip(composite.parts, parts, strict=True):
            one = held.get(entity, _NOT)
            by_group[group].append(Truth.YES if one.last is not None else one.now)
        whole = [all_of(by_group["all_of"]), none_of(by_group["none_of"])]
        if by_group["any_of"]:
            whole.append(any_of(by_group["any_of"]))
        return all_of(whole)

    def _finding(self, composite: Composite, parts: Sequence[Mapping[str, Held]], entity: str) -> Finding:
        said = [
            _part_in_words(part, held[entity], self.facts.now)
            for (group, part), held in zip(composite.parts, parts, strict=True)
            if group != "none_of" and entity in held and held[entity].last is not None
        ]
        silent = [part.in_words for group, part in composite.parts if group == "none_of"]
        message = "; ".join(said) + (f"; none of: {', '.join(silent)}" if silent else "")
        if composite.per == "farm":
            return Finding(subject=FARM, entity=FARM, message=message)
        row = self.facts.miners.loc[entity]
        return Finding(subject=entity, entity=entity, site=row["site"], rack=row["rack"], message=message)

    def _rule(self, part: RulePart, per: str) -> _Told:
        found, rule = self.found.get(part.rule), self.rules[part.rule]
        if found is None:
            return _Told({}, all_unknown=True)
        if per == "farm":
            if found.findings:
                first = found.findings[0].message
                return _Told({FARM: first if len(found.findings) == 1 else f"{len(found.findings)}: {first}, …"})
            return _Told({}, frozenset({FARM} if found.unknown else ()))
        true: dict[str, str] = {}
        for finding in found.findings:
            for miner in self._miners_of(finding, rule):
                true.setdefault(miner, finding.message)
        unknown: frozenset[str] = frozenset()
        if rule.about is About.MINER:
            unknown = found.unknown
        elif rule.about is About.POOL:  # which worker a miner is, is not known
            unknown = frozenset(map(str, self.facts.miners.index.difference(self.facts.matches["miner_id"])))
        return _Told(true, unknown)

    def _miners_of(self, finding: Finding, rule: Rule) -> Iterable[str]:
        """The miners that a finding is about: by itself, by site and rack, by the pool and worker they were matched
        with; what is about prices or the pipeline is about all of them."""
        facts = self.facts
        if rule.about is About.MINER:
            return [finding.entity]
        if rule.about is About.SITE:
            there = facts.miners["site"] == finding.site
            if finding.rack:
                there &= facts.miners["rack"] == finding.rack
            return map(str, facts.miners.index[there])
        if rule.about is About.POOL:
            matches = facts.matches
            if finding.within:
                there = (matches["pool_id"] == finding.within) & (matches["worker_id"] == finding.entity)
            else:
                there = matches["pool_id"] == finding.entity
            return map(str, matches.loc[there, "miner_id"])
        return map(str, facts.miners.index)

    def _condition(self, part: ConditionPart, per: str) -> _Told:
        if part.measurement == "market_data":
            told = self._price(part)
            if per == "farm" or not told.true:
                return told if per == "farm" else _Told({}, all_unknown=told.all_unknown)
            return _Told(dict.fromkeys(map(str, self.facts.miners.index), told.true[FARM]))
        rows = self._rows(part.measurement)
        values = rows[part.field]
        if part.of is not None:
            values = values.astype("float64") / rows[part.of].astype("float64").where(lambda column: column > 0)
        known = values[values.notna()]
        hits = known[_hits(part, known)]
        true = {str(miner): _value_in_words(part, value) for miner, value in hits.items()}
        unknown = frozenset(map(str, self.facts.miners.index.difference(known.index)))
        if per == "farm":
            return _Told({FARM: f"{len(true)} miners"}) if true else _Told({}, frozenset({FARM} if unknown else ()))
        return _Told(true, unknown)

    def _rows(self, measurement: str) -> pd.DataFrame:
        """One row a miner, by its id; of telemetry only of miners that answer."""
        if measurement == "miner_telemetry":
            return self.facts.miners[self.facts.miners["answers"]]
        table = self.facts.matches if measurement == "worker_match" else self.facts.anomalies
        return table.set_index("miner_id")

    def _price(self, part: ConditionPart) -> _Told:
        rows = self.facts.prices
        rows = rows[(rows["coin_id"] == part.coin) & rows[part.field].notna() & (rows["age_s"] <= _PRICE_STALE_S)]
        if rows.empty:
            return _Told({}, all_unknown=True)
        newest = rows.sort_values("age_s")[part.field].iloc[:1]
        return _Told({FARM: _value_in_words(part, newest.iloc[0])}) if _hits(part, newest).iloc[0] else _Told({})


_NOT = Held()


def _hits(part: ConditionPart, values: pd.Series) -> pd.Series:
    if part.is_one_of:
        return values.isin(part.is_one_of)
    numbers = values.astype("float64")
    return numbers < part.below if part.below is not None else numbers > part.above


def _value_in_words(part: ConditionPart, value: Any) -> str:
    if isinstance(value, str):
        return f"{part.field} is {value}"
    number = "-" if missing(float(value)) else f"{float(value):.4g}"
    over = f" / {part.of}" if part.of else ""
    return f"{part.field}{over} is {number}{f' {part.unit}' if part.unit else ''}"


def _part_in_words(part: Part, held: Held, now: float) -> str:
    ago = "" if held.now is Truth.YES or held.last is None else f" ({age(now - held.last)} ago)"
    return f"{held.message if isinstance(part, ConditionPart) else f'{part.rule}: {held.message}'}{ago}"


def explained(composite: Composite, parts: Sequence[Mapping[str, Held]], entity: str, now: float) -> list[str]:
    """Which parts of ``composite`` hold for ``entity``, and when, a line each."""
    lines = []
    for (group, part), held in zip(composite.parts, parts, strict=False):
        one = held.get(entity, _NOT)
        window = f" within {age(part.within_s)}" if part.within_s else ""
        if one.now is Truth.YES:
            truth = f"holds now: {one.message}"
        elif one.last is not None:
            truth = f"held {age(now - one.last)} ago: {one.message}"
        elif one.now is Truth.UNKNOWN:
            truth = "is not known"
        else:
            truth = "does not hold"
        lines.append(f"{group.replace('_', ' ')}: {part.in_words}{window}: {truth}")
    return lines
