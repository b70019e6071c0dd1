"""A row that was worked out of others: which rows those are, as far as they are stored, and how to trace them."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.errors import NeedsHuman
from tasks.derive.forecast.series import FLEET
from tasks.lineage.brought import BROUGHT
from tasks.lineage.made_from import DAY_S, HOUR_S, MADE_FROM, PERIODS_S, Input
from tasks.lineage.trace import TRACEABLE

if TYPE_CHECKING:
    from storage.store import Store

LOOK_BACK_S = (3 * HOUR_S, 3 * DAY_S, 31 * DAY_S)
"""How far before the time asked for its row may lie, tried in turn: hours, days, and what is told when it changes."""

_NAMED = 4


class Stretch(msgspec.Struct, frozen=True):
    """``rows`` of ``measurement`` that are stored in ``[start, stop)``, Unix seconds, of ``where``. ``trace``: the
    command that traces the newest of them; None where there is none or it cannot be traced."""

    measurement: str
    tier: str
    start: int
    stop: int
    where: dict[str, str]
    rows: int
    trace: str | None


class DerivedTrace(msgspec.Struct, frozen=True):
    """What ``row`` of ``measurement`` at ``time`` was worked out from; ``page`` has the formulas."""

    measurement: str
    time: int
    store: str
    row: dict[str, Any]
    page: str
    made_from: list[Stretch]
    notes: list[str]


def trace_derived(store: Store, *, measurement: str, where: Mapping[str, Sequence[str]], at: int) -> DerivedTrace:
    """Trace the newest row of ``measurement`` at or before ``at`` (Unix seconds) of which ``where`` is true.

    Raises:
        NeedsHuman: there is none, or several series have one at that time.
    """
    declared, made = MEASUREMENTS[measurement], MADE_FROM[measurement]
    row = _row(store, declared, where, at)
    length = PERIODS_S.get(str(row.get("time_period")), DAY_S) if made.period_s is None else made.period_s
    notes: list[str] = []
    found: list[Stretch] = []
    for one in made.inputs:
        if all(row[tag] in values for tag, values in one.when.items()):
            stretch = _stretch(store, one, row, length, notes)
            found += [] if stretch is None else [stretch]
    if any(not one.rows for one in found):
        notes.append(
            "where no rows are stored there were none, or their retention is over; hours and days that were rolled up "
            "outlive the raw rows that they are of"
        )
    if made.besides:
        notes.append(f"besides: {made.besides}")
    return DerivedTrace(measurement, row["time"], store.name, row, made.page, found, notes)


def _row(store: Store, declared: Measurement, where: Mapping[str, Sequence[str]], at: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for back in LOOK_BACK_S:
        table = store.read(declared, Tier.RAW, at - back, at + 1, where=where)
        rows = [{**row, "time": int(row["time"].timestamp())} for row in table.to_pylist()]
        if rows:
            break
    if not rows:
        said = "".join(f", {tag} {' or '.join(values)}," for tag, values in where.items())
        raise NeedsHuman(
            f"no {declared.name}{said} in the month up to that time in {store.name}",
            remedy=f"lodeline query {declared.name} --from TIME shows what there is. Its tags: "
            + ", ".join(declared.tag_names),
        )
    newest = max(row["time"] for row in rows)
    found = [row for row in rows if row["time"] == newest]
    if len(found) > 1:
        told = {tag: sorted({str(row[tag]) for row in found if row[tag]}) for tag in declared.tag_names}
        open_tags = {tag: values for tag, values in told.items() if len(values) > 1}
        some = "; ".join(
            f"{tag}: {', '.join(values[:_NAMED])}{', ...' if len(values) > _NAMED else ''}"
            for tag, values in open_tags.items()
        )
        raise NeedsHuman(f"{len(found)} series have a row at that time", remedy=f"Say which with --where, {some}")
    return found[0]


def _stretch(store: Store, one: Input, row: Mapping[str, Any], length: int, notes: list[str]) -> Stretch | None:
    """The stretch of ``one``; None, with a note, where the row has no such thing."""
    where = dict(one.where)
    for tag, column in one.of.items():
        if row[column] == FLEET and tag == "miner_id" and one.measurement != "forecast":
            continue  # of all miners
        if not row[column]:
            notes.append(f"the row has no {column}, so nothing of {one.measurement} is in it")
            return None
        where[tag] = row[column]
    declared = MEASUREMENTS[one.measurement]
    start, stop = row["time"] - one.before_s, row["time"] + length + one.after_s
    rows = store.read(declared, one.tier, start, stop, where=where).to_pylist()
    newest = max(rows, key=lambda found: found["time"], default=None)
    command = None if newest is None else _command(declared, one.tier, newest, stop)
    return Stretch(one.measurement, str(one.tier), start, stop, where, len(rows), command)


def _command(declared: Measurement, tier: Tier, row: Mapping[str, Any], stop: int) -> str | None:
    """How the newest row is traced; of an hour that was rolled up, the newest point in it."""
    if declared.name not in (*TRACEABLE, *BROUGHT, *MADE_FROM):
        return None
    at = int(row["time"].timestamp())
    if tier is Tier.HOURLY:
        at = min(at + HOUR_S, stop) - 1
    tags = ("miner_id",) if declared.name in TRACEABLE else declared.tag_names
    chosen = " ".join(f"--where {shlex.quote(f'{tag}={row[tag]}')}" for tag in tags if row[tag])
    return f"lodeline trace {declared.name} {chosen} --at {dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
