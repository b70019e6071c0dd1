"""The acts themselves: what a miner is told through its driver, and overrides of this host.

An act is tried once. Whatever goes wrong is an outcome, told in words; nobody knows what a try that failed has done.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx

from storage.errors import NeedsHuman
from tasks.miners.driver import Acting, CannotAct, DetectingSession, MinerDriver, PollFailure, PresetChoice
from tasks.miners.drivers import DRIVERS
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for
from tasks.overrides.file import OverrideFile
from tasks.overrides.override import Kind, Override, Target
from tasks.responses.response import Act, Response

CONNECT_S, REQUEST_S, MINER_S = 5.0, 10.0, 20.0
"""Longer than a tick allows, since a miner in trouble is slow, and short enough for the watch's next look."""
REDETECT_S = 900.0
"""How long the order to find out a driver anew stands: several ticks of a miner that is polled seldom."""

_log = logging.getLogger(__name__)


class CannotDo(Exception):
    """An act that is not done, or failed; its text says why, for a human."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in words, and what was known of the subject's settings before."""

    words: str
    settings_before: dict[str, Any] = field(default_factory=dict)
    preset: str | None = None


class Hands:
    """What acts need.

    Args:
        miners: configured, by id.
        state: ``<data>/state`` of this host.
        detected: driver that was found to fit a miner of driver auto, by id.
        elsewhere: the host that asks a subject, where that is another one: overrides of this host do not reach it.
    """

    def __init__(
        self,
        miners: Mapping[str, MinerSettings],
        state: Path,
        *,
        detected: Callable[[str], str | None] = lambda _: None,
        elsewhere: Callable[[Act, str, float], str | None] = lambda _act, _subject, _now: None,
        drivers: Mapping[str, MinerDriver] = DRIVERS,
        seconds: float = MINER_S,
    ) -> None:
        self._miners = miners
        self._state = state
        self._detected = detected
        self._elsewhere = elsewhere
        self._drivers = drivers
        self._seconds = seconds

    async def plan(self, act: Act, subject: str, *, hours: float, slot: int) -> Plan:
        """What ``act`` would do to ``subject``; a miner is asked for its presets, and nothing is changed.

        Raises:
            CannotDo: it cannot be done, and why.
        """
        if act is Act.CHANGE_PRESET:
            async with self._told(subject) as session:
                return _lower(await session.presets(slot))
        if act is Act.RESTART_MINING:
            self._can_act(subject)
            return Plan("restart its mining")
        if act is not Act.SHED_LOW_PRIORITY and (other := await asyncio.to_thread(self._elsewhere, act, subject, slot)):
            raise CannotDo(f"host {other} asks it, and follows its own overrides alone: lodeline override there")
        if act is Act.REDETECT:
            miner = self._miners[subject]
            if miner.driver != "auto":
                raise CannotDo(f"its driver is configured to be {miner.driver}: there is nothing to detect")
            return Plan("find out its driver anew", {"driver": self._detected(subject)})
        if act is Act.PAUSE_SOURCE:
            return Plan(f"ask it nothing for {hours:g} hours")
        return Plan(f"leave out settings and raw payloads for {hours:g} hours")

    async def do(self, response: Response, plan: Plan, *, hours: float, now: float) -> str:
        """Do it; what was done, in words.

        Raises:
            CannotDo: it failed, and how.
        """
        if response.act is Act.CHANGE_PRESET and plan.preset is not None:
            async with self._told(response.subject) as session:
                await session.choose_preset(plan.preset, int(now))
            return "the miner took it"
        if response.act is Act.RESTART_MINING:
            async with self._told(response.subject) as session:
                await session.restart_mining(int(now))
            return "the miner took it"
        kind, target, lasts_s = _OVERRIDES[response.act]
        override = Override(
            id=token_hex(3),
            kind=kind,
            target=target,
            subject=response.subject,
            made=now,
            until=now + (hours * 3_600 if lasts_s is None else lasts_s),
            by=f"response {response.id}",
            why=f"{response.name} for {response.rule}",
        )
        try:
            await asyncio.to_thread(OverrideFile(self._state).put, override)
        except NeedsHuman as error:
            raise CannotDo(str(error)) from error
        return f"override {override.id} holds"

    def _can_act(self, subject: str) -> None:
        """Refuse a miner whose driver is known to read only, before anything is sent. Raises CannotDo."""
        miner = self._miners[subject]
        name = (self._detected(subject) or miner.driver) if miner.driver == "auto" else miner.driver
        target = miner.model_copy(update={"driver": name}).target()
        try:
            session = self._drivers[name].session(target, _NOWHERE)
        except NeedsHuman as error:
            raise CannotDo(str(error)) from error
        if not isinstance(session, Acting):
            raise CannotDo(f"driver {name} only reads: it cannot restart mining or change presets")

    @asynccontextmanager
    async def _told(self, subject: str) -> AsyncIterator[Acting]:
        """A session of the miner that can act, for as long as an act may take. Raises CannotDo for whatever fails."""
        self._can_act(subject)
        miner = self._miners[subject]
        target = miner.target()
        transport = transport_for(httpx.URL(target.base_url), connect_timeout_s=CONNECT_S, deadline_s=REQUEST_S)
        try:
            session = self._drivers[miner.driver].session(target, transport)
            if isinstance(session, DetectingSession):
                session.detected = self._detected(subject)
            assert isinstance(session, Acting)  # noqa: S101 - _can_act saw to it
            async with asyncio.timeout(self._seconds):
                yield session
        except TimeoutError as error:
            raise CannotDo(f"no answer within {self._seconds:g} s; whether it was done is not known") from error
        except PollFailure as failure:
            raise CannotDo(str(failure)) from failure
        except CannotAct as error:
            raise CannotDo(str(error)) from error
        except CannotDo:
            raise
        except Exception as error:
            _log.exception("miner %s: an act failed", subject)
            raise CannotDo(f"error in driver {miner.driver}: {type(error).__name__}") from error
        finally:
            await transport.aclose()


_OVERRIDES: dict[Act, tuple[Kind, Target, float | None]] = {
    Act.REDETECT: (Kind.REDETECT, Target.MINER, REDETECT_S),
    Act.PAUSE_SOURCE: (Kind.PAUSE, Target.SOURCE, None),
    Act.SHED_LOW_PRIORITY: (Kind.SHED, Target.HOST, None),
}
"""Acts that are overrides; None: for as many hours as are configured."""

_NOWHERE = httpx.MockTransport(lambda _: httpx.Response(503))


def _lower(presets: list[PresetChoice]) -> Plan:
    """From the preset in use to the next lower one. Raises CannotDo."""
    before = {"presets": [asdict(one) for one in presets]}
    current = next((one for one in presets if one.in_use), None)
    if current is None or current.power_w is None:
        raise CannotDo("it works by none of its presets, so none is the next lower one")
    lower = [
        one
        for one in presets
        if one.power_w is not None and one.power_w < current.power_w and not one.needs_other_psu and not one.in_use
    ]
    if not lower:
        raise CannotDo(f"preset {current.label} is its lowest")
    chosen = max(lower, key=lambda one: one.power_w or -math.inf)
    tuned = "" if chosen.tuned else ", to which it has to tune itself first"
    return Plan(f"preset {current.label} to {chosen.label}{tuned}", before | {"preset": current.name}, chosen.name)
