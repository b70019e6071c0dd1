"""From the answers of stock CGI scripts to record R1. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import UNSET

from storage.records.miner import (
    BoardReading,
    FanReading,
    Miner,
    MinerConfiguration,
    MinerErrorReading,
    MinerTelemetry,
    PoolReading,
)
from tasks.miners.antminer_stock.answers import Chain, Check, Info, Pool, Settings, Stats, Summary, SystemInfo
from tasks.miners.inferred import board_status, degraded, fan_status, miner_state, pool_status
from tasks.miners.of_parts import heat_of, shares_of
from tasks.miners.reading import NO_POWER, by_id, flags_text, hottest, mean, total
from tasks.normalize.difficulty import difficulty
from tasks.normalize.duration import clock_s
from tasks.normalize.hashrate import hashrate_factor, hashrate_hs
from tasks.normalize.identifier import algorithm, mac_address, named, pool_url, text
from tasks.normalize.nameplates import algorithm_of
from tasks.normalize.number import count, finite, number
from tasks.normalize.temperature import celsius_or_milli
from tasks.normalize.voltage import set_voltage_v

_SEVERITIES = {"e": "critical", "w": "warning"}
_SLEEPS = "1"
_HIGHEST_MHZ = 5_000
"""ElphaPex says 62000 and 89000 in a unit that nobody knows: no reading."""

_LONGEST_CODE = 64


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What stats.cgi does not say itself. ``boards``: numbers of the boards that ever had chips."""

    asleep: bool
    boards: frozenset[int]


def telemetry(
    time: int,
    miner: Miner,
    stats: Stats,
    *,
    summary: Summary | None,
    pools: list[Pool] | None,
    circumstances: Circumstances,
    flags: set[str],
) -> MinerTelemetry:
    """The record of one poll. Adds to ``flags`` why something is null that should not be."""
    factor = hashrate_factor(stats.rate_unit)
    if factor is None and stats.rate_5s is not None:
        flags.add("unit_unknown")
    hashing = None if stats.rate_5s is None else stats.rate_5s > 0
    if hashing is None:
        flags.add("state_unknown")
    uptime, asleep = count(stats.elapsed), circumstances.asleep
    chains = [
        (identity, chain)
        for identity, chain in by_id(stats.chain, lambda chain: chain.index, "duplicate_board", flags)
        if identity in circumstances.boards or _is_board(chain)
    ]
    boards = tuple(
        _board(
            identity,
            chain,
            factor,
            board_status(chain.asic_num, chain.rate_real, hashing=hashing, asleep=asleep, uptime_s=uptime),
        )
        for identity, chain in chains
    )
    fans = tuple(_fan(position, said, hashing) for position, said in enumerate(stats.fan or ()))
    own = _pools(pools, hashing, flags)
    errors = _errors(summary.status if summary else None, flags)
    mining = [board for board in boards if board.status == "mining"]
    hashrate, nominal = hashrate_hs(stats.rate_5s, factor), hashrate_hs(stats.rate_ideal, factor)
    wrong = count(summary.hw_all) if summary else None
    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=miner_state(
            boards,
            hashing=hashing,
            asleep=asleep,
            degraded=degraded(boards, fans, len(circumstances.boards), hashrate, nominal),
            uptime_s=uptime,
            in_trouble=any(error.severity == "critical" for error in errors),
        ),
        hashrate_hs=hashrate,
        hashrate_average_hs=hashrate_hs(stats.rate_avg, factor),
        hashrate_nominal_hs=nominal,
        **heat_of(boards),
        frequency_mhz=mean(board.frequency_mhz for board in mining),
        **shares_of(own),
        hardware_errors=wrong if wrong is not None else total(board.hardware_errors for board in boards),
        uptime_s=uptime,
        boards_mining=len(mining) if stats.chain is not None else None,
        boards_expected=max(len(boards), len(circumstances.boards)) or None,
        fans_running=sum(fan.status == "ok" for fan in fans) if stats.fan is not None else None,
        error_count=len(errors) if summary is not None and summary.status is not None else None,
        quality_flags=flags_text(flags),
        boards=boards,
        fans=fans,
        pools=own,
        errors=errors,
        cannot_tell=NO_POWER,
    )


def boards_of(stats: Stats) -> set[int]:
    """Numbers of the slots in which chips were found."""
    return {identity for identity, chain in by_id(stats.chain, lambda chain: chain.index, "", set()) if chain.asic_num}


def is_asleep(settings: Settings | None) -> bool:
    """Whether the miner was sent to sleep."""
    modes = (settings.bitmain_work_mode, settings.miner_mode, settings.fc_work_mode) if settings else ()
    return any(str(mode).strip() == _SLEEPS for mode in modes)


