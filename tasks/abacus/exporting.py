"""All feature groups of the configuration: registered and exported one after the other, and how each stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from storage.errors import LodelineError, NeedsHuman, TryAgain
from storage.features.changes import first_known, rows_known_in, settled_until
from storage.opening import lake_location, open_store
from storage.progress import told
from storage.settings import EXPORTS, StorageSettings
from tasks.abacus.alone import alone
from tasks.abacus.connection import Abacus, find_endpoints
from tasks.abacus.definition import Definition, definitions_of
from tasks.abacus.export import PART_BYTES, Export, ExportReport
from tasks.abacus.journal import Journal, JournalFile, StreamJournal
from tasks.abacus.refresh_policies import Policies
from tasks.abacus.registration import ONLINE, Difference, Registered, Registry, connected
from tasks.abacus.run_notes import Outcome, Way, note_runs
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings
from tasks.abacus.streaming import Stream, StreamReport

DAY_S = 86_400


@dataclass(slots=True)
class GroupResult:
    """What came of one group: a report, or trouble. ``passes``: the trouble may be gone at the next try."""

    name: str
    report: ExportReport | None = None
    table: str | None = None
    made: list[Difference] = field(default_factory=list)
    is_new: bool = False
    trouble: str = ""
    passes: bool = False


@dataclass(slots=True)
class StreamResult:
    """What came of one group's stream; as GroupResult."""

    name: str
    report: StreamReport | None = None
    table: str | None = None
    trouble: str = ""
    passes: bool = False


class Troubled(Protocol):
    """A result that tells what went wrong; ``passes``: it may be gone at the next try."""

    trouble: str
    passes: bool


@dataclass(frozen=True, slots=True)
class GroupState:
    """How one group stands: here (``journal``), and over there, None where it is not registered."""

    definition: Definition
    version: int
    registered: Registered | None
    differences: list[Difference]
    journal: Journal | None
    rejected_kept: int
    stream: StreamJournal | None


def export_groups(
    settings: AbacusSettings,
    endpoints: Endpoints,
    storage: StorageSettings,
    *,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
    part_bytes: int = PART_BYTES,
) -> list[GroupResult]:
    """Register and export every group; trouble with one does not hold up the others.

    Raises:
        ConfigurationError: groups that no view has. TryAgain: another process exports.
    """
    definitions = definitions_of(settings.feature_groups)
    folder = journal_folder(settings, storage)
    with alone(folder, ".lock", "exports to Abacus.AI"), connected(settings, endpoints, stop) as (abacus, registry):
        results = []
        for number, definition in enumerate(definitions):
            told(number, len(definitions), definition.name)
            result = _exported(
                abacus=abacus,
                registry=registry,
                settings=settings,
                definition=definition,
                storage=storage,
                clock=clock,
                part_bytes=part_bytes,
            )
            note_runs(folder, Way.BATCH, [_outcome(result)], int(clock()))
            results.append(result)
        if settings.refresh_policies:  # a new version of a definition is another group to refresh
            try:
                Policies(abacus, registry, settings).mend()
            except LodelineError as error:
                passes = isinstance(error, TryAgain)
                results.append(GroupResult("refresh policies", trouble=str(error), passes=passes))
        return results


def _exported(
    *,
    abacus: Abacus,
    registry: Registry,
    settings: AbacusSettings,
    definition: Definition,
    storage: StorageSettings,
    clock: Callable[[], float],
    part_bytes: int,
) -> GroupResult:
    result = GroupResult(definition.name)
    try:
        root, now = lake_location(storage), int(clock())
        registered, result.made = registry.register(definition)
        result.is_new, result.table = registered.is_new, registered.table
        until = settled_until(root, definition.view)
        if until is None:
            result.report = ExportReport(
                registered.table, note=f"view {definition.view.name} is not published yet (flow publish-features)"
            )
            return result
        batches = settings.batch_processing
        back = batches.lookback_days * DAY_S if batches.feature_computation.include_historical else 0
        export = Export(
            abacus,
            definition,
            registered,
            JournalFile(journal_folder(settings, storage), registered.table),
            partial(rows_known_in, root, definition.view),
            file_format=settings.data_ingestion.file_format,
            part_bytes=part_bytes,
            tries=settings.data_ingestion.max_retries + 1,
            clock=clock,
        )
        oldest = first_known(root, definition.view)  # before it are only empty steps
        result.report = export.run(until, now - back if oldest is None else max(now - back, oldest - 1))
        if result.report.batches and not registered.is_settled:  # its features are known only now: keys, units
            result.made += registry.register(definition)[1]
    except LodelineError as error:
        result.trouble, result.passes = str(error), isinstance(error, TryAgain)
    return result


