"""R1: what a poll of a miner gives. Base units; None means *the miner did not say*, never zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from storage.declaration import MEASUREMENTS
from storage.frame import Frame, build_frame
from storage.precision import rounded


class Miner(msgspec.Struct, frozen=True):
    """Identity of a miner: its tags, from the configuration."""

    miner_id: str
    model: str
    site: str


class BoardReading(msgspec.Struct, frozen=True, kw_only=True):
    """One hashboard; fields as declared in measurement ``miner_board``."""

    board: str
    status: str | None = None
    hashrate_hs: float | None = None
    hashrate_nominal_hs: float | None = None
    pcb_temp_c: float | None = None
    chip_temp_c: float | None = None
    inlet_temp_c: float | None = None
    outlet_temp_c: float | None = None
    frequency_mhz: float | None = None
    voltage_v: float | None = None
    power_w: int | None = None
    hardware_errors: int | None = None
    chips_bad: int | None = None


class FanReading(msgspec.Struct, frozen=True, kw_only=True):
    """One fan; fields as declared in measurement ``miner_fan``."""

    fan: str
    status: str | None = None
    speed_rpm: int | None = None
    speed_percent: float | None = None


class PoolReading(msgspec.Struct, frozen=True, kw_only=True):
    """One pool slot of a miner; fields as declared in measurement ``miner_pool``."""

    slot: str
    status: str | None = None
    is_fee: bool | None = None
    url: str | None = None
    user: str | None = None
    shares_accepted: int | None = None
    shares_rejected: int | None = None
    shares_stale: int | None = None
    work_accepted_d1: float | None = None
    difficulty: float | None = None
    last_share_age_s: float | None = None
    ping_ms: float | None = None


class MinerErrorReading(msgspec.Struct, frozen=True, kw_only=True):
    """One error that a miner reports; fields as declared in measurement ``miner_error``."""

    code: str
    severity: str | None = None
    message: str | None = None


class MinerTelemetry(msgspec.Struct, frozen=True, kw_only=True):
    """One miner at one poll slot (``time``, whole UTC seconds); fields as in measurement ``miner_telemetry``.

    ``cannot_tell`` is not stored: fields that this make and firmware never tells, so that their null is no fault.
    """

    time: int
    miner: Miner
    reachable: bool
    state: str
    failure: str | None = None
    hashrate_hs: float | None = None
    hashrate_average_hs: float | None = None
    hashrate_nominal_hs: float | None = None
    power_w: int | None = None
    efficiency_j_th: float | None = None
    voltage_v: float | None = None
    ambient_temp_c: float | None = None
    chip_temp_avg_c: float | None = None
    chip_temp_max_c: float | None = None
    pcb_temp_max_c: float | None = None
    fan_duty_percent: float | None = None
    frequency_mhz: float | None = None
    power_limit_w: int | None = None
    shares_accepted: int | None = None
    shares_rejected: int | None = None
    shares_stale: int | None = None
    work_accepted_d1: float | None = None
    last_share_age_s: float | None = None
    hardware_errors: int | None = None
    uptime_s: int | None = None
    devfee_percent: float | None = None
    boards_mining: int | None = None
    boards_expected: int | None = None
    fans_running: int | None = None
    error_count: int | None = None
    poll_ms: float | None = None
    quality: float | None = None
    quality_flags: str | None = None
    boards: tuple[BoardReading, ...] = ()
    fans: tuple[FanReading, ...] = ()
    pools: tuple[PoolReading, ...] = ()
    errors: tuple[MinerErrorReading, ...] = ()
    cannot_tell: frozenset[str] = frozenset()


class MinerConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """What a miner is set to; fields as declared in measurement ``miner_configuration``."""

    time: int
    miner: Miner
    ip_address: str
    driver: str
    model_reported: str | None = None
    firmware_version: str | None = None
    algorithm: str | None = None
    mac: str | None = None
    serial: str | None = None
    overclock_profile: str | None = None
    frequency_mhz: float | None = None
    voltage_v: float | None = None
    power_limit_w: int | None = None
    pool_url: str | None = None
    pool_user: str | None = None
    pool_status: str | None = None


def telemetry_frames(records: Sequence[MinerTelemetry]) -> list[Frame]:
    """Frames of ``miner_telemetry``, ``miner_board``, ``miner_fan``, ``miner_pool`` and ``miner_error``."""
    parts: list[tuple[str, Callable[[MinerTelemetry], Sequence[msgspec.Struct]], tuple[str, ...]]] = [
        ("miner_board", lambda record: record.boards, ("board",)),
        ("miner_fan", lambda record: record.fans, ("fan",)),
        ("miner_pool", lambda record: record.pools, ("slot",)),
        ("miner_error", lambda record: record.errors, ("code",)),
    ]
    frames = [_frame("miner_telemetry", [(record, record) for record in records], ())]
    frames += [
        _frame(name, [(record, item) for record in records for item in items(record)], own_tags)
        for name, items, own_tags in parts
    ]
    return [frame for frame in frames if len(frame)]


def configuration_frames(records: Sequence[MinerConfiguration]) -> list[Frame]:
    """The frame of ``miner_configuration``, or none where there is no record."""
    return [_frame("miner_configuration", [(record, record) for record in records], ())] if records else []


def _frame(
    measurement: str,
    rows: list[tuple[MinerTelemetry, Any]] | list[tuple[MinerConfiguration, Any]],
    own_tags: tuple[str, ...],
) -> Frame:
    columns: dict[str, list[Any]] = {
        "miner_id": [record.miner.miner_id for record, _ in rows],
        "model": [record.miner.model for record, _ in rows],
        "site": [record.miner.site for record, _ in rows],
    }
    for tag in own_tags:
        columns[tag] = [getattr(item, tag) for _, item in rows]
    for field in MEASUREMENTS[measurement].fields:
        values = [getattr(item, field.name) for _, item in rows]
        columns[field.name] = rounded(values) if field.type == "float" and not field.exact else values
    return build_frame(measurement, [record.time for record, _ in rows], columns)
