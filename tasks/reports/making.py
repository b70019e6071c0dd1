"""Which reports are due, and making them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage.downsample.rollup import HOUR_S
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.reports.figures import gather
from tasks.reports.period import Kind, newest_period
from tasks.reports.settings import ReportSettings
from tasks.reports.writing import Written, write_report

SETTLED_S = HOUR_S
"""A period is reported once it is over this long: by then its last hour is rolled up and derived."""
MADE_ANEW_S = 36 * HOUR_S
"""So long after its period a report is made anew for later data."""


def make_reports(store: Store, fleet: Fleet, settings: ReportSettings, folder: Path, now: float) -> list[Written]:
    """Write what is due at ``now`` (Unix seconds) under ``folder``.

    Raises:
        TryAgain: the store does not answer.
        NeedsHuman: days of the configured zone do not begin on an hour of UTC.
    """
    made = []
    for kind in kinds(settings):
        period = newest_period(kind, now, settings.timezone)
        there = (folder / kind / f"{period.name}.md").exists()
        if now - period.stop < SETTLED_S or (there and now - period.stop > MADE_ANEW_S):
            continue
        found = gather(store, fleet, period, now)
        made.append(write_report(found, folder, keep_days=settings.keep_days, now=now, pdf=settings.pdf))
    return made


def kinds(settings: ReportSettings) -> Sequence[Kind]:
    """Kinds of report that are wanted."""
    wanted = {Kind.DAILY: settings.daily, Kind.WEEKLY: settings.weekly, Kind.MONTHLY: settings.monthly}
    return [kind for kind in Kind if wanted[kind]]
