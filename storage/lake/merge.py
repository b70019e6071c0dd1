"""Sorting rows by series and time, and merging rows of one key. numpy on dictionary codes; no row loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.arrow_schema import INGEST_VERSION, integers, numbers

Codes = npt.NDArray[np.int64]

_MANY = 1 << 31  # two such numbers still multiply inside int64


def merged(rows: pa.Table, tags: Sequence[str]) -> pa.Table:
    """``rows`` sorted by ``tags``, then time; rows of one key merged field by field, newest non-null first.

    Newest is the largest ``ingest_version`` where the column exists, else what comes last in ``rows``. Null tags sort
    first. The merged row keeps the newest ingest columns.
    """
    if not rows.num_rows:
        return rows
    rows = rows.unify_dictionaries()
    series = _series_codes(rows, tags)
    times = numbers(rows["time"])
    newest_last = [numbers(rows[INGEST_VERSION])] if INGEST_VERSION in rows.column_names else []
    order = np.lexsort((*newest_last, times, series))  # stable: equal keys stay in the order they came in
    series, times = series[order], times[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (series[1:] != series[:-1]) | (times[1:] != times[:-1])
    rows = rows.take(integers(order))
    if first.all():
        return rows
    starts = np.flatnonzero(first)
    return pa.Table.from_arrays([_newest(column, starts) for column in rows.columns], schema=rows.schema)


def without_keys_of(rows: pa.Table, others: pa.Table, tags: Sequence[str]) -> pa.Table:
    """``rows`` whose key, ``tags`` and time, no row of ``others`` (same schema) has."""
    both = pa.concat_tables([others, rows]).unify_dictionaries()
    keys = np.stack([_series_codes(both, tags), numbers(both["time"])])
    numbered = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    known, asked = numbered[: others.num_rows], numbered[others.num_rows :]
    return rows.take(integers(np.flatnonzero(~np.isin(asked, known))))


def _newest(column: pa.ChunkedArray, starts: Codes) -> pa.ChunkedArray:
    """Last value of each group that is not null; the group's first row, a null, where there is none."""
    filled = np.where(_valid(column), np.arange(len(column)), -1)
    newest = np.maximum.reduceat(filled, starts)
    return column.take(integers(np.where(newest < 0, starts, newest)))


def _series_codes(rows: pa.Table, tags: Sequence[str]) -> Codes:
    """One number a row, equal for equal tags and rising in their order."""
    codes = np.zeros(rows.num_rows, dtype=np.int64)
    size = 1
    for tag in tags:
        ranks, kinds = _ranks(rows[tag])
        codes = codes * kinds + ranks
        size *= kinds
        if size > _MANY:  # keeps the product of many tags inside int64
            present, codes = np.unique(codes, return_inverse=True)
            size = len(present)
    return codes


def _ranks(column: pa.ChunkedArray) -> tuple[Codes, int]:
    """Rank of each row's word among the words of the column (null is 0), and how many ranks there are."""
    coded = (column if pa.types.is_dictionary(column.type) else column.dictionary_encode()).combine_chunks()
    words = coded.dictionary.to_pylist()
    rank_of = np.zeros(len(words) + 1, dtype=np.int64)
    rank_of[np.array(sorted(range(len(words)), key=words.__getitem__), dtype=np.int64)] = np.arange(1, len(words) + 1)
    return rank_of[np.where(_valid(coded), numbers(coded.indices), len(words))], len(words) + 1


def _valid(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = numbers(column.is_valid()) == 1
    return valid
