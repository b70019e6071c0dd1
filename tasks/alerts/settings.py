"""Section ``alerts`` of data_collection_config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from storage.configuration import CronExpression, Name, Section, TimeZoneName, Unique, WebAddress, Within, refuse
from storage.configuration.section import nearest
from storage.declaration import MEASUREMENTS, Measurement
from storage.declaration.field import Type
from tasks.alerts.composite import Composite, ConditionPart, Group, Part, RulePart, in_order
from tasks.alerts.rule import About, Found, Level, Rule
from tasks.alerts.rules import RULES
from tasks.alerts.rules.crowd import crowd_name, crowds_of

Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
"""A name of the configuration: lower case letters, digits, ``_`` and ``-``."""


class RuleSettings(Section):
    """What is other than declared for one rule."""

    enabled: bool = True
    """Ask this rule."""
    level: Level | None = None
    """How bad it is."""
    limit: float | None = None
    """Number that is compared with, in the rule's unit."""
    for_seconds: int | None = Field(default=None, ge=0, le=86_400)
    """How long it has to last before it fires."""
    keep_seconds: int | None = Field(default=None, ge=0, le=86_400)
    """How long it has to be over before it is resolved."""


class PartSettings(Section):
    """One part of a composite rule: another ``rule``, or a condition over a ``field`` of a measurement."""

    rule: Name | None = None
    """Rule that finds something, whether or not it has lasted long enough to fire."""
    measurement: Literal["miner_telemetry", "worker_match", "anomaly_score", "market_data"] = "miner_telemetry"
    """Measurement of the field: its newest row, of telemetry only of miners that answer."""
    field: Name | None = None
    """Field that is looked at; docs/data-dictionary.md has all of them."""
    unit: str | None = None
    """Unit of the bound, that of the field; ratio where ``of`` is given. Needed where the field has a unit."""
    below: float | None = None
    """Holds where the field is lower."""
    above: float | None = None
    """Holds where the field is higher."""
    is_one_of: tuple[str, ...] = ()
    """Holds where the field, a text, is one of these."""
    of: Name | None = None
    """Field that the field is divided by before it is compared, e.g. hashrate_hs of hashrate_nominal_hs."""
    coin: Name | None = None
    """Coin of market_data, e.g. bitcoin."""
    within_minutes: float = Field(default=0.0, ge=0, le=1_440)
    """Holds also where it did at a look within the last so many minutes."""

    @model_validator(mode="after")
    def _rule_or_condition(self) -> PartSettings:
        if (self.rule is None) == (self.field is None):
            raise ValueError("expected either rule or field")
        if self.rule is not None:
            said = self.model_fields_set - {"rule", "within_minutes"}
            if said:
                raise ValueError(f"{', '.join(sorted(said))} belongs to a field, and this part is rule {self.rule}")
            return self
        bounds = [self.below is not None, self.above is not None, bool(self.is_one_of)]
        if sum(bounds) != 1:
            raise ValueError(f"field {self.field} needs one of below, above or is_one_of")
        self._check_fields(MEASUREMENTS[self.measurement])
        if (self.coin is not None) != (self.measurement == "market_data"):
            raise ValueError("market_data needs coin, and only that")
        return self

    def _check_fields(self, measurement: Measurement) -> None:
        for name in filter(None, (self.field, self.of)):
            if name not in measurement.field_by_name:
                meant = nearest(name, measurement.field_by_name)
                hint = f"; did you mean {meant}?" if meant else ""
                raise ValueError(f"{measurement.name} has no field {name!r}{hint}")
        declared = measurement.field_by_name[str(self.field)]
        is_text = declared.type is Type.STRING
        if is_text != bool(self.is_one_of):
            raise ValueError(
                f"{declared.name} is {'a text: give is_one_of' if is_text else 'a number: give below or above'}"
            )
        if declared.type is Type.BOOLEAN or (self.of and measurement.field_by_name[self.of].type is Type.STRING):
            raise ValueError(f"{declared.name} cannot be compared so")
        unknown = [value for value in self.is_one_of if declared.values and value not in declared.values]
        if unknown:
            raise ValueError(f"{declared.name} is never {unknown[0]!r}; it is one of {', '.join(declared.values)}")
        unit = "ratio" if self.of is not None else declared.unit
        if unit and self.unit is None:
            raise ValueError(f"{declared.name} needs its unit: {unit}")
        if (self.unit or "") != unit:
            raise ValueError(f"{declared.name} is in {unit or 'no unit'}, not in {self.unit}")

    def part(self) -> Part:
        """The part as it is asked."""
        within_s = 60 * self.within_minutes
        if self.rule is not None:
            return RulePart(self.rule, within_s)
        return ConditionPart(
            measurement=self.measurement,
            field=str(self.field),
            unit=self.unit or "",
            below=self.below,
            above=self.above,
            is_one_of=self.is_one_of,
            of=self.of,
            coin=self.coin,
            within_s=within_s,
        )


