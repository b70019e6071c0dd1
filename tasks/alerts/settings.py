"""Section ``alerts`` of data_collection_config.yaml."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator

from storage.configuration import CronExpression, Name, Section, TimeZoneName, Unique, WebAddress
from storage.configuration.section import nearest
from tasks.alerts.rule import About, Level, Rule
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
    alertmanager_url: WebAddress | None = None
    """A Prometheus Alertmanager that all firing alerts are handed to as well, e.g. http://alertmanager:9093."""
    dead_man_url: SecretStr | None = None
    """Address outside that is asked after every look; its owner tells you when that stops."""

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, rules: dict[str, RuleSettings]) -> dict[str, RuleSettings]:
        for name, settings in rules.items():
            if name not in RULES:
                meant = nearest(name, RULES)
                raise ValueError(f"there is no rule {name!r}" + (f"; did you mean {meant}?" if meant else ""))
            if settings.limit is not None and RULES[name].limit is None:
                raise ValueError(f"rule {name} compares with no limit")
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
        for channel in self.channels:
            if channel.step > steps:
                raise ValueError(f"channel {channel.name} is of step {channel.step}, escalation_minutes has {steps}")
        return self

    def rules_in_force(self) -> dict[str, Rule]:
        """Rules that are asked, as this configuration has them."""
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
        return found
