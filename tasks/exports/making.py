"""Which files of a scheduled export are due, and making them. What is there is left as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

from storage.declaration import Tier
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.errors import NeedsHuman
from tasks.exports.asked import Asked, Exported
from tasks.exports.settings import ExportSettings
from tasks.exports.writing import ABOUT, DRAFT, Done, write_export
from tasks.reports.period import Period, newest_period

SETTLED_S = 900
"""A period of readings is exported once it is over this long: by then its last ones are delivered."""
DERIVED_S = 3_600
"""A period of anything else: by then its last hour is rolled up, and what is derived of it is there. A file that is
there is never made anew."""


def make_exports(
    settings: ExportSettings,
    export: Callable[[Asked], Exported],
    folder: Path,
    now: float,
    *,
    told: Callable[[Period, int], None] = lambda _period, _stop: None,
) -> list[Done]:
    """Write the files of one export that are due at ``now`` (Unix seconds) to ``folder`` (``<data>/exports``), and take
    away those that are more than ``keep``. ``export`` opens what is asked for; ``told`` hears how far a file is.

    Killed anywhere and run again it goes on with the file that it was at; run twice it changes nothing.

    Raises:
        NeedsHuman: what is asked for is not there, or a file cannot be written.
        TryAgain: the store does not answer.
    """
    home = folder / settings.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        done = [
            _made(settings, export, home, period, told)
            for period in due(settings, {_period_name(settings, path) for path in _files(settings, home)}, now)
        ]
        _tidy(settings, home)
    except OSError as error:
        raise NeedsHuman(f"{home}: {error.strerror or error}", remedy="Give this user the folder, or room") from error
    return done


def due(settings: ExportSettings, there: Collection[str], now: float) -> list[Period]:
    """Periods that have no file, oldest first: the newest that is over, and holes between files that are ``there``
    (names of periods), as far back as files are kept. Pure."""
    period = newest_period(settings.kind, now, settings.timezone)
    if now - period.stop < (SETTLED_S if _is_of_readings(settings) else DERIVED_S):
        period = period.before
    oldest = min(there, default=period.name)
    found = []
    for _ in range(settings.keep):
        if period.name < oldest:
            break
        if period.name not in there:
            found.append(period)
        period = period.before
    return found[::-1]


def _is_of_readings(settings: ExportSettings) -> bool:
    return settings.what in ROLLED_MEASUREMENTS and settings.of_tier is Tier.RAW


def _made(
    settings: ExportSettings,
    export: Callable[[Asked], Exported],
    home: Path,
    period: Period,
    told: Callable[[Period, int], None],
) -> Done:
    asked = Asked(
        what=settings.what,
        start=period.start,
        stop=period.stop,
        tier=settings.of_tier,
        where=settings.where,
        fields=settings.fields or None,
    )
    path = home / f"{settings.name}-{period.name}.{settings.format}"
    return write_export(
        export(asked), path, settings.format, made_by="flow export-series", told=lambda stop: told(period, stop)
    )


def _files(settings: ExportSettings, home: Path) -> list[Path]:
    found = home.glob(f"{settings.name}-*.{settings.format}")
    return sorted(path for path in found if not path.name.endswith(ABOUT))  # JSON ends as a sidecar does


def _period_name(settings: ExportSettings, path: Path) -> str:
    return path.stem.removeprefix(f"{settings.name}-")


def _tidy(settings: ExportSettings, home: Path) -> None:
    """Take away files that are more than are kept, with their sidecars, and what killed runs left."""
    for path in _files(settings, home)[: -settings.keep]:
        path.unlink(missing_ok=True)
    for path in home.iterdir():
        whole = path.with_name(path.name.removesuffix(DRAFT).removesuffix(ABOUT))
        if whole != path and not whole.exists():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
