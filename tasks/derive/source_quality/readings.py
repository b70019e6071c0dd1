"""What is stored of the sources of one kind in a day, as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.hour_grid import Floats, floats
from tasks.derive.source_quality.figures import Truth, Whole
from tasks.derive.source_quality.sources import Kind

HISTORY_S = 7 * DAY_S
SLICE_S = 6 * HOUR_S
"""Raw rows that are read at once: 72,000 of 1,000 miners that are polled every 300 s."""
CONFLICT_RATIO = 0.15
"""Part of a miner's hashrate that a pool may be off in an hour for no known reason. A pool's mean of an hour is made of
shares: of 360, one in ten seconds, it scatters by 5 %, and three times that is rare."""

_REQUEST, _MATCH = MEASUREMENTS["source_request"], MEASUREMENTS["worker_match"]


@dataclass(frozen=True, slots=True)
class Readings:
    """A day of ``names``, sources of one kind. Arrays of rows have a reading each: the number of its source in
    ``names``, that of its series in ``series_names``, its Unix time, its quality (NaN: not told).

    ``sources``, ``series`` and ``times`` have rows of the hour before the day too; the others are of the day. Of each
    source: ``first`` poll or request in the day (Unix seconds, NaN: none), ``failed`` ones, whether it was ``seen`` in
    the seven days before, ``flags``; what could be ``compared`` with other sources, and was ``conflicting``.
    ``hours``: of each pair of source and series that has hours, in ``pairs``, the value of each since ``begin``.
    """

    names: list[str]
    sources: Whole
    series: Whole
    times: Whole
    judged: Whole
    quality: Floats
    flagged: Whole
    flags: list[str | None]
    first: Floats
    failed: Whole
    seen: Truth
    compared: Whole
    conflicting: Whole
    pairs: Whole
    pair_is_of_late: Truth
    hours: Floats
    begin: int


def read_day(store: Store, kind: Kind, configured: Iterable[str], start: int, stop: int) -> Readings:
    """The day ``[start, stop)`` (Unix seconds) of the sources that are ``configured`` or told something.

    Raw rows are read slice by slice, and of them only numbers are kept.

    Raises:
        TryAgain: the store does not answer.
    """
    begin = start - HISTORY_S
    columns = [kind.value, *(f"{name}_count" for name in kind.told)]
    columns += ["state_paused_seconds"] if kind.name == "miner" else []
    hourly = store.read(kind.measurement, Tier.HOURLY, begin, stop, columns=columns)
    names = sorted(set(configured) | set(pc.unique(hourly[kind.tag]).to_pylist()) - {None})
    series_names = sorted(set(pc.unique(hourly[kind.series]).to_pylist()) - {None})
    gathered = _Raw(kind, names, series_names)
    gathered.add(_raw(store, kind, start - HOUR_S, start), of_the_day=False)
    for at in range(start, stop, SLICE_S):
        gathered.add(_raw(store, kind, at, min(at + SLICE_S, stop)), of_the_day=True)
    sources, series, times, quality = (np.concatenate(parts) for parts in zip(*gathered.rows, strict=True))
    today = times >= start
    judged, conflicts = sources[today], np.concatenate(gathered.conflicts)[today]
    first, failed = gathered.first, gathered.failed
    if kind.name != "miner":
        requests = (
            store.read(_REQUEST, Tier.RAW, start, stop, where={"source": names}, columns=["ok"]) if names else None
        )
        if requests is not None:
            of = _codes(requests["source"], names)
            np.fmin.at(first, of, unix_seconds(requests).astype(np.float64))
            failed += np.bincount(of[~np.asarray(pc.fill_null(requests["ok"], False))], minlength=len(names))
    if kind.by_series:
        compared, conflicting = _rows_compared(judged, series[today], times[today], conflicts, len(names))
    else:
        compared, conflicting = _hours_compared(store, kind, names, start, stop)
    pairs, of_late, hours = _hours(hourly, kind, names, series_names, range(begin, stop, HOUR_S))
    before = _codes(hourly[kind.tag], names)[unix_seconds(hourly) < start]
    seen = np.bincount(before, minlength=len(names)) > 0
    return Readings(
        names=names,
        sources=sources,
        series=series if kind.by_series else np.zeros_like(series),
        times=times,
        judged=judged,
        quality=quality[today],
        flagged=gathered.flagged,
        flags=[_in_words(counts) for counts in gathered.words],
        first=first,
        failed=failed,
        seen=seen,
        compared=compared,
        conflicting=conflicting,
        pairs=pairs,
        pair_is_of_late=of_late,
        hours=hours,
        begin=begin,
    )


def _raw(store: Store, kind: Kind, start: int, stop: int) -> pa.Table:
    table = store.read(kind.measurement, Tier.RAW, start, stop, columns=["quality", "quality_flags", *kind.told])
    return table.filter(reduce(pc.or_, [pc.is_valid(table[name]) for name in kind.told]))


class _Raw:
    """Raw rows, gathered slice by slice."""

    def __init__(self, kind: Kind, names: list[str], series_names: list[str]) -> None:
        self.kind, self.names, self.series_names = kind, names, series_names
        self.rows: list[tuple[Whole, Whole, Whole, Floats]] = []
        self.conflicts: list[Truth] = []
        self.first: Floats = np.full(len(names), np.nan)
        self.failed: Whole = np.zeros(len(names), dtype=np.int64)
        self.flagged: Whole = np.zeros(len(names), dtype=np.int64)
        self.words: list[Counter[str]] = [Counter() for _ in names]

    def add(self, table: pa.Table, *, of_the_day: bool) -> None:
        """Rows of a slice. One of a source that no hour is rolled up of is left out: it makes the day due again."""
        table = table.filter(pc.is_in(table[self.kind.tag], value_set=pa.array(self.names, pa.string())))
        if self.kind.name == "miner":
            came = np.asarray(pc.fill_null(table["reachable"], False))
            if of_the_day:
                of = _codes(table[self.kind.tag], self.names)
                np.fmin.at(self.first, of, unix_seconds(table).astype(np.float64))
                self.failed += np.bincount(of[~came], minlength=len(self.names))
            table = table.filter(pa.array(came))
        of, times = _codes(table[self.kind.tag], self.names), unix_seconds(table)
        self.rows.append((of, _codes(table[self.kind.series], self.series_names), times, floats(table["quality"])))
        told = table["quality_flags"].combine_chunks().dictionary_encode()
        codes = np.asarray(told.indices.fill_null(-1)).astype(np.int64)
        texts = [text or "" for text in told.dictionary.to_pylist()]
        self.conflicts.append(np.isin(codes, [at for at, text in enumerate(texts) if "conflicting" in _words(text)]))
        if not of_the_day:
            return
        np.fmin.at(self.first, of, times.astype(np.float64))
        pairs, counts = np.unique(np.stack([of, codes])[:, codes >= 0], axis=1, return_counts=True)
        for source, code, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            words = _words(texts[code])
            self.flagged[source] += count if words else 0
            self.words[source].update(dict.fromkeys(words, count))


def _words(text: str) -> set[str]:
    """Words of a text of quality_flags, each without the place after its colon."""
    return {word.partition(":")[0] for word in text.split(",") if word}


def _in_words(counts: Mapping[str, int]) -> str | None:
    return ",".join(f"{word}={n}" for word, n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))) or None


def _codes(column: pa.ChunkedArray, names: list[str]) -> Whole:
    """Numbers of texts in ``names``, -1 for one that is not in them."""
    codes = pc.index_in(column.combine_chunks(), value_set=pa.array(names, pa.string()))
    return np.asarray(codes.fill_null(-1)).astype(np.int64)


def _rows_compared(of: Whole, series: Whole, times: Whole, conflicts: Truth, count: int) -> tuple[Whole, Whole]:
    """Rows of an hour in which another source told the coin too, or that are flagged so: conflicting with themselves.

    Returns them, and those flagged, of each source.
    """
    hours = times // HOUR_S
    told = np.unique(np.stack([series, hours, of]), axis=1)
    places, inverse = np.unique(told[:2], axis=1, return_inverse=True)
    several = np.bincount(inverse.reshape(-1), minlength=places.shape[1]) > 1
    shared = set(map(tuple, places[:, several].T.tolist()))
    base = int(hours.max(initial=0)) + 1
    keys = np.array([coin * base + hour for coin, hour in shared], dtype=np.int64)
    compared = np.isin(series * base + hours, keys) | conflicts
    return np.bincount(of[compared], minlength=count), np.bincount(of[conflicts], minlength=count)


def _hours_compared(store: Store, kind: Kind, names: list[str], start: int, stop: int) -> tuple[Whole, Whole]:
    """Hours of miners and workers of which the gap is known, and those in which it is above CONFLICT_RATIO."""
    table = store.read(_MATCH, Tier.RAW, start, stop, columns=["gap_unexplained_ratio"])
    of, gap = _codes(table[kind.tag], names), floats(table["gap_unexplained_ratio"])
    known = (of >= 0) & ~np.isnan(gap)
    far = known & (np.abs(gap) > CONFLICT_RATIO)
    return np.bincount(of[known], minlength=len(names)), np.bincount(of[far], minlength=len(names))


def _hours(
    hourly: pa.Table, kind: Kind, names: list[str], series_names: list[str], hours: range
) -> tuple[Whole, Truth, Floats]:
    """Of each pair of source and series: the source's number, whether it has an hour of the last two days, and its
    values in each of ``hours``; those in which a miner was paused are left out."""
    values = floats(hourly[kind.value])
    if kind.name == "miner":
        values = np.where(np.nan_to_num(floats(hourly["state_paused_seconds"])) > 0, np.nan, values)
    width = max(len(series_names), 1)
    keys = _codes(hourly[kind.tag], names) * width + np.maximum(_codes(hourly[kind.series], series_names), 0)
    pairs, rows = np.unique(keys, return_inverse=True)
    at = (unix_seconds(hourly) - hours.start) // HOUR_S
    laid: Floats = np.full((len(pairs), len(hours)), np.nan)
    laid[rows.reshape(-1), at] = values
    of_late = np.zeros(len(pairs), dtype=np.bool_)
    of_late[rows.reshape(-1)[at >= len(hours) - 2 * DAY_S // HOUR_S]] = True
    return pairs // width, of_late, laid
