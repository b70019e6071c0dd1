"""Section ``responses`` of data_collection_config.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from storage.configuration import Name, Section, TimeZoneName, Unique, Within
from storage.configuration.section import nearest
from tasks.alerts.rule import About, Rule
from tasks.alerts.settings import Label
from tasks.responses.response import OF_MINERS, Act, Mode

SOURCE_RULES = frozenset({"pool_away", "market_source_away"})
"""Rules whose alerts are about a source."""
LOAD_RULES = frozenset({"collector_overloaded"})
"""Rules whose alerts are about the load of a host."""


class ResponseActionSettings(Section):
    """One response: to which rule, what, and within which limits."""

    name: Label
    """Your name for it."""
    rule: Name
    """Rule of alerts that it answers; docs/alerts.md has all of them."""
    action: Act
    """What is done. change_preset takes the next lower preset that the miner offers; redetect finds out the driver of a
    miner of driver auto anew; pause_source and shed_low_priority are overrides of this host for ``hours``."""
    sites: tuple[str, ...] = ()
    """Sites at which it is done; all where none is given."""
    fires_for_minutes: float = Field(default=0.0, ge=0, le=1_440)
    """How long the alert must have fired, so that somebody may be quicker."""
    per_miner_per_day: int = Field(default=1, ge=1, le=24)
    """At most so many to one miner, source or host within 24 hours."""
    cooldown_minutes: float = Field(default=60.0, ge=5, le=1_440)
    """After any response to the same miner, source or host nothing is done to it for so long."""
    judge_after_minutes: float = Field(default=15.0, ge=2, le=240)
    """When it is looked at whether it helped: whether the alert is over."""
    from_hour: int = Field(default=0, ge=0, le=23)
    """First hour of the day at which it is done."""
    to_hour: int = Field(default=24, ge=1, le=24)
    """Hour of the day from which it is not done any more; one before ``from_hour`` is of the next day."""
    timezone: TimeZoneName = "UTC"
    """Zone of these hours."""
    hours: float = Field(default=4.0, ge=0.25, le=48)
    """How long a source is paused, or work shed."""

    @model_validator(mode="after")
    def _some_hours(self) -> ResponseActionSettings:
        if self.from_hour == self.to_hour:
            raise ValueError("from_hour and to_hour leave no hour; leave both out for the whole day")
        return self


class ResponseSettings(Section):
    """What Lodeline does by itself about alerts. Off unless you turn it on; try ``dry_run`` first."""

    mode: Mode = Mode.OFF
    """off: nothing. dry_run: what would be done is noted with its evidence, and nothing is done. on: it is done."""
    fleet_share: float = Field(default=0.1, gt=0, le=0.5)
    """Within 24 hours at most this part of a site's miners is touched, by whichever response, but one at least."""
    at_once_per_site: int = Field(default=1, ge=1, le=100)
    """At most so many responses at one site of which it is not known yet what came of them."""
    actions: Annotated[tuple[ResponseActionSettings, ...], Unique(("name",))] = ()
    """What is done; the first that fits an alert."""

    @field_validator("mode", mode="before")
    @classmethod
    def _yaml_takes_on_and_off_for_truth(cls, value: Any) -> Any:
        return {True: Mode.ON, False: Mode.OFF}[value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _something_to_do(self) -> ResponseSettings:
        if self.mode is not Mode.OFF and not self.actions:
            raise ValueError(f"mode is {self.mode} and there are no actions")
        return self

    def faults_under(self, rules: Mapping[str, Rule]) -> Iterator[Within]:
        """Actions that answer no rule of those in force, or one of a kind that they do not fit, and why."""
        for at, action in enumerate(self.actions):
            if told := _misfit(action, rules):
                yield ("actions", at, "rule"), f"{action.name}: {told}"


def _misfit(action: ResponseActionSettings, rules: Mapping[str, Rule]) -> str | None:
    rule = rules.get(action.rule)
    if rule is None:
        meant = nearest(action.rule, rules)
        return f"rule {action.rule!r} is not in force" + (f"; did you mean {meant}?" if meant else "")
    if action.action in OF_MINERS and rule.about is not About.MINER:
        return f"{action.action} is done to a miner, and rule {rule.name} is about {rule.about}"
    fitting = {Act.PAUSE_SOURCE: SOURCE_RULES, Act.SHED_LOW_PRIORITY: LOAD_RULES}.get(action.action)
    if fitting is not None and rule.name not in fitting:
        return f"{action.action} answers {' or '.join(sorted(fitting))}, not {rule.name}"
    return None
