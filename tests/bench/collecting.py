"""Whole ticks: 1,000 miners of which some hang and some are dead, and 10,000 miners inside a minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deployments.prefect.environment import MEMORY
from tests.bench.farm_process import farm, hurt, miners_of
from tests.bench.figure import Figure

MANY = int(os.environ.get("LODELINE_BENCH_MINERS", "10000"))
FARM_SIZE = 5_000  # of one farm process: a listener and a connection per miner must stay below 20,000 open files
BUDGET_S = 5.0  # FleetSettings.miner_deadline_s


def figures() -> list[Figure]:
    """With raw payloads kept and without; in the first tick the farm renders its answers, so it is not counted."""
    return [_faulty(), _many("every"), _many("off")]


def _faulty() -> Figure:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        said = running.enter_context(farm(1_000, Path(folder) / "config", "--latency-ms", "100"))
        miners = [miner["miner_id"] for miner in miners_of(said)]
        for miner in miners[::20]:
            hurt(said, miner, "hanging")
        for miner in miners[5::10]:
            hurt(said, miner, "dead")
        done = collect([Path(folder) / "config"], Path(folder) / "data", ticks=5)
    ticks = [row["tick_s"] for row in done["rows"]]
    failed = {(row["reasons"].get("refused", 0), row["failed"]) for row in done["rows"]}
    as_told = failed == {(100, 150)}
    worst = max(ticks)
    note = (
        f"ticks of {_listed(done['rows'], 'tick_s')} s; refused and failed a tick: {sorted(failed)}; "
        "farm and collector share this host"
    )
    ok = worst <= BUDGET_S + 1 and as_told
    return Figure(name="tick_1000_faulty", value=round(worst, 2), unit="s", target="at most 6", ok=ok, note=note)


def _many(raw_payloads: str) -> Figure:
    with tempfile.TemporaryDirectory() as folder, farms(MANY, Path(folder)) as (configs, _):
        done = collect(configs, Path(folder) / "data", ticks=4, raw_payloads=raw_payloads)
    rows = done["rows"]
    worst = max(row["stored_s"] for row in rows)
    polled = min(row["polled"] - row["failed"] for row in rows)
    note = (
        f"{polled} of {MANY} miners read in the worst tick, {rows[-1]['points']} points; polled in "
        f"{_listed(rows, 'tick_s')} s, stored after {_listed(rows, 'stored_s')} s; RSS {done['rss_mb']:.0f} MB; "
        "farm and collector share this host"
    )
    ok = worst <= 60 and done["rss_mb"] <= 600 and polled == MANY
    target = "at most 60 s until stored, RSS at most 600 MB"
    name = f"tick_{MANY}" if raw_payloads == "every" else f"tick_{MANY}_no_payloads"
    return Figure(name=name, value=round(worst, 1), unit="s", target=target, ok=ok, note=note)


def _listed(rows: list[dict[str, Any]], name: str) -> str:
    return ", ".join(f"{row[name]:.2f}" for row in rows)


@contextmanager
def farms(miners: int, folder: Path, *options: str) -> Iterator[tuple[list[Path], list[int]]]:
    """Farms of ``miners`` miners in all: their folders of configuration, and their process ids."""
    with ExitStack() as running:
        configs, pids = [], []
        for number, first in enumerate(range(0, miners, FARM_SIZE)):
            config = folder / f"config{number}"
            size = min(FARM_SIZE, miners - first)
            said = running.enter_context(farm(size, config, "--first-address", f"127.{16 + 32 * number}.0.1", *options))
            configs.append(_renamed(config, number))
            pids.append(said["pid"])
        yield configs, pids


def _renamed(config: Path, number: int) -> Path:
    """Two farms name their miners alike; one collector needs names of its own."""
    file = config / "data_collection_config.yaml"
    file.write_text(file.read_text().replace("id: miner_", f"id: farm{number}_"))
    return config


def collect(
    configs: list[Path],
    data: Path,
    *,
    ticks: int,
    raw_payloads: str = "every",
    every_s: int = 0,
    influx: str | None = None,
    patient: bool = False,
) -> dict[str, Any]:
    """Run a collector in a process of its own; what it says, without the first tick."""
    asked = {
        "configs": [str(config) for config in configs],
        "data": str(data),
        "ticks": ticks,
        "raw_payloads": raw_payloads,
        "every_s": every_s,
        "influx": influx,
        "patient": patient,
    }
    command = [sys.executable, "-m", "tests.bench.readers.collector", json.dumps(asked)]
    limit_s = 900 + every_s * ticks
    environment = {**os.environ, **MEMORY}  # as a worker starts a shift
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        raise RuntimeError(f"the collector failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    answer["rows"] = answer["rows"][1:]
    return answer