def stream_groups(
    settings: AbacusSettings,
    endpoints: Endpoints,
    storage: StorageSettings,
    *,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> list[StreamResult]:
    """Stream every group whose view is not by the day; trouble with one does not hold up the others.

    Raises:
        ConfigurationError: groups that no view has. TryAgain: another process streams.
    """
    definitions = [one for one in definitions_of(settings.feature_groups) if is_streamed(one)]
    folder = journal_folder(settings, storage)
    results = []
    with (
        alone(folder, ".stream.lock", "streams to Abacus.AI"),
        connected(settings, endpoints, stop) as (abacus, registry),
    ):
        store = open_store(storage)
        try:
            for definition in definitions:
                result = StreamResult(definition.name)
                try:
                    registered, _ = registry.find(definition)
                    if registered is None:
                        registered, _ = registry.register(definition)
                    result.table = registered.table + ONLINE
                    file = JournalFile(folder, result.table)
                    stream = Stream(
                        abacus,
                        definition,
                        registry.online(definition, registered.table, file.writer()),
                        file,
                        store,
                        window_s=settings.real_time.streaming_window_seconds,
                        batch_rows=settings.data_ingestion.batch_size,
                    )
                    result.report = stream.run(int(clock()))
                except LodelineError as error:
                    result.trouble, result.passes = str(error), isinstance(error, TryAgain)
                note_runs(folder, Way.STREAM, [_outcome(result)], int(clock()))
                results.append(result)
        finally:
            store.close()
    return results


def is_streamed(definition: Definition) -> bool:
    """Whether the group has a stream: windows of minutes say nothing of a view by the day."""
    return definition.view.width_s < DAY_S


def _outcome(result: GroupResult | StreamResult) -> Outcome:
    return Outcome(result.name, result.trouble, result.table)


async def find_endpoints_for(
    way: Way, settings: AbacusSettings, storage: StorageSettings, *, clock: Callable[[], float] = time.time
) -> Endpoints:
    """The service's addresses; where it does not tell them, a run of every group has failed, which is noted.

    Raises:
        ConfigurationError: groups that no view has. TryAgain, NeedsHuman: as ``find_endpoints``.
    """
    definitions = definitions_of(settings.feature_groups)
    try:
        return await find_endpoints(settings)
    except LodelineError as error:
        outcomes = [Outcome(one.name, str(error)) for one in definitions if way is Way.BATCH or is_streamed(one)]
        note_runs(journal_folder(settings, storage), way, outcomes, int(clock()))
        raise


def register_groups(
    settings: AbacusSettings, endpoints: Endpoints
) -> list[tuple[Definition, Registered, list[Difference]]]:
    """Register every group.

    Raises:
        ConfigurationError, NeedsHuman, Refusal, TryAgain: called again it goes on.
    """
    definitions = definitions_of(settings.feature_groups)
    with connected(settings, endpoints) as (_, registry):
        return [(definition, *registry.register(definition)) for definition in definitions]


def group_states(settings: AbacusSettings, endpoints: Endpoints, storage: StorageSettings) -> list[GroupState]:
    """How every group stands here and over there. Changes nothing.

    Raises:
        ConfigurationError, NeedsHuman, Refusal, TryAgain: the service does not say.
    """
    states = []
    with connected(settings, endpoints) as (_, registry):
        for definition in definitions_of(settings.feature_groups):
            registered, version = registry.find(definition)
            differences, journal, kept, stream = [], None, 0, None
            if registered is not None:
                differences = list(registry.differences(definition, registered))
                file = JournalFile(journal_folder(settings, storage), registered.table)
                journal, kept = file.load(), len(file.rejected())
                streamed = JournalFile(journal_folder(settings, storage), registered.table + ONLINE)
                stream = streamed.load_stream() if streamed.path.exists() else None
            states.append(GroupState(definition, version, registered, differences, journal, kept, stream))
    return states


def journal_folder(settings: AbacusSettings, storage: StorageSettings) -> Path:
    """Where the journals of this environment are."""
    return storage.data_directory / EXPORTS / quote(settings.general.environment, safe=" ")


def journals(settings: AbacusSettings, storage: StorageSettings) -> list[JournalFile]:
    """Folders of all tables that this host exports to and of all predictions, without asking anybody."""
    folder = journal_folder(settings, storage)
    return [JournalFile(path.parent.parent, path.parent.name) for path in sorted(folder.rglob("journal.json"))]


def raise_troubles(results: Sequence[Troubled]) -> None:
    """Raise what went wrong: TryAgain where all of it may pass, else NeedsHuman."""
    troubles = [result for result in results if result.trouble]
    if not troubles:
        return
    text = "; ".join(result.trouble for result in troubles)
    if all(result.passes for result in troubles):
        raise TryAgain(text)
    raise NeedsHuman(text, remedy="lodeline abacus status shows how each group and prediction stands")


def in_words(results: Sequence[GroupResult | StreamResult]) -> str:
    """A run in one line."""
    reports = [result.report for result in results if result.report is not None]
    rows, rejected = sum(report.rows for report in reports), sum(report.rejected for report in reports)
    text = f"{rows} rows of {sum(report.rows > 0 for report in reports)} groups"
    return text + (f", {rejected} rejected" if rejected else "")
