"""Driver ``auto``: finds out which driver speaks a miner's dialect, and is that driver from then on.

It is found out at the first poll, remembered over a restart by the fleet (``detected``), and found out again when the
fleet says that the firmware is another, or when the dialect no longer seems to fit.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import httpx

from storage.errors import NeedsHuman
from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners.base_url import AUTO, base_url
from tasks.miners.detection import Identified, identify
from tasks.miners.driver import (
    Acting,
    CannotAct,
    FailureKind,
    MinerDriver,
    MinerSession,
    PollFailure,
    PresetChoice,
    Target,
)

_LOG = logging.getLogger(__name__)
_DOUBTFUL: tuple[FailureKind, ...] = ("http_status", "not_json", "schema", "auth", "refused")
"""What a device says that speaks another dialect: it answers, but not that."""

_DOUBTFUL_IN_A_ROW = 3
Reading = TypeVar("Reading")


class Auto:
    """Any of ``drivers``, by name."""

    def __init__(self, drivers: Mapping[str, MinerDriver]) -> None:
        self._drivers = drivers

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "auto"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> AutoSession:
        """Open the books of one miner; sends nothing. ``transport`` speaks every scheme."""
        return AutoSession(target, transport, self._drivers)


class AutoSession:
    """One miner: the session of the driver that was found, and how long that has not fitted."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport, drivers: Mapping[str, MinerDriver]) -> None:
        self.detected: str | None = None
        """Name of the driver found. Set to None, it is found out anew at the next poll."""
        self._target = target
        self._web = httpx.URL(target.base_url.removeprefix(AUTO))
        self._transport = transport
        self._drivers = drivers
        self._speaks: str | None = None
        self._session: MinerSession | None = None
        self._doubtful = 0

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """As of the driver found."""
        return await self._read(lambda session: session.telemetry(slot))

    async def configuration(self, slot: int) -> MinerConfiguration:
        """As of the driver found."""
        return await self._read(lambda session: session.configuration(slot))

    async def presets(self, slot: int) -> list[PresetChoice]:
        """As of the driver found, where that one can act."""
        return await (await self._acting()).presets(slot)

    async def choose_preset(self, name: str, slot: int) -> None:
        """As of the driver found, where that one can act."""
        await (await self._acting()).choose_preset(name, slot)

    async def restart_mining(self, slot: int) -> None:
        """As of the driver found, where that one can act."""
        await (await self._acting()).restart_mining(slot)

    async def _acting(self) -> Acting:
        session = await self._fitting()
        if not isinstance(session, Acting):
            raise CannotAct(f"driver {self._speaks}, which was found to fit, only reads; it cannot act")
        return session

    async def _read(self, read: Callable[[MinerSession], Awaitable[Reading]]) -> Reading:
        session = await self._fitting()
        try:
            reading = await read(session)
        except PollFailure as failure:
            self._doubtful = self._doubtful + 1 if failure.kind in _DOUBTFUL else 0
            if self._doubtful >= _DOUBTFUL_IN_A_ROW:
                self.detected = None
            raise
        self._doubtful = 0
        return reading

    async def _fitting(self) -> MinerSession:
        """The session of the driver that fits. What cannot be found out anew leaves the driver there was."""
        if self._session is not None and self.detected is not None and self.detected == self._speaks:
            return self._session
        if self.detected is not None and self.detected in self._drivers:
            return self._open(self.detected)
        self._doubtful = 0
        try:
            found = await self._find()
        except PollFailure:
            if self._session is None:
                raise
            self.detected = self._speaks
            return self._session
        if found.driver == self._speaks and self._session is not None:
            self.detected = found.driver
            return self._session
        _LOG.info("miner %s speaks %s: %s", self._target.miner.miner_id, found.driver, "; ".join(found.evidence))
        return self._open(found.driver)

    async def _find(self) -> Identified:
        found = await identify(
            self._target.address,
            self._transport,
            scheme=self._web.scheme,
            port=self._web.port,
            login=self._target if self._target.password is not None and self._target.username is not None else None,
        )
        if not isinstance(found, Identified):
            if found.failure is not None and found.reason == "no_answer":
                raise found.failure
            raise PollFailure("schema", f"no driver is known for what answers: {'; '.join(found.evidence)}")
        if found.driver not in self._drivers:
            raise PollFailure("auth", "an Antminer asks for a login; set username and password of this miner")
        return found

    def _open(self, driver: str) -> MinerSession:
        scheme, port = self._web.scheme, self._web.port
        url = base_url(driver, self._target.address, scheme=scheme, port=None if driver == "cgminer-socket" else port)
        try:
            self._session = self._drivers[driver].session(replace(self._target, base_url=url), self._transport)
        except NeedsHuman as error:
            raise PollFailure("schema", str(error)) from error
        self.detected = self._speaks = driver
        return self._session
