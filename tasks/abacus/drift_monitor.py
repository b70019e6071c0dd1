"""The service's own drift monitor of one feature group: made, run once a day, its drift fetched as records.

A monitor over there compares two feature groups, so two are made out of the group (drift_windows.py). Both are moved
to the day and materialised, the monitor is run, and each feature is asked for. Every step is noted before the next; a
run whose answer was lost is looked for before another is started.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any, NoReturn

from storage.declaration.pipeline import MONITOR_DRIFT
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Frame, Value, build_frame
from storage.store import Store
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import Definition, ExportColumn
from tasks.abacus.distribution import drift_of_distribution
from tasks.abacus.drift_windows import CURRENT, REFERENCE, DriftWindows, time_text
from tasks.abacus.journal import JournalFile, MonitorJournal
from tasks.abacus.registration import OWNER
from tasks.abacus.watching import watched
from tasks.derive.changed import write_changed
from tasks.features.drifting import newest_due

_MATERIALISING = frozenset({"PENDING", "GENERATING"})
_MONITORING = frozenset({"PENDING", "MONITORING"})


@dataclass(slots=True)
class MonitorReport:
    """What one run did. ``waits``: what it waits for; empty: the newest day is there. ``features``: fetched now."""

    group: str
    day: int | None = None
    features: int = 0
    drifted: tuple[str, ...] = ()
    waits: str = ""


class DriftMonitor:
    """The monitor of one group.

    Args:
        table: the group's table over there.
        columns: features that are asked for.
        tries: how often in a row a run may fail before that day is left out and a human is told.
    """

    def __init__(
        self,
        abacus: Abacus,
        definition: Definition,
        file: JournalFile,
        store: Store,
        *,
        columns: tuple[ExportColumn, ...],
        table: str,
        project_id: str,
        tries: int,
        clock: Callable[[], float],
    ) -> None:
        self._abacus = abacus
        self._definition = definition
        self._columns = columns
        self._table = table
        self._project_id = project_id
        self._file = file
        self._store = store
        self._tries = tries
        self._clock = clock
        self._windows = DriftWindows(abacus, definition, table)
        self._report = MonitorReport(definition.name)

    @property
    def name(self) -> str:
        """Name of the monitor at the service."""
        return f"{OWNER}_{self._table}_drift"

    def run(self, day: int, exported: int | None) -> MonitorReport:
        """Bring the drift of the UTC day that begins at ``day`` as far as it goes; before the export's watermark
        ``exported`` says that the whole day is over there it is not looked at.

        Raises:
            TryAgain: the service is away, or a run failed that is started again. NeedsHuman: it refuses, or fails again
                and again.
        """
        journal = self._file.load_monitor()
        if journal.going is None:
            if journal.day is not None and journal.day >= day:
                self._report.day = journal.day
                return self._report
            if exported is None or newest_due(exported) < day:
                self._report.waits = f"for the export of {time_text(day)}"
                return self._report
            journal.going = day
            self._file.save(journal)
        self._report.day = journal.going
        if journal.version is None:
            groups = self._windows.moved_to(journal.going)
            if not self._materialised(journal, groups):
                return self._report
            self._start(journal, groups)
        ask = methodcaller("describe_model_monitor_version", journal.version)
        if self._is_over(journal, f"run {journal.version}", ask, _MONITORING):
            self._fetch(journal)
        return self._report

    def _materialised(self, journal: MonitorJournal, groups: dict[str, str]) -> bool:
        """Whether both groups have been taken anew for the day; taken once too often is harmless."""
        for name, key in groups.items():
            if name not in journal.materialised:
                made = self._told(f"taking {name}", methodcaller("create_feature_group_version", key))
                journal.materialised[name] = str(made.feature_group_version)
                self._file.save(journal)
        return all(
            self._is_over(
                journal,
                f"version {version} of {name}",
                methodcaller("describe_feature_group_version", version),
                _MATERIALISING,
            )
            for name, version in list(journal.materialised.items())
        )

    # A run of the monitor

    def _start(self, journal: MonitorJournal, groups: dict[str, str]) -> None:
        monitor = self._monitor(groups)
        newest = None if monitor is None else self._newest(monitor)
        if journal.starting and newest != journal.before:  # it came to be, its answer did not
            self._started(journal, newest)
            return
        journal.starting, journal.before = True, newest
        self._file.save(journal)
        if monitor is None:  # making one runs it
            made = self._told("making the monitor", partial(self._make_monitor, groups), once=True)
        else:
            made = self._told("running the monitor", lambda sdk: sdk.rerun_model_monitor(monitor), once=True)
        newest = self._newest(str(made.model_monitor_id))
        if newest == journal.before:
            raise TryAgain(f"drift of {self._table}: the monitor was run and has no new version yet")
        self._started(journal, newest)

    def _started(self, journal: MonitorJournal, version: str | None) -> None:
        journal.version, journal.starting, journal.before = version, False, None
        self._file.save(journal)

    def _monitor(self, groups: dict[str, str]) -> str | None:
        """Id of the monitor; None: there is none of that name that compares these groups."""
        for one in self._call("listing monitors", lambda sdk: sdk.list_model_monitors(self._project_id)) or []:
            if one.name == self.name:
                compared = {*_ids(one.training_feature_group_id), *_ids(one.prediction_feature_group_id)}
                if compared != set(groups.values()):
                    raise NeedsHuman(
                        f"Abacus.AI has a monitor {self.name} that compares other feature groups",
                        remedy="Delete or rename it there",
                    )
                return str(one.model_monitor_id)
        return None

    def _make_monitor(self, groups: dict[str, str], sdk: Any) -> Any:
        return sdk.create_model_monitor(
            self._project_id,
            groups[self._table + CURRENT],
            groups[self._table + REFERENCE],
            name=self.name,
            exclude_bias_analysis=True,
            exclude_performance_analysis=True,
            exclude_feature_drift_analysis=False,
        )

    def _newest(self, monitor: str) -> str | None:
        found = self._call("listing runs", lambda sdk: sdk.list_model_monitor_versions(monitor, limit=1))
        return str(found[0].model_monitor_version) if found else None

    def _is_over(
        self, journal: MonitorJournal, subject: str, ask: Callable[[Any], Any], going_on: frozenset[str]
    ) -> bool:
        """Whether ``subject`` over there is complete; else it is going on, and the report says so."""
        what = f"drift of {self._table}: asking for {subject}"
        found = watched(self._abacus, what, subject, ask, going_on=going_on, failed=partial(self._failed, journal))
        if found.status in going_on:
            self._report.waits = f"for {subject}: {found.status}"
            return False
        return True

    def _failed(self, journal: MonitorJournal, what: str) -> NoReturn:
        day = journal.going
        journal.version, journal.starting, journal.before, journal.materialised = None, False, None, {}
        journal.failures += 1
        again = journal.failures < self._tries
        if not again:
            journal.failures, journal.going, journal.day = 0, None, day
        self._file.save(journal)
        text = f"drift of {self._table}: {what}"
        if again:
            raise TryAgain(f"{text}; it is run again")
        raise NeedsHuman(
            f"{text}; {self._tries} failed in a row", remedy="Look at the monitor there; the next day is tried anew"
        )

    def _fetch(self, journal: MonitorJournal) -> None:
        frame = self._frame(journal)
        write_changed(self._store, [frame])
        journal.day, journal.going, journal.version, journal.materialised = journal.going, None, None, {}
        journal.failures, journal.finished_at = 0, int(self._clock())
        self._file.save(journal)
        self._report.features = len(frame)
        pairs = zip(frame.columns["feature"], frame.columns["status"], strict=True)
        self._report.drifted = tuple(feature for feature, status in pairs if status == "drifted")

    def _frame(self, journal: MonitorJournal) -> Frame:
        """Rows of ``monitor_drift``, one a feature, of the run that is complete."""
        columns: dict[str, list[Value]] = {}
        for column in self._columns:
            try:
                told = self._call(
                    f"drift of {column.name}",
                    methodcaller("get_drift_for_feature", journal.version, column.name),
                )
            except Refusal as refusal:
                if not refusal.is_missing:
                    raise
                told = None
            if told is None:
                found = drift_of_distribution(None, None, None)._replace(reason="the service knows no such feature")
            else:
                found = drift_of_distribution(told.type, told.training_distribution, told.prediction_distribution)
            row: dict[str, Value] = {
                "feature_group": self._definition.name,
                "feature": column.sent.feature,
                "status": found.drift.state,
                "psi": found.drift.psi,
                "ks": found.drift.ks,
                "reference_rows": found.reference_rows,
                "current_rows": found.current_rows,
                "view": self._definition.view.stored_name,
                "version": journal.version,
                "reason": found.reason,
            }
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        return build_frame(MONITOR_DRIFT.name, [journal.going or 0] * len(self._columns), columns)

    # Asking

    def _call(self, what: str, function: Callable[[Any], Any]) -> Any:
        return self._abacus.call(f"drift of {self._table}: {what}", function)

    def _told(self, what: str, function: Callable[[Any], Any], *, once: bool = False) -> Any:
        return self._abacus.told(f"drift of {self._table}: {what}", function, once=once)


def _ids(told: Any) -> list[str]:
    """The package says list[str] of what is sent as one id; either form is taken."""
    return [] if told is None else [str(one) for one in told] if isinstance(told, list) else [str(told)]
