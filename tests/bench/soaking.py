"""5,000 miners, a tenth of them faulty in every scripted way, a tick a minute: who fails, how long, memory."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from deployments.farm.faults import EXPECTED_FAILURE, FAULT_KINDS, FaultKind
from tests.bench.collecting import collect
from tests.bench.farm_process import farm, hurt, miners_of
from tests.bench.figure import Figure

MINERS = int(os.environ.get("LODELINE_BENCH_SOAK_MINERS", "5000"))
MINUTES = int(os.environ.get("LODELINE_BENCH_SOAK_MINUTES", "10"))


def figures() -> list[Figure]:
    """No miner's fault may make another one fail; the tick must end before the next."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as farms:
        said = farms.enter_context(farm(MINERS, Path(folder) / "config"))
        chosen = [miner["miner_id"] for miner in miners_of(said)][::10]
        faulty = {miner: _hurt(said, miner, kind) for miner, kind in zip(chosen, cycle(FAULT_KINDS))}
        done = collect([Path(folder) / "config"], Path(folder) / "data", ticks=MINUTES + 1, every_s=60)
    rows = done["rows"]
    drawn_in = {miner for row in rows for miner in row["failing"] if miner not in faulty}
    may_fail = {miner for miner, kind in faulty.items() if kind in EXPECTED_FAILURE or kind == "wrong_password"}
    silent = {miner for miner, kind in faulty.items() if kind in EXPECTED_FAILURE} - set(rows[0]["failing"])
    worst = max(row["stored_s"] for row in rows)
    polls = sum(row["polled"] for row in rows)
    note = (
        f"{polls} polls in {len(rows)} minutes, {done['cpu_s'] * 1e3 / polls:.2f} ms of CPU a poll; "
        f"polled in {max(row['tick_s'] for row in rows):.1f} s at worst, RSS {done['rss_mb']:.0f} MB; "
        f"{len(may_fail)} miners that cannot answer, {len(drawn_in)} healthy ones that failed, "
        f"{len(silent)} faults not noticed"
    )
    ok = worst <= 60 and not drawn_in and not silent
    return [Figure(name=f"soak_{MINERS}", value=round(worst, 1), unit="s", target="at most 60", ok=ok, note=note)]


def _hurt(said: dict[str, Any], miner: str, kind: FaultKind) -> FaultKind:
    """Inject ``kind``, or a hang where that makes no sense for this miner; the kind it came to."""
    try:
        hurt(said, miner, kind, **({"ms": 500} if kind == "latency" else {}))
    except httpx.HTTPStatusError:
        hurt(said, miner, "hanging")
        return "hanging"
    return kind
