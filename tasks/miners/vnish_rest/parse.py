"""From the firmware's answers to record R1. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from storage.records.miner import (
    BoardReading,
    FanReading,
    Miner,
    MinerErrorReading,
    MinerTelemetry,
    PoolReading,
)
from tasks.miners.driver import HistoryPoint
from tasks.miners.of_parts import shares_of
from tasks.miners.reading import by_id, flags_text, mean
from tasks.miners.vnish_rest.answers import Chain, Cooling, Fan, Metrics, MinerStats, MinerStatus, Pool, Range
from tasks.miners.vnish_words import BOARD_STATES, STATES
from tasks.normalize.difficulty import difficulty
from tasks.normalize.duration import clock_s
from tasks.normalize.efficiency import efficiency_j_th
from tasks.normalize.hashrate import hashrate_hs, unit_is_suspect
from tasks.normalize.identifier import pool_url, text
from tasks.normalize.limits import possible_value
from tasks.normalize.number import count, finite
from tasks.normalize.preset import Preset
from tasks.normalize.temperature import celsius

_POOL_STATES = frozenset({"active", "working", "offline", "disabled", "rejecting", "unknown"})
_DEGRADED_BELOW = 0.75
_IMMERSED = ("immers", "immersion")
"""Names of the mode of cooling: the firmware's own, and the whole word in case another version writes that."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What ``/summary`` does not say itself but its reading depends on.

    ``factor``: H/s in one of the miner's units, None while unknown. ``boards_seen``: most boards it ever showed, since
    a board that died may be left out of the list.
    """

    factor: float | None
    uptime_s: int | None
    preset: Preset
    boards_seen: int


def state_of(status: MinerStatus | None) -> str | None:
    """State in the words of MINER_STATES, or None when the firmware says nothing that is known."""
    return STATES.get(status.miner_state or "") if status else None


def not_running(time: int, miner: Miner, status: MinerStatus | None, uptime_s: int | None) -> MinerTelemetry:
    """The record while ``miner`` is null: a state, not a failure, and no values."""
    errors = _errors(status, [])
    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=state_of(status) or "starting",
        uptime_s=uptime_s,
        errors=errors,
        error_count=len(errors),
    )


def telemetry(
    time: int, miner: Miner, stats: MinerStats, circumstances: Circumstances, flags: set[str]
) -> MinerTelemetry:
    """The record of a running miner. Adds to ``flags`` why something is null that should not be."""
    factor = _trusted_factor(stats, circumstances, flags)
    chains = by_id(stats.chains, lambda chain: chain.id, "duplicate_board", flags)
    boards = tuple(_board(identity, chain, factor) for identity, chain in chains)
    cooling, immersed = stats.cooling, _is_immersed(stats.cooling)
    fans = tuple(
        _fan(i, fan, immersed=immersed)
        for i, fan in by_id(cooling.fans if cooling else None, lambda fan: fan.id, "duplicate_fan", flags)
    )
    pools = tuple(_pool(i, pool) for i, pool in by_id(stats.pools, lambda pool: pool.id, "duplicate_pool", flags))
    own = [pool for pool in pools if not pool.is_fee]
    mining = [board for board in boards if board.status == "mining"]
    errors = _errors(stats.miner_status, chains)
    hashrate = hashrate_hs(stats.hr_realtime, factor)
    nominal = hashrate_hs(stats.hr_nominal, factor)
    power = count(stats.power_consumption)

    state = state_of(stats.miner_status)
    if state is None:
        flags.add("state_unknown")
        state = "mining" if hashrate else "starting"
    hot = state in ("mining", "tuning")
    if state == "mining":
        fan_lost = any(fan.status == "lost" for fan in fans)
        share = (finite(stats.miner_status.throttled) if stats.miner_status else None) or 100.0
        slow = hashrate is not None and nominal is not None and hashrate < _DEGRADED_BELOW * nominal * share / 100.0
        board_lost = len(boards) < circumstances.boards_seen or any(
            board.status not in ("mining", "disabled") for board in boards
        )
        if fan_lost or slow or board_lost:
            state = "degraded"

    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=state,
        hashrate_hs=hashrate,
        hashrate_average_hs=hashrate_hs(stats.hr_average, factor),
        hashrate_nominal_hs=nominal,
        power_w=power,
        efficiency_j_th=efficiency_j_th(power, hashrate),
        voltage_v=mean(board.voltage_v for board in mining or boards),
        chip_temp_avg_c=mean(board.chip_temp_c for board in boards),
        chip_temp_max_c=_hottest(stats.chip_temp, measured=hot),
        pcb_temp_max_c=_hottest(stats.pcb_temp, measured=hot),
        fan_duty_percent=finite(cooling.fan_duty) if cooling else None,
        frequency_mhz=mean(board.frequency_mhz for board in mining),
        power_limit_w=circumstances.preset.power_w,
        **shares_of(own),
        hardware_errors=count(stats.hw_errors),
        uptime_s=circumstances.uptime_s,
        devfee_percent=finite(stats.devfee_percent),
        boards_mining=len(mining) if stats.chains is not None else None,
        boards_expected=max(len(boards), circumstances.boards_seen) or None,
        fans_running=sum(fan.status == "ok" for fan in fans) if cooling and cooling.fans is not None else None,
        error_count=len(errors),
        quality_flags=flags_text(flags),
        boards=boards,
        fans=fans,
        pools=pools,
        errors=errors,
    )


def _trusted_factor(stats: MinerStats, circumstances: Circumstances, flags: set[str]) -> float | None:
    """The unit's factor, unless it is unknown or the preset's own label contradicts it by a power of a thousand."""
    if circumstances.factor is None:
        if stats.hr_realtime is not None:
            flags.add("unit_unknown")
        return None
    if unit_is_suspect(hashrate_hs(stats.hr_nominal, circumstances.factor), circumstances.preset.hashrate_hs):
        flags.add("unit_suspect")
        return None
    return circumstances.factor


def _board(identity: int, chain: Chain, factor: float | None) -> BoardReading:
    said = chain.status.state if chain.status else None
    status = said if said in BOARD_STATES else "unknown"
    works = status == "mining"
    voltage = finite(chain.voltage)
    return BoardReading(
        board=str(identity),
        status=status,
        hashrate_hs=hashrate_hs(chain.hashrate_rt, factor),
        hashrate_nominal_hs=hashrate_hs(chain.hashrate_ideal, factor),
        pcb_temp_c=_hottest(chain.pcb_temp, measured=works),
        chip_temp_c=_hottest(chain.chip_temp, measured=works),
        inlet_temp_c=celsius(chain.inlet_water_temp),
        outlet_temp_c=celsius(chain.outlet_water_temp),
        frequency_mhz=finite(chain.frequency),
        voltage_v=voltage / 1000.0 if voltage is not None else None,
        power_w=count(chain.power_consumption),
        hardware_errors=count(chain.hw_errors),
        chips_bad=count(chain.chip_statuses.red) if chain.chip_statuses else None,
    )


def _is_immersed(cooling: Cooling | None) -> bool:
    mode = cooling.settings.mode if cooling and cooling.settings else None
    return mode is not None and mode.name in _IMMERSED


def _fan(identity: int, fan: Fan, *, immersed: bool) -> FanReading:
    """Under oil a fan that stands still was taken out, and is not lost."""
    rpm, highest = count(fan.rpm), count(fan.max_rpm)
    return FanReading(
        fan=str(identity),
        status=fan.status if fan.status == "ok" or (fan.status == "lost" and not immersed) else "unknown",
        speed_rpm=rpm,
        speed_percent=100.0 * rpm / highest if rpm is not None and highest else None,
    )


def _pool(identity: int, pool: Pool) -> PoolReading:
    status = pool.status if pool.status in _POOL_STATES else "unknown"
    ping = finite(pool.ping)
    return PoolReading(
        slot=str(identity),
        status=status,
        is_fee=pool.pool_type != "UserPool" if pool.pool_type else None,
        url=pool_url(pool.url),
        user=text(pool.user),
        shares_accepted=count(pool.accepted),
        shares_rejected=count(pool.rejected),
        shares_stale=count(pool.stale),
        work_accepted_d1=finite(pool.diffa),
        difficulty=difficulty(pool.diff, pool.ls_diff),
        last_share_age_s=clock_s(pool.ls_time),
        ping_ms=None if ping == 0 and status != "active" else ping,  # a pool that is not talked to has no round trip
    )


def _errors(status: MinerStatus | None, chains: list[tuple[int, Chain]]) -> tuple[MinerErrorReading, ...]:
    found = []
    if status and (status.failure_code is not None or status.miner_state == "failure"):
        code = "failure" if status.failure_code is None else str(status.failure_code)[:20]
        found.append(MinerErrorReading(code=code, severity="critical", message=text(status.description)))
    for identity, chain in chains:
        if chain.status and chain.status.state == "failure":
            found.append(
                MinerErrorReading(
                    code=f"board_{identity}_failure", severity="warning", message=text(chain.status.description)
                )
            )
    return tuple(found)


def _hottest(reading: Range | None, *, measured: bool) -> float | None:
    """The highest sensor. Firmwares send 0 for *not measured*: on a board that does not work, 0 is no reading."""
    found = celsius(reading.max) if reading else None
    return None if found == 0 and not measured else found


def history(metrics: Metrics, factor: float | None) -> list[HistoryPoint]:
    """What the firmware remembers, oldest first. An instant of which it has only zeros was not measured."""
    points = []
    for metric in metrics.metrics or ():
        data = metric.data
        if metric.time is None or data is None or not (data.hashrate or data.power_consumption):
            continue
        hashing = bool(data.hashrate)
        points.append(
            HistoryPoint(
                time=metric.time,
                hashrate_hs=possible_value("hashrate_hs", hashrate_hs(data.hashrate, factor)),
                power_w=possible_value("power_w", count(data.power_consumption)),
                chip_temp_max_c=possible_value(
                    "chip_temp_max_c", _hottest(Range(data.chip_max_temp), measured=hashing)
                ),
                pcb_temp_max_c=possible_value("pcb_temp_max_c", _hottest(Range(data.pcb_max_temp), measured=hashing)),
                fan_duty_percent=possible_value("fan_duty_percent", finite(data.fan_duty)),
            )
        )
    return sorted(points, key=lambda point: point.time)