def configuration(
    time: int,
    miner: Miner,
    address: str,
    *,
    system: SystemInfo | None,
    settings: Settings | None,
    info: Info | None,
    pools: Iterable[PoolReading],
) -> MinerConfiguration:
    """The record of what it is set to; ``pools`` are those of the telemetry."""
    pool = settings.pools[0] if settings and settings.pools else None
    known = list(pools)
    url = pool_url(pool.url) if pool else known[0].url if known else None
    model = named(system.minertype) if system else named(info.type) if info else None
    said = algorithm(system.algorithm) if system else None
    return MinerConfiguration(
        time=time,
        miner=miner,
        ip_address=address,
        driver="antminer-stock",
        model_reported=model,
        firmware_version=(named(system.system_filesystem_version) if system else None)
        or (named(info.miner_version) if info else None),
        algorithm=said or algorithm_of(model),
        mac=mac_address(system.macaddr) if system else None,
        serial=(named(system.serinum) if system else None) or (named(info.dev_sn) if info else None),
        overclock_profile=named(settings.bitmain_freq_level or settings.fc_freq_level) if settings else None,
        frequency_mhz=_megahertz(number(settings.bitmain_freq or settings.fc_freq)) if settings else None,
        voltage_v=set_voltage_v(number(settings.bitmain_voltage or settings.fc_voltage)) if settings else None,
        pool_url=url,
        pool_user=text(pool.user) if pool else known[0].user if known else None,
        pool_status=next((each.status for each in known if each.url == url), None),
    )


def _is_board(chain: Chain) -> bool:
    """Whether a slot has a board, or had one when the firmware looked for it: machines list slots they never had."""
    return bool(chain.asic_num or chain.rate_ideal or named(chain.sn)) or chain.eeprom_loaded is not UNSET


def _board(identity: int, chain: Chain, factor: float | None, status: str) -> BoardReading:
    connected = status != "disconnected"
    return BoardReading(
        board=str(identity),
        status=status,
        hashrate_hs=hashrate_hs(chain.rate_real, factor),
        hashrate_nominal_hs=hashrate_hs(chain.rate_ideal, factor),
        pcb_temp_c=_hottest(chain.temp_pcb) if connected else None,
        chip_temp_c=_hottest(chain.temp_chip) if connected else None,
        frequency_mhz=_megahertz(finite(chain.freq_avg)),
        hardware_errors=count(chain.hw),
        chips_bad=chain.asic.lower().count("x") if connected and chain.asic else None,
    )


def _hottest(sensors: list[object] | None) -> float | None:
    """The hottest sensor; 0 and ``""`` are its way to say that it measures nothing."""
    return hottest(celsius_or_milli(number(said)) or None for said in sensors or ())


def _megahertz(said: float | None) -> float | None:
    return said if said is not None and 0 <= said < _HIGHEST_MHZ else None


def _fan(position: int, said: object, hashing: bool | None) -> FanReading:
    rpm = count(number(said))
    return FanReading(fan=str(position), status=fan_status(rpm, hashing=hashing), speed_rpm=rpm)


def _pools(pools: list[Pool] | None, hashing: bool | None, flags: set[str]) -> tuple[PoolReading, ...]:
    found = by_id(pools, lambda pool: pool.index, "duplicate_pool", flags)
    alive = [pool for _, pool in found if pool_status(pool.status, in_use=False) == "working"]
    used = min(alive, key=lambda pool: pool.priority if pool.priority is not None else float("inf"), default=None)
    return tuple(_pool(identity, pool, in_use=bool(hashing) and pool is used) for identity, pool in found)


def _pool(identity: int, pool: Pool, *, in_use: bool) -> PoolReading:
    work = finite(pool.diffa)
    return PoolReading(
        slot=str(identity),
        status=pool_status(pool.status, in_use=in_use),
        is_fee=False,
        url=pool_url(pool.url),
        user=text(pool.user),
        shares_accepted=count(pool.accepted),
        shares_rejected=count(pool.rejected),
        shares_stale=count(pool.stale),
        work_accepted_d1=work if work is not None and work >= 0 else None,
        difficulty=difficulty(pool.diff, pool.lsdiff),
        last_share_age_s=clock_s(pool.lstime),
    )


def _errors(checks: list[Check] | None, flags: set[str]) -> tuple[MinerErrorReading, ...]:
    found: dict[str, MinerErrorReading] = {}
    for check in checks or ():
        severity = _SEVERITIES.get((check.status or "").strip().lower())
        if severity is None:
            continue
        kind, code = named(check.type) or "check", text(str(check.code)) if check.code not in (None, "", 0) else None
        name = f"{kind}_{code}"[:_LONGEST_CODE] if code else kind[:_LONGEST_CODE]
        if name in found:
            flags.add("duplicate_error")
        else:
            found[name] = MinerErrorReading(code=name, severity=severity, message=text(check.msg))
    return tuple(found.values())
