"""Short gaps in a series of readings, closed for readers and for derivations. Never stored.

What is stored is what was measured: an interpolated row in a table could not be told from a reading by whoever forgets
to ask for its flag, it would be counted in roll-ups, and a better row that arrives late would have to fight it. So it
is worked out where it is wanted, from the rows on both sides, and carries its flag and its lower quality.

A gap is closed only where nothing can have happened in it: it is short, the miner was in one state on both sides and in
all rows between, and no counter was reset. A miner that did not answer was in a state of its own (``unreachable``), and
one that repeats itself (``stale``) is not known to be in any. Counters are not interpolated: their rise over a gap is
known from its two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import msgspec

from storage.records.miner import Miner, MinerTelemetry
from tasks.normalize.quality import EXPECTED, score

LONGEST_GAP = 2

FIELDS = (
    "hashrate_hs", "hashrate_average_hs", "hashrate_nominal_hs", "efficiency_j_th", "voltage_v", "ambient_temp_c",
    "chip_temp_avg_c", "chip_temp_max_c", "pcb_temp_max_c", "fan_duty_percent", "frequency_mhz", "power_w",
)  # fmt: skip
"""Levels that change smoothly. ``power_w`` is rounded to whole watts again."""

INTERPOLATED = "interpolated"
"""Flag of a record, and column of a row: which of its fields are none that the miner gave."""

NEEDED = ("reachable", "state", "quality", "quality_flags", *EXPECTED)
"""Fields of ``miner_telemetry`` that rows to be interpolated need beside those of interest."""

_TAGS = ("miner_id", "model", "site")
_BARRIERS = frozenset({"counter_reset", "stale"})


def interpolated(
    rows: Sequence[MinerTelemetry], *, cadence_s: int, longest_gap: int = LONGEST_GAP
) -> list[MinerTelemetry]:
    """``rows`` of one miner, in order of time, with gaps of at most ``longest_gap`` polls closed in a straight line.

    A gap is a poll without a row, where polls are ``cadence_s`` apart, or a field that is null in a row. Added rows
    have no parts and no counters; they and rows with a value put in are flagged ``interpolated``. All else stays.
    """
    made: set[int] = set()
    filled = _with_missing_rows(rows, cadence_s, longest_gap, made)
    values: list[dict[str, Any]] = [{} for _ in filled]
    for name in FIELDS:
        known = [index for index, row in enumerate(filled) if getattr(row, name) is not None]
        for start, end in pairwise(known):
            if 1 < end - start <= longest_gap + 1 and _nothing_happened(filled[start : end + 1], cadence_s):
                for index in range(start + 1, end):
                    values[index][name] = _between(filled[start], filled[end], filled[index].time, name)
    return [
        _flagged(row, found) if found else row
        for row, found in zip(filled, values, strict=True)
        if found or row.time not in made
    ]


def interpolated_rows(
    rows: Sequence[Mapping[str, Any]], *, cadence_s: Callable[[str], int], longest_gap: int = LONGEST_GAP
) -> list[dict[str, Any]]:
    """:func:`interpolated` for rows of ``miner_telemetry`` as a store gives them, of any number of miners.

    ``rows`` are sorted by tags, then ``time`` (Unix seconds), and have the fields in ``NEEDED``; ``cadence_s`` gives
    the longest interval at which a miner is polled by its id. Rows given come out with column ``interpolated``: the
    fields that were put in, separated by commas, None where there are none. Added rows have all columns of the others.
    """
    found: list[dict[str, Any]] = []
    for tags, group in groupby(rows, key=lambda row: tuple(row[tag] for tag in _TAGS)):
        known = {row["time"]: row for row in group}
        miner = Miner(*(tag or "" for tag in tags))
        records = [_record(miner, row) for row in known.values()]
        for record in interpolated(records, cadence_s=cadence_s(miner.miner_id), longest_gap=longest_gap):
            row = known.get(record.time) or _empty_row(next(iter(known.values())), record)
            put_in = [
                name for name in FIELDS if name in row and row[name] is None and getattr(record, name) is not None
            ]
            changed = [*put_in, "quality", "quality_flags"] if put_in else []
            found.append(
                {**row, **{name: getattr(record, name) for name in changed}, INTERPOLATED: ",".join(put_in) or None}
            )
    return found


def _record(miner: Miner, row: Mapping[str, Any]) -> MinerTelemetry:
    """What of a row decides about gaps. What was not read counts as null, for it is not asked for."""
    levels: dict[str, Any] = {name: row.get(name) for name in {*FIELDS, *NEEDED[2:]}}
    return MinerTelemetry(
        time=row["time"], miner=miner, reachable=row["reachable"] is True, state=row["state"] or "", **levels
    )


def _empty_row(like: Mapping[str, Any], record: MinerTelemetry) -> dict[str, Any]:
    row = {name: like[name] if name in _TAGS else None for name in like}
    return row | {"time": record.time, "reachable": True, "state": record.state}


def _with_missing_rows(
    rows: Sequence[MinerTelemetry], cadence_s: int, longest_gap: int, made: set[int]
) -> list[MinerTelemetry]:
    """``rows`` and empty ones for polls without a row, whose times are added to ``made``."""
    found: list[MinerTelemetry] = []
    for row in rows:
        if found:
            last = found[-1]
            missing = round((row.time - last.time) / cadence_s) - 1
            if 0 < missing <= longest_gap and row.state == last.state:
                for step in range(1, missing + 1):
                    time = last.time + step * cadence_s
                    made.add(time)
                    found.append(MinerTelemetry(time=time, miner=row.miner, reachable=True, state=row.state))
        found.append(row)
    return found


def _nothing_happened(rows: Sequence[MinerTelemetry], cadence_s: int) -> bool:
    if not all(0 < after.time - before.time <= 1.5 * cadence_s for before, after in pairwise(rows)):
        return False  # a longer gap of missing rows lies between
    if any(not row.reachable or row.state != rows[0].state for row in rows):
        return False
    # the first row may follow a reset: what comes after it is one stretch again
    return not any(_BARRIERS.intersection((row.quality_flags or "").split(",")) for row in rows[1:])


def _between(before: MinerTelemetry, after: MinerTelemetry, time: int, name: str) -> float:
    start, end = getattr(before, name), getattr(after, name)
    share = (time - before.time) / (after.time - before.time)
    found: float = start + share * (end - start)
    return round(found) if name.endswith("_w") else found


def _flagged(row: MinerTelemetry, values: dict[str, Any]) -> MinerTelemetry:
    words = set(filter(None, (row.quality_flags or "").split(","))) | {INTERPOLATED}
    found = msgspec.structs.replace(row, **values)
    return msgspec.structs.replace(found, quality=score(found, words), quality_flags=",".join(sorted(words)))
