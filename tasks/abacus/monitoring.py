"""Drift monitors of all groups of the configuration, and what they say beside what is measured here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import Tier
from storage.declaration.pipeline import FEATURE_DRIFT, MONITOR_DRIFT
from storage.errors import ConfigurationError, LodelineError, TryAgain
from storage.opening import open_store
from storage.settings import StorageSettings
from storage.store import Store
from tasks.abacus.alone import alone
from tasks.abacus.definition import Definition, ExportColumn, definitions_of
from tasks.abacus.drift_monitor import DriftMonitor, MonitorReport
from tasks.abacus.exporting import journal_folder
from tasks.abacus.journal import JournalFile
from tasks.abacus.registration import connected
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import FILE_NAME, AbacusSettings
from tasks.features.drifting import newest_due

MONITORS = "monitors"
DAY_S = 86_400
LOOKED_BACK_DAYS = 8
DRIFTED = "drifted"


@dataclass(slots=True)
class MonitorResult:
    """What came of one monitor: a report, or trouble, which may be gone at the next try."""

    name: str
    report: MonitorReport | None = None
    trouble: str = ""
    passes: bool = False


@dataclass(frozen=True, slots=True)
class BesideRow:
    """One feature of one day (Unix seconds of its start), measured here and by the service; None: not measured."""

    group: str
    feature: str
    day: int
    here: Mapping[str, Any] | None
    there: Mapping[str, Any] | None

    @property
    def differs(self) -> bool | None:
        """Whether one says drifted and the other does not; None where one of them does not know."""
        words = [side and side.get("status") for side in (self.here, self.there)]
        if any(word in (None, "unknown") for word in words):
            return None
        return (words[0] == DRIFTED) != (words[1] == DRIFTED)


def watched_groups(settings: AbacusSettings) -> dict[str, tuple[Definition, tuple[ExportColumn, ...]]]:
    """Groups that the service watches, by name, and the features that are asked for, one a feature of the view.

    Raises:
        ConfigurationError: a group or a feature that there is not; all such faults at once.
    """
    known = {definition.name: definition for definition in definitions_of(settings.feature_groups)}
    faults, found = [], {}
    for at, one in enumerate(settings.drift_monitors):
        where = f"{FILE_NAME}: drift_monitors[{at}]"
        group = known.get(one.feature_group)
        if group is None:
            faults.append(f"{where}: there is no feature group {one.feature_group!r}; there are {', '.join(known)}")
            continue
        columns = {column.name: column for column in group.columns}
        wanted = [name.replace(".", "_") for name in one.features] or list(columns)
        faults += [
            f"{where}: group {group.name} has no feature {name!r}; it has {', '.join(columns)}"
            for name in wanted
            if name not in columns
        ]
        by_feature = {columns[name].sent.feature: columns[name] for name in reversed(wanted) if name in columns}
        found[group.name] = (group, tuple(reversed(by_feature.values())))
    if faults:
        raise ConfigurationError(faults)
    return found


def run_monitors(
    settings: AbacusSettings,
    endpoints: Endpoints,
    storage: StorageSettings,
    *,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> list[MonitorResult]:
    """Bring every monitor as far as it goes; trouble with one does not hold up the others.

    Raises:
        ConfigurationError: a group or a feature that there is not. TryAgain: another process is at it.
    """
    groups = watched_groups(settings)
    folder = journal_folder(settings, storage)
    with (
        alone(folder, ".monitors.lock", "runs the drift monitors at Abacus.AI"),
        connected(settings, endpoints, stop) as (abacus, registry),
    ):
        store = open_store(storage)
        try:
            results = []
            for name, (definition, columns) in groups.items():
                result = MonitorResult(name)
                try:
                    registered, _ = registry.find(definition)
                    if registered is None or not registered.is_settled:
                        result.report = MonitorReport(name, waits="for the first export")
                    else:
                        table = registered.table
                        monitor = DriftMonitor(
                            abacus,
                            definition,
                            JournalFile(folder / MONITORS, table),
                            store,
                            columns=columns,
                            table=table,
                            project_id=registry.project.require(),
                            tries=settings.data_ingestion.max_retries + 1,
                            clock=clock,
                        )
                        exported = JournalFile(folder, table).load().watermark
                        result.report = monitor.run(newest_due(int(clock())), exported)
                except LodelineError as error:
                    result.trouble, result.passes = str(error), isinstance(error, TryAgain)
                results.append(result)
            return results
        finally:
            store.close()


def drift_there(store: Store, group: str, now: int) -> pa.Table:
    """Rows of ``monitor_drift`` of ``group`` of the last eight days, all days.

    Raises:
        TryAgain: the store does not answer.
    """
    start = now - LOOKED_BACK_DAYS * DAY_S
    return store.read(MONITOR_DRIFT, Tier.RAW, start, now, where={"feature_group": group})


def drift_here(store: Store, definition: Definition, now: int) -> pa.Table:
    """Rows of ``feature_drift`` of the group's own features of the last eight days, all days.

    Raises:
        TryAgain: the store does not answer.
    """
    start = now - LOOKED_BACK_DAYS * DAY_S
    rows = store.read(FEATURE_DRIFT, Tier.RAW, start, now, where={"view": definition.view.stored_name})
    own = pa.array(sorted({column.sent.feature for column in definition.columns}), pa.string())
    return rows.filter(pc.is_in(rows["feature"].cast(pa.string()), own))


def beside(store: Store, definitions: Iterable[Definition], now: int) -> list[BesideRow]:
    """Every group's features on the newest day that both sides measured, else the newest that one did.

    Raises:
        TryAgain: the store does not answer.
    """
    found = []
    for definition in definitions:
        sides = [_by_day(drift_here(store, definition, now)), _by_day(drift_there(store, definition.name, now))]
        common = sides[0].keys() & sides[1].keys()
        day = max(common or {*sides[0], *sides[1]}, default=None)
        if day is None:
            continue
        here, there = (side.get(day, {}) for side in sides)
        features = dict.fromkeys(column.sent.feature for column in definition.columns)
        found += [
            BesideRow(definition.name, feature, day, here.get(feature), there.get(feature))
            for feature in features
            if feature in here or feature in there
        ]
    return found


def _by_day(rows: pa.Table) -> dict[int, dict[str, Mapping[str, Any]]]:
    made: dict[int, dict[str, Mapping[str, Any]]] = {}
    for row in rows.to_pylist():
        made.setdefault(int(row["time"].timestamp()), {})[row["feature"]] = row
    return made


def drifted_days(rows: pa.Table) -> dict[int, tuple[str, ...]]:
    """Features that drifted by day (Unix seconds of its start), of every day that has a row."""
    return {
        day: tuple(sorted(feature for feature, row in features.items() if row["status"] == DRIFTED))
        for day, features in _by_day(rows).items()
    }


def monitors_in_words(results: Sequence[MonitorResult]) -> str:
    """A run in one line."""
    reports = [result.report for result in results if result.report is not None]
    drifted = [f"{report.group}.{feature}" for report in reports for feature in report.drifted]
    text = f"drift of {sum(report.features for report in reports)} features fetched"
    return f"{text}; drifted: {', '.join(drifted)}" if drifted else text
