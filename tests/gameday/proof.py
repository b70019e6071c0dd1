"""Nothing was lost and nothing is there twice: tick reports and the farm's truth against the files of the lake and the
rows of the database, read by clients that are not Lodeline's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from tests.gameday.product import Product
from tests.influx.server import InfluxServer

TRUTHS = 60
"""Readings that are held against the truth of the farm."""
OFF = 0.02
"""Relative difference of hashrates: a reading is of a second within its slot, and rounded."""

_OF_MINERS = {
    "miner_telemetry", "miner_board", "miner_fan", "miner_pool", "miner_event", "miner_configuration", "miner_error",
    "raw_payload", "anomaly_score",
}  # fmt: skip
"""What the lane of miners brings, beside the tick itself. Flows bring rows of some of them too, at the same seconds."""


@dataclass(frozen=True)
class Stored:
    """What the files of a lake hold, against the tick reports beside it. ``faults``: a sentence each."""

    counted: dict[str, Any]
    faults: list[str]
    telemetry: list[dict[str, Any]]


def proof(product: Product) -> dict[str, Any]:
    """What was counted, and ``faults``: each a sentence, none where all is there once."""
    found = of_files(product.data)
    faults = found.faults + _untrue(product, found.telemetry, found.counted)
    if product.influx is not None:
        faults += _in_database(product.influx, found.telemetry, found.counted["ticks"], found.counted)
    return {"counted": found.counted, "faults": faults}


def of_files(data: Path) -> Stored:
    """What is under ``data``."""
    faults: list[str] = []
    tables = {path.name: path for path in (data / "lake").glob("*/*") if (path / "_delta_log").is_dir()}
    ticks = _rows(tables["collector_tick"], ["time", "lane", "polled", "points", "batch_id"])
    reports = _reports(data / "state", "miners")
    counted: dict[str, Any] = {"ticks": 0, "reports": len(reports)}
    mine = [row for row in ticks if row["lane"] == "miners"]
    counted["ticks"] = len(mine)
    doubled = [slot for slot, number in Counter(row["time"] for row in mine).items() if number > 1]
    faults += [f"tick {slot} is stored {Counter(row['time'] for row in mine)[slot]} times" for slot in doubled]
    stored = {row["time"]: row for row in mine}
    faults += [f"tick {slot} was reported and is not stored" for slot in sorted(reports.keys() - stored.keys())]
    by_slot: Counter[int] = Counter()
    telemetry: list[dict[str, Any]] = []
    for name in sorted(_OF_MINERS & tables.keys()):
        keys = _tags(name)
        rows = _rows(
            tables[name],
            ["time", *keys, *(["hashrate_hs", "reachable", "quality_flags"] if name == "miner_telemetry" else [])],
        )
        twice = [
            key for key, number in Counter(tuple(row[k] for k in ("time", *keys)) for row in rows).items() if number > 1
        ]
        faults += [f"{name}: {len(twice)} rows are there more than once, the first {twice[0]}"] if twice else []
        if name == "miner_telemetry":  # what was filled in afterwards is of no tick
            counted["filled_in"] = sum(_filled(row) for row in rows)
        if name == "anomaly_score":
            by_slot.update(_tick_of_window(row, list(reports)) for row in rows if row["time_period"] != "1h")
        else:
            by_slot.update(row["time"] for row in rows if not _filled(row))
        counted[name] = len(rows)
        telemetry = rows if name == "miner_telemetry" else telemetry
    polled = Counter(row["time"] for row in telemetry if not _filled(row))
    for slot, row in sorted(stored.items()):
        if polled[slot] != row["polled"]:
            faults.append(f"tick {slot}: {row['polled']} miners were polled, {polled[slot]} rows are stored")
        if by_slot[slot] + 1 < row["points"]:
            faults.append(f"tick {slot}: {row['points']} points were accepted, {by_slot[slot] + 1} are stored")
    for slot, report in sorted(reports.items()):
        if slot in stored and report["points"] != stored[slot]["points"]:
            faults.append(f"tick {slot}: {report['points']} points were reported, {stored[slot]['points']} are stored")
    for lane in ("pools", "market"):
        asked = sum(report["polled"] for report in _reports(data / "state", lane).values())
        counted[f"requests_{lane}"] = asked
    wanted = sum(counted[f"requests_{lane}"] for lane in ("pools", "market"))
    requests = _rows(tables["source_request"], ["time", "source", "request"]) if "source_request" in tables else []
    if len(requests) < wanted:
        faults.append(f"{wanted} requests were reported, {len(requests)} are stored")
    if len({tuple(row.values()) for row in requests}) < len(requests):
        faults.append("requests are stored twice")
    return Stored(counted, faults, telemetry)


def _tick_of_window(row: Mapping[str, Any], slots: Sequence[int]) -> int:
    """The tick that brought a score of the stream, which bears the start of its window: the first after its end.

    ``slots`` in the order in which they were ticked, which a clock that is set changes.
    """
    end = row["time"] + int(row["time_period"].removesuffix("s"))
    return next((slot for slot in slots if slot >= end), 0)


def _filled(row: Mapping[str, Any]) -> bool:
    return "backfilled" in (row.get("quality_flags") or "")


def _untrue(product: Product, telemetry: list[dict[str, Any]], counted: dict[str, Any]) -> list[str]:
    """Readings whose hashrate is not what the farm knows of that second, or the next few in which it was read."""
    read = [row for row in telemetry if row["reachable"] and not _filled(row) and row["hashrate_hs"] is not None]
    sample = read[:: max(1, len(read) // TRUTHS)]
    counted["held_against_the_truth"] = len(sample)
    faults = []
    for row in sample:
        truths = [product.truth(row["miner_id"], row["time"] + late)["hashrate_hs"] for late in (0, 1, 3)]
        if not any(abs(row["hashrate_hs"] - truth) <= OFF * max(truth, 1.0) for truth in truths):
            faults.append(f"{row['miner_id']} at {row['time']}: {row['hashrate_hs']:.3g} H/s, in truth {truths[0]:.3g}")
    return faults


def _in_database(
    server: InfluxServer, telemetry: list[dict[str, Any]], ticks: int, counted: dict[str, Any]
) -> list[str]:
    found = server.rows('SELECT "reachable", "quality_flags", "miner_id" FROM miner_telemetry', "mining_raw")
    have = {(row["time"], row["miner_id"]) for row in found}
    want = {(row["time"], row["miner_id"]) for row in telemetry}
    counted["in_database"] = len(found)
    faults = []
    if have != want:
        faults.append(f"the database lacks {len(want - have)} readings, and has {len(have - want)} that the lake lacks")
    (sums,) = server.rows("SELECT count(polled) FROM collector_tick WHERE lane = 'miners'", "mining_operational") or [
        {}
    ]
    if sums.get("count") != ticks:
        faults.append(f"the database has {sums.get('count')} ticks, the lake {ticks}")
    return faults


def _tags(measurement: str) -> list[str]:
    from storage.declaration import MEASUREMENTS

    return list(MEASUREMENTS[measurement].tag_names)


def _rows(table: Path, columns: list[str]) -> list[dict[str, Any]]:
    """Rows as the files have them, each as often as it is there; time in Unix seconds."""
    delta = DeltaTable(str(table))
    known = [field.name for field in delta.schema().fields]
    found = pa.table(delta.to_pyarrow_table(columns=[name for name in columns if name in known]))
    rows = found.to_pylist()
    for row in rows:
        row["time"] = int(row["time"].timestamp())
    return [{name: row.get(name) for name in columns} for row in rows]


def _reports(state: Path, lane: str) -> Mapping[int, dict[str, Any]]:
    """Tick reports by slot, as the files of the journal have them."""
    found: dict[int, dict[str, Any]] = {}
    for file in (state / f"{lane}.ticks.1.jsonl", state / f"{lane}.ticks.jsonl"):
        if file.exists():
            for line in file.read_text().splitlines():
                told = json.loads(line)
                found[told["slot"]] = told
    return found