class CompositeSettings(Section):
    """A rule of your own, made of others and of conditions: all of ``all_of``, at least one of ``any_of``, none of
    ``none_of``. What cannot be known leaves its alert as it is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    """Name of the rule."""
    per: Literal["miner", "farm"] = "miner"
    """Judged for each miner, or once for the farm: there a part holds where it does for any miner. A pool's worker
    counts for the miner that it was matched with; prices and the pipeline count for all."""
    level: Level = Level.WARNING
    """How bad it is."""
    meaning: Name
    """What is wrong, for those who read the alert."""
    remedy: Name = "See its parts: lodeline alerts explain ID."
    """What to do first."""
    for_seconds: int = Field(default=120, ge=0, le=86_400)
    """How long it has to last before it fires."""
    keep_seconds: int = Field(default=300, ge=0, le=86_400)
    """How long it has to be over before it is resolved."""
    muted_by: tuple[Name, ...] = ()
    """Rules whose alert for the same miner says it all, so that this one is not told."""
    all_of: tuple[PartSettings, ...] = ()
    """Parts that must all hold."""
    any_of: tuple[PartSettings, ...] = ()
    """Parts of which at least one must hold."""
    none_of: tuple[PartSettings, ...] = ()
    """Parts of which none may hold."""

    @model_validator(mode="after")
    def _holds_something(self) -> CompositeSettings:
        if not self.all_of and not self.any_of:
            raise ValueError(f"composite {self.name} needs all_of or any_of: without them it would hold always")
        return self

    def names_of_rules(self) -> Iterator[Within]:
        """Where it names other rules, and which."""
        for group in ("all_of", "any_of", "none_of"):
            for at, part in enumerate(getattr(self, group)):
                if part.rule is not None:
                    yield (group, at, "rule"), part.rule
        yield from ((("muted_by", at), name) for at, name in enumerate(self.muted_by))

    def declared(self) -> Rule:
        """The rule."""
        groups: tuple[tuple[Group, tuple[PartSettings, ...]], ...] = (
            ("all_of", self.all_of),
            ("any_of", self.any_of),
            ("none_of", self.none_of),
        )
        parts = tuple((group, one.part()) for group, members in groups for one in members)
        return Rule(
            self.name,
            self.level,
            About.MINER if self.per == "miner" else About.PIPELINE,
            self.meaning,
            self.remedy,
            _asked_otherwise,
            for_s=self.for_seconds,
            keep_s=self.keep_seconds,
            muted_by=frozenset(self.muted_by),
            composite=Composite(self.per, parts),
        )


def _asked_otherwise(_facts: object, _limit: float | None) -> Found:
    raise TypeError("a composite rule is asked by its parts")


class ChannelSettings(Section):
    """Where alerts are told."""

    name: Label
    """Your name for it."""
    url: SecretStr
    """Address as apprise writes it, e.g. ``mailto://…``, ``slack://…``, ``pagerduty://…``, ``json://host/path``."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (Level.CRITICAL, Level.WARNING)
    """Which levels it is told."""
    sites: tuple[str, ...] = ()
    """Sites it is told of; all where none is given. What belongs to no site is told everywhere."""
    step: int = Field(default=0, ge=0, le=5)
    """0: told at once. 1 and above: told only of critical alerts that nobody acknowledged, after as many of
    ``escalation_minutes``."""
    resolved: bool = True
    """Also told when it is over."""
    messages_per_hour: int = Field(default=30, ge=1, le=1_000)
    """At most so many; what is more comes together in the next one."""


class MaintenanceSettings(Section):
    """A window in which what fits is watched and not told."""

    name: Label
    """Your name for it."""
    start: CronExpression | None = None
    """When it begins again and again; or give ``on``."""
    on: datetime | None = None
    """When it begins, once, with its offset, e.g. 2026-12-01T22:00:00+01:00."""
    minutes: int = Field(ge=1, le=7 * 1_440)
    """How long it lasts."""
    timezone: TimeZoneName = "UTC"
    """Zone of ``start``."""
    rule: Name = "*"
    """Rules that it is for, with ``*`` for any text."""
    entity: Name = "*"
    """Miners, pools or lanes that it is for, with ``*`` for any text."""
    site: Name = "*"
    """Sites that it is for, with ``*`` for any text."""

    @model_validator(mode="after")
    def _begins_once_or_again(self) -> MaintenanceSettings:
        if (self.start is None) == (self.on is None):
            raise ValueError("expected either start or on")
        if self.on is not None and self.on.utcoffset() is None:
            raise ValueError("on needs its offset from UTC, e.g. 2026-12-01T22:00:00+01:00")
        return self


