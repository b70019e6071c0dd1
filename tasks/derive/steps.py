"""Deriving from what is stored as a task run, tried again while the store does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from storage.opening import open_store
from storage.settings import StorageSettings
from storage.store import Store
from tasks.derive.anomaly.hourly import AnomalyReport, score_hours
from tasks.derive.anomaly.scoring import Sensitivity
from tasks.derive.fleet import Fleet
from tasks.derive.forecast.making import ForecastReport, forecast_and_score
from tasks.derive.money import FinancialReport, derive_financial
from tasks.derive.operations import OperationalReport, derive_operational, kept_s
from tasks.derive.opportunities.advising import AdviceReport, advise
from tasks.derive.realised import derive_realised
from tasks.derive.source_hours import derive_source_hours
from tasks.derive.source_quality.deriving import SourceQualityReport, derive_source_quality
from tasks.derive.source_quality.sources import Intervals
from tasks.health.business import look_at_fleet
from tasks.health.fleet import FleetHealth, frame_of, keep
from tasks.miners.settings import MinerSettings
from tasks.resilience.steps import as_task

Report = TypeVar("Report")


async def derive_from_store(
    name: str, storage: StorageSettings, derive: Callable[[Store, int], Report], in_words: Callable[[Report], str]
) -> Report:
    """Run ``derive(store, now)`` (now: Unix seconds) as task ``name`` on the store that is read.

    ``derive`` must be harmless to run again: it is, three times, while the store does not answer. ``in_words`` tells
    what it did in one line, which becomes the message of the task run.
    """

    def work() -> Report:
        store = open_store(storage)
        try:
            return derive(store, int(time.time()))
        finally:
            store.close()

    return await as_task(name, lambda: asyncio.to_thread(work), in_words, retries=3, first_delay_s=5)


async def forecast_step(storage: StorageSettings, miners: Sequence[str]) -> ForecastReport:
    """Make the forecasts that are due and score those whose period is over. ``miners``: ids from the configuration."""
    return await derive_from_store(
        "forecast", storage, lambda store, now: forecast_and_score(store, miners, now), forecasts_in_words
    )


def forecasts_in_words(report: ForecastReport) -> str:
    """A run in one line."""
    return f"{report.forecasts} forecasts, {report.scores} scores"


@dataclass(frozen=True, slots=True)
class MetricsReport:
    """What was derived of how miners worked, and of their money."""

    operational: OperationalReport
    financial: FinancialReport
    realised: int


async def metrics_step(storage: StorageSettings, fleet: Fleet, retention_days: Mapping[str, int]) -> MetricsReport:
    """Write the operational and financial metrics that are due. Tried again, it goes on where it stopped.

    ``fleet`` is what the configuration says; ``retention_days`` by bucket is RetentionSettings.bucket_days.
    """
    models = {name: model for name, (model, _) in fleet.miners.items()}

    def derive(store: Store, now: int) -> MetricsReport:
        return MetricsReport(
            derive_operational(store, models, now, kept_s(retention_days)),
            derive_financial(store, fleet, now),
            derive_realised(store, now),
        )

    return await derive_from_store("derive_metrics", storage, derive, metrics_in_words)


def metrics_in_words(report: MetricsReport) -> str:
    """A run in one line."""
    worked, money = report.operational, report.financial
    return (
        f"{worked.rows} rows of operational metrics of {worked.windows} hours and days, "
        f"{money.rows} of financial metrics of {money.windows}, {report.realised} days of pools"
    )


async def anomalies_step(
    storage: StorageSettings, miners: Sequence[str], *, sensitivity: Sensitivity, threshold: float
) -> AnomalyReport:
    """Score the hours that are over. ``miners``: ids from the configuration; ``threshold``: score of an anomaly."""
    return await derive_from_store(
        "derive_anomalies",
        storage,
        lambda store, now: score_hours(store, miners, now, sensitivity=sensitivity, threshold=threshold),
        anomalies_in_words,
    )


def anomalies_in_words(report: AnomalyReport) -> str:
    """A run in one line."""
    return f"{report.hours} hours judged, {report.rows} scores written, {report.anomalous} miner-hours are anomalous"


async def advice_step(storage: StorageSettings, fleet: Fleet) -> AdviceReport:
    """Write what is new of opportunities. ``fleet`` is what the configuration says."""
    return await derive_from_store("advise", storage, lambda store, now: advise(store, fleet, now), advice_in_words)


def advice_in_words(report: AdviceReport) -> str:
    """A run in one line."""
    return f"{report.opened} opportunities opened or changed, {report.taken} taken, {report.refuted} refuted"


async def source_quality_step(
    storage: StorageSettings, intervals: Intervals, retention_days: Mapping[str, int]
) -> SourceQualityReport:
    """Write the quality of sources on the days that are due. ``retention_days`` is RetentionSettings.bucket_days."""
    return await derive_from_store(
        "derive_quality",
        storage,
        lambda store, now: derive_source_quality(store, intervals, now, kept_s(retention_days)),
        source_quality_in_words,
    )


def source_quality_in_words(report: SourceQualityReport) -> str:
    """A run in one line."""
    return f"{report.rows} rows of source_quality of {report.days} days"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Rows of ``source_hour`` written, and how the fleet stands."""

    source_hours: int
    fleet: FleetHealth


async def health_step(storage: StorageSettings, miners: Sequence[MinerSettings]) -> HealthReport:
    """Write how sources answered in the hours that are over, and how the fleet of ``miners`` stands now."""

    def derive(store: Store, now: int) -> HealthReport:
        fleet = look_at_fleet(store, miners, now)
        hours = derive_source_hours(store, now)
        store.write([frame_of(fleet)])
        keep(storage.state_directory, fleet)
        return HealthReport(hours, fleet)

    return await derive_from_store("derive_health", storage, derive, health_in_words)


def health_in_words(report: HealthReport) -> str:
    """A run in one line."""
    fleet = report.fleet
    return f"{report.source_hours} hours of sources; {fleet.miners_known} of {fleet.miners} miners known"
