"""Export to Abacus.AI, stream and predictions as task runs; an export is tried again while the service is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from storage.audit.trail import Trail
from storage.settings import StorageSettings
from storage.store import Store
from tasks.abacus.connection import find_endpoints
from tasks.abacus.export_state import ExportState, export_states, state_frame
from tasks.abacus.exporting import (
    GroupResult,
    StreamResult,
    export_groups,
    find_endpoints_for,
    in_words,
    raise_troubles,
    stream_groups,
)
from tasks.abacus.monitoring import MonitorResult, monitors_in_words, run_monitors
from tasks.abacus.predicting import PredictionResult, fetch_predictions, predictions_in_words
from tasks.abacus.retraining import RetrainingResult, retrain_models, retraining_in_words
from tasks.abacus.run_notes import Way
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings
from tasks.derive.steps import derive_from_store
from tasks.resilience.interruptible import interruptible
from tasks.resilience.steps import as_task

FIRST_DELAY_S = 60

Results = TypeVar("Results", GroupResult, StreamResult, PredictionResult, RetrainingResult, MonitorResult)


async def export_step(settings: AbacusSettings, storage: StorageSettings) -> list[GroupResult]:
    """Export what is new. Tried again, it goes on where it stopped.

    Raises:
        TryAgain, NeedsHuman: groups were in trouble, each named; all others were exported.
    """
    return await _as_task("export_features", 2, settings, storage, export_groups, in_words, Way.BATCH)


async def stream_step(settings: AbacusSettings, storage: StorageSettings) -> list[StreamResult]:
    """Stream the windows that are closed. Not tried again: the next run comes soon and goes on.

    Raises:
        TryAgain, NeedsHuman: groups were in trouble, each named; all others were streamed.
    """
    return await _as_task("stream_features", 0, settings, storage, stream_groups, in_words, Way.STREAM)


async def predict_step(settings: AbacusSettings, storage: StorageSettings) -> list[PredictionResult]:
    """Fetch and score predictions. Not tried again: the next run comes soon and goes on.

    Raises:
        TryAgain, NeedsHuman: predictions were in trouble, each named; all others were fetched and scored.
    """
    return await _as_task("fetch_predictions", 0, settings, storage, fetch_predictions, predictions_in_words)


async def monitor_step(settings: AbacusSettings, storage: StorageSettings) -> list[MonitorResult]:
    """Run drift monitors and fetch what they saw. Not tried again: the next run comes soon and goes on.

    Raises:
        TryAgain, NeedsHuman: monitors were in trouble, each named; all others were seen to.
    """
    return await _as_task("monitor_drift", 0, settings, storage, run_monitors, monitors_in_words)


async def retrain_step(settings: AbacusSettings, storage: StorageSettings, host: str) -> list[RetrainingResult]:
    """Start trainings that are due, each entered in the audit trail of ``host``. Not tried again: the next run does.

    Raises:
        TryAgain, NeedsHuman: models were in trouble, each named; all others were seen to.
    """
    trail = Trail.open(storage.data_directory, host)
    do = partial(retrain_models, trail=trail, actor="flow retrain-models")
    return await _as_task("retrain_models", 0, settings, storage, do, retraining_in_words)


async def measure_export_step(settings: AbacusSettings, storage: StorageSettings, host: str) -> list[ExportState]:
    """Write how far every group is as rows of ``export_state`` of ``host``. Nobody over there is asked."""

    def work(store: Store, now: int) -> list[ExportState]:
        states = export_states(settings, storage)
        frame = state_frame(states, host, now)
        if frame.times:
            store.write([frame])
        return states

    return await derive_from_store("measure_export", storage, work, states_in_words)


def states_in_words(states: Sequence[ExportState]) -> str:
    """A run in one line."""
    if not states:
        return "this host never exported"
    failing = [f"{state.group} ({state.way})" for state in states if state.note.failure]
    told = f"{len(states)} exports, {sum(state.rows_behind or 0 for state in states)} rows behind"
    return f"{told}; failing: {', '.join(failing)}" if failing else told


class _Work(Protocol[Results]):
    def __call__(
        self, settings: AbacusSettings, endpoints: Endpoints, storage: StorageSettings, *, stop: Callable[[], bool]
    ) -> list[Results]: ...


async def _as_task(  # noqa: PLR0917
    name: str,
    retries: int,
    settings: AbacusSettings,
    storage: StorageSettings,
    do: _Work[Results],
    words: Callable[[Sequence[Results]], str],
    way: Way | None = None,
) -> list[Results]:
    async def once() -> list[Results]:
        endpoints = await (find_endpoints(settings) if way is None else find_endpoints_for(way, settings, storage))
        found = await interruptible(lambda stop: do(settings, endpoints, storage, stop=stop))
        raise_troubles(found)
        return found

    shown_as = "progress-export-features" if way is Way.BATCH else None
    return await as_task(name, once, words, retries=retries, first_delay_s=FIRST_DELAY_S, shown_as=shown_as)
