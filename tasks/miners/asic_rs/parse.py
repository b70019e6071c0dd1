"""From the library's reading to record R1. Pure: no I/O, no clock."""

from __future__ import annotations

from storage.records.miner import (
    BoardReading,
    FanReading,
    Miner,
    MinerConfiguration,
    MinerErrorReading,
    MinerTelemetry,
    PoolReading,
)
from tasks.miners.asic_rs.answers import Board, DeviceInfo, Fan, HashRate, Message, Pool, Reading
from tasks.miners.of_parts import heat_of, shares_of
from tasks.miners.reading import NO_POWER, by_id, flags_text, hottest, mean, total
from tasks.normalize.efficiency import efficiency_j_th
from tasks.normalize.hashrate import hashrate_factor, hashrate_hs
from tasks.normalize.identifier import algorithm, mac_address, named, pool_url, text
from tasks.normalize.number import count, finite
from tasks.normalize.temperature import celsius

_STATES = {
    "Mining": "mining",
    "Stable": "mining",
    "DegradedMining": "degraded",
    "Initializing": "starting",
    "Starting": "starting",
    "Restarting": "starting",
    "Tuning": "tuning",
    "AdjustingClockVoltage": "tuning",
    "AdjustingFrequency": "tuning",
    "AdjustingVoltage": "tuning",
    "Paused": "paused",
    "Suspended": "paused",
    "Idling": "paused",
    "CoolingDown": "paused",
    "Stopped": "stopped",
    "Stopping": "stopped",
    "Restricted": "stopped",
    "Error": "failed",
}
_SEVERITIES = {"Error": "critical", "Warning": "warning", "Info": "info"}
_SCRYPT_AT_MOST_HS = 1e12
"""No Scrypt machine does a fiftieth of it: what says more was read in GH/s and is MH/s (releases before 0.8)."""

_SAME = 0.02
"""A total and the sum of its boards differ by no more."""


def is_silent(reading: Reading) -> bool:
    """Whether the library read nothing: it raises no error, and says that the miner is mining."""
    boards = reading.hashboards or ()
    return (
        _value(reading.hashrate) is None
        and mac_address(reading.mac) is None
        and all(_value(board.hashrate) is None and board.board_temperature is None for board in boards)
    )


def telemetry(time: int, miner: Miner, reading: Reading, boards_seen: int, flags: set[str]) -> MinerTelemetry:
    """The record of one reading. ``boards_seen``: most boards the miner ever showed. Adds to ``flags``."""
    scrypt = algorithm(reading.device_info.algo) == "scrypt" if reading.device_info else False
    boards = tuple(
        _board(i, board, scrypt, flags)
        for i, board in by_id(reading.hashboards, lambda board: board.position, "duplicate_board", flags)
    )
    fans = tuple(_fan(i, fan) for i, fan in by_id(reading.fans, lambda fan: fan.position, "duplicate_fan", flags))
    pools = _pools(reading, flags)
    own = [pool for pool in pools if not pool.is_fee]
    errors = _errors(reading.messages, flags)
    hashrate = _hashrate(reading.hashrate, scrypt, flags)
    watts = count(reading.wattage)
    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=_state(reading, boards, fans, hashrate=hashrate, boards_seen=boards_seen, flags=flags),
        hashrate_hs=hashrate,
        hashrate_nominal_hs=_nominal(boards, hashrate),
        power_w=watts,
        efficiency_j_th=efficiency_j_th(watts, hashrate),
        voltage_v=mean(board.voltage_v for board in boards),
        **heat_of(boards),
        frequency_mhz=mean(board.frequency_mhz for board in boards if board.status == "mining"),
        **shares_of(own),
        uptime_s=count(reading.uptime),
        boards_mining=sum(board.status == "mining" for board in boards) if boards else None,
        boards_expected=max(reading.expected_hashboards or 0, len(boards), boards_seen) or None,
        fans_running=sum(fan.status == "ok" for fan in fans) if fans else None,
        error_count=len(errors) if reading.messages is not None else None,
        quality_flags=flags_text(flags),
        boards=boards,
        fans=fans,
        pools=pools,
        errors=errors,
        cannot_tell=NO_POWER if _has_no_meter(reading.device_info) else frozenset(),
    )


def _has_no_meter(device: DeviceInfo | None) -> bool:
    return device is not None and ((device.make or "").lower(), (device.firmware or "").lower()) == (
        "antminer",
        "stock",
    )


def configuration(
    time: int, miner: Miner, address: str, reading: Reading, pools: tuple[PoolReading, ...]
) -> MinerConfiguration:
    """What the same reading says of the machine and its settings."""
    device = reading.device_info
    own = next((pool for pool in pools if not pool.is_fee), None)
    return MinerConfiguration(
        time=time,
        miner=miner,
        ip_address=address,
        driver="asic-rs",
        model_reported=named(" ".join(part for part in (device.make, device.model) if part)) if device else None,
        firmware_version=_firmware(reading),
        algorithm=algorithm(device.algo) if device else None,
        mac=mac_address(reading.mac),
        serial=named(reading.serial_number),
        pool_url=own.url if own else None,
        pool_user=own.user if own else None,
        pool_status=own.status if own else None,
    )


