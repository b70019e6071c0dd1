"""Models at the service, trained again when it is due; each time with its reason in the audit trail.

What is about to be started is noted first. Where the answer is lost, or the process is killed, the versions over there
tell the next run whether it came to be; then it is entered in the trail, and not started a second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from storage.audit.entry import AuditKind
from storage.audit.trail import Trail
from storage.errors import ConfigurationError, LodelineError, NeedsHuman, TryAgain
from storage.opening import open_store
from storage.settings import StorageSettings
from storage.store import Store
from tasks.abacus.alone import alone
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import Definition, definitions_of
from tasks.abacus.exporting import journal_folder
from tasks.abacus.journal import JournalFile, RetrainingJournal
from tasks.abacus.monitoring import drift_here, drift_there, drifted_days, watched_groups
from tasks.abacus.registration import connected
from tasks.abacus.retraining_rules import Decision, DriftedDay, Training, decide
from tasks.abacus.sdk import SOURCE, Endpoints
from tasks.abacus.settings import FILE_NAME, AbacusSettings, RetrainingSettings

RETRAINING = "retraining"
KEPT_STARTS = 100
BY_SERVICE, BY_BOTH = " by Abacus.AI's monitor", " here and by Abacus.AI's monitor"


@dataclass(slots=True)
class RetrainingResult:
    """What came of one model: ``started``, or why not; or trouble, which may be gone at the next try."""

    name: str
    started: bool = False
    why: str = ""
    trouble: str = ""
    passes: bool = False


def retrain_models(
    settings: AbacusSettings,
    endpoints: Endpoints,
    storage: StorageSettings,
    *,
    trail: Trail,
    actor: str,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> list[RetrainingResult]:
    """Start the trainings that are due; trouble with one does not hold up the others.

    Raises:
        ConfigurationError: drift of what no group has. TryAgain: another process is at it.
    """
    groups = groups_of(settings)
    folder = journal_folder(settings, storage)
    with (
        alone(folder, ".retraining.lock", "retrains models at Abacus.AI"),
        connected(settings, endpoints, stop) as (abacus, _),
    ):
        store = open_store(storage)
        try:
            results = []
            for one in settings.retraining:
                result = RetrainingResult(one.name)
                try:
                    file, now = JournalFile(folder / RETRAINING, one.name), int(clock())
                    drifted = drifted_of(store, groups.get(one.name), one.drift_by, now)
                    decision = Retraining(abacus, one, file, trail, actor).run(drifted, now)
                    result.started, result.why = decision
                except LodelineError as error:
                    result.trouble, result.passes = str(error), isinstance(error, TryAgain)
                results.append(result)
            return results
        finally:
            store.close()


def groups_of(settings: AbacusSettings) -> dict[str, Definition]:
    """Groups whose drift counts, by name of the retraining.

    Raises:
        ConfigurationError: a group that there is not; all such faults at once.
    """
    known = {definition.name: definition for definition in definitions_of(settings.feature_groups)}
    wanted = {one.name: one.drift_of for one in settings.retraining if one.drift_of is not None}
    faults = [
        f"{FILE_NAME}: retraining {name}: drift_of: there is no feature group {group!r}; there are {', '.join(known)}"
        for name, group in wanted.items()
        if group not in known
    ]
    watched = watched_groups(settings)
    faults += [
        f"{FILE_NAME}: retraining {one.name}: drift_by is {one.drift_by}, and {one.drift_of} is not in drift_monitors"
        for one in settings.retraining
        if one.drift_by != "here" and one.drift_of is not None and one.drift_of not in watched
    ]
    if faults:
        raise ConfigurationError(faults)
    return {name: known[group] for name, group in wanted.items()}


def drifted_of(store: Store, group: Definition | None, drift_by: str, now: int) -> list[DriftedDay]:
    """The newest day of each whose word counts by ``drift_by``, as measurements ``feature_drift`` (here) and
    ``monitor_drift`` (the service) have it; ``both``: the newest that both have, with the features that both name.

    Raises:
        TryAgain: the store does not answer.
    """
    if group is None:
        return []
    here = drifted_days(drift_here(store, group, now)) if drift_by != "service" else {}
    there = drifted_days(drift_there(store, group.name, now)) if drift_by != "here" else {}
    if drift_by == "both":
        day = max(here.keys() & there.keys(), default=None)
        if day is None:
            return []
        return [DriftedDay(day, tuple(one for one in here[day] if one in there[day]), BY_BOTH)]
    return [DriftedDay(max(days), days[max(days)], by) for days, by in ((here, ""), (there, BY_SERVICE)) if days]


class Retraining:
    """One model's retraining. ``actor``: who does it, for the trail."""

    def __init__(
        self, abacus: Abacus, settings: RetrainingSettings, file: JournalFile, trail: Trail, actor: str
    ) -> None:
        self._abacus = abacus
        self._settings = settings
        self._file = file
        self._trail = trail
        self._actor = actor

    def run(self, drifted: Sequence[DriftedDay], now: int) -> Decision:
        """Start a training if one is due.

        Raises:
            TryAgain: the service is away; whether a training began is found out by the next run. NeedsHuman, Refusal:
                it refuses.
        """
        journal = self._file.load_retraining()
        trainings = self._trainings()
        newest = trainings[0].version if trainings else None
        if journal.reason:
            if newest != journal.before:
                return self._begun(journal, newest, now)
            journal.reason = ""
        decision = decide(self._settings, trainings, journal.starts, drifted, now)
        if not decision.due:
            self._file.save(journal)
            return decision
        journal.reason, journal.before = decision.why, newest
        self._file.save(journal)
        deployments = list(self._settings.deployment_ids) or None
        self._call(
            "starting a training",
            lambda sdk: sdk.retrain_model(self._settings.model_id, deployment_ids=deployments),
            once=True,
        )
        trainings = self._trainings()
        return self._begun(journal, trainings[0].version if trainings else None, now)

    def _begun(self, journal: RetrainingJournal, version: str | None, now: int) -> Decision:
        """Enter a training that began in the trail, once, and note that."""
        known = version if version != journal.before else None
        if known is None or not self._is_entered(known):
            self._trail.record(
                AuditKind.RETRAINED,
                self._settings.name,
                actor=self._actor,
                detail={"reason": journal.reason, "model_id": self._settings.model_id, "version": known},
            )
        decision = Decision(True, journal.reason)
        journal.starts, journal.reason, journal.before = [*journal.starts, now][-KEPT_STARTS:], "", None
        self._file.save(journal)
        return decision

    def _is_entered(self, version: str) -> bool:
        return any(
            entry.kind == AuditKind.RETRAINED and (entry.detail or {}).get("version") == version
            for entry in self._trail.entries()
        )

    def _trainings(self) -> list[Training]:
        found = self._call("listing versions", lambda sdk: sdk.list_model_versions(self._settings.model_id))
        return [
            Training(str(one.model_version), str(one.status), _seconds(one.training_started_at)) for one in found or []
        ]

    def _call(self, what: str, function: Callable[[Any], Any], *, once: bool = False) -> Any:
        try:
            return self._abacus.call(f"model {self._settings.name}: {what}", function, once=once)
        except Refusal as refusal:
            if refusal.is_missing:
                raise NeedsHuman(str(refusal), remedy=f"Is model {self._settings.model_id} there?") from refusal
            raise


def _seconds(told: str | None) -> int | None:
    """Unix seconds of a time that the service told; UTC where it has no zone.

    Raises:
        NeedsHuman: it is no time; the limits could not be kept.
    """
    if told is None:
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError as error:
        raise NeedsHuman(f"{SOURCE}: {told!r} is no time of a training", remedy="Retrain by hand there") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def retraining_in_words(results: Sequence[RetrainingResult]) -> str:
    """A run in one line."""
    started = [result.name for result in results if result.started]
    return f"{len(started)} trainings started" + (f": {', '.join(started)}" if started else "")