class AlertSettings(Section):
    """Who is told what goes wrong."""

    enabled: bool = True
    """Watch for alerts. Without channels they are seen by ``lodeline alerts`` and on the page."""
    check_interval_seconds: int = Field(default=60, ge=10, le=600)
    """Seconds between two looks."""
    channels: Annotated[tuple[ChannelSettings, ...], Unique(("name",))] = ()
    """Where alerts are told; a name may be there once."""
    repeat_hours: float = Field(default=4.0, ge=1, le=168)
    """A firing alert that nobody acknowledged is told again after so long."""
    acknowledgement_hours: float = Field(default=8.0, gt=0, le=168)
    """How long an acknowledgement holds."""
    escalation_minutes: Annotated[tuple[int, ...], Field(min_length=1, max_length=5)] = (15, 60)
    """Minutes after which a critical alert that nobody acknowledged goes to channels of step 1, 2 and so on."""
    maintenance: Annotated[tuple[MaintenanceSettings, ...], Unique(("name",))] = ()
    """Windows of maintenance."""
    rules: dict[str, RuleSettings] = Field(default={})
    """By name of the rule what is other than declared; docs/alerts.md has all of them."""
    composite: Annotated[tuple[CompositeSettings, ...], Unique(("name",))] = ()
    """Rules of your own, made of others and of conditions over measurements; docs/alerts.md has examples."""
    alertmanager_url: WebAddress | None = None
    """A Prometheus Alertmanager that all firing alerts are handed to as well, e.g. http://alertmanager:9093."""
    dead_man_url: SecretStr | None = None
    """Address outside that is asked after every look; its owner tells you when that stops."""

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, rules: dict[str, RuleSettings]) -> dict[str, RuleSettings]:
        faults: list[Within] = []
        for name, settings in rules.items():
            if name not in RULES:
                meant = nearest(name, RULES)
                hint = f"did you mean {meant}?" if meant else "docs/alerts.md has all of them"
                faults.append(((name,), f"there is no rule {name!r}; {hint}"))
            elif settings.limit is not None and RULES[name].limit is None:
                faults.append(((name, "limit"), f"rule {name} compares with no limit; leave it out"))
        refuse(faults)
        return rules

    @field_validator("escalation_minutes")
    @classmethod
    def _later_and_later(cls, minutes: tuple[int, ...]) -> tuple[int, ...]:
        if list(minutes) != sorted(set(minutes)) or minutes[0] < 1:
            raise ValueError("expected minutes that rise, the first at least 1")
        return minutes

    @model_validator(mode="after")
    def _steps_exist(self) -> AlertSettings:
        steps = len(self.escalation_minutes)
        refuse(
            (("channels", at, "step"), f"channel {one.name} is of step {one.step}, escalation_minutes has {steps}")
            for at, one in enumerate(self.channels)
            if one.step > steps
        )
        return self

    @model_validator(mode="after")
    def _composites_are_made_of_rules_in_force(self) -> AlertSettings:
        in_force = self.rules_in_force()
        faults: list[Within] = []
        for at, one in enumerate(self.composite):
            if one.name in RULES:
                faults.append(
                    (("composite", at, "name"), f"composite {one.name}: there is a rule of that name already")
                )
            for path, name in one.names_of_rules():
                if name in in_force:
                    continue
                meant = nearest(name, in_force)
                hint = f"; did you mean {meant}?" if meant else ""
                why = "is switched off" if name in RULES else f"is not there{hint}"
                faults.append((("composite", at, *path), f"composite {one.name}: rule {name} {why}"))
        refuse(faults)
        in_order({name: rule.composite for name, rule in in_force.items() if rule.composite is not None})
        return self

    def rules_in_force(self) -> dict[str, Rule]:
        """Rules that are asked, as this configuration has them, composites last."""
        found: dict[str, Rule] = {}
        for name, rule in RULES.items():
            own = self.rules.get(name, RuleSettings())
            if not own.enabled:
                continue
            changed: dict[str, Any] = {
                "level": own.level,
                "limit": own.limit,
                "for_s": own.for_seconds,
                "keep_s": own.keep_seconds,
            }
            found[name] = replace(rule, **{key: value for key, value in changed.items() if value is not None})
        of_miners = {name: found.get(name, rule) for name, rule in RULES.items() if rule.about is About.MINER}
        others = {name for name, rule in of_miners.items() if rule != RULES[name]}
        for name, rule in of_miners.items():  # a crowd is of what is found with the limits in force
            if (crowd := crowd_name(name)) in found and others & {name, *rule.muted_by}:
                found[crowd] = replace(found[crowd], find=crowds_of(rule, of_miners))
        return found | {one.name: one.declared() for one in self.composite}
