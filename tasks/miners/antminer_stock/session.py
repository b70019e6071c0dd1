"""The driver and what it keeps of one miner between polls."""

from __future__ import annotations

import httpx

from storage.records.miner import MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners.antminer_stock.answers import (
    Info,
    PoolsAnswer,
    Settings,
    StatsAnswer,
    SummaryAnswer,
    SystemInfo,
)
from tasks.miners.antminer_stock.parse import Circumstances, boards_of, configuration, is_asleep, telemetry
from tasks.miners.cgi_scripts import SETTINGS, CgiScripts
from tasks.miners.driver import PollFailure, Target

_STATS = "/cgi-bin/stats.cgi"
_SUMMARY = "/cgi-bin/summary.cgi"
_POOLS = "/cgi-bin/pools.cgi"


class AntminerStock:
    """Stock firmware of Bitmain since the S19, and of ElphaPex."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "antminer-stock"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> AntminerStockSession:
        """Open the books of one miner; sends nothing."""
        return AntminerStockSession(target, transport)


class AntminerStockSession:
    """One miner: its login, and which boards it has shown."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._scripts = CgiScripts(target, transport)
        self._boards: frozenset[int] = frozenset()
        self._info: Info | None = None
        self._pools: tuple[PoolReading, ...] = ()

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """Read stats.cgi, summary.cgi and pools.cgi; the settings too while nothing is hashed, to know whether the
        miner was sent to sleep."""
        flags: set[str] = set()
        answer = await self._scripts.read(_STATS, StatsAnswer, flags)
        if not answer.stats:
            raise PollFailure("schema", f"{_STATS} has no object in 'STATS'")
        stats, self._info = answer.stats[0], answer.info
        if not flags:  # a mended answer may show boards that are none
            self._boards |= boards_of(stats)
        summary = await self._scripts.read_if_told(_SUMMARY, SummaryAnswer, flags)
        pools = await self._scripts.read_if_told(_POOLS, PoolsAnswer, flags)
        settings = await self._scripts.read_if_told(SETTINGS, Settings, flags) if not stats.rate_5s else None
        record = telemetry(
            slot,
            self._target.miner,
            stats,
            summary=summary.summary[0] if summary and summary.summary else None,
            pools=pools.pools if pools else None,
            circumstances=Circumstances(is_asleep(settings), self._boards),
            flags=flags,
        )
        self._pools = record.pools
        return record

    async def configuration(self, slot: int) -> MinerConfiguration:
        """Read get_system_info.cgi and get_miner_conf.cgi. Either may be missing, but not both."""
        system, settings = await self._scripts.system_and_settings(SystemInfo, Settings)
        return configuration(
            slot,
            self._target.miner,
            self._target.address,
            system=system,
            settings=settings,
            info=self._info,
            pools=self._pools,
        )
