"""What is true of a simulated miner at an instant. The answers on the wire are written from it, tests compare with it.

Base units, as storage uses them. None means that there is nothing to be known, e.g. the temperature of a lost board.
"""

from __future__ import annotations

import msgspec


class BoardTruth(msgspec.Struct, frozen=True, kw_only=True):
    """One hashboard. ``number`` is 1-based as VNish counts; the CGI dialect says one less."""

    number: int
    mining: bool
    lost: bool
    hashrate_hs: float
    hashrate_nominal_hs: float
    chip_temp_c: float | None
    chip_temp_min_c: float | None
    pcb_temp_c: float | None
    pcb_temp_min_c: float | None
    frequency_mhz: float
    voltage_v: float
    power_w: int
    hardware_errors: int
    chips_red: int
    chips_orange: int
    chips: int


class FanTruth(msgspec.Struct, frozen=True, kw_only=True):
    """One fan, 0-based."""

    number: int
    running: bool
    speed_rpm: int
    max_rpm: int


class PoolTruth(msgspec.Struct, frozen=True, kw_only=True):
    """One pool slot. ``work_accepted_d1`` is accepted shares times difficulty."""

    slot: int
    url: str
    user: str
    is_fee: bool
    status: str
    difficulty: int
    accepted: int
    rejected: int
    stale: int
    work_accepted_d1: float
    last_share_at: float | None
    ping_ms: int


class CreditTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What the user's pool has counted since the miner's boot; the miner says otherwise where work is stolen."""

    accepted: int
    rejected: int
    stale: int
    work_accepted_d1: float
    last_share_at: float | None


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """One miner at the instant ``time``.

    ``state`` is a word of storage.declaration.miner.MINER_STATES (never ``unreachable``: that is for a reader to say),
    ``answering`` whether a poll must succeed, ``failure`` the kind of failure it must come to where it must not.
    The shares are the user's; what goes to the firmware's maker stands in ``pools``. ``accepted_fraction`` is the part
    of the hashes that the user's pool pays for: without the maker's fee, what is rejected or comes too late, and what
    is stolen. ``credit`` is what that pool has counted.
    """

    miner_id: str
    time: float
    answering: bool
    failure: str | None
    state: str
    state_since: float
    powered: bool
    hashrate_hs: float
    hashrate_average_hs: float
    hashrate_nominal_hs: float
    power_w: int
    power_limit_w: int
    ambient_temp_c: float
    chip_temp_avg_c: float | None
    chip_temp_max_c: float | None
    pcb_temp_max_c: float | None
    fan_duty_percent: float
    boards: tuple[BoardTruth, ...]
    fans: tuple[FanTruth, ...]
    pools: tuple[PoolTruth, ...]
    shares_accepted: int
    shares_rejected: int
    shares_stale: int
    work_accepted_d1: float
    last_share_at: float | None
    hardware_errors: int
    devfee_percent: float
    accepted_fraction: float
    credit: CreditTruth
    uptime_s: int
    booted_at: float
    hashes_delivered: float
    unit_switched: bool
    faults: tuple[str, ...]


class FleetTruth(msgspec.Struct, frozen=True, kw_only=True):
    """The whole farm at an instant. ``hashrate_hs`` is split by algorithm, since the two cannot be added.

    Sums are over the miners that answer: what a collector can know.
    """

    time: float
    miners: int
    answering: int
    by_state: dict[str, int]
    failures: dict[str, int]
    hashrate_hs: dict[str, float]
    power_w: int
