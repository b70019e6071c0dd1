"""What the firmware answers, as far as it is read. Every field may be missing: 1.2.x and 1.3.x share one shape.

Names are the firmware's. Hashrates are in ``hr_measure`` of ``/info`` unless said otherwise. Passwords have no field
here, so they are dropped while decoding.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tasks.miners.decode import Items

MOST_METRICS = 5_000


class Range(msgspec.Struct):
    """Lowest and highest sensor, degrees Celsius."""

    max: float | None = None


class ChainStatus(msgspec.Struct):
    """State of one board, with the maker's words when it failed."""

    state: str | None = None
    description: str | None = None


class ChipStatuses(msgspec.Struct):
    """Number of chips by grade."""

    red: float | None = None


class Chain(msgspec.Struct):
    """One board; ``voltage`` in mV, ``frequency`` in MHz. Boards of 1.3.x have the same shape and stay ``chains``."""

    id: int | None = None
    frequency: float | None = None
    voltage: float | None = None
    power_consumption: float | None = None
    hashrate_ideal: float | None = None
    hashrate_rt: float | None = None
    hw_errors: float | None = None
    pcb_temp: Range | None = None
    chip_temp: Range | None = None
    inlet_water_temp: float | None = None
    outlet_water_temp: float | None = None
    chip_statuses: ChipStatuses | None = None
    status: ChainStatus | None = None


class Fan(msgspec.Struct):
    """One fan."""

    id: int | None = None
    rpm: float | None = None
    max_rpm: float | None = None
    status: str | None = None


class FanMode(msgspec.Struct):
    """How the fans are driven: ``auto``, ``manual``, ``immers``."""

    name: str | None = None


class CoolingSettings(msgspec.Struct):
    """Settings as far as the state of the fans depends on them."""

    mode: FanMode | None = None


class Cooling(msgspec.Struct):
    """Fans and their drive in percent."""

    fans: Annotated[list[Fan], Items] | None = None
    fan_duty: float | None = None
    settings: CoolingSettings | None = None


class Pool(msgspec.Struct):
    """One pool slot. ``pool_type``: ``UserPool``, ``DevFee`` or ``Refund``. ``ls_time``: H:MM:SS ago, ``"0"`` never."""

    id: int | None = None
    url: str | None = None
    user: str | None = None
    pool_type: str | None = None
    status: str | None = None
    diff: str | None = None
    accepted: float | None = None
    rejected: float | None = None
    stale: float | None = None
    ls_diff: float | None = None
    ls_time: str | None = None
    diffa: float | None = None
    ping: float | None = None


class MinerStatus(msgspec.Struct):
    """What the miner is doing; also the answer of ``/status``. ``throttled`` is 1.3.x, percent of full power."""

    miner_state: str | None = None
    failure_code: int | None = None
    description: str | None = None
    throttled: float | None = None


class MinerStats(msgspec.Struct):
    """The body of ``/summary``. ``power_usage`` is left out: recordings and the vendor's description disagree on it."""

    miner_status: MinerStatus | None = None
    hr_realtime: float | None = None
    hr_average: float | None = None
    hr_nominal: float | None = None
    power_consumption: float | None = None
    pcb_temp: Range | None = None
    chip_temp: Range | None = None
    hw_errors: float | None = None
    devfee_percent: float | None = None
    cooling: Cooling | None = None
    pools: Annotated[list[Pool], Items] | None = None
    chains: Annotated[list[Chain], Items] | None = None


class Summary(msgspec.Struct):
    """``GET /summary``. ``miner`` is null while the mining process is not up, and is never left out."""

    miner: MinerStats | UnsetType | None = UNSET


class NetworkStatus(msgspec.Struct):
    """As far as it identifies the miner."""

    mac: str | None = None


class System(msgspec.Struct):
    """``uptime`` is ``"1:55"`` (hours and minutes) or ``"10 days, 18:00"``."""

    uptime: str | None = None
    network_status: NetworkStatus | None = None


class Info(msgspec.Struct):
    """``GET /info``. ``hr_measure``: ``GH/s``, ``MH/s``, and ``N/A`` in 1.3.x."""

    miner: str | None = None
    fw_name: str | None = None
    fw_version: str | None = None
    algorithm: str | None = None
    hr_measure: str | None = None
    serial: str | None = None
    system: System | None = None


class Globals(msgspec.Struct):
    """Clock in MHz and voltage in mV, sent while no preset is in use."""

    freq: float | None = None
    volt: float | None = None


class CurrentPreset(msgspec.Struct):
    """``name`` is the power target in W (text or number), ``disabled`` or ``custom``; ``pretty`` is for people."""

    name: str | int | None = None
    pretty: str | None = None
    globals: Globals | None = None


class PerfSummary(msgspec.Struct):
    """``GET /perf-summary``."""

    current_preset: CurrentPreset | None = None


class OfferedPreset(msgspec.Struct):
    """One of ``GET /autotune/presets``; ``name`` and ``pretty`` as of the one in use, ``status`` tuned or untuned."""

    name: str | int | None = None
    pretty: str | None = None
    status: str | None = None
    modded_psu_required: bool | None = None


class Saved(msgspec.Struct):
    """``POST /settings``: what it takes for the new settings to hold."""

    restart_required: bool | None = None
    reboot_required: bool | None = None


class Unlocked(msgspec.Struct):
    """``POST /unlock`` with 200."""

    token: str | None = None


class LockedOut(msgspec.Struct):
    """``POST /unlock`` with 403 or 429: seconds until it may be tried again."""

    unlock_timeout: float | None = None


class MetricData(msgspec.Struct):
    """What the firmware remembers of an instant; temperatures in degrees Celsius, fans in percent, power in W."""

    hashrate: float | None = None
    pcb_max_temp: float | None = None
    chip_max_temp: float | None = None
    fan_duty: float | None = None
    power_consumption: float | None = None


class Metric(msgspec.Struct):
    """``time`` is in Unix seconds, whatever ``timezone`` says."""

    time: int | None = None
    data: MetricData | None = None


class Metrics(msgspec.Struct):
    """``GET /metrics?time_slice=&step=``, both in seconds; not more than three days."""

    metrics: Annotated[list[Metric], msgspec.Meta(max_length=MOST_METRICS)] | None = None
