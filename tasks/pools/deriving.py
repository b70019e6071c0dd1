"""From what pools, miners and markets told to matches, summaries and reconciliations, written where it is new.

Late data makes its hours due again (due.py); others are not read. Rows that are stored as they would be made again are
left alone, so a run that is killed or runs twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.books import REDO
from storage.downsample.run import GRACE_S
from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.market.price_then import PricesThen
from tasks.pools.configured import Expected, PoolName
from tasks.pools.due import HOUR_S, REACH_S, first_slice, marks_of, next_span_s, note, noted_hours
from tasks.pools.settling import LATE_S, reconcile_days, value_payouts
from tasks.pools.stored import Row, frame_of_rows, stored_rows
from tasks.pools.summary import DAY_S, MEANS, daily_rows, hourly_rows, moving_averages, valued
from tasks.pools.workers.hours import COLUMNS, WorkerHour, worker_hours
from tasks.pools.workers.matching import EXPECTED_S, Expectations, match_hour, placement, usual_of
from tasks.pools.workers.miners import POOL_COLUMNS, STANDS_S, TELEMETRY_COLUMNS, miner_hours

LONGEST_S = 30 * DAY_S
"""How far back an outage is made up for."""
LATE_PRICES_S = 26 * HOUR_S
"""How late a price may come and still value an hour."""

_MATCH, _SUMMARY = MEASUREMENTS["worker_match"], MEASUREMENTS["pool_summary"]
_WEEK_S = max(MEANS.values()) * HOUR_S


@dataclass(frozen=True, slots=True)
class PoolsReport:
    """Rows written."""

    matches: int = 0
    summaries: int = 0
    payouts: int = 0
    days: int = 0


def derive_pools(store: Store, now: int, pools: Sequence[PoolName], expected: Mapping[str, Expected]) -> PoolsReport:
    """Write what is new up to ``now`` (Unix seconds). ``pools`` are those configured, ``expected`` is where miners
    should mine. Without a pool nothing is written, nor noted as done.

    Raises:
        TryAgain: the store does not answer.
    """
    if not pools:
        return PoolsReport()
    stop = (now - GRACE_S) // HOUR_S * HOUR_S
    marks, noted = marks_of(store, stop - LONGEST_S, stop), noted_hours(store, stop - LONGEST_S, stop)
    due = {hour for hour, mark in marks.items() if noted.get(hour, REDO) != mark}
    since = min(due, default=stop)
    matches, summaries, span_s = 0, 0, HOUR_S
    while due:
        hours = first_slice(due, span_s)
        start, end = hours[0], hours[-1] + HOUR_S
        told = store.read(MEASUREMENTS["pool_performance"], Tier.RAW, start - REACH_S, end, columns=COLUMNS)
        workers = worker_hours(told, start)
        made, held, read = _matches(store, range(start, end, HOUR_S), workers, pools, expected)
        span_s = next_span_s((end - start) // HOUR_S, read)
        if _placed(made) != _placed(held):
            # What is usual of a miner in the day after has changed. Said before the rows are written: a run that is
            # killed between the two finds them changed again.
            after = {hour for hour in noted if end <= hour < end + EXPECTED_S and hour in marks}
            note(store, dict.fromkeys(after, REDO))
            due |= after
        matches += write_changed(store, [frame_of_rows(_MATCH.name, [*made, *_superseded(made, held)])])
        # Hours beyond that are not worked out yet take moving averages and days with them when their turn comes.
        last = min(stop, end + _WEEK_S) if any(hour >= end for hour in noted) else end
        summaries += _summarise(store, start, end, workers)
        summaries += _averages(store, start, last, stop)
        note(store, {hour: marks[hour] for hour in hours})
        due -= set(hours)
    summaries += _value(store, min(since, stop - LATE_PRICES_S), stop)
    payouts = value_payouts(store, stop - LONGEST_S, stop)
    return PoolsReport(matches, summaries, payouts, reconcile_days(store, min(since, stop - LATE_S), stop, pools))


def _matches(
    store: Store, hours: range, workers: Sequence[WorkerHour], pools: Sequence[PoolName],
    expected: Mapping[str, Expected],
) -> tuple[list[Row], list[Row], int]:  # fmt: skip
    """Rows of ``hours`` as they should be, those that are stored and say something, and how many rows of miners were
    read."""
    raw, start, end = Tier.RAW, hours.start, hours.stop
    telemetry = store.read(MEASUREMENTS["miner_telemetry"], raw, start - STANDS_S, end, columns=TELEMETRY_COLUMNS)
    slots = store.read(MEASUREMENTS["miner_pool"], raw, start - STANDS_S, end, columns=POOL_COLUMNS)
    miners = miner_hours(telemetry, slots, start, end)
    stored = stored_rows(store, _MATCH.name, start - EXPECTED_S, end)
    past = [row for row in stored if row["time"] < start]
    made: list[Row] = []
    for hour in hours:
        made += match_hour(
            hour,
            [one for one in miners if one.hour == hour],
            [one for one in workers if one.hour == hour],
            pools,
            Expectations(usual_of([*past, *made], hour), expected),
        )
    held: list[Row] = [row for row in stored if row["time"] >= start and row["status"] != "superseded"]
    return made, held, telemetry.num_rows + slots.num_rows


def _placed(rows: Sequence[Row]) -> set[tuple[int, Any]]:
    """Which miner was which worker, hour by hour."""
    return {(row["time"], placed) for row in rows if (placed := placement(row)) is not None}


def _superseded(made: Sequence[Row], held: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows that late data put others in the place of: no store takes a row back, so they are called what they are."""
    keys = {_key(row) for row in made}
    reason = "late data put another row in its place"
    return [
        {"time": row["time"], **{tag: row[tag] for tag in _MATCH.tag_names}, "status": "superseded", "reason": reason}
        for row in held
        if _key(row) not in keys
    ]


