"""CPU of one full VNish read, against pyasic and pyasic-rs on the same farm in the same run.

pyasic knows port 80 only, so the farm needs the right to open it; without it the figures say so and judge nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.bench.farm_process import farm, miners_of
from tests.bench.figure import Figure

MINERS = int(os.environ.get("LODELINE_BENCH_READ_MINERS", "200"))
OTHERS = Path(".venv-bench/bin/python")
READERS = Path(__file__).parent / "readers"


def figures() -> list[Figure]:
    """Ratio of CPU per read, ours over theirs."""
    trouble = _trouble()
    if trouble:
        return [
            Figure(name=name, target=target, ok=None, note=trouble)
            for name, target in (("read_cpu_pyasic", "at most 0.05"), ("read_cpu_pyasic_rs", "at most 0.5"))
        ]
    with tempfile.TemporaryDirectory() as folder:
        only = ("--dialect", "vnish-rest", "--firmware", "1.2.7")
        with farm(MINERS, Path(folder), *only, port=80) as said:
            passwords = {miner["address"]: _password(folder, miner["miner_id"]) for miner in miners_of(said)}
            some = dict(list(passwords.items())[:100])
            ours = _read([sys.executable, "-m", "tests.bench.readers.lodeline_reader"], passwords, 10)
            pyasic = _read([str(OTHERS), str(READERS / "pyasic_reader.py")], some, 2)
            rust = _read([str(OTHERS), str(READERS / "pyasic_rs_reader.py")], passwords, 10)
    return [
        _figure("read_cpu_pyasic", ours, pyasic, 0.05, "pyasic 0.79.0"),
        _figure("read_cpu_pyasic_rs", ours, rust, 0.5, "pyasic-rs 0.8.6"),
    ]


def _trouble() -> str:
    if not OTHERS.exists():
        return "not run: .venv-bench is missing; 'make bench' makes it"
    with socket.socket() as probe:
        try:
            probe.bind(("127.20.0.1", 80))
        except OSError as error:
            return f"not run: the farm needs port 80, since the others know no other one ({error.strerror})"
    return ""


def _password(folder: str, miner_id: str) -> str:
    written = yaml.safe_load((Path(folder) / "data_collection_config.yaml").read_text())
    return str(next(miner["password"] for miner in written["miners"] if miner["id"] == miner_id))


def _read(reader: list[str], passwords: dict[str, str], rounds: int) -> dict[str, Any]:
    command = [*reader, json.dumps(passwords), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{reader} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if answer["good"] < 0.99 * answer["of"]:
        raise RuntimeError(f"{reader} read {answer['good']} of {answer['of']} miners only")
    return answer


def _figure(name: str, ours: dict[str, Any], theirs: dict[str, Any], bound: float, who: str) -> Figure:
    ratio = ours["cpu_ms"] / theirs["cpu_ms"]
    note = f"{ours['cpu_ms']:.3f} ms of CPU a read (3 requests) against {theirs['cpu_ms']:.3f} ms by {who}"
    return Figure(name=name, ratio=round(ratio, 4), target=f"at most {bound}", ok=ratio <= bound, note=note)
