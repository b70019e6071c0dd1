"""The driver and what it keeps of one miner between polls."""

from __future__ import annotations

import httpx

from storage.records.miner import MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners import numbered
from tasks.miners.cgminer_socket.commands import Commands
from tasks.miners.cgminer_socket.parse import Circumstances, body_of, configuration, telemetry
from tasks.miners.driver import PollFailure, Target


class CgminerSocket:
    """The socket API of cgminer, as Bitmain, VNish and others have it. The transport is a SocketTransport."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "cgminer-socket"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> CgminerSocketSession:
        """Open the books of one miner; sends nothing."""
        return CgminerSocketSession(target, transport)


class CgminerSocketSession:
    """One miner: which commands it takes, which boards and fans it has shown."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._commands = Commands(target.base_url, transport)
        self._boards: frozenset[int] = frozenset()
        self._fans: frozenset[int] = frozenset()
        self._pools: tuple[PoolReading, ...] = ()

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """Read ``stats``, ``summary`` and ``pools``, as one command where the miner takes that."""
        flags: set[str] = set()
        replies = await self._commands.read(("stats", "summary", "pools"), slot, flags)
        if "stats" not in replies and "summary" not in replies:
            raise PollFailure("schema", "neither stats nor summary was answered")
        if not flags:  # a mended answer may show boards that are none
            body = body_of(replies)
            self._boards |= numbered.board_numbers(body)
            self._fans |= numbered.fan_numbers(body)
        circumstances = Circumstances(self._target.miner.model, self._boards, self._fans)
        record = telemetry(slot, self._target.miner, replies, circumstances, flags)
        self._pools = record.pools
        return record

    async def configuration(self, slot: int) -> MinerConfiguration:
        """Read ``version`` and ``stats``; VNish refuses the former and says the same in the latter. Without a reading
        of telemetry before, that comes first: only it tells the pools."""
        if not self._pools:
            await self.telemetry(slot)
        replies = await self._commands.read(("version", "stats"), slot, set())
        return configuration(slot, self._target.miner, self._target.address, replies, self._pools)
