"""Everything a tick sets in motion, for fleets of growing size: collected, spooled, stored in InfluxDB and the lake,
rolled up, watched, shown. Each stage by the CPU seconds of its own process, which other work on the host changes least;
what the simulated farm and InfluxDB themselves take is told apart.

A stage holds when a miner of the largest fleet costs it at most 1.5 times what one of a tenth of that fleet costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deployments.prefect.environment import MEMORY
from storage.declaration import BUCKETS
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from tests.bench.collecting import collect, farms
from tests.bench.figure import Figure
from tests.influx.server import InfluxServer

SIZES = tuple(int(size) for size in os.environ.get("LODELINE_BENCH_LOAD_MINERS", "100,1000,10000").split(","))
TICKS = int(os.environ.get("LODELINE_BENCH_LOAD_TICKS", "5"))
GROWTH = 1.5
MOST_RSS_MB = 600
STAGES = {
    "collect": "polled, spooled and delivered to both stores, a tick",
    "rollup": "an hour of these ticks rolled up, all measurements",
    "watch": "a look of the watch for alerts",
    "page": "the fleet asked and made into the rows that are pushed to a viewer",
}


def figures() -> list[Figure]:
    """One figure a stage, and the collector's memory."""
    loads = {size: _loaded(size) for size in SIZES}
    return [*(_stage(name, loads) for name in STAGES), _stored(loads), _memory(loads)]


def _loaded(miners: int) -> dict[str, Any]:
    """CPU seconds by stage, and what else is told of a fleet of ``miners``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = InfluxServer(folder / "influxd").start()
        try:
            provision(InfluxSettings(url=server.url), dict.fromkeys(BUCKETS, 36500))
            # Ticks follow each other at once: figures that are renewed seldom would be judged to be stale.
            with farms(miners, folder, "--refresh-s", "0.5") as (configs, pids):
                begun = sum(map(_cpu_of, pids))
                done = collect(configs, folder / "data", ticks=TICKS, influx=server.url, patient=True)
                farm_s = sum(map(_cpu_of, pids)) - begun
            server_s = _cpu_of(server.pid)
            asked = {
                "configs": [str(config) for config in configs],
                "data": str(folder / "data"),
                "influx": server.url,
                "slot": done["rows"][-1]["slot"],
            }
            stages = {stage: _run(asked | {"stage": stage}) for stage in STAGES if stage != "collect"}
        finally:
            server.stop()
    rows = done["rows"]
    # The median: one tick in five reads configurations beside telemetry.
    cpu = sorted(row["cpu_s"] for row in rows)[len(rows) // 2]
    return {
        "collect": {"cpu_s": cpu, "peak_mb": done["rss_mb"], "note": f"{rows[-1]['points']} points a tick"},
        **stages,
        "read": min(row["polled"] - row["failed"] for row in rows),
        "stored_s": max(row["stored_s"] for row in rows),
        "farm_s": farm_s / TICKS,
        "influxd_s": server_s / TICKS,
    }


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.readers.loaded", json.dumps(asked)]
    done = subprocess.run(
        command, env={**os.environ, **MEMORY}, capture_output=True, text=True, timeout=1_800, check=False
    )
    if done.returncode:
        raise RuntimeError(f"stage {asked['stage']} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _stage(name: str, loads: dict[int, dict[str, Any]]) -> Figure:
    each = {size: load[name]["cpu_s"] / size for size, load in loads.items()}
    *_, smaller, larger = SIZES
    growth = each[larger] / each[smaller]
    costs = ", ".join(
        f"{size}: {load[name]['cpu_s']:.3f} s CPU, {1000 * each[size]:.2f} ms a miner, {load[name]['peak_mb']:.0f} MB"
        for size, load in loads.items()
    )
    note = f"{STAGES[name]}. {costs}; {loads[larger][name]['note']}"
    return Figure(
        name=f"load_{name}", ratio=round(growth, 2), target=f"at most {GROWTH}", ok=growth <= GROWTH, note=note
    )


def _stored(loads: dict[int, dict[str, Any]]) -> Figure:
    load, size = loads[SIZES[-1]], SIZES[-1]
    note = (
        f"{load['read']} of {size} miners read in the worst tick; beside it on the same host, a tick: the farm "
        f"{load['farm_s']:.1f} s CPU, influxd {load['influxd_s']:.1f} s CPU"
    )
    ok = load["stored_s"] <= 60 and load["read"] == size
    value = round(load["stored_s"], 1)
    return Figure(
        name=f"load_stored_{size}", value=value, unit="s", target="at most 60 until in both", ok=ok, note=note
    )


def _memory(loads: dict[int, dict[str, Any]]) -> Figure:
    peaks = ", ".join(f"{size}: {load['collect']['peak_mb']:.0f} MB" for size, load in loads.items())
    peak = loads[SIZES[-1]]["collect"]["peak_mb"]
    target = f"at most {MOST_RSS_MB}"
    return Figure(
        name="load_memory",
        value=round(peak),
        unit="MB",
        target=target,
        ok=peak <= MOST_RSS_MB,
        note=f"collector; {peaks}",
    )


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
