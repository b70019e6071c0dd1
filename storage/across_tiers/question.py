"""One question: which tier answers which stretch, and every answer brought into the columns asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from storage.across_tiers.borders import end_of, runs, slices
from storage.across_tiers.places import Found, Places, days_of
from storage.arrow_schema import ARROW_TYPES, answer_schema, integers
from storage.declaration import Kind, Measurement, Tier
from storage.declaration.rollup import (
    RollupColumn,
    carried_columns,
    carried_fields,
    rollup_columns,
    timed_fields,
)
from storage.downsample.carried import carried_rows
from storage.downsample.growth import COUNTER_MEMORY_S
from storage.downsample.rollup import DAY_S, HOUR_S, days_of_hours, hours_of_raw, window_of
from storage.downsample.windows import unix_seconds
from storage.lake.merge import merged
from storage.store import Where

_MONTH_S = 31 * DAY_S
_RAW_SLICE_S = 6 * HOUR_S
_COARSER = {Tier.RAW: Tier.HOURLY, Tier.HOURLY: Tier.DAILY}
_WIDTH_S = {Tier.HOURLY: HOUR_S, Tier.DAILY: DAY_S}


@dataclass(frozen=True, slots=True)
class Piece:
    """Where ``start <= time < stop`` came from: ``rows`` rows of ``tier`` were read at ``place``, and why those.

    ``place`` is the name of the store, ``archive``, or ``<store> and archive`` where both had rows.
    """

    start: int
    stop: int
    tier: Tier
    place: str
    rows: int
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one piece; ``width_s`` is the length of their windows, None of raw rows."""

    piece: Piece
    rows: pa.Table
    width_s: int | None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``reduced`` is the measurement with the fields that are needed and no other."""

    places: Places
    measurement: Measurement
    reduced: Measurement
    resolution_s: int | None
    where: Where | None
    columns: Mapping[str, RollupColumn]

    @staticmethod
    def of(
        places: Places,
        measurement: Measurement,
        resolution_s: int | None,
        where: Where | None,
        columns: Sequence[str] | None,
    ) -> Question:
        """See :meth:`storage.across_tiers.AcrossTiers.read`, whose ValueErrors are raised here."""
        if resolution_s is not None and (resolution_s <= 0 or (DAY_S % resolution_s and resolution_s % DAY_S)):
            raise ValueError(f"windows of {resolution_s} s neither divide a day nor are whole days")
        fields = representatives(measurement)
        rolled = {} if resolution_s is None else {column.name: column for column in rollup_columns(measurement)}
        wanted = {name: (rolled | fields).get(name) for name in (fields if columns is None else columns)}
        known = {name: column for name, column in wanted.items() if column is not None}
        if len(known) < len(wanted) or not known:
            unknown = [name for name in wanted if name not in known]
            more = "; a column of a roll-up needs a resolution" if resolution_s is None else ""
            raise ValueError(f"{measurement.name} has no column {unknown}; it has {list(fields)}{more}")
        strangers = sorted(set(where or {}) - set(measurement.tag_names))
        if strangers:
            raise ValueError(f"{measurement.name} has no tag {strangers}; it has {list(measurement.tag_names)}")
        needed = {name for column in known.values() for name in _made_of(measurement, column)}
        reduced = dataclasses.replace(measurement, fields=tuple(f for f in measurement.fields if f.name in needed))
        return Question(places, measurement, reduced, resolution_s, where, known)

    @property
    def at_once_s(self) -> int:
        """How much is read at a time: bounds the memory of what is not in the answer itself."""
        every = self.resolution_s
        if every is None:
            return 1 << 40
        if self.is_of_raw:
            return max(DAY_S, every)
        return max(every, _MONTH_S // every * every)

    @property
    def is_of_raw(self) -> bool:
        """Whether raw rows answer it."""
        return self.resolution_s is None or self.resolution_s < HOUR_S or Tier.HOURLY not in self.measurement.buckets

    # Which tier

    def parts(self, start: int, stop: int) -> list[Part]:
        """Rows of ``[start, stop)`` from the tiers that fit, in the order of time."""
        if self.is_of_raw:
            horizon = self.places.horizon(self.measurement, Tier.RAW)
            parts = self._left_over(Tier.RAW, start, min(stop, horizon))
            return parts + self._of_raw(max(start, horizon), stop, self.resolution_s, "the finest that is kept")
        if self.resolution_s < DAY_S or Tier.DAILY not in self.measurement.buckets:  # type: ignore[operator]
            return self._hours(start, stop)
        return self._days(start, stop)

    def _hours(self, start: int, stop: int) -> list[Part]:
        horizon = self.places.horizon(self.measurement, Tier.HOURLY)
        parts = self._left_over(Tier.HOURLY, start, min(stop, horizon))
        start = max(start, horizon)
        due = self.places.due_hours(self.measurement, start, stop)
        for first, end, is_due in runs(start, stop, HOUR_S, due):
            if is_due:
                parts += self._of_raw(first, end, HOUR_S, "not rolled up yet: worked out of raw")
            else:
                parts += self._of_tier(Tier.HOURLY, first, end, "rolled up")
        return parts

    def _days(self, start: int, stop: int) -> list[Part]:
        horizon = self.places.horizon(self.measurement, Tier.HOURLY)
        parts = self._of_tier(Tier.DAILY, start, min(stop, horizon), "rolled up")
        start = max(start, horizon)
        done = self.places.done_days(self.measurement, start, stop)
        for first, end, is_done in runs(start, stop, DAY_S, done):
            parts += self._of_tier(Tier.DAILY, first, end, "rolled up") if is_done else self._hours(first, end)
        return parts

    def _left_over(self, tier: Tier, start: int, stop: int) -> list[Part]:
        """Past the retention of ``tier``: its own rows on days that still have some, a coarser tier on the others."""
        if start >= stop:
            return []
        coarser, why = _COARSER[tier], "past its retention, still there"
        if coarser not in self.measurement.buckets:
            if tier is Tier.RAW:
                return self._of_raw(start, stop, self.resolution_s, why)
            return self._of_tier(tier, start, stop, why)
        # Whole days are looked at, since a day leaves a tier as a whole and ``start`` may lie within one.
        found = self._read(tier, window_of(start, DAY_S), end_of(stop, DAY_S))
        parts: list[Part] = []
        for first, end, is_present in runs(start, stop, DAY_S, days_of(found.rows)):
            if not is_present:
                gone = f"{tier} is kept {self.places.days_kept(self.measurement, tier)} days"
                parts += self._coarser(coarser, first, end, gone)
            elif tier is Tier.RAW and self.resolution_s is not None:
                parts += self._of_raw(first, end, self.resolution_s, why)
            else:
                parts += self._placed(found, tier, first, end, why)
        return parts

    def _coarser(self, tier: Tier, start: int, stop: int, why: str) -> list[Part]:
        width = _WIDTH_S[tier]
        start, stop = window_of(start, width), end_of(stop, width)
        horizon = self.places.horizon(self.measurement, tier) if tier is Tier.HOURLY else start
        parts = self._left_over(tier, start, min(stop, horizon))
        return parts + self._of_tier(tier, max(start, horizon), stop, why)

    # Reading

    def _of_tier(self, tier: Tier, start: int, stop: int, why: str) -> list[Part]:
        if start >= stop:
            return []
        return self._placed(self._read(tier, start, stop), tier, start, stop, why)

    def _placed(self, found: Found, tier: Tier, start: int, stop: int, why: str) -> list[Part]:
        """Rows of ``[start, stop)``, a part for each place."""
        times = unix_seconds(found.rows)
        parts: list[Part] = []
        for first, end, place in found.by_place(start, stop):
            inside = (times >= first) & (times < end)
            rows = found.rows if inside.all() else found.rows.take(integers(np.flatnonzero(inside)))
            parts.append(Part(Piece(first, end, tier, place, rows.num_rows, why), rows, _WIDTH_S.get(tier)))
        return parts

    def _of_raw(self, start: int, stop: int, every_s: int | None, why: str) -> list[Part]:
        """Raw rows as they are, or folded into windows of which ``start`` and ``stop`` are borders."""
        if start >= stop:
            return []
        if every_s is None:
            return self._placed(self._read(Tier.RAW, start, stop), Tier.RAW, start, stop, why)
        parts: list[Part] = []
        before = self._before(start)
        for first, end in slices(start, stop, every_s * max(1, _RAW_SLICE_S // every_s)):
            found = self._read(Tier.RAW, first, end)
            folded = hours_of_raw(self.reduced, found.rows, before, every_s)
            piece = Piece(first, end, Tier.RAW, found.place(first, end), found.rows.num_rows, why)
            parts.append(Part(piece, self._chosen(folded), every_s))
            carried = carried_rows(self.reduced, folded)
            before = merged(pa.concat_tables([before, carried]), self.measurement.tag_names)
        return parts

    def _before(self, start: int) -> pa.Table:
        """Where counters and states stood before ``start``, which the first window goes on from.

        Without rows where nothing that goes on is asked for.
        """
        fields = carried_fields(self.reduced)
        going_on = dataclasses.replace(self.measurement, fields=fields)
        names = carried_columns(going_on)
        empty = answer_schema(going_on, Tier.HOURLY, names).empty_table()
        if not any(_goes_on(column) for column in self.columns.values()):
            return empty
        hour = window_of(start, HOUR_S)
        first = hour - COUNTER_MEMORY_S
        if Tier.HOURLY in self.measurement.buckets:
            of_raw = {hour, *self.places.due_hours(self.measurement, first, hour)}
        else:
            of_raw = set(range(first, hour + 1, HOUR_S))
        tables = [empty]
        for since, until, is_raw in runs(first, start, HOUR_S, of_raw):
            tier, columns = (Tier.RAW, [field.name for field in fields]) if is_raw else (Tier.HOURLY, names)
            rows = self.places.rows(self.measurement, tier, since, until, where=self.where, columns=columns).rows
            if is_raw:
                so_far = merged(pa.concat_tables(tables), self.measurement.tag_names)
                rows = carried_rows(going_on, hours_of_raw(going_on, rows, so_far))
            tables.append(rows)
        return merged(pa.concat_tables(tables), self.measurement.tag_names)

    def _read(self, tier: Tier, start: int, stop: int) -> Found:
        columns = list(self.reduced.field_by_name) if tier is Tier.RAW else self._rolled_names()
        return self.places.rows(self.measurement, tier, start, stop, where=self.where, columns=columns)

    def _rolled_names(self) -> list[str]:
        """Columns of roll-ups that are needed: the ones asked for, or all that folding them further takes."""
        if self.resolution_s is None or self.resolution_s <= HOUR_S or self.is_of_raw:
            return list(dict.fromkeys(column.name for column in self.columns.values()))
        return [column.name for column in rollup_columns(self.reduced)]

    def _chosen(self, rolled: pa.Table) -> pa.Table:
        return rolled.select(["time", *self.measurement.tag_names, *self._rolled_names()])

    # What is answered

    def tables(self, parts: Sequence[Part]) -> list[pa.Table]:
        """``parts`` folded to the resolution, in the answer's columns."""
        every = self.resolution_s
        raw = [part.rows for part in parts if part.width_s is None]
        rolled = {width: self._together(parts, width) for width in {part.width_s for part in parts} - {None}}
        if every is not None and not self.is_of_raw:
            rolled = self._folded(rolled, every)
        return [
            *(self._shaped(rows, [c.field.name for c in self.columns.values()]) for rows in raw),
            *(self._shaped(rows, [c.name for c in self.columns.values()]) for rows in rolled.values()),
        ]

    def _folded(self, rolled: dict[int | None, pa.Table], every: int) -> dict[int | None, pa.Table]:
        hours, days = rolled.get(HOUR_S), rolled.get(DAY_S)
        if every < DAY_S or Tier.DAILY not in self.measurement.buckets:
            if hours is not None and every > HOUR_S:
                rolled[HOUR_S] = days_of_hours(self.reduced, hours, every)
            return rolled
        parts = [] if hours is None else [days_of_hours(self.reduced, hours)]
        parts += [] if days is None else [days]
        whole = merged(pa.concat_tables(parts), self.measurement.tag_names)
        return {every: days_of_hours(self.reduced, whole, every) if every > DAY_S else whole}

    def _together(self, parts: Sequence[Part], width: int | None) -> pa.Table:
        return merged(
            pa.concat_tables([part.rows for part in parts if part.width_s == width]), self.measurement.tag_names
        )

    def _shaped(self, rows: pa.Table, names: Sequence[str]) -> pa.Table:
        columns = {"time": rows["time"], **{tag: rows[tag] for tag in self.measurement.tag_names}}
        for (name, column), source in zip(self.columns.items(), names, strict=True):
            columns[name] = rows[source].cast(ARROW_TYPES[column.type])
        return pa.table(columns)


def _is_timed(column: RollupColumn) -> bool:
    return column.aggregate.endswith("seconds") or column.aggregate == "integral"


def _goes_on(column: RollupColumn) -> bool:
    """Whether what it is in a window depends on the windows before."""
    return _is_timed(column) or (column.field.kind is Kind.COUNTER and column.aggregate != "count")


def _made_of(measurement: Measurement, column: RollupColumn) -> set[str]:
    """Fields that the column of a roll-up is worked out of."""
    names = {column.field.name}
    if _is_timed(column):
        names |= {field.name for field in timed_fields(measurement)}  # a row that has any of them ends the one before
    if column.field.kind is Kind.COUNTER and measurement.uptime is not None:
        names.add(measurement.uptime)
    return names


def representatives(measurement: Measurement) -> dict[str, RollupColumn]:
    """Field to the column of a roll-up that stands for it: the mean of a gauge, the newest value of anything else."""
    return {
        column.field.name: column
        for column in rollup_columns(measurement)
        if column.aggregate == ("mean" if column.field.kind is Kind.GAUGE else "last")
    }
