"""The driver and what it keeps of one miner between polls."""

from __future__ import annotations

from base64 import b64encode

import httpx

from storage.records.miner import MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners.decode import decode
from tasks.miners.driver import PollFailure, Target
from tasks.miners.exchange import ask, body_of
from tasks.miners.vnish_cgi.answers import ConfigAnswer, StatsAnswer
from tasks.miners.vnish_cgi.parse import configuration, telemetry
from tasks.normalize.identifier import text

_STATS = "/cgi-bin/stats.cgi"
_CONFIG = "/cgi-bin/config.cgi"


class VnishCgi:
    """The documented CGI dialect."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "vnish-cgi"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> VnishCgiSession:
        """Open the books of one miner; sends nothing."""
        return VnishCgiSession(target, transport)


class VnishCgiSession:
    """One miner: its two prepared requests, and how many boards it has shown."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._transport = transport
        self._stats = self._prepared(_STATS)
        self._config = self._prepared(_CONFIG)
        self._boards_seen = 0
        self._pool: PoolReading | None = None

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """Read ``stats.cgi``."""
        flags: set[str] = set()
        answer = decode(await self._get(self._stats), StatsAnswer, flags, _STATS)
        if answer.data is None:
            raise _refusal(_STATS, answer.status, answer.message)
        if not flags:  # a mended answer may show boards that are none
            self._boards_seen = max(self._boards_seen, len(answer.data.boards or ()))
        record = telemetry(slot, self._target.miner, answer.data, self._boards_seen, flags)
        self._pool = record.pools[0] if record.pools else None
        return record

    async def configuration(self, slot: int) -> MinerConfiguration:
        """Read ``config.cgi``; the pool is the one of the last telemetry where it does not name one."""
        answer = decode(await self._get(self._config), ConfigAnswer, set(), _CONFIG)
        if answer.data is None:
            raise _refusal(_CONFIG, answer.status, answer.message)
        return configuration(slot, self._target.miner, self._target.address, answer.data, self._pool)

    async def _get(self, request: httpx.Request) -> bytes:
        return body_of(await ask(self._transport, request), request.url.path)

    def _prepared(self, path: str) -> httpx.Request:
        headers = {}
        if self._target.username is not None and self._target.password is not None:
            login = f"{self._target.username}:{self._target.password.get_secret_value()}"
            headers["authorization"] = f"Basic {b64encode(login.encode()).decode('ascii')}"
        return httpx.Request("GET", self._target.base_url + path, headers=headers)


def _refusal(path: str, status: str | None, message: str | None) -> PollFailure:
    if status is not None and status != "success":
        return PollFailure("http_status", f"{path} answered status {text(status)}: {text(message) or 'no message'}")
    return PollFailure("schema", f"{path} has no object 'data'")