def _firmware(reading: Reading) -> str | None:
    name = named(reading.device_info.firmware) if reading.device_info else None
    return named(" ".join(part for part in (name, named(reading.firmware_version)) if part))


def _value(hashrate: HashRate | None) -> float | None:
    return hashrate.value if hashrate else None


def _hashrate(hashrate: HashRate | None, scrypt: bool, flags: set[str]) -> float | None:
    """H/s by the unit that comes along, never by a default one."""
    if hashrate is None or hashrate.value is None:
        return None
    factor = hashrate_factor(hashrate.unit)
    found = hashrate_hs(hashrate.value, factor)
    if factor is None:
        flags.add("unit_unknown")
    if scrypt and found is not None and found > _SCRYPT_AT_MOST_HS:
        flags.add("unit_suspect")
        return None
    return found


def _nominal(boards: tuple[BoardReading, ...], hashrate: float | None) -> float | None:
    """What the boards are expected to do, where all boards are there. The library's own total is the machine's
    nameplate and not what it is set to; and of some machines it shows fewer boards than there are."""
    expected = [board.hashrate_nominal_hs for board in boards]
    shown = total(board.hashrate_hs for board in boards)
    if not hashrate or shown is None or None in expected or abs(shown - hashrate) > _SAME * hashrate:
        return None
    return total(expected)


def _state(
    reading: Reading,
    boards: tuple[BoardReading, ...],
    fans: tuple[FanReading, ...],
    *,
    hashrate: float | None,
    boards_seen: int,
    flags: set[str],
) -> str:
    said = reading.operating_state.type if reading.operating_state else None
    state = _STATES.get(said or "")
    if state is None:
        if said is not None:
            flags.add("state_unknown")
        state = "mining" if hashrate else "stopped" if reading.is_mining is False else "starting"
    if state == "mining" and (
        any(board.status not in ("mining", "unknown") for board in boards)
        or len(boards) < boards_seen
        or any(fan.status == "lost" for fan in fans)
    ):
        return "degraded"
    return state


def _board(identity: int, board: Board, scrypt: bool, flags: set[str]) -> BoardReading:
    hashrate = _hashrate(board.hashrate, scrypt, flags)
    active = board.active if board.active is not None else (True if hashrate else None)
    return BoardReading(
        board=str(identity),
        status="unknown" if active is None else "mining" if active else "stopped",
        hashrate_hs=hashrate,
        hashrate_nominal_hs=_hashrate(board.expected_hashrate, scrypt, flags),
        pcb_temp_c=celsius(board.board_temperature),
        chip_temp_c=hottest((celsius(board.inlet_chip_temperature), celsius(board.outlet_chip_temperature))),
        frequency_mhz=finite(board.frequency),
        voltage_v=finite(board.voltage),
    )


def _fan(identity: int, fan: Fan) -> FanReading:
    speed = count(fan.rpm)
    return FanReading(
        fan=str(identity), status="unknown" if speed is None else "ok" if speed else "lost", speed_rpm=speed
    )


def _pools(reading: Reading, flags: set[str]) -> tuple[PoolReading, ...]:
    said = [pool for group in reading.pools or () for pool in group.pools or ()]
    listed = list(by_id(said, lambda pool: pool.position, "duplicate_pool", flags))
    shares = [pool.last_share_time for _, pool in listed if pool.active and not _is_fee(pool) and pool.last_share_time]
    newest = max(shares, default=None)
    return tuple(_pool(i, pool, reading.timestamp, newest) for i, pool in listed)


def _pool(identity: int, pool: Pool, now: float | None, newest: float | None) -> PoolReading:
    fee = _is_fee(pool)
    last = pool.last_share_time
    return PoolReading(
        slot=str(identity),
        status=_pool_status(pool, in_use=newest is None or last == newest or fee),
        is_fee=fee,
        url=None if fee else pool_url(pool.url),  # of the fee pool the library makes one up
        user=text(pool.user),
        shares_accepted=count(pool.accepted_shares),
        shares_rejected=count(pool.rejected_shares),
        last_share_age_s=max(0.0, now - last) if now is not None and last else None,
    )


def _pool_status(pool: Pool, *, in_use: bool) -> str:
    """Standby pools are called active too; the one in use is that with the newest share."""
    if pool.alive is False:
        return "offline"
    if pool.active is None:
        return "unknown"
    return "active" if pool.active and in_use else "working"


def _is_fee(pool: Pool) -> bool:
    return "devfee" in f"{pool.user} {pool.url}".lower()


def _errors(messages: list[Message] | None, flags: set[str]) -> tuple[MinerErrorReading, ...]:
    found: dict[str, MinerErrorReading] = {}
    for message in messages or ():
        code = str(message.code) if message.code is not None else "unnamed"
        if code in found:
            flags.add("duplicate_error")
            continue
        found[code] = MinerErrorReading(
            code=code, severity=_SEVERITIES.get(message.severity or "", "warning"), message=text(message.message)
        )
    return tuple(found.values())
