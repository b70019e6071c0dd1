"""Where rows of a tier are: in the store, in the archive, or not rolled up yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from storage.declaration import Measurement, Tier
from storage.downsample.books import DONE, held_windows, rolled_windows, touched_hours
from storage.downsample.rollup import DAY_S, window_of
from storage.downsample.windows import unix_seconds
from storage.lake.merge import merged
from storage.store import Store, Where

ARCHIVE = "archive"
"""Place of rows that the archive gave; rows of the store have the store's name."""


class Archive(Protocol):
    """What was moved out of the store: it reads like one."""

    def read(
        self,
        measurement: Measurement,
        tier: Tier,
        start: int,
        stop: int,
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """See :meth:`storage.store.Store.read`."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one tier. On ``archived`` days some were in the archive, on ``active`` ones some in ``store``.

    Where nothing was in the archive, and so all is from the store, both are empty.
    """

    rows: pa.Table
    store: str
    active: frozenset[int] = frozenset()
    archived: frozenset[int] = frozenset()

    def place(self, start: int, stop: int) -> str:
        """Where the rows of ``[start, stop)`` were."""
        active, archived = (any(start - DAY_S < day < stop for day in days) for days in (self.active, self.archived))
        if not archived:
            return self.store
        return f"{self.store} and {ARCHIVE}" if active else ARCHIVE

    def by_place(self, start: int, stop: int) -> list[tuple[int, int, str]]:
        """``[start, stop)`` cut at midnights where the place changes; a day without rows goes with the day before."""
        found: list[tuple[int, int, str]] = []
        for day in sorted({day for day in self.active | self.archived if start - DAY_S < day < stop}):
            place = self.place(day, day + DAY_S)
            if not found:
                found.append((start, stop, place))
            elif found[-1][2] != place:
                found[-1] = (found[-1][0], day, found[-1][2])
                found.append((day, stop, place))
        return found or [(start, stop, self.store)]


class Places:
    """``store`` and ``archive`` as of ``now`` (Unix seconds).

    ``retention_days`` by bucket is what the configuration says (RetentionSettings.bucket_days).
    """

    def __init__(self, store: Store, archive: Archive | None, retention_days: Mapping[str, int], now: int) -> None:
        self._store = store
        self._archive = archive
        self._retention_days = retention_days
        self._now = now

    def days_kept(self, measurement: Measurement, tier: Tier) -> int:
        """Days that rows of ``tier`` are kept."""
        return self._retention_days[measurement.buckets[tier]]

    def horizon(self, measurement: Measurement, tier: Tier) -> int:
        """First second from which on nothing of ``tier`` has reached the end of its retention."""
        return window_of(self._now - (self.days_kept(measurement, tier) - 1) * DAY_S, DAY_S)

    def rows(
        self,
        measurement: Measurement,
        tier: Tier,
        start: int,
        stop: int,
        *,
        where: Where | None,
        columns: Sequence[str],
    ) -> Found:
        """Rows of one tier, wherever they are. A row that is in both places is merged, the store's values first."""
        active = self._store.read(measurement, tier, start, stop, where=where, columns=columns)
        if self._archive is None:
            return Found(active, self._store.name)
        archived = self._archive.read(measurement, tier, start, stop, where=where, columns=columns)
        if not archived.num_rows:
            return Found(active, self._store.name)
        rows = merged(pa.concat_tables([archived, active]), measurement.tag_names)
        return Found(rows, self._store.name, days_of(active), days_of(archived))

    def due_hours(self, measurement: Measurement, start: int, stop: int) -> set[int]:
        """Hours in ``[start, stop)`` of which raw, as far as it is whole, has more than the roll-up has seen."""
        start = max(start, self.horizon(measurement, Tier.RAW))
        if start >= stop:
            return set()
        rolled = rolled_windows(self._store, measurement, Tier.HOURLY, start, stop)
        touched = touched_hours(self._store, measurement, start, stop)
        due = {hour for hour, mark in touched.items() if rolled.get(hour) != mark}
        return due - held_windows(self._store, measurement, Tier.HOURLY, start, stop) if due else due

    def done_days(self, measurement: Measurement, start: int, stop: int) -> set[int]:
        """Days in ``[start, stop)`` whose daily rows hold all that is known."""
        marks = rolled_windows(self._store, measurement, Tier.DAILY, start, stop)
        due = {window_of(hour, DAY_S) for hour in self.due_hours(measurement, start, stop)}
        return {day for day, mark in marks.items() if mark == DONE} - due


def days_of(rows: pa.Table) -> frozenset[int]:
    """Days (their first second, UTC) that ``rows`` are of."""
    times = unix_seconds(rows)
    return frozenset(np.unique(times - times % DAY_S).tolist())
