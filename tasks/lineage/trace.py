"""One stored point, and the way it came: poll, driver and version, requests, run, spool record, kept answers.

Each link is looked up where it is kept, and each has its own retention: a link that is gone says so and why, the
others are told all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.declaration.miner import MINER_CONFIGURATION, MINER_TELEMETRY
from storage.declaration.payload import RAW_PAYLOAD
from storage.declaration.pipeline import COLLECTOR_TICK, REPLAYED_POLL
from storage.errors import NeedsHuman
from storage.spool.reader import LaneReader

if TYPE_CHECKING:
    from storage.store import Store

LOOK_BACK_S = 3_600
"""How far before the time asked for a point may lie: the slowest pace of a poll, with room."""
DAY_S = 86_400

TRACEABLE = tuple(name for name, declared in MEASUREMENTS.items() if declared.record == "R1" and name != "raw_payload")


class Answer(msgspec.Struct, frozen=True):
    """One kept answer. ``received_ms`` is Unix time; ``sha256`` is that of the kept text, ``size`` of what came."""

    path: str
    status: int | None
    failure: str | None
    size: int | None
    sha256: str | None
    received_ms: int | None


class Part(msgspec.Struct, frozen=True):
    """A further record of a tick too large for one."""

    batch_id: str
    sequence: int


class Carried(msgspec.Struct, frozen=True):
    """One batch that brought rows of this poll: a tick of ``lane`` on ``host``, or a replay.

    ``on_disk``: its record still lies in the spool of this host; it goes some time after all stores have it. While it
    does, ``answers_in`` tells the record of this miner where that is another one.
    """

    lane: str
    host: str | None
    batch_id: str | None
    sequence: int | None
    run_id: str | None
    on_disk: bool
    answers_in: Part | None = None


class Trace(msgspec.Struct, frozen=True):
    """The way of the point of ``measurement`` of ``miner_id`` at ``time``. ``notes`` say which link is gone and why."""

    measurement: str
    miner_id: str
    time: int
    store: str
    rows: list[dict[str, Any]]
    driver: str | None
    version: str | None
    address: str | None
    answers: list[Answer]
    carried: list[Carried]
    notes: list[str]


def trace(
    store: Store,
    lake: Store | None,
    spool: Path,
    *,
    measurement: str,
    miner_id: str,
    at: int,
    now: int,
    keep_days: int,
    where: Mapping[str, Sequence[str]] | None = None,
) -> Trace:
    """Trace the newest point of ``measurement`` of a miner at or before ``at`` (Unix seconds).

    Args:
        store: what is read; ``lake`` holds the answers, None where this host has none.
        spool: folder of the lanes.
        keep_days: days that answers are kept.
        where: conditions on further tags of the point, e.g. its board.

    Raises:
        NeedsHuman: no such point.
    """
    rows = _rows(store, MEASUREMENTS[measurement], miner_id, at, where or {})
    time = int(rows[0]["time"])
    notes: list[str] = []
    answers: list[dict[str, Any]] = [] if lake is None else _at(lake, RAW_PAYLOAD, time, {"miner_id": miner_id})
    said = answers[0] if answers else {}
    if not answers:
        notes.append(_why_no_answers(store, lake, miner_id, time, oldest=now - keep_days * DAY_S))
    driver = said.get("driver")
    if driver is None:
        driver = _driver_before(store, miner_id, time)
        notes.append(
            "version and address that were used are only in the kept answers"
            + ("" if driver is None else "; the driver is that of the last configuration read before")
        )
    carried = _carried(store, spool, miner_id, time)
    if not carried:
        notes.append("no tick is stored at this time: older than mining_operational keeps, or not written by a shift")
    elif len({(each.host, each.lane) for each in carried if each.lane != "replay"}) > 1:
        notes.append("several hosts or lanes had a tick at this time; the store does not say which polled this miner")
    if any(each.lane == "replay" for each in carried):
        notes.append("a replay corrected this poll: values that it changed are its own, all others are of the tick")
    return Trace(
        measurement=measurement,
        miner_id=miner_id,
        time=time,
        store=store.name,
        rows=rows,
        driver=driver,
        version=said.get("version"),
        address=said.get("address"),
        answers=[Answer(**{name: row[name] for name in Answer.__struct_fields__}) for row in answers],
        carried=carried,
        notes=notes,
    )


def _rows(
    store: Store, declared: Measurement, miner_id: str, at: int, where: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    table = store.read(declared, Tier.RAW, at - LOOK_BACK_S, at + 1, where={**where, "miner_id": miner_id})
    rows = [{**row, "time": int(row["time"].timestamp())} for row in table.to_pylist()]
    if not rows:
        further = "".join(f", {tag} {' or '.join(values)}," for tag, values in where.items())
        raise NeedsHuman(
            f"no {declared.name} of miner {miner_id!r}{further} in the hour up to that time in {store.name}",
            remedy="Look for the miner's id in the configuration and for the time in UTC",
        )
    newest = max(row["time"] for row in rows)
    return [row for row in rows if row["time"] == newest]


def _at(store: Store, measurement: Measurement, time: int, where: dict[str, str]) -> list[dict[str, Any]]:
    return list(store.read(measurement, Tier.RAW, time, time + 1, where=where).to_pylist())


def _why_no_answers(store: Store, lake: Store | None, miner_id: str, time: int, *, oldest: int) -> str:
    if lake is None:
        return "this host keeps no answers: its lake is off"
    if time < oldest:
        return "its answers are gone: they are older than raw_data.miner_payloads.retention_days"
    telemetry = _at(store, MINER_TELEMETRY, time, {"miner_id": miner_id})
    if telemetry and telemetry[0]["reachable"] is False:
        return f"the miner did not answer: {telemetry[0]['failure']}"
    return (
        "no answers of this poll are in the lake of this host: LODELINE_LAKE__RAW_PAYLOADS is changed or off, or "
        "another host polled the miner"
    )


def _driver_before(store: Store, miner_id: str, time: int) -> str | None:
    where = {"miner_id": miner_id}
    rows = store.read(
        MINER_CONFIGURATION, Tier.RAW, time - DAY_S, time + 1, where=where, columns=["driver"]
    ).to_pylist()
    named = [row for row in rows if row["driver"]]
    return max(named, key=lambda row: row["time"])["driver"] if named else None


def _carried(store: Store, spool: Path, miner_id: str, time: int) -> list[Carried]:
    found = [
        Carried(
            lane=row["lane"],
            host=row["host"],
            batch_id=row["batch_id"],
            sequence=row["sequence"],
            run_id=row["run_id"],
            on_disk=(on_disk := _on_disk(spool / row["lane"], row["sequence"])),
            answers_in=_answers_in(spool / row["lane"], row, miner_id) if on_disk else None,
        )
        for row in _at(store, COLLECTOR_TICK, time, {})
        if row["lane"]
    ]
    for row in _at(store, REPLAYED_POLL, time, {"miner_id": miner_id}):
        found.append(Carried("replay", None, row["batch_id"], None, row["run_id"], on_disk=False))
    return found


def _on_disk(lane: Path, sequence: int | None) -> bool:
    if sequence is None or not lane.is_dir():
        return False
    extent = LaneReader(lane).extent()
    return extent.oldest.sequence < sequence <= extent.newest.sequence


def _answers_in(lane: Path, tick: Mapping[str, Any], miner_id: str) -> Part | None:
    """The record after that of ``tick`` in which rows and answers of the miner are; None where they are in the tick's
    own, or in none."""
    reader = LaneReader(lane)
    batches = f"{lane.name}/{int(tick['time'].timestamp())}/"
    sequence = tick["sequence"] - 1
    while records := reader.records_after(sequence, 1):
        (record,) = records
        sequence = record.sequence
        if not record.batch.batch_id.startswith(batches):
            return None
        if any(miner_id in frame.columns.get("miner_id", ()) for frame in record.batch.frames):
            return None if sequence == tick["sequence"] else Part(record.batch.batch_id, sequence)
    return None
