"""What the two CGI scripts answer. Every field may be missing. README.md beside this file says what each means."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tasks.miners.decode import Items


class Board(msgspec.Struct):
    """One board; its hashrate is in ``hashrate_unit`` of the answer."""

    board_id: int | None = None
    hashrate: float | None = None
    status: str | None = None


class Fan(msgspec.Struct):
    """One fan."""

    fan_id: int | None = None
    speed: float | None = None
    speed_percent: float | None = None
    status: str | None = None


class Power(msgspec.Struct):
    """W and V. ``efficiency`` is left out: it is computed."""

    consumption: float | None = None
    voltage: float | None = None


class Pool(msgspec.Struct):
    """The pool in use."""

    url: str | None = None
    user: str | None = None
    status: str | None = None


class Shares(msgspec.Struct):
    """Counters since the start; ``last_share_time`` ISO 8601 by the miner's clock."""

    accepted: float | None = None
    rejected: float | None = None
    stale: float | None = None
    last_share_time: str | None = None


class Fault(msgspec.Struct):
    """One error that the miner reports; codes are text or numbers."""

    code: str | int | None = None
    message: str | None = None
    severity: str | None = None


class Stats(msgspec.Struct):
    """``data`` of stats.cgi. ``temperature`` has a key per board, so it stays a dictionary."""

    timestamp: str | None = None
    hashrate: float | None = None
    hashrate_unit: str | None = None
    boards: Annotated[list[Board], Items] | None = None
    temperature: dict[str, Any] | None = None
    power: Power | None = None
    fans: Annotated[list[Fan], Items] | None = None
    pool: Pool | None = None
    shares: Shares | None = None
    mining_status: str | None = None
    uptime: float | None = None
    errors: Annotated[list[Fault], Items] | None = None


class Config(msgspec.Struct):
    """``data`` of config.cgi: MHz, W, V."""

    model: str | None = None
    firmware_version: str | None = None
    frequency: float | None = None
    overclock_profile: str | None = None
    power_limit: float | None = None
    voltage: float | None = None
    mac: str | None = None
    serial: str | None = None
    algorithm: str | None = None
    pool: Pool | None = None


class StatsAnswer(msgspec.Struct):
    """Envelope of stats.cgi."""

    status: str | None = None
    message: str | None = None
    data: Stats | None = None


class ConfigAnswer(msgspec.Struct):
    """Envelope of config.cgi."""

    status: str | None = None
    message: str | None = None
    data: Config | None = None
