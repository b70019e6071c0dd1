"""Fleets whose drivers do as a test tells them, without a socket; and what a tick gave, by miner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners.driver import Target
from tasks.miners.fleet import Fleet
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.tick import TickOutcome

QUICK = FleetSettings(connect_timeout_s=0.5, request_deadline_s=2.0, miner_deadline_s=2.5, retries=1)


def miner(number: int, **over: Any) -> MinerSettings:
    usual = {"id": f"m{number}", "ip": f"127.0.1.{number}", "model": "S19", "polling_interval_seconds": 60}
    return MinerSettings.model_validate(usual | {"adaptive": False} | over)


def rows(outcome: TickOutcome, measurement: str = "miner_telemetry") -> dict[str, dict[str, Any]]:
    """Rows of a measurement by miner (the last one, where there are several)."""
    found: dict[str, dict[str, Any]] = {}
    for frame in outcome.frames:
        if frame.measurement == measurement:
            for row, time in enumerate(frame.times):
                values = {name: column[row] for name, column in frame.columns.items()} | {"time": time}
                found[values["miner_id"]] = values
    return found


class Told:
    """A driver and its sessions in one; ``does`` is called with miner id and slot for each telemetry read."""

    name = "vnish-rest"

    def __init__(self, does: Callable[[str, int], Any] = lambda *_: None) -> None:
        self.does = does
        self.asked: list[tuple[str, int]] = []
        self.configured: list[tuple[str, int]] = []
        self.running = 0
        self.most_running = 0

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> ToldSession:
        return ToldSession(self, target)


class ToldSession:
    def __init__(self, told: Told, target: Target) -> None:
        self._told, self._target = told, target

    async def telemetry(self, slot: int) -> MinerTelemetry:
        told, name = self._told, self._target.miner.miner_id
        told.asked.append((name, slot))
        told.running += 1
        told.most_running = max(told.most_running, told.running)
        try:
            await asyncio.sleep(0)
            found = told.does(name, slot)
            if isinstance(found, Exception):
                raise found
            if asyncio.iscoroutine(found):
                await found
            record = MinerTelemetry(time=slot, miner=self._target.miner, reachable=True, state="mining", power_w=1)
            return msgspec.structs.replace(record, **found) if isinstance(found, dict) else record
        finally:
            told.running -= 1

    async def configuration(self, slot: int) -> MinerConfiguration:
        self._told.configured.append((self._target.miner.miner_id, slot))
        return MinerConfiguration(
            time=slot, miner=self._target.miner, ip_address=self._target.address, driver="vnish-rest"
        )


def fleet_of(told: Told, miners: list[MinerSettings], settings: FleetSettings = QUICK, **over: Any) -> Fleet:
    return Fleet(miners, settings, drivers={"vnish-rest": told}, **over)
