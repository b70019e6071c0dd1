"""The reading of pyasic-rs 0.8.6 (``MinerData.model_dump``), as far as it is used."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tasks.miners.decode import Items


class HashRate(msgspec.Struct):
    """``unit`` is ``"TH/s"`` and its like; without one the value means nothing."""

    value: float | None = None
    unit: str | None = None


class Board(msgspec.Struct):
    """``position`` counts from 0. ``voltage`` in V, temperatures of chips are where the air comes in and goes out."""

    position: int | None = None
    hashrate: HashRate | None = None
    expected_hashrate: HashRate | None = None
    board_temperature: float | None = None
    inlet_chip_temperature: float | None = None
    outlet_chip_temperature: float | None = None
    voltage: float | None = None
    frequency: float | None = None
    active: bool | None = None


class Fan(msgspec.Struct):
    """``rpm`` is a float with the dust of a conversion, 5940.000000000001."""

    position: int | None = None
    rpm: float | None = None


class Pool(msgspec.Struct):
    """``last_share_time`` in Unix seconds."""

    position: int | None = None
    url: str | None = None
    user: str | None = None
    accepted_shares: float | None = None
    rejected_shares: float | None = None
    last_share_time: float | None = None
    active: bool | None = None
    alive: bool | None = None


class PoolGroup(msgspec.Struct):
    """Pools that take turns."""

    pools: Annotated[list[Pool], Items] | None = None


class DeviceInfo(msgspec.Struct):
    """``algo`` as in ``"SHA256"``, ``"Scrypt"``."""

    make: str | None = None
    model: str | None = None
    firmware: str | None = None
    algo: str | None = None


class OperatingState(msgspec.Struct):
    """``type`` as in ``"Mining"``, ``"DegradedMining"``."""

    type: str | None = None


class Message(msgspec.Struct):
    """``severity`` is ``Error``, ``Warning`` or ``Info``."""

    code: int | None = None
    message: str | None = None
    severity: str | None = None


class Reading(msgspec.Struct):
    """All of one miner. After a failure of any kind the library gives one with ``is_mining`` and nothing else."""

    timestamp: int | None = None
    mac: str | None = None
    device_info: DeviceInfo | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    expected_hashboards: int | None = None
    hashboards: Annotated[list[Board], Items] | None = None
    hashrate: HashRate | None = None
    fans: Annotated[list[Fan], Items] | None = None
    wattage: float | None = None
    fluid_temperature: float | None = None
    messages: Annotated[list[Message], Items] | None = None
    uptime: float | None = None
    is_mining: bool | None = None
    operating_state: OperatingState | None = None
    pools: Annotated[list[PoolGroup], Items] | None = None
