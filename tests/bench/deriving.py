"""Operational and financial metrics of a week, all of it due at once, for fleets of several sizes; embedded store."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from storage.arrow_schema import ANSWER_TIME, FILE_TIME, answer_schema, row_schema
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.downsample.run import GRACE_S
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tasks.derive.fleet import Fleet
from tasks.derive.money import derive_financial
from tasks.derive.operations import INPUTS, derive_operational
from tasks.derive.settings import EconomicsSettings, ElectricitySettings
from tests.bench.figure import Figure

START = 1795478400
DAYS = int(os.environ.get("LODELINE_BENCH_DERIVE_DAYS", "7"))
SIZES = tuple(int(size) for size in os.environ.get("LODELINE_BENCH_DERIVE_MINERS", "100,1000,5000").split(","))
JUDGED = 1_000
EVERY_S = 300
MINUTES = 5
PEAK_MB = 1_500
TH = 1e12


class Derived(msgspec.Struct):
    """What deriving a week cost: wall and CPU seconds."""

    seconds: float
    cpu_s: float
    peak_mb: float
    rows: int


def figures() -> list[Figure]:
    """A week of 1,000 miners in minutes; growth from the smallest fleet to the largest, and that one's memory."""
    found = {miners: _week_of(miners) for miners in SIZES}
    most = max(SIZES)
    least = JUDGED if JUDGED in found else min(SIZES)  # at 100 all is what a day costs without any miner
    ratio = (found[most].cpu_s / most) / (found[least].cpu_s / least)
    told = ", ".join(
        f"{one.seconds:.1f} s, {one.cpu_s:.1f} of CPU at {miners} ({one.peak_mb:.0f} MB)"
        for miners, one in found.items()
    )
    judged = found.get(JUDGED)
    return [
        Figure(
            name="derive_week_1000_miners",
            value=None if judged is None else round(judged.seconds, 1),
            unit="s",
            target=f"at most {60 * MINUTES}",
            ok=None if judged is None else judged.seconds <= 60 * MINUTES,
            note=f"hours and days of {DAYS} days, operational and financial, of polls every {EVERY_S} s",
        ),
        Figure(
            name="derive_week_growth",
            ratio=round(ratio, 2),
            target=f"at most 1.2 of linear from {least}",
            ok=ratio <= 1.2,
            note=told,
        ),
        Figure(
            name="derive_week_peak",
            value=round(found[most].peak_mb),
            unit="MB",
            target=f"at most {PEAK_MB}",
            ok=found[most].peak_mb <= PEAK_MB,
            note=f"{most} miners to {found[most].rows:,} rows",
        ),
    ]


def _week_of(miners: int) -> Derived:
    with tempfile.TemporaryDirectory() as folder:
        for act in (_fill, _derive):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(act, (folder, miners))
    assert isinstance(found, Derived)
    return found


def _derive(folder: str, miners: int) -> Derived:
    fleet = Fleet(
        {name: ("S19", f"hall {number % 8}") for number, name in enumerate(_ids(miners))},
        ElectricitySettings.model_validate(
            {
                "tariffs": [
                    {
                        "time_zone": "Europe/Berlin",
                        "usd_per_kwh": 0.06,
                        "periods": [{"from_local": "22:00", "to_local": "06:00", "usd_per_kwh": 0.04}],
                    }
                ]
            }
        ),
        EconomicsSettings(pool_fee_percent=1.0),
        dict.fromkeys(_ids(miners), 2_400.0),
    )
    store = EmbeddedStore(Path(folder))
    now = START + DAYS * DAY_S + GRACE_S
    begun, used = time.perf_counter(), time.process_time()
    worked = derive_operational(store, {name: model for name, (model, _) in fleet.miners.items()}, now)
    money = derive_financial(store, fleet, now)
    seconds, cpu_s = time.perf_counter() - begun, time.process_time() - used
    assert worked.windows == money.windows == 25 * DAYS, (worked, money)
    assert worked.rows == 25 * DAYS * miners, worked
    store.close()
    return Derived(seconds, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, worked.rows + money.rows)


