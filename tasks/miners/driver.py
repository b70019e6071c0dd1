"""The port between the fleet poll and a firmware: a driver turns one miner's answers into one record.

A driver is pure but for the requests it sends through the transport it is given. It never returns zeros for a failure:
it raises :class:`PollFailure`, whose kind is stored. A field that cannot be read costs that field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import httpx
from pydantic import SecretStr

from storage.records.miner import Miner, MinerConfiguration, MinerTelemetry

FailureKind = Literal[
    "refused", "unreachable", "connect_timeout", "deadline", "http_status", "not_json", "truncated", "too_large",
    "auth", "schema", "driver_silent", "skipped",
]  # fmt: skip
"""Same words as storage.declaration.miner.FAILURE_KINDS; a test holds them equal."""


class PollFailure(Exception):
    """One miner gave no reading. ``kind`` is stored, ``detail`` is for a human and never holds a secret.

    ``asked_for_less``: it wants fewer requests, as HTTP 429 says; it is polled at its slowest pace.
    """

    def __init__(self, kind: FailureKind, detail: str, *, asked_for_less: bool = False) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind: FailureKind = kind
        self.detail = detail
        self.asked_for_less = asked_for_less

    @property
    def worth_retrying(self) -> bool:
        """Whether the same request may succeed within this tick."""
        return self.kind not in ("auth", "http_status", "schema")


@dataclass(frozen=True, slots=True)
class Target:
    """One miner to poll: where it is and how to get in. ``base_url`` is ``http://address[:port]`` without a path;
    another scheme names another transport (tasks/miners/base_url.py)."""

    miner: Miner
    address: str
    base_url: str
    username: str | None = None
    password: SecretStr | None = None
    api_key: SecretStr | None = None


class MinerSession(Protocol):
    """What a driver keeps of one miner between polls: prepared requests, unit of its hashrate, token."""

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """Read everything of R1 that changes; ``slot`` becomes the record's time. ``poll_ms`` is set by the fleet.

        Raises:
            PollFailure: no reading; every exception of transport or parser is turned into one.
        """
        ...

    async def configuration(self, slot: int) -> MinerConfiguration:
        """Read what seldom changes. Raises PollFailure as above."""
        ...


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """What a miner remembers of itself at ``time`` (Unix seconds, by its own clock). None: it does not say."""

    time: int
    hashrate_hs: float | None
    power_w: int | None
    chip_temp_max_c: float | None
    pcb_temp_max_c: float | None
    fan_duty_percent: float | None


@runtime_checkable
class KeepsHistory(Protocol):
    """A session whose miner remembers its own readings."""

    @property
    def remembers_s(self) -> int:
        """How far back, in seconds."""
        ...

    async def history(self, slot: int, back_s: int, step_s: int) -> list[HistoryPoint]:
        """What it remembers of the last ``back_s`` seconds, a point every ``step_s``; none of times without power.

        Raises:
            PollFailure: it gave no history.
        """
        ...


class CannotAct(Exception):
    """A driver that only reads was told to do something. Its text says which driver, for a human."""


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """A preset that a miner offers: its name for the firmware, what people call it, its power in W.

    ``in_use``: the miner works by it. ``tuned``: the miner has tuned itself to it before. ``needs_other_psu``:
    only with a power supply that was changed for it.
    """

    name: str
    label: str
    power_w: int | None
    in_use: bool
    tuned: bool
    needs_other_psu: bool


@runtime_checkable
class Acting(Protocol):
    """A session that can change what its miner does. Nothing calls it but an operator and responses that he turned on
    (docs/responses.md); nothing is tried twice, since nobody knows what a try that failed has done."""

    async def presets(self, slot: int) -> list[PresetChoice]:
        """The presets that it offers. Changes nothing.

        Raises:
            PollFailure: it gave no answer.
            CannotAct: its driver only reads.
        """
        ...

    async def choose_preset(self, name: str, slot: int) -> None:
        """Save the preset of that name, and restart the mining where it takes that to hold. Raises as above."""
        ...

    async def restart_mining(self, slot: int) -> None:
        """Restart the mining; the miner stays up. Raises as above."""
        ...


@runtime_checkable
class DetectingSession(Protocol):
    """A session that also finds out which driver speaks the miner's dialect, and goes on with that one.

    ``detected`` is its name, None before it is found. The fleet sets it to what was found in an earlier run, keeps what
    a poll found, and sets it to None when the miner has another firmware or is another device.
    """

    detected: str | None


class MinerDriver(Protocol):
    """One firmware dialect. Stateless; sessions hold the state of one miner."""

    @property
    def name(self) -> str:
        """Stable name used in configuration, e.g. ``vnish-rest`` or ``vnish-cgi``."""
        ...

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> MinerSession:
        """Open the books of one miner; sends nothing yet. The transport belongs to this miner alone."""
        ...
