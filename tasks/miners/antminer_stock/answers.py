"""What stock CGI scripts answer, as far as it is read. Every field may be missing.

Names are the firmware's. Hashrates are in ``rate_unit`` of the same answer. Pool passwords have no field here, so they
are dropped while decoding. Sensors and fans are numbers in one version and strings in another.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from tasks.miners.decode import Items

Readings = Annotated[list[Any], Items]


class Chain(msgspec.Struct):
    """One slot for a board. ``asic`` has an ``x`` for each chip that does not work. Temperatures one per sensor."""

    index: int | None = None
    freq_avg: float | None = None
    rate_ideal: float | None = None
    rate_real: float | None = None
    asic_num: float | None = None
    asic: str | None = None
    temp_pcb: Readings | None = None
    temp_chip: Readings | None = None
    hw: float | None = None
    sn: str | None = None
    eeprom_loaded: bool | UnsetType | None = UNSET


class Stats(msgspec.Struct):
    """``STATS[0]`` of stats.cgi."""

    elapsed: float | None = None
    rate_5s: float | None = None
    rate_avg: float | None = None
    rate_ideal: float | None = None
    rate_unit: str | None = None
    fan: Readings | None = None
    chain: Annotated[list[Chain], Items] | None = None


class Info(msgspec.Struct):
    """``INFO``, the same in all answers that have it."""

    miner_version: str | None = None
    type: str | None = None
    dev_sn: str | None = None


class StatsAnswer(msgspec.Struct, rename="upper"):
    """stats.cgi."""

    stats: Annotated[list[Stats], Items] | None = None
    info: Info | None = None


class Check(msgspec.Struct):
    """One self-check: ``type`` is ``rate``, ``network``, ``fans`` or ``temp``; ``status`` ``s``, ``w`` or ``e``."""

    type: str | None = None
    status: str | None = None
    code: str | int | None = None
    msg: str | None = None


class Summary(msgspec.Struct):
    """``SUMMARY[0]`` of summary.cgi; the rest of it is in stats.cgi too."""

    hw_all: float | None = None
    status: Annotated[list[Check], Items] | None = None


class SummaryAnswer(msgspec.Struct, rename="upper"):
    """summary.cgi."""

    summary: Annotated[list[Summary], Items] | None = None


class Pool(msgspec.Struct):
    """One pool slot. ``lstime``: H:MM:SS ago, empty or ``"0"`` never; the lowest ``priority`` alive is in use."""

    index: int | None = None
    url: str | None = None
    user: str | None = None
    status: str | None = None
    priority: float | None = None
    accepted: float | None = None
    rejected: float | None = None
    stale: float | None = None
    diff: str | None = None
    diffa: float | None = None
    lsdiff: float | None = None
    lstime: str | None = None


class PoolsAnswer(msgspec.Struct, rename="upper"):
    """pools.cgi."""

    pools: Annotated[list[Pool], Items] | None = None


class SystemInfo(msgspec.Struct):
    """get_system_info.cgi."""

    minertype: str | None = None
    macaddr: str | None = None
    serinum: str | None = None
    system_filesystem_version: str | None = None
    algorithm: str | None = msgspec.field(default=None, name="Algorithm")


class ConfiguredPool(msgspec.Struct):
    """A pool in the settings, without its password."""

    url: str | None = None
    user: str | None = None


class Settings(msgspec.Struct, rename="kebab"):
    """get_miner_conf.cgi of Bitmain (``bitmain-...``) and of ElphaPex (``fc-...``). Work mode 1 is sleep."""

    pools: Annotated[list[ConfiguredPool], Items] | None = None
    bitmain_freq: str | None = None
    bitmain_voltage: str | None = None
    bitmain_freq_level: str | None = None
    bitmain_work_mode: str | int | None = None
    miner_mode: str | int | None = None
    fc_freq: str | None = None
    fc_voltage: str | None = None
    fc_freq_level: str | None = None
    fc_work_mode: str | int | None = None