def _fill(folder: str, miners: int) -> None:
    """What roll-ups and collectors leave: readings, hours of them and of boards and pools, matches, worth, marks."""
    chance = np.random.default_rng(1)
    store = EmbeddedStore(Path(folder))
    raw = LakeTable(Path(folder), MEASUREMENTS["miner_telemetry"], Tier.RAW)
    for day in range(START, START + DAYS * DAY_S, DAY_S):
        count = miners * DAY_S // EVERY_S
        level = {"hashrate_hs": chance.normal(95 * TH, TH, count), "chip_temp_max_c": chance.normal(70, 3, count)}
        raw.append([(0, _rows(MEASUREMENTS["miner_telemetry"], Tier.RAW, miners, day, EVERY_S, level))])
        for name, parts in (("miner_telemetry", 1), ("miner_board", 3), ("miner_pool", 1)):
            declared = MEASUREMENTS[name]
            hours = _rows(declared, Tier.HOURLY, miners, day, HOUR_S, _hourly(chance, name, miners * parts * 24), parts)
            store.replace(declared, Tier.HOURLY, day, day + DAY_S, hours)
        hours_of_day = range(day, day + DAY_S, HOUR_S)
        count = miners * 24
        matches = {
            "miner_id": [name for name in _ids(miners) for _ in hours_of_day],
            "pool_id": ["viabtc"] * count,
            "worker_id": [f"account.{name}" for name in _ids(miners) for _ in hours_of_day],
            "status": ["matched"] * count,
            "hashrate_pool_hs": chance.normal(93 * TH, TH, count).tolist(),
        }
        value = {"algorithm": "sha256d", "coins": "bitcoin", "source": "mempool.space"}
        marks = [(hour, name) for hour in hours_of_day for name in (*INPUTS, "worker_match")]
        store.write(
            [
                build_frame("worker_match", [*hours_of_day] * miners, matches),
                build_frame(
                    "mining_profitability",
                    [*hours_of_day],
                    {**{name: [word] * 24 for name, word in value.items()}, "usd_th_day": [0.048] * 24},
                ),
                build_frame(
                    "window_rolled",
                    [hour for hour, _ in marks],
                    {
                        "measurement": [name for _, name in marks],
                        "tier": ["hourly"] * len(marks),
                        "covered": [1] * len(marks),
                    },
                ),
            ]
        )
    store.close()


def _hourly(chance: np.random.Generator, name: str, count: int) -> dict[str, Any]:
    if name == "miner_pool":
        return {"status_offline_seconds": np.zeros(count, dtype=np.int64), "is_fee_last": np.zeros(count, dtype=bool)}
    if name == "miner_board":
        return {"status_failure_seconds": np.where(chance.random(count) < 0.01, HOUR_S, 0)}
    whole = np.full(count, HOUR_S)
    rate, watts = chance.normal(95 * TH, TH, count), chance.normal(3_000, 30, count)
    return {
        **{
            f"{field}_seconds": whole
            for field in ("reachable", "reachable_true", "state_mining", "hashrate_hs", "power_w")
        },
        "state_paused_seconds": 0 * whole,
        "state_unreachable_seconds": 0 * whole,
        "hashrate_hs_integral": rate * HOUR_S,
        "power_w_integral": watts * HOUR_S,
        "hashrate_nominal_hs_sum": np.full(count, 95 * TH * 12),
        "hashrate_nominal_hs_count": np.full(count, 12),
        "chip_temp_max_c_sum": np.full(count, 70.0 * 12),
        "chip_temp_max_c_count": np.full(count, 12),
        "devfee_percent_sum": np.full(count, 2.0 * 12),
        "devfee_percent_count": np.full(count, 12),
        "shares_accepted_inc": np.full(count, 60),
        "shares_rejected_inc": np.ones(count, dtype=np.int64),
        "boards_expected_max": np.full(count, 3),
    }


def _rows(
    declared: Measurement,
    tier: Tier,
    miners: int,
    start: int,
    every_s: int,
    columns: Mapping[str, Any],
    parts: int = 1,
) -> pa.Table:
    """A day of rows, sorted by series, then time; fields that ``columns`` lack are null."""
    steps = DAY_S // every_s
    times = np.tile(np.arange(start, start + DAY_S, every_s), miners * parts)
    numbers = np.repeat(np.arange(miners), parts * steps)
    tags = {
        "miner_id": pa.array(_ids(miners)).take(pa.array(numbers)),
        "model": pa.array(["S19"] * len(times)),
        "site": pa.array([f"hall {number}" for number in range(8)]).take(pa.array(numbers % 8)),
    }
    other = pa.array([str(number) for number in range(parts)]).take(
        pa.array(np.tile(np.repeat(np.arange(parts), steps), miners))
    )
    raw = tier is Tier.RAW
    schema = row_schema(declared, tier) if raw else answer_schema(declared, tier)
    stamps = pa.array(times * (1_000_000 if raw else 1)).cast(FILE_TIME if raw else pa.timestamp("s"))
    arrays = []
    for column in schema:
        if column.name == "time":
            arrays.append(stamps.cast(FILE_TIME if raw else ANSWER_TIME))
        elif column.name in declared.tag_names:
            arrays.append(tags.get(column.name, other))
        elif column.name in columns:
            arrays.append(pa.array(columns[column.name]).cast(column.type))
        else:
            arrays.append(pa.nulls(len(times), column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _ids(miners: int) -> list[str]:
    return [f"m{number:05}" for number in range(miners)]
