"""Scheduled exports as task runs, one for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from storage.archive.reading import ArchiveReader
from storage.errors import LodelineError, NeedsHuman
from storage.progress import told
from storage.settings import SERIES_EXPORTS, StorageSettings
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.steps import derive_from_store
from tasks.exports.asked import Asked, Exported, exported
from tasks.exports.making import make_exports
from tasks.exports.settings import ExportSettings
from tasks.exports.writing import Done
from tasks.progress.steps import progress_artifact
from tasks.reports.period import Period

Made = Sequence[Done]


async def export_step(
    storage: StorageSettings,
    exports: Sequence[ExportSettings],
    fleet: Fleet,
    *,
    archive: Path | None,
    retention_days: Mapping[str, int],
) -> Made:
    """Write the files of ``exports`` that are due; one that fails does not keep the others.

    Raises:
        NeedsHuman: of some export files could not be written; each is named.
    """
    done: list[Done] = []
    troubles: list[str] = []
    for one in exports:
        try:
            done += await _as_task(storage, one, fleet, archive, retention_days)
        except LodelineError as error:
            troubles.append(f"{one.name}: {error}")
    if troubles:
        raise NeedsHuman("; ".join(troubles), remedy="What is due is written by the next run")
    return done


async def _as_task(
    storage: StorageSettings,
    settings: ExportSettings,
    fleet: Fleet,
    archive: Path | None,
    retention_days: Mapping[str, int],
) -> Made:
    def derive(store: Store, now: int) -> Made:
        reader = None if archive is None else ArchiveReader(archive)

        def export(asked: Asked) -> Exported:
            return exported(asked, store, reader, fleet=fleet, retention_days=retention_days, now=now)

        def tell(period: Period, at: int) -> None:
            told(at - period.start, period.stop - period.start, period.name)

        return make_exports(settings, export, storage.data_directory / SERIES_EXPORTS, now, told=tell)

    async with progress_artifact("progress-export-series", f"export {settings.name}"):
        return await derive_from_store(f"export {settings.name}", storage, derive, exports_in_words)


def exports_in_words(made: Made) -> str:
    """A run in one line."""
    return ", ".join(f"{one.path.name}: {one.rows:,} rows" for one in made) or "no export is due"
