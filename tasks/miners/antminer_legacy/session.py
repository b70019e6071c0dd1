"""The driver and what it keeps of one miner between polls."""

from __future__ import annotations

import httpx

from storage.records.miner import MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners import numbered
from tasks.miners.antminer_legacy.answers import MinerStatus, Settings, SystemInfo
from tasks.miners.antminer_legacy.parse import Circumstances, body_of, configuration, telemetry
from tasks.miners.cgi_scripts import SYSTEM, CgiScripts
from tasks.miners.driver import PollFailure, Target
from tasks.normalize.identifier import named
from tasks.normalize.nameplates import algorithm_of

_STATUS = "/cgi-bin/get_miner_status.cgi"


class AntminerLegacy:
    """Firmware of the S9 and L3+ era, Bitmain's and early VNish."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "antminer-legacy"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> AntminerLegacySession:
        """Open the books of one miner; sends nothing."""
        return AntminerLegacySession(target, transport)


class AntminerLegacySession:
    """One miner: its login, what it says it is, which boards and fans it has shown."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._scripts = CgiScripts(target, transport)
        self._system: SystemInfo | None = None
        self._boards: frozenset[int] = frozenset()
        self._fans: frozenset[int] = frozenset()
        self._pools: tuple[PoolReading, ...] = ()

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """Read get_miner_status.cgi, and once get_system_info.cgi, whose model tells what GHS means."""
        flags: set[str] = set()
        status = await self._scripts.read(_STATUS, MinerStatus, flags)
        if status.summary is None and status.devs is None:
            raise PollFailure("schema", f"{_STATUS} has neither 'summary' nor 'devs'")
        if self._system is None:
            self._system = await self._scripts.read_if_told(SYSTEM, SystemInfo, flags)
        if not flags:  # a mended answer may show boards that are none
            body = body_of(status)
            self._boards |= numbered.board_numbers(body)
            self._fans |= numbered.fan_numbers(body)
        reported = named(self._system.minertype) if self._system else None
        algorithm = algorithm_of(reported) or algorithm_of(self._target.miner.model)
        record = telemetry(slot, self._target.miner, status, Circumstances(algorithm, self._boards, self._fans), flags)
        self._pools = record.pools
        return record

    async def configuration(self, slot: int) -> MinerConfiguration:
        """Read get_system_info.cgi and get_miner_conf.cgi. Either may be missing, but not both."""
        system, settings = await self._scripts.system_and_settings(SystemInfo, Settings)
        self._system = system or self._system
        return configuration(
            slot, self._target.miner, self._target.address, system=system, settings=settings, pools=self._pools
        )
