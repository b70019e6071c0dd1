"""One prediction's batches: started once a cycle, waited for, fetched in chunks, written as records.

Every step is noted before the next one, so a run that is killed anywhere is gone on with by the next. A batch whose
start got no answer is looked for before another is started. Records are keyed by what they say (entity, time, lead,
model), so those that were written and not noted are written over by themselves: each is there once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from storage.errors import NeedsHuman, TryAgain
from storage.store import Store
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.journal import JournalFile, PredictionJournal, Rejection
from tasks.abacus.prediction import Prediction
from tasks.abacus.prediction_rows import HOUR_S, Erased, fetched_rows
from tasks.abacus.watching import watched
from tasks.derive.changed import write_changed

CHUNK_BYTES = 4 << 20
GOING_ON = frozenset({"PENDING", "UPLOADING", "PREDICTING", "QUEUED"})


@dataclass(slots=True)
class PredictionReport:
    """What one run did. ``status``: word of the service for the batch under way, empty where none is."""

    name: str
    started: bool = False
    batches: int = 0
    rows: int = 0
    rejected: int = 0
    past: int = 0
    erased: int = 0
    status: str = ""


class BatchPrediction:
    """The batches of one prediction.

    Args:
        project_id: of the project at the service.
        tries: how often in a row a batch may fail, or a result come too short, before that is left to a human or to
            the next cycle.
        erased: which rows are of what was erased here; they are not taken.
    """

    def __init__(
        self,
        abacus: Abacus,
        prediction: Prediction,
        project_id: str,
        file: JournalFile,
        store: Store,
        *,
        tries: int,
        clock: Callable[[], float],
        chunk_bytes: int = CHUNK_BYTES,
        erased: Erased | None = None,
    ) -> None:
        self._abacus = abacus
        self._prediction = prediction
        self._project_id = project_id
        self._file = file
        self._store = store
        self._tries = tries
        self._clock = clock
        self._chunk_bytes = chunk_bytes
        self._erased = erased
        self._report = PredictionReport(prediction.name)

    def run(self) -> PredictionReport:
        """Start a batch if one is due, and bring the one under way as far as it goes.

        Raises:
            TryAgain: the service is away, or a batch failed that is started again. NeedsHuman: it refuses, or fails
                again and again.
        """
        journal = self._file.load_prediction()
        if journal.version is None:
            slot = int(self._clock()) // (self._prediction.settings.every_hours * HOUR_S)
            if not journal.starting and journal.slot == slot:
                return self._report
            self._start(journal, slot)
        found = self._watch(journal)
        if found is not None:
            self._download(journal)
            self._write(journal, found)
        return self._report

    def _job(self) -> str:
        """Id of the batch prediction, made where it is missing."""

        def found(sdk: Any) -> Any:
            deployment = self._prediction.settings.deployment_id
            for job in sdk.list_batch_predictions(self._project_id) or []:
                if job.name == self._prediction.job_name and job.deployment_id == deployment:
                    return job
            return sdk.create_batch_prediction(deployment, name=self._prediction.job_name, output_format="CSV")

        return str(self._call("its batch prediction", found).batch_prediction_id)

    def _start(self, journal: PredictionJournal, slot: int) -> None:
        job = self._job()
        newest = self._newest(job)
        if not journal.starting:
            journal.starting, journal.before, journal.slot = True, newest, slot
            journal.started_at = int(self._clock())
            self._file.save(journal)
        elif newest != journal.before:  # the start came to be, its answer did not
            self._started(journal, newest)
            return
        else:
            journal.started_at, journal.slot = int(self._clock()), slot
            self._file.save(journal)
        version = self._call("starting a batch", lambda sdk: sdk.start_batch_prediction(job), once=True)
        self._started(journal, str(version.batch_prediction_version))

    def _started(self, journal: PredictionJournal, version: str | None) -> None:
        journal.version, journal.starting, journal.offset = version, False, 0
        self._file.save(journal)
        self._report.started = True

    def _newest(self, job: str) -> str | None:
        found = self._call("listing batches", lambda sdk: sdk.list_batch_prediction_versions(job, limit=1))
        return str(found[0].batch_prediction_version) if found else None

    def _watch(self, journal: PredictionJournal) -> Any:
        """The version once it is complete; None: it is going on.

        Raises:
            TryAgain, NeedsHuman: it failed.
        """
        version = journal.version
        found = watched(
            self._abacus,
            f"prediction {self._prediction.name}: asking for a batch",
            f"batch {version}",
            lambda sdk: sdk.describe_batch_prediction_version(version),
            going_on=GOING_ON,
            failed=partial(self._failed, journal),
        )
        self._report.status = str(found.status)
        return None if found.status in GOING_ON else found

    def _failed(self, journal: PredictionJournal, what: str) -> NoReturn:
        journal.version, journal.failures = None, journal.failures + 1
        again = journal.failures < self._tries
        if again:
            journal.slot = None
        else:
            journal.failures = 0
        self._file.save(journal)
        text = f"prediction {self._prediction.name}: {what}"
        if again:
            raise TryAgain(f"{text}; another one is started")
        raise NeedsHuman(
            f"{text}; {self._tries} failed in a row", remedy="Look at the deployment there; the next cycle tries anew"
        )

    def _download(self, journal: PredictionJournal) -> None:
        """Fetch what is missing of the result, chunk by chunk, until one is empty."""
        name = _file_name(journal)
        if self._file.batch_size(name) < journal.offset:
            journal.offset = 0
        while True:
            chunk = self._call("a chunk of a result", partial(self._chunk, journal))
            self._file.extend_batch(name, journal.offset, chunk)
            if not chunk:
                return
            journal.offset += len(chunk)
            self._file.save(journal)

    def _chunk(self, journal: PredictionJournal, sdk: Any) -> bytes:
        stream = sdk.download_batch_prediction_result_chunk(journal.version, journal.offset, self._chunk_bytes)
        return bytes(stream.read())

    def _write(self, journal: PredictionJournal, found: Any) -> None:
        content = self._file.read_batch(_file_name(journal)) or b""
        version = str(journal.version)
        fetched = fetched_rows(
            self._prediction,
            content,
            started_at=journal.started_at,
            batch=version,
            model=found.model_version,
            erased=self._erased,
        )
        self._require_whole(journal, fetched.rows, found)
        letters = [Rejection(record_id=row.record, reason=row.reason, by="lodeline") for row in fetched.rejected]
        self._file.write_rejected(journal.batches + 1, letters, by="lodeline")
        write_changed(self._store, [fetched.frame])
        journal.version, journal.offset, journal.failures, journal.short = None, 0, 0, 0
        journal.batches += 1
        journal.rows += len(fetched.frame)
        journal.rows_rejected += len(letters)
        journal.finished_at = int(self._clock())
        self._file.save(journal)
        self._file.sweep(())
        report = self._report
        report.batches, report.rows, report.status = 1, len(fetched.frame), ""
        report.rejected, report.past, report.erased = len(letters), fetched.past, fetched.erased

    def _require_whole(self, journal: PredictionJournal, rows: int, found: Any) -> None:
        """Have a result fetched anew that has fewer lines than there are predictions."""
        expected = (found.total_predictions or 0) - (found.failed_predictions or 0)
        if rows >= expected:
            return
        journal.offset, journal.short = 0, journal.short + 1
        text = f"prediction {self._prediction.name}: {rows} of {expected} predictions are in the result"
        again = journal.short < self._tries
        if not again:
            journal.short, journal.version = 0, None
        self._file.save(journal)
        if again:
            raise TryAgain(f"{text}; it is fetched once more")
        raise NeedsHuman(f"{text}, {self._tries} times", remedy="Look at the batch prediction there")

    def _call(self, what: str, function: Callable[[Any], Any], *, once: bool = False) -> Any:
        try:
            return self._abacus.told(f"prediction {self._prediction.name}: {what}", function, once=once)
        except Refusal as refusal:
            if refusal.is_missing:
                raise NeedsHuman(
                    str(refusal), remedy=f"Is deployment {self._prediction.settings.deployment_id} there?"
                ) from refusal
            raise


def _file_name(journal: PredictionJournal) -> str:
    return f"batch-{journal.batches + 1:08d}.csv"
