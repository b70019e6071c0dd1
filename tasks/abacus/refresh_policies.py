"""Refresh policies at the service, as the configuration declares them: what the service does by itself, by schedule.

A policy is known by its name there, ``lodeline_<environment>_<name>``. Its schedule, and whether it is paused, are
changed in place. What it refreshes cannot be changed there, so it is deleted first and then made anew: whatever ends in
between, there is never one too many. Doubles of our own names, and policies of ours that are no longer declared, go.
Policies of other names are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, NamedTuple

from storage.errors import ConfigurationError
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import Definition, definitions_of
from tasks.abacus.registration import OWNER, Difference, Registry, connected
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import FILE_NAME, AbacusSettings, RefreshPolicySettings


class Subject(NamedTuple):
    """What is refreshed, in the words of ``create_refresh_policy``."""

    refresh_type: str
    ids: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PolicyState:
    """One policy. ``next_run`` and ``last_run`` (status and time) as the service tells them; None: it tells none."""

    name: str
    cron: str
    is_declared: bool
    next_run: str | None
    is_paused: bool
    last_run: str | None
    differences: list[Difference]


def checked_policies(settings: AbacusSettings) -> dict[str, Definition]:
    """Feature groups that policies are about, by name of the policy.

    Raises:
        ConfigurationError: a group that there is not; all such faults at once.
    """
    known = {definition.name: definition for definition in definitions_of(settings.feature_groups)}
    wanted = {one.name: one.feature_group for one in settings.refresh_policies if one.feature_group is not None}
    faults = [
        f"{FILE_NAME}: refresh_policies {name}: there is no feature group {group!r}; there are {', '.join(known)}"
        for name, group in wanted.items()
        if group not in known
    ]
    if faults:
        raise ConfigurationError(faults)
    return {name: known[group] for name, group in wanted.items()}


class Policies:
    """The policies of one environment at the service."""

    def __init__(self, abacus: Abacus, registry: Registry, settings: AbacusSettings) -> None:
        self._abacus = abacus
        self._registry = registry
        self._settings = settings
        self._groups = checked_policies(settings)
        self._prefix = f"{OWNER}_{settings.general.environment}_"

    def states(self) -> list[PolicyState]:
        """How every policy stands: those that are declared, then ours that no longer are.

        Raises:
            Refusal, NeedsHuman, TryAgain: the service does not say.
        """
        there: dict[str, list[Any]] = {}
        for policy in self._call("listing refresh policies", lambda sdk: sdk.list_refresh_policies()) or []:
            if (policy.name or "").startswith(self._prefix):
                there.setdefault(policy.name, []).append(policy)
        states = [self._state(one, there.pop(self._prefix + one.name, [])) for one in self._settings.refresh_policies]
        return states + [self._undeclared(name, policies) for name, policies in there.items()]

    def mend(self) -> list[PolicyState]:
        """Make and change what differs; returns the states of before.

        Raises:
            Refusal, NeedsHuman, TryAgain: called again it goes on.
        """
        states = self.states()
        for state in states:
            for difference in state.differences:
                if difference.mend is not None:
                    difference.mend()
        return states

    def _state(self, one: RefreshPolicySettings, there: Sequence[Any]) -> PolicyState:
        cron = self._cron(one)
        subject = self._subject(one)
        differences: list[Difference] = []
        policy = there[0] if there else None
        for double in there[1:]:
            differences.append(
                Difference(one.name, "policy", "once", f"{len(there)} times", self._deleting(double.refresh_policy_id))
            )
        if subject is None:
            differences.append(
                Difference(one.name, "subject", str(one.feature_group), "the feature group is not registered", None)
            )
        elif policy is None:
            differences.append(Difference(one.name, "policy", cron, "missing", self._making(one, subject, cron)))
        else:
            key, found = policy.refresh_policy_id, _subject_there(policy)
            if found != subject:

                def replace() -> None:
                    self._deleting(key)()
                    self._making(one, subject, cron)()

                differences.append(Difference(one.name, "subject", _shown(subject), _shown(found), replace))
            elif _plain(policy.cron) != cron:
                update = methodcaller("update_refresh_policy", key, name=policy.name, cron=cron)
                differences.append(
                    Difference(
                        one.name, "cron", cron, _plain(policy.cron),
                        lambda: self._call(f"changing policy {one.name}", update),
                    )
                )  # fmt: skip
            if found == subject and bool(policy.paused) != one.paused:
                how = "pause_refresh_policy" if one.paused else "resume_refresh_policy"
                words = {True: "paused", False: "running"}
                differences.append(
                    Difference(
                        one.name, "state", words[one.paused], words[bool(policy.paused)],
                        lambda: self._call(f"{how} {one.name}", methodcaller(how, key)),
                    )
                )  # fmt: skip
        return PolicyState(
            name=one.name,
            cron=cron,
            is_declared=True,
            next_run=None if policy is None else policy.next_run_time,
            is_paused=policy is not None and bool(policy.paused),
            last_run=None if policy is None else self._last_run(policy.refresh_policy_id),
            differences=differences,
        )

    def _undeclared(self, full_name: str, there: Sequence[Any]) -> PolicyState:
        name = full_name.removeprefix(self._prefix)
        return PolicyState(
            name=name,
            cron=_plain(there[0].cron),
            is_declared=False,
            next_run=there[0].next_run_time,
            is_paused=bool(there[0].paused),
            last_run=None,
            differences=[
                Difference(name, "policy", "not declared", _plain(one.cron), self._deleting(one.refresh_policy_id))
                for one in there
            ],
        )

    def _cron(self, one: RefreshPolicySettings) -> str:
        return _plain(one.cron or self._settings.batch_processing.schedule)

    def _subject(self, one: RefreshPolicySettings) -> Subject | None:
        """None: its feature group is not registered."""
        if one.batch_prediction_ids:
            return Subject(one.refresh_type or "BATCHPRED", {"batch_prediction_ids": sorted(one.batch_prediction_ids)})
        if one.model_ids:
            return Subject(one.refresh_type or "", {"model_ids": sorted(one.model_ids)})
        registered, _ = self._registry.find(self._groups[one.name])
        if registered is None:
            return None
        return Subject(one.refresh_type or "FEATUREGROUP", {"feature_group_id": registered.group_id})

    def _making(self, one: RefreshPolicySettings, subject: Subject, cron: str) -> Callable[[], None]:
        name = self._prefix + one.name

        def unless_there(sdk: Any) -> Any:
            """Looked for before every try: the answer that it was made may have been lost."""
            for policy in sdk.list_refresh_policies() or []:
                if policy.name == name and _subject_there(policy) == subject:
                    return policy
            return sdk.create_refresh_policy(name, cron, subject.refresh_type, **subject.ids)

        def make() -> None:
            made = self._call(f"making policy {one.name}", unless_there)
            if one.paused and not made.paused:
                self._call(f"pausing policy {one.name}", methodcaller("pause_refresh_policy", made.refresh_policy_id))

        return make

    def _deleting(self, key: str) -> Callable[[], None]:
        def delete() -> None:
            try:
                self._call(f"deleting policy {key}", methodcaller("delete_refresh_policy", key))
            except Refusal as refusal:
                if not refusal.is_missing:  # the answer that it is gone was lost
                    raise

        return delete

    def _last_run(self, key: str) -> str | None:
        runs = self._call(f"runs of policy {key}", lambda sdk: sdk.list_refresh_pipeline_runs(key)) or []
        newest = max(runs, key=lambda run: run.created_at or "", default=None)
        return None if newest is None else f"{newest.status} {newest.created_at or ''}".strip()

    def _call(self, what: str, function: Callable[[Any], Any]) -> Any:
        return self._abacus.call(what, function)


def policy_states(settings: AbacusSettings, endpoints: Endpoints, *, mend: bool = False) -> list[PolicyState]:
    """How every policy stands; with ``mend`` it is made as declared, and the states are those of before.

    Raises:
        ConfigurationError: a group that there is not. Refusal, NeedsHuman, TryAgain: the service does not say.
    """
    with connected(settings, endpoints) as (abacus, registry):
        policies = Policies(abacus, registry, settings)
        return policies.mend() if mend else policies.states()


def _subject_there(policy: Any) -> Subject:
    ids: dict[str, Any] = {}
    if policy.feature_group_id:
        ids["feature_group_id"] = policy.feature_group_id
    for name in ("dataset_ids", "model_ids", "deployment_ids", "batch_prediction_ids", "model_monitor_ids"):
        told = getattr(policy, name)
        if told:
            ids[name] = sorted(told.split(",") if isinstance(told, str) else map(str, told))
    return Subject(policy.refresh_type or "", ids)


def _shown(subject: Subject) -> str:
    return f"{subject.refresh_type} {', '.join(f'{name} {value}' for name, value in subject.ids.items())}"


def _plain(cron: str | None) -> str:
    return " ".join((cron or "").split())
