"""From the answers of the S9 era to record R1. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from storage.records.miner import Miner, MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners import numbered
from tasks.miners.antminer_legacy.answers import Device, MinerStatus, Pool, Said, Settings, SystemInfo
from tasks.miners.inferred import degraded, miner_state, pool_status
from tasks.miners.of_parts import heat_of, shares_of
from tasks.miners.reading import NO_POWER, by_id, flags_text, mean, total
from tasks.normalize.difficulty import difficulty
from tasks.normalize.duration import clock_s
from tasks.normalize.hashrate import ghs_factor, hashrate_hs
from tasks.normalize.identifier import mac_address, named, pool_url, text
from tasks.normalize.nameplates import algorithm_of
from tasks.normalize.number import count, number
from tasks.normalize.voltage import set_voltage_v

_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ELAPSED = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,2})h)?(?:(\d{1,2})m)?(?:(\d{1,2})s)?")
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the status does not say. ``algorithm`` tells what GHS means; boards and fans were there once."""

    algorithm: str | None
    boards: frozenset[int]
    fans: frozenset[int]


def telemetry(
    time: int, miner: Miner, status: MinerStatus, circumstances: Circumstances, flags: set[str]
) -> MinerTelemetry:
    """The record of one poll. Adds to ``flags`` why something is null that should not be."""
    summary, body = status.summary, body_of(status)
    rate, average = (figure(summary.ghs5s), figure(summary.ghsav)) if summary else (None, None)
    factor = ghs_factor(circumstances.algorithm)
    if factor is None and rate is not None:
        flags.add("unit_unknown")
    hashing = None if rate is None else rate > 0
    if hashing is None:
        flags.add("state_unknown")
    uptime = elapsed_s(summary.elapsed) if summary else None
    boards = numbered.boards(body, factor, circumstances.boards, hashing=hashing, uptime_s=uptime)
    fans = numbered.fans(body, circumstances.fans, hashing=hashing)
    pools = _pools(status.pools, hashing, flags)
    mining = [board for board in boards if board.status == "mining"]
    hashrate = hashrate_hs(rate, factor)
    wrong = count(figure(summary.hw)) if summary else None
    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=miner_state(
            boards,
            hashing=hashing,
            asleep=False,
            degraded=degraded(boards, fans, len(circumstances.boards), hashrate, None),
            uptime_s=uptime,
        ),
        hashrate_hs=hashrate,
        hashrate_average_hs=hashrate_hs(average, factor),
        **heat_of(boards),
        frequency_mhz=mean(board.frequency_mhz for board in mining),
        **shares_of(pools),
        hardware_errors=wrong if wrong is not None else total(board.hardware_errors for board in boards),
        uptime_s=uptime,
        boards_mining=len(mining) if status.devs is not None else None,
        boards_expected=max(len(boards), len(circumstances.boards)) or None,
        fans_running=sum(fan.status == "ok" for fan in fans) if fans else None,
        quality_flags=flags_text(flags),
        boards=boards,
        fans=fans,
        pools=pools,
        cannot_tell=NO_POWER,
    )


def configuration(
    time: int,
    miner: Miner,
    address: str,
    *,
    system: SystemInfo | None,
    settings: Settings | None,
    pools: Iterable[PoolReading],
) -> MinerConfiguration:
    """The record of what it is set to; ``pools`` are those of the telemetry."""
    pool = settings.pools[0] if settings and settings.pools else None
    known = list(pools)
    url = pool_url(pool.url) if pool else known[0].url if known else None
    model = named(system.minertype) if system else None
    hundredths = figure(settings.bitmain_voltage) if settings else None
    return MinerConfiguration(
        time=time,
        miner=miner,
        ip_address=address,
        driver="antminer-legacy",
        model_reported=model,
        firmware_version=named(system.system_filesystem_version) if system else None,
        algorithm=algorithm_of(model),
        mac=mac_address(system.macaddr) if system else None,
        serial=named(system.serinum) if system else None,
        frequency_mhz=figure(settings.bitmain_freq) if settings else None,
        voltage_v=set_voltage_v(hundredths),
        pool_url=url,
        pool_user=text(pool.user) if pool else known[0].user if known else None,
        pool_status=next((each.status for each in known if each.url == url), None),
    )


def body_of(status: MinerStatus) -> dict[str, Any]:
    """All that is said of boards and fans, with cgminer's names: from the text behind ``freq``, and from the rows."""
    body: dict[str, Any] = {}
    for device in status.devs or ():
        _, *pairs = str(device.freq or "")[:_LONGEST].split(",")
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if equals:
                body.setdefault(name.strip(), value.strip())
    for n, device in by_id(status.devs, lambda device: count(figure(device.index)), "", set()):
        body |= {name: value for name, value in _named(n, device).items() if value is not None}
        if device.freq is not None:  # the machine's; some builds say each board's behind it
            body.setdefault(f"freq{n}", str(device.freq).partition(",")[0])
    return body


def figure(said: Said | None) -> float | None:
    """A number, also one with thousands separators."""
    if isinstance(said, str) and _GROUPED.fullmatch(said.strip()):
        said = said.replace(",", "")
    return number(said)


def elapsed_s(said: Said | None) -> int | None:
    """Seconds from ``"112"`` or ``"1d2h3m4s"``."""
    plain = count(number(said))
    if plain is not None or not isinstance(said, str):
        return plain
    found = _ELAPSED.fullmatch(said.replace(" ", ""))
    if found is None or not found[0]:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _named(n: int, device: Device) -> dict[str, Any]:
    return {
        f"chain_acn{n}": device.chain_acn,
        f"chain_rate{n}": figure(device.rate),
        f"chain_hw{n}": device.hw,
        f"chain_acs{n}": device.chain_acs,
        f"temp{n}": device.temp,
        f"temp2_{n}": device.temp2,
    }


def _pools(pools: list[Pool] | None, hashing: bool | None, flags: set[str]) -> tuple[PoolReading, ...]:
    found = by_id(pools, lambda pool: count(figure(pool.index)), "duplicate_pool", flags)
    alive = [pool for _, pool in found if pool_status(pool.status, in_use=False) == "working"]
    used = min(alive, key=_priority, default=None)
    return tuple(_pool(identity, pool, in_use=bool(hashing) and pool is used) for identity, pool in found)


def _priority(pool: Pool) -> float:
    found = figure(pool.priority)
    return found if found is not None else float("inf")


def _pool(identity: int, pool: Pool, *, in_use: bool) -> PoolReading:
    work = figure(pool.diffaccepted)
    return PoolReading(
        slot=str(identity),
        status=pool_status(pool.status, in_use=in_use),
        is_fee=False,
        url=pool_url(pool.url),
        user=text(pool.user),
        shares_accepted=count(figure(pool.accepted)),
        shares_rejected=count(figure(pool.rejected)),
        shares_stale=count(figure(pool.stale)),
        work_accepted_d1=work if work is not None and work >= 0 else None,
        difficulty=difficulty(pool.diff, figure(pool.lsdiff)),
        last_share_age_s=clock_s(pool.lstime),
    )
