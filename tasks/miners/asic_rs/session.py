"""The driver and what it keeps of one miner between polls."""

from __future__ import annotations

import base64
from importlib.util import find_spec
from typing import NamedTuple

import httpx

from storage.errors import NeedsHuman
from storage.records.miner import MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners.asic_rs.answers import Reading
from tasks.miners.asic_rs.parse import configuration, is_silent, telemetry
from tasks.miners.asic_rs.transport import READING
from tasks.miners.decode import decode
from tasks.miners.driver import PollFailure, Target
from tasks.miners.exchange import ask

_OK = 200


class AsicRs:
    """Miners of other makers, through pyasic-rs."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "asic-rs"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> AsicRsSession:
        """Open the books of one miner; sends nothing.

        Raises:
            NeedsHuman: the library is not installed.
        """
        if find_spec("pyasic_rs") is None:
            raise NeedsHuman(
                f"miner {target.miner.miner_id} is read by driver asic-rs, whose library is not installed",
                remedy="Install it: pip install 'lodeline[asic-rs]'",
            )
        return AsicRsSession(target, transport)


class _Seen(NamedTuple):
    """What a poll saw, kept for the configuration of the same slot."""

    slot: int
    reading: Reading
    pools: tuple[PoolReading, ...]


class AsicRsSession:
    """One miner: its request, and how many boards it has shown."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._transport = transport
        headers = {}
        if target.username is not None and target.password is not None:
            login = f"{target.username}:{target.password.get_secret_value()}"
            headers["authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        self._request = httpx.Request("GET", f"{target.base_url}{READING}", headers=headers)
        self._boards_seen = 0
        self._seen: _Seen | None = None

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """One reading of everything."""
        answer = await ask(self._transport, self._request)
        if answer.status != _OK:
            raise PollFailure("driver_silent", answer.content.decode(errors="replace"))
        flags: set[str] = set()
        reading = decode(answer.content, Reading, flags, READING)
        if is_silent(reading):
            raise PollFailure("driver_silent", "the library read neither hashrate nor board nor MAC")
        if not flags:  # a mended answer may show boards that are none
            self._boards_seen = max(self._boards_seen, len(reading.hashboards or ()))
        record = telemetry(slot, self._target.miner, reading, self._boards_seen, flags)
        self._seen = _Seen(slot, reading, record.pools)
        return record

    async def configuration(self, slot: int) -> MinerConfiguration:
        """From the reading of the same slot; without one the miner is read."""
        if self._seen is None or self._seen.slot != slot:
            await self.telemetry(slot)
        seen, self._seen = self._seen, None
        reading, pools = (seen.reading, seen.pools) if seen else (Reading(), ())
        return configuration(slot, self._target.miner, self._target.address, reading, pools)
