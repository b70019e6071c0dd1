"""The service's own drift monitor of one feature group: made, run once a day, its drift fetched as records.

A monitor over there compares two feature groups, so two are made out of the group: ``<table>_reference`` and
``<table>_current``, which are the very windows that are compared here (tasks/features/drifting.py), moved on day by day
by setting their SQL. Then both are materialised, the monitor is run, and each feature is asked for. Every step is noted
before the next; a run whose answer was lost is looked for before another is started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from typing import Any

from abacusai.client import AlreadyExistsError

from storage.declaration.pipeline import MONITOR_DRIFT
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Frame, Value, build_frame
from storage.store import Store
from tasks.abacus.connection import SOURCE, Abacus, Refusal
from tasks.abacus.definition import Definition, ExportColumn
from tasks.abacus.distribution import drift_of_distribution
from tasks.abacus.journal import JournalFile, MonitorJournal
from tasks.abacus.registration import OWNER
from tasks.derive.changed import write_changed
from tasks.features.drifting import compared_windows, newest_due

REFERENCE, CURRENT = "_reference", "_current"
POLLS = 12
"""How often one run asks for a version; the next run goes on asking."""

POLL_S = 5.0
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
                self._report.waits = f"for the export of {_text(day)}"
                return self._report
            journal.going = day
            self._file.save(journal)
        self._report.day = journal.going
        if journal.version is None:
            groups = self._windows(journal.going)
            if not self._materialised(journal, groups):
                return self._report
            self._start(journal, groups)
        if self._watched(journal):
            self._fetch(journal)
        return self._report

    # The two windows as feature groups

    def _windows(self, day: int) -> dict[str, str]:
        """Ids of the two groups by table, made where they are missing and moved to ``day``."""
        first, middle, after = compared_windows(self._definition.view, day)
        spans = {REFERENCE: (first, middle), CURRENT: (middle, after)}
        made = {}
        for suffix, (start, stop) in spans.items():
            name, sql = self._table + suffix, self.sql(start, stop)
            group = self._group(name)
            if group is None:
                self._call(f"making {name}", partial(self._make, name, sql))
                group = self._group(name)
                if group is None:
                    raise TryAgain(f"{SOURCE}: {name} was made and is not there yet")
            elif f"owner:{OWNER}" not in (group.tags or []) and _plain(group.sql) != _plain(sql):
                raise NeedsHuman(
                    f"Abacus.AI has a table {name} that Lodeline did not make",
                    remedy="Delete or rename it there",
                )
            key = str(group.feature_group_id)
            if f"owner:{OWNER}" not in (group.tags or []):
                self._call(f"tagging {name}", methodcaller("add_feature_group_tag", key, f"owner:{OWNER}"))
            if _plain(group.sql) != _plain(sql):
                self._call(f"moving {name}", methodcaller("update_feature_group_sql_definition", key, sql))
            made[name] = key
        return made

    def sql(self, start: int, stop: int) -> str:
        """The group's rows with event times in ``[start, stop)`` (Unix seconds)."""
        column = self._definition.time
        return (
            f"SELECT * FROM {self._table} WHERE {column} >= TIMESTAMP '{_text(start)}' "  # noqa: S608 - names are checked
            f"AND {column} < TIMESTAMP '{_text(stop)}'"
        )

    def _make(self, name: str, sql: str, sdk: Any) -> None:
        with contextlib.suppress(AlreadyExistsError):  # the answer was lost
            sdk.create_feature_group(name, sql, f"Window of {self._table} whose drift is watched")

    def _group(self, name: str) -> Any:
        try:
            return self._call(f"looking for {name}", lambda sdk: sdk.describe_feature_group_by_table_name(name))
        except Refusal as refusal:
            if refusal.is_missing:
                return None
            raise

    def _materialised(self, journal: MonitorJournal, groups: dict[str, str]) -> bool:
        """Whether both groups have been taken anew for the day; taken once too often is harmless."""
        for name, key in groups.items():
            if name not in journal.materialised:
                made = self._call(f"taking {name}", methodcaller("create_feature_group_version", key))
                journal.materialised[name] = str(made.feature_group_version)
                self._file.save(journal)
        for name, version in list(journal.materialised.items()):
            try:
                found = self._polled(
                    f"version {version} of {name}",
                    methodcaller("describe_feature_group_version", version),
                    _MATERIALISING,
                )
            except Refusal as refusal:
                if not refusal.is_missing:
                    raise
                self._failed(journal, f"{name}: {refusal}")
            if found.status in _MATERIALISING:
                self._report.waits = f"for {name}: {found.status}"
                return False
            if found.status != "COMPLETE":
                self._failed(journal, f"{name} ended as {found.status}: {found.error or 'no reason told'}")
        return True

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
            made = self._call("making the monitor", partial(self._make_monitor, groups), once=True)
        else:
            made = self._call("running the monitor", lambda sdk: sdk.rerun_model_monitor(monitor), once=True)
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

    def _watched(self, journal: MonitorJournal) -> bool:
        """Whether the run is complete."""
        version = journal.version
        try:
            found = self._polled(
                "asking for a run", lambda sdk: sdk.describe_model_monitor_version(version), _MONITORING
            )
        except Refusal as refusal:
            if not refusal.is_missing:
                raise
            self._failed(journal, f"run {version} is gone from the service")
        if found.status in _MONITORING:
            self._report.waits = f"for run {version}: {found.status}"
            return False
        if found.status != "COMPLETE":
            self._failed(journal, f"run {version} ended as {found.status}: {found.error or 'no reason told'}")
        return True

    def _failed(self, journal: MonitorJournal, what: str) -> None:
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

    def _polled(self, what: str, ask: Callable[[Any], Any], going_on: frozenset[str]) -> Any:
        """The answer once its status is none of ``going_on``, or the last one."""
        for poll in range(POLLS):
            if poll:
                self._abacus.wait(POLL_S)
            found = self._call(what, ask)
            if found.status not in going_on:
                break
        return found

    def _call(self, what: str, function: Callable[[Any], Any], *, once: bool = False) -> Any:
        return self._abacus.call(f"drift of {self._table}: {what}", function, once=once)


def _ids(told: Any) -> list[str]:
    """The package says list[str] of what is sent as one id; either form is taken."""
    return [] if told is None else [str(one) for one in told] if isinstance(told, list) else [str(told)]


def _plain(sql: str | None) -> str:
    return " ".join((sql or "").split())


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
