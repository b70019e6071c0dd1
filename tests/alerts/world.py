"""A store and configured miners, which rules are asked about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from storage.frame import Value
from storage.store import Store
from tasks.alerts.facts import Facts, gather
from tasks.alerts.rules import RULES
from tasks.miners.settings import MinerSettings
from tests.alerts.shelf import Shelf, rows

T = 1_800_000_000
TH = 1e12
WELL: dict[str, Value] = {
    "reachable": True, "state": "mining", "hashrate_hs": 100 * TH, "hashrate_nominal_hs": 100 * TH,
    "chip_temp_max_c": 70.0, "fan_duty_percent": 60.0, "fans_running": 4, "boards_mining": 3, "boards_expected": 3,
}  # fmt: skip
IDS: dict[str, Value] = {"model": "S19", "site": "north"}
AWAY: dict[str, Value] = {"reachable": False, "state": "unreachable", "failure": "connect_timeout"}
AWAY_UNTOLD: dict[str, Value] = {"reachable": False, "state": "unreachable"}

MATCH: dict[str, Value] = {
    "pool_id": "ltc", "worker_id": "acc.m1", "miner_id": "m1", "hashrate_miner_hs": 100 * TH,
}  # fmt: skip


def miner(name: str, location: str = "") -> MinerSettings:
    return MinerSettings(
        id=name,
        ip="127.0.0.1",
        model="S19",
        site="north",
        location=location,
        polling_interval_seconds=60,
        adaptive=False,
    )


class World:
    """A store and the configured miners; ``find`` asks one rule."""

    def __init__(self, folder: Path, miners: int = 1) -> None:
        self.folder = folder
        self.store = Shelf()
        self.miners = [
            miner(f"m{number}", f"rack_{number // 4}_position_{number % 4}") for number in range(1, miners + 1)
        ]

    def telemetry(self, **fields: Value) -> None:
        self.put("miner_telemetry", {"miner_id": "m1", "model": "S19", "site": "north", **WELL, **fields})

    def put(self, measurement: str, *given: Mapping[str, Value]) -> None:
        self.store.write([rows(measurement, *given, time=T)])

    def facts(self, now: float = T + 5.0) -> Facts:
        return gather(cast("Store", self.store), self.folder, self.miners, now, pool_ids=frozenset({"ltc"}))

    def find(self, rule: str, now: float = T + 5.0) -> dict[str, str]:
        found = RULES[rule].find(self.facts(now), RULES[rule].limit)
        return {finding.subject: finding.message for finding in found.findings}

    def unknown(self, rule: str, now: float = T + 5.0) -> frozenset[str]:
        return RULES[rule].find(self.facts(now), RULES[rule].limit).unknown
