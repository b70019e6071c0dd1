"""From the answers of the CGI scripts to record R1. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from typing import Any

from storage.records.miner import (
    BoardReading,
    FanReading,
    Miner,
    MinerConfiguration,
    MinerErrorReading,
    MinerTelemetry,
    PoolReading,
)
from tasks.miners.decode import MOST_ITEMS
from tasks.miners.of_parts import heat_of
from tasks.miners.reading import by_id, flags_text, mean
from tasks.miners.vnish_cgi.answers import Board, Config, Fan, Fault, Pool, Stats
from tasks.normalize.efficiency import efficiency_j_th
from tasks.normalize.hashrate import hashrate_factor, hashrate_hs
from tasks.normalize.identifier import algorithm, mac_address, named, pool_url, text
from tasks.normalize.instant import age_s
from tasks.normalize.number import count, finite, number
from tasks.normalize.temperature import celsius

_STATES = {
    "mining": "mining",
    "degraded": "degraded",
    "starting": "starting",
    "initializing": "starting",
    "restarting": "starting",
    "tuning": "tuning",
    "auto-tuning": "tuning",
    "paused": "paused",
    "sleeping": "paused",
    "stopped": "stopped",
    "idle": "stopped",
    "failed": "failed",
    "failure": "failed",
    "error": "failed",
}
_BOARD_STATES = {
    "active": "mining",
    "mining": "mining",
    "initializing": "initializing",
    "inactive": "stopped",
    "stopped": "stopped",
    "failed": "failure",
    "failure": "failure",
    "disconnected": "disconnected",
    "disabled": "disabled",
}
_FAN_STATES = {"ok": "ok", "lost": "lost", "failed": "lost", "stopped": "lost"}
_POOL_STATES = {
    "active": "active",
    "alive": "active",
    "connected": "active",
    "working": "working",
    "offline": "offline",
    "dead": "offline",
    "disconnected": "offline",
    "disabled": "disabled",
    "rejecting": "rejecting",
}
_SEVERITIES = {"info": "info", "warning": "warning", "critical": "critical", "error": "critical", "fatal": "critical"}
_LONGEST_CODE = 64
_BOARD = re.compile(r"board(0|[1-9][0-9]{0,2})")


def telemetry(time: int, miner: Miner, stats: Stats, boards_seen: int, flags: set[str]) -> MinerTelemetry:
    """The record of one answer. ``boards_seen``: most boards the miner ever showed. Adds to ``flags``."""
    factor = hashrate_factor(stats.hashrate_unit)
    if factor is None and stats.hashrate is not None:
        flags.add("unit_unknown")
    heat = stats.temperature or {}
    listed = by_id(stats.boards, lambda board: board.board_id, "duplicate_board", flags)
    boards = tuple(_board(i, board, factor, heat.get(f"board{i}"), flags) for i, board in listed)
    warm = tuple(_board(i, Board(), factor, heat[f"board{i}"], flags) for i in (() if listed else _only_warm(heat)))
    of_boards = heat_of((*boards, *warm))
    fans = tuple(_fan(i, fan) for i, fan in by_id(stats.fans, lambda fan: fan.fan_id, "duplicate_fan", flags))
    errors = _errors(stats.errors, flags)
    shares, power = stats.shares, stats.power
    hashrate = hashrate_hs(stats.hashrate, factor)
    watts = count(power.consumption) if power else None

    state = _STATES.get((stats.mining_status or "").strip().lower())
    if state is None:
        flags.add("state_unknown")
        state = "mining" if hashrate else "starting"
    if state == "mining" and (
        any(board.status not in ("mining", "disabled") for board in boards)
        or len(boards) < boards_seen
        or any(fan.status == "lost" for fan in fans)
    ):
        state = "degraded"

    shares_read = (count(shares.accepted), count(shares.rejected), count(shares.stale)) if shares else (None,) * 3
    last_share = age_s(shares.last_share_time, stats.timestamp) if shares else None
    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=state,
        hashrate_hs=hashrate,
        power_w=watts,
        efficiency_j_th=efficiency_j_th(watts, hashrate),
        voltage_v=finite(power.voltage) if power else None,
        ambient_temp_c=_degrees(heat, "ambient", flags),
        chip_temp_avg_c=_degrees(heat, "avg_chip", flags) if "avg_chip" in heat else of_boards["chip_temp_avg_c"],
        chip_temp_max_c=_degrees(heat, "max_chip", flags) if "max_chip" in heat else of_boards["chip_temp_max_c"],
        pcb_temp_max_c=of_boards["pcb_temp_max_c"],
        fan_duty_percent=mean(fan.speed_percent for fan in fans),
        shares_accepted=shares_read[0],
        shares_rejected=shares_read[1],
        shares_stale=shares_read[2],
        last_share_age_s=last_share,
        uptime_s=count(stats.uptime),
        boards_mining=sum(board.status == "mining" for board in boards) if stats.boards is not None else None,
        boards_expected=max(len(boards), boards_seen) or None,
        fans_running=sum(fan.status == "ok" for fan in fans) if stats.fans is not None else None,
        error_count=len(errors) if stats.errors is not None else None,
        quality_flags=flags_text(flags),
        boards=(*boards, *warm),
        fans=fans,
        pools=(_pool(stats.pool, shares_read, last_share),) if stats.pool else (),
        errors=errors,
    )


def configuration(
    time: int, miner: Miner, address: str, config: Config, pool: PoolReading | None
) -> MinerConfiguration:
    """The record of config.cgi; ``pool`` is the one of the telemetry, for firmwares that do not repeat it there."""
    own = _pool(config.pool, (None,) * 3, None) if config.pool else pool
    return MinerConfiguration(
        time=time,
        miner=miner,
        ip_address=address,
        driver="vnish-cgi",
        model_reported=named(config.model),
        firmware_version=named(config.firmware_version),
        algorithm=algorithm(config.algorithm),
        mac=mac_address(config.mac),
        serial=named(config.serial),
        overclock_profile=text(config.overclock_profile),
        frequency_mhz=finite(config.frequency),
        voltage_v=finite(config.voltage),
        power_limit_w=count(config.power_limit),
        pool_url=own.url if own else None,
        pool_user=own.user if own else None,
        pool_status=own.status if own else None,
    )


def _only_warm(heat: dict[str, Any]) -> list[int]:
    """Numbers of the boards where a firmware lists none and tells their temperatures all the same."""
    return sorted(int(found[1]) for name in heat if (found := _BOARD.fullmatch(name)))[:MOST_ITEMS]


def _board(identity: int, board: Board, factor: float | None, heat: Any, flags: set[str]) -> BoardReading:
    degrees = heat if isinstance(heat, dict) else {"pcb": heat}
    return BoardReading(
        board=str(identity),
        status=_BOARD_STATES.get((board.status or "").strip().lower(), "unknown"),
        hashrate_hs=hashrate_hs(board.hashrate, factor),
        pcb_temp_c=_degrees(degrees, "pcb", flags),
        chip_temp_c=_degrees(degrees, "chip", flags),
    )


def _degrees(heat: dict[str, Any], name: str, flags: set[str]) -> float | None:
    said = heat.get(name)
    found = celsius(number(said))
    if found is None and said is not None:
        flags.add(f"unreadable:temperature.{name}")
    return found


def _fan(identity: int, fan: Fan) -> FanReading:
    return FanReading(
        fan=str(identity),
        status=_FAN_STATES.get((fan.status or "").strip().lower(), "unknown"),
        speed_rpm=count(fan.speed),
        speed_percent=finite(fan.speed_percent),
    )


def _pool(pool: Pool, shares: tuple[int | None, ...], last_share_age_s: float | None) -> PoolReading:
    """The only pool this dialect tells of, so the miner's shares are its shares."""
    return PoolReading(
        slot="0",
        status=_POOL_STATES.get((pool.status or "").strip().lower(), "unknown"),
        is_fee=False,
        url=pool_url(pool.url),
        user=text(pool.user),
        shares_accepted=shares[0],
        shares_rejected=shares[1],
        shares_stale=shares[2],
        last_share_age_s=last_share_age_s,
    )


def _errors(faults: list[Fault] | None, flags: set[str]) -> tuple[MinerErrorReading, ...]:
    found: dict[str, MinerErrorReading] = {}
    for fault in faults or ():
        code = (named(str(fault.code)) if fault.code is not None else None) or "unnamed"
        if code in found:
            flags.add("duplicate_error")
            continue
        found[code] = MinerErrorReading(
            code=code[:_LONGEST_CODE],
            severity=_SEVERITIES.get((fault.severity or "").strip().lower(), "warning"),
            message=text(fault.message),
        )
    return tuple(found.values())
