"""Publication: what of the tiers is new or was corrected becomes rows of the feature tables and of the online store.

A day (of a source that is rolled up) is due when the roll-up's marks of it are others than it was published from. A raw
source has no such marks: its last hours are looked at in every run, its last days once an hour and once a day. What was
looked at is compared with what is published; only rows that differ are added, known from ``now`` on. A row that the
source no longer has is withdrawn by a row of nulls.

Order of writes: rows, marks of their days, online store; last of all the marks through when views are settled. Killed
in between, what is due again differs in nothing and adds nothing; the online store takes what became known since it
last did, whoever published it.

A row from before the feature store (it was over when the first publication began, which has not been whole since) is
dated by what usually happens: known ``lag_s`` after its end, or when its last data was delivered if that was later.
Such rows say so (``backfilled``). Every other row is known from the second in which it is written, and always later
than what is settled, so that whoever exports by known time (changes.py) meets each row once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import integers, numbers
from storage.declaration import Tier
from storage.declaration.pipeline import WINDOW_TOUCHED
from storage.downsample.books import rolled_windows
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.downsample.windows import unix_seconds
from storage.errors import LodelineError, NeedsHuman, TryAgain
from storage.features.books import Books
from storage.features.following import follow
from storage.features.online import OnlineStore
from storage.features.registry import require_registered
from storage.features.rows import codes_of, feature_rows, newest_versions, seconds
from storage.features.table import feature_table, published
from storage.features.turn import Turn, turn
from storage.features.view import BACKFILLED, ENTITY, KNOWN, FeatureView
from storage.features.views import VIEWS
from storage.lake.compaction import compact
from storage.lake.history import checkpoint
from storage.lake.location import LakeLocation
from storage.lake.maintenance import expire, vacuum
from storage.lake.table import LakeTable
from storage.store import Store

BACKFILL_DAYS = 90
"""How far back the first publication goes."""

_RECENT_S = 3 * HOUR_S
_HOURLY_DAYS, _DAILY_DAYS = 3, 29
_RAW_DAYS_AT_ONCE = 4
_DAYS_UNMARKED = 32

Numbers = npt.NDArray[np.int64]


@dataclass(slots=True)
class PublishReport:
    """Rows added by view; entities whose online row changed; files that were merged, that retention ended and that
    were deleted. ``skipped``: another process was at it, and only the online store was brought up to what is settled.
    ``troubles``: what kept a view from being published, by view.
    """

    rows: dict[str, int] = field(default_factory=dict)
    online: int = 0
    files_merged: int = 0
    files_expired: int = 0
    files_deleted: int = 0
    skipped: bool = False
    troubles: dict[str, LodelineError] = field(default_factory=dict)

    def raise_troubles(self) -> None:
        """Raise what went wrong: TryAgain where all of it may pass, else NeedsHuman."""
        if not self.troubles:
            return
        text = "; ".join(f"view {name}: {error}" for name, error in self.troubles.items())
        if all(isinstance(error, TryAgain) for error in self.troubles.values()):
            raise TryAgain(text)
        raise NeedsHuman(text, remedy="All other views were published")


def publish(
    store: Store,
    root: LakeLocation,
    online: OnlineStore,
    now: int,
    retention_days: Mapping[str, int],
    *,
    views: Iterable[FeatureView] = VIEWS.values(),
    clock: Callable[[], int] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> PublishReport:
    """Bring feature tables and online store up to what ``store`` holds at ``now`` (Unix seconds).

    ``retention_days`` by bucket; features are kept as long as their source. ``clock`` tells the second in which rows
    are written, ``now`` by default. ``stop`` is asked between days. Trouble with a view (the store or the lake does not
    answer, its table is damaged, its definition changed without a new version) is in the report and holds up no other;
    whatever was not marked stays due.

    Raises:
        TryAgain, NeedsHuman: the books cannot be read or written; another host took the turn of this one, which had
            stood still for longer than a turn lasts.
    """
    with turn(root) as ours:
        if ours is None:
            return _while_another_publishes(root, online, now, views)
        report, books, settled = PublishReport(), Books(root), {}
        for view in views:
            publication = _View(
                view, store, root, online, books, ours, now, clock or (lambda: now), retention_days, report
            )
            try:
                require_registered(view)
                if publication.run(stop):
                    settled[view.stored_name] = publication.stamp()
            except LodelineError as error:
                ours.keep()  # without it all the others would fail as well
                report.troubles[view.name] = error
        if settled:
            ours.keep()
            books.write_settled(settled)
            books.tidy()
        return report


def _while_another_publishes(
    root: LakeLocation, online: OnlineStore, now: int, views: Iterable[FeatureView]
) -> PublishReport:
    """Rows that are known later than what is settled may be joined by others of the same time: they wait."""
    report, books = PublishReport(skipped=True), Books(root)
    for view in views:
        until = books.settled(view)
        if until is not None:
            try:
                report.online += follow(online, feature_table(root, view), view, now, until)
            except LodelineError as error:
                report.troubles[view.name] = error
    return report


@dataclass(slots=True)
class _View:
    view: FeatureView
    store: Store
    root: LakeLocation
    online: OnlineStore
    books: Books
    turn: Turn
    now: int
    clock: Callable[[], int]
    retention_days: Mapping[str, int]
    report: PublishReport
    newest_stamp: int = 0

    def run(self, stop: Callable[[], bool]) -> bool:
        """Publish what is due; whether all of it was."""
        view = self.view
        table = feature_table(self.root, view)
        began = self.books.began(view, self.now)
        before = self.report.rows.get(view.name, 0)
        states: dict[int, str] = {}  # of days that are done and not yet marked; after a kill they are done again
        for first, after, marks in self._due():
            if stop():
                self.books.write_days(view, states)
                return False
            self.turn.keep()
            self._slice(table, first, after, began)
            states |= marks
            if len(states) >= _DAYS_UNMARKED:
                self.books.write_days(view, states)
                states = {}
        self.turn.keep()
        self.books.write_days(view, states)
        self.report.online += follow(self.online, table, view, self.now, self.stamp())
        if self.report.rows.get(view.name, 0) > before:
            self.report.files_expired += expire(table, self._horizon())
            self.report.files_merged += compact(table, self.now, stop=stop)
            self.report.files_deleted += len(vacuum(table))
            checkpoint(table)
        return True

    def stamp(self) -> int:
        """The known time of what is written now: later than all that is settled, whatever the clock says."""
        settled = self.books.settled(self.view)
        self.newest_stamp = max(self.clock(), self.newest_stamp, -1 if settled is None else settled + 1)
        return self.newest_stamp

    # What is due

    def _horizon(self) -> int:
        kept = self.retention_days[self.view.measurement.buckets[self.view.tier]]
        return window_of(self.now - (kept - 1) * DAY_S, DAY_S)

    def _due(self) -> list[tuple[int, int, dict[int, str]]]:
        """Stretches of source time to look at, each with the marks that say so afterwards."""
        today = window_of(self.now, DAY_S)
        horizon = max(self._horizon(), today - BACKFILL_DAYS * DAY_S)
        return self._due_raw(horizon, today) if self.view.tier is Tier.RAW else self._due_rolled(horizon)

    def _due_rolled(self, horizon: int) -> list[tuple[int, int, dict[int, str]]]:
        hours = self._marks(Tier.HOURLY, horizon)
        # a day is marked as done each time alike: that it was done again its hours tell
        whole = self._marks(Tier.DAILY, horizon) if self.view.tier is Tier.DAILY else hours
        # an hour that was redone may change the next, which goes on from it, without changing that one's mark
        states = {
            day: _digest((sorted(own), sorted(hours.get(day - DAY_S, []) + hours.get(day, []))))
            for day, own in whole.items()
        }
        due = sorted(day for day, state in states.items() if self.books.day(self.view, day) != state)
        return [(day, day + DAY_S, {day: states[day]}) for day in due]

    def _marks(self, tier: Tier, horizon: int) -> dict[int, list[tuple[int, int]]]:
        """Windows that were rolled up, each with its mark, by the day that they are in."""
        marks: dict[int, list[tuple[int, int]]] = {}
        for window, mark in rolled_windows(self.store, self.view.measurement, tier, horizon, self.now).items():
            marks.setdefault(window_of(window, DAY_S), []).append((window, mark))
        return marks

    def _due_raw(self, horizon: int, today: int) -> list[tuple[int, int, dict[int, str]]]:
        hour, seen = self.now // HOUR_S, self.books.day(self.view, today)
        if seen == f"hour {hour}":
            return [(max(horizon, window_of(self.now - _RECENT_S, HOUR_S)), self.now + 1, {})]
        back = _DAILY_DAYS if seen is None else _HOURLY_DAYS
        days = [
            day
            for day in range(horizon, today + 1, DAY_S)
            if day > today - back * DAY_S or self.books.day(self.view, day) is None
        ]
        runs = [days[first : first + _RAW_DAYS_AT_ONCE] for first in range(0, len(days), _RAW_DAYS_AT_ONCE)]
        return [(run[0], run[-1] + DAY_S, dict.fromkeys(run, f"hour {hour}")) for run in runs]

    # One stretch

    def _slice(self, table: LakeTable, first: int, after: int, began: int) -> None:
        view = self.view
        source = self.store.read(
            view.measurement, view.tier, first, after, where=view.where or None, columns=view.source_columns
        )
        rows = feature_rows(view, source, self.now)
        newest = newest_versions(published(table, view, first + view.width_s, after + view.width_s))
        changed, new = _changes(view, newest, rows, self.stamp())
        if new and self.books.settled(view) is None:
            changed = self._dated_back(changed, new, first, after, began)
        if changed.num_rows:
            self.turn.keep()  # reading may have taken long
            table.append([(0, changed.drop_columns([ENTITY]))])
            self.report.rows[view.name] = self.report.rows.get(view.name, 0) + changed.num_rows

    def _dated_back(self, rows: pa.Table, new: int, first: int, after: int, began: int) -> pa.Table:
        """``rows``, of the ``new`` first of which those from before the feature store have the time at which they would
        usually have been known.
        """
        ends = seconds(rows)
        usual = ends + self.view.lag_s
        if self.view.tier is not Tier.RAW:
            usual = np.maximum(usual, self._delivered(first, after, ends - self.view.width_s) + self.view.lag_s)
        is_old = (usual < began) & (np.arange(rows.num_rows) < new)
        known = np.where(is_old, usual, numbers(rows[KNOWN]))
        return _known_from(rows, known, is_old)

    def _delivered(self, first: int, after: int, starts: Numbers) -> Numbers:
        """When the last data of the window that begins at each of ``starts`` was delivered; 0: nobody knows."""
        where = {"measurement": self.view.measurement.name}
        touched = self.store.read(WINDOW_TOUCHED, Tier.RAW, first, after, where=where)
        hours = unix_seconds(touched)
        windows = hours - hours % self.view.width_s
        times = numbers(pc.fill_null(touched["touched_ns"], 0)) // 1_000_000_000
        distinct, at = np.unique(windows, return_inverse=True)
        if not len(distinct):
            return np.zeros_like(starts)
        newest = np.zeros(len(distinct), dtype=np.int64)
        np.maximum.at(newest, at, times)
        which = np.minimum(np.searchsorted(distinct, starts), len(distinct) - 1)
        return np.where(distinct[which] == starts, newest[which], 0)


def _changes(view: FeatureView, there: pa.Table, rows: pa.Table, now: int) -> tuple[pa.Table, int]:
    """Rows to add so that the newest version of every key is ``rows``: new ones, then changed ones, then nulls for keys
    that are no longer there; and how many are new.

    ``there`` has one row a key. A clock that was set back does not make a correction older than what it corrects.
    """
    both = pa.concat_tables([there, rows])
    if not both.num_rows:
        return both, 0
    entities, events = codes_of(both[ENTITY]), seconds(both)
    is_row = np.arange(both.num_rows) >= there.num_rows
    order = np.lexsort((is_row, events, entities))
    same = (entities[order][1:] == entities[order][:-1]) & (events[order][1:] == events[order][:-1])
    of_row, of_there = order[1:][same], order[:-1][same]
    names = view.feature_names
    equal = _equal(both.select(names), of_row, of_there)
    lone = np.ones(both.num_rows, dtype=np.bool_)
    lone[np.concatenate([of_row, of_there])] = False
    new = np.flatnonzero(lone & is_row)
    gone = np.flatnonzero(lone & ~is_row)
    gone = gone[~_all_null(both.select(names), gone)]
    before = np.full(both.num_rows, -1, dtype=np.int64)
    before[: there.num_rows] = numbers(there[KNOWN])
    changed = of_row[~equal]
    known = np.concatenate(
        [np.full(len(new), now), np.maximum(now, before[of_there[~equal]] + 1), np.maximum(now, before[gone] + 1)]
    )
    kept = both.take(integers(np.concatenate([new, changed])))
    lost = both.take(integers(gone))
    for name in names:
        at = both.schema.get_field_index(name)
        lost = lost.set_column(at, both.schema.field(at), pa.nulls(len(gone), both.schema.field(at).type))
    return _known_from(pa.concat_tables([kept, lost]), known, np.zeros(len(known), dtype=np.bool_)), len(new)


def _known_from(rows: pa.Table, known: Numbers, is_backfilled: npt.NDArray[np.bool_]) -> pa.Table:
    columns = {KNOWN: integers(known), BACKFILLED: pc.equal(integers(is_backfilled.astype(np.int64)), 1)}
    for name, column in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return rows


def _equal(rows: pa.Table, left: Numbers, right: Numbers) -> npt.NDArray[np.bool_]:
    """Whether rows ``left`` and ``right`` have the same in all columns; null is the same as null."""
    equal = np.ones(len(left), dtype=np.bool_)
    for column in rows.columns:
        a, b = column.take(integers(left)), column.take(integers(right))
        same = pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))
        equal &= _booleans(same)
    return equal


def _all_null(rows: pa.Table, which: Numbers) -> npt.NDArray[np.bool_]:
    null = np.ones(len(which), dtype=np.bool_)
    for column in rows.columns:
        null &= _booleans(pc.is_null(column.take(integers(which))))
    return null


def _booleans(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = numbers(column) == 1
    return found


def _digest(marks: object) -> str:
    return hashlib.sha256(repr(marks).encode()).hexdigest()[:16]