def _key(row: Row) -> tuple[Any, ...]:
    return (row["time"], *(row[tag] or None for tag in _MATCH.tag_names))


def _summarise(store: Store, start: int, end: int, workers: Sequence[WorkerHour]) -> int:
    """Hours of ``[start, end)``."""
    accounts = store.read(MEASUREMENTS["pool_account"], Tier.RAW, start - REACH_S, end, columns=["credited_total"])
    return write_changed(store, [frame_of_rows(_SUMMARY.name, hourly_rows(workers, accounts, start))])


def _averages(store: Store, start: int, last: int, stop: int) -> int:
    """Moving averages of ``[start, last)``, and the days of these hours that are over."""
    means = store.read(
        _SUMMARY, Tier.RAW, start - _WEEK_S, last, where={"time_period": "1h"}, columns=["hashrate_effective_hs"]
    )
    written = write_changed(store, [frame_of_rows(_SUMMARY.name, moving_averages(means, start, last))])
    return written + sum(_day(store, day, stop) for day in range(start // DAY_S * DAY_S, last, DAY_S))


def _value(store: Store, start: int, stop: int) -> int:
    """Value what coins brought, and their days that are over."""
    coins = {"time_period": "1h", "dimension": "coin"}
    rows = [row for row in stored_rows(store, _SUMMARY.name, start, stop, where=coins) if row["amount"] is not None]
    if not rows:
        return 0
    prices = PricesThen.of(store, {row["key"] for row in rows}, start, stop + 1)
    written = write_changed(store, [frame_of_rows(_SUMMARY.name, valued(rows, prices))])
    return written + sum(_day(store, day, stop) for day in range(start // DAY_S * DAY_S, stop, DAY_S) if written)


def _day(store: Store, day: int, stop: int) -> int:
    """The day that starts at ``day``, where it is over."""
    if day + DAY_S > stop:
        return 0
    hours = stored_rows(store, _SUMMARY.name, day, day + DAY_S, where={"time_period": "1h"})
    return write_changed(store, [frame_of_rows(_SUMMARY.name, daily_rows(hours))])
