"""All predictions of the configuration: fetched and scored one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from storage.erasure.tombstones import Tombstones
from storage.errors import LodelineError, TryAgain
from storage.opening import lake_location, open_store
from storage.settings import StorageSettings
from tasks.abacus.alone import alone
from tasks.abacus.batch_prediction import BatchPrediction, PredictionReport
from tasks.abacus.erased import ErasedRows
from tasks.abacus.exporting import journal_folder
from tasks.abacus.journal import JournalFile, PredictionJournal
from tasks.abacus.prediction import Prediction, predictions_of
from tasks.abacus.prediction_scores import score_predictions
from tasks.abacus.registration import connected
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings

PREDICTIONS = "predictions"


@dataclass(slots=True)
class PredictionResult:
    """What came of one prediction: a report, scores written, or trouble, which may be gone at the next try."""

    name: str
    report: PredictionReport | None = None
    scores: int = 0
    trouble: str = ""
    passes: bool = False


def fetch_predictions(
    settings: AbacusSettings,
    endpoints: Endpoints,
    storage: StorageSettings,
    *,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> list[PredictionResult]:
    """Bring every prediction as far as it goes and score what happened; trouble with one does not hold up the others.

    Raises:
        ConfigurationError: a prediction of what no group has. TryAgain: another process is at it.
    """
    predictions = predictions_of(settings)
    folder = journal_folder(settings, storage)
    with (
        alone(folder, ".predictions.lock", "fetches predictions of Abacus.AI"),
        connected(settings, endpoints, stop) as (abacus, registry),
    ):
        store = open_store(storage)

        def run(one: Prediction) -> PredictionReport:
            file, project = journal_file(settings, storage, one), registry.project.require()
            tries = settings.data_ingestion.max_retries + 1
            erased = ErasedRows(Tombstones(storage.data_directory), lake_location(storage), one.definition.view)
            return BatchPrediction(abacus, one, project, file, store, tries=tries, clock=clock, erased=erased.of).run()

        try:
            return [
                _fetched(one, run, partial(score_predictions, store, lake_location(storage))) for one in predictions
            ]
        finally:
            store.close()


def _fetched(
    prediction: Prediction, run: Callable[[Prediction], PredictionReport], score: Callable[[Prediction], int]
) -> PredictionResult:
    """Scores are made whatever became of the fetching."""
    result = PredictionResult(prediction.name)
    troubles: list[LodelineError] = []
    try:
        result.report = run(prediction)
    except LodelineError as error:
        troubles.append(error)
    try:
        result.scores = score(prediction)
    except LodelineError as error:
        troubles.append(error)
    result.trouble = "; ".join(map(str, troubles))
    result.passes = bool(troubles) and all(isinstance(error, TryAgain) for error in troubles)
    return result


def journal_file(settings: AbacusSettings, storage: StorageSettings, prediction: Prediction) -> JournalFile:
    """Folder of what is remembered of a prediction."""
    return JournalFile(journal_folder(settings, storage) / PREDICTIONS, prediction.name)


def prediction_states(settings: AbacusSettings, storage: StorageSettings) -> list[tuple[Prediction, PredictionJournal]]:
    """How every prediction stands, without asking anybody.

    Raises:
        ConfigurationError: a prediction of what no group has. NeedsHuman: a journal cannot be read.
    """
    return [(one, journal_file(settings, storage, one).load_prediction()) for one in predictions_of(settings)]


def predictions_in_words(results: Sequence[PredictionResult]) -> str:
    """A run in one line."""
    reports = [result.report for result in results if result.report is not None]
    rows, rejected = sum(report.rows for report in reports), sum(report.rejected for report in reports)
    text = f"{rows} predictions of {sum(report.batches for report in reports)} batches"
    text += f", {sum(result.scores for result in results)} scores"
    return text + (f", {rejected} rejected" if rejected else "")
