"""From the replies of the socket API to record R1. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from storage.records.miner import (
    BoardReading,
    Miner,
    MinerConfiguration,
    MinerErrorReading,
    MinerTelemetry,
    PoolReading,
)
from tasks.miners import numbered
from tasks.miners.cgminer_socket.answers import Reply
from tasks.miners.inferred import degraded, miner_state, pool_status
from tasks.miners.of_parts import counted, heat_of, last_share_age_s
from tasks.miners.reading import NO_POWER, by_id, flags_text, mean, total
from tasks.miners.vnish_words import STATES
from tasks.normalize.difficulty import difficulty
from tasks.normalize.duration import clock_s
from tasks.normalize.efficiency import efficiency_j_th
from tasks.normalize.hashrate import ghs_factor, hashrate_factor, hashrate_hs
from tasks.normalize.identifier import named, pool_url, text
from tasks.normalize.nameplates import algorithm_of
from tasks.normalize.number import count, number

_MHS = 1e6
"""cgminer's own ``MHS``, which it counts in MH/s on every algorithm; ``GHS`` is Bitmain's."""

_REMARK = re.compile(r"(.*\S)\s*\(([^()]+)\)\s*")
_SOME_DATE = 1_000_000_000
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the replies do not say. ``model`` is the configured one; boards and fans are those that were there once."""

    model: str
    boards: frozenset[int]
    fans: frozenset[int]


def body_of(replies: Mapping[str, Reply]) -> dict[str, Any]:
    """The rows of ``stats`` in one: Antminers tell their type in the first and all else in the second. Rows of pools,
    which cgminer puts there too, are left out."""
    body: dict[str, Any] = {}
    for row in (replies["stats"].stats or ()) if "stats" in replies else ():
        if not str(row.get("ID", "")).upper().startswith("POOL"):
            body = {**row, **body}
    return body


def telemetry(
    time: int, miner: Miner, replies: Mapping[str, Reply], circumstances: Circumstances, flags: set[str]
) -> MinerTelemetry:
    """The record of one poll. Adds to ``flags`` why something is null that should not be."""
    body, summary = body_of(replies), _first(replies, "summary")
    factor = _factor(body, circumstances.model)
    if factor is None and "GHS 5s" in (summary or body):
        flags.add("unit_unknown")
    hashrate, rate = _rate(summary, body, factor, "GHS 5s", "MHS 5s")
    average, _ = _rate(summary, body, factor, "GHS av", "MHS av")
    hashing = None if rate is None else rate > 0
    uptime = count(_figure(summary, body, "Elapsed"))
    boards = numbered.boards(body, factor, circumstances.boards, hashing=hashing, uptime_s=uptime)
    fans = numbered.fans(body, circumstances.fans, hashing=hashing)
    pools = _pools(replies.get("pools"), hashing, flags)
    own = [pool for pool in pools if not pool.is_fee]
    mining = [board for board in boards if board.status == "mining"]
    nominal = hashrate_hs(number(body.get("total_rateideal")), factor)
    if nominal is None:
        nominal = total(board.hashrate_nominal_hs for board in boards)
    says_faults = any(key.startswith("chain_fault") for key in body)
    errors = _errors(body, boards)
    watts = total(board.power_w for board in boards)
    wrong = count(_figure(summary, {}, "Hardware Errors"))
    return MinerTelemetry(
        time=time,
        miner=miner,
        reachable=True,
        state=_state(
            body,
            boards,
            hashing=hashing,
            is_degraded=degraded(boards, fans, len(circumstances.boards), hashrate, nominal),
            uptime_s=uptime,
            flags=flags,
        ),
        hashrate_hs=hashrate,
        hashrate_average_hs=average,
        hashrate_nominal_hs=nominal,
        power_w=watts,
        efficiency_j_th=efficiency_j_th(watts, hashrate),
        voltage_v=mean(board.voltage_v for board in mining or boards),
        **heat_of(boards),
        fan_duty_percent=number(body.get("fan_pwm")),
        frequency_mhz=mean(board.frequency_mhz for board in mining),
        shares_accepted=_shares(own, "shares_accepted", summary, "Accepted"),
        shares_rejected=_shares(own, "shares_rejected", summary, "Rejected"),
        shares_stale=_shares(own, "shares_stale", summary, "Stale"),
        work_accepted_d1=counted(own, lambda pool: pool.work_accepted_d1),
        last_share_age_s=last_share_age_s(own),
        hardware_errors=wrong if wrong is not None else total(board.hardware_errors for board in boards),
        uptime_s=uptime,
        devfee_percent=_figure(summary, {}, "Fee Percent"),
        boards_mining=len(mining) if boards else None,
        boards_expected=max(len(boards), len(circumstances.boards)) or None,
        fans_running=sum(fan.status == "ok" for fan in fans) if fans else None,
        error_count=len(errors) if says_faults else None,
        quality_flags=flags_text(flags),
        boards=boards,
        fans=fans,
        pools=pools,
        errors=errors,
        cannot_tell=frozenset() if any(key.startswith("chain_consumption") for key in body) else NO_POWER,
    )


def configuration(
    time: int, miner: Miner, address: str, replies: Mapping[str, Reply], pools: Iterable[PoolReading]
) -> MinerConfiguration:
    """The record of ``version`` and ``stats``; ``pools`` are those of the telemetry."""
    body = body_of(replies)
    head = {**body, **(_first(replies, "version") or {})}
    said = text(str(head["Type"])) if head.get("Type") else None
    remark = _REMARK.fullmatch(said) if said else None
    own = next((pool for pool in pools if not pool.is_fee), None)
    version = next((str(head[key]) for key in ("Miner", "CGMiner", "BMMiner") if head.get(key)), None)
    return MinerConfiguration(
        time=time,
        miner=miner,
        ip_address=address,
        driver="cgminer-socket",
        model_reported=named(remark[1] if remark else said),
        firmware_version=named(remark[2] if remark else version),
        algorithm=algorithm_of(said),
        frequency_mhz=number(body.get("frequency")),
        pool_url=own.url if own else None,
        pool_user=own.user if own else None,
        pool_status=own.status if own else None,
    )


def _state(
    body: Row,
    boards: tuple[BoardReading, ...],
    *,
    hashing: bool | None,
    is_degraded: bool,
    uptime_s: int | None,
    flags: set[str],
) -> str:
    """In the firmware's own word where it has one, else as inferred."""
    word = body.get("state")
    known = STATES.get(word) if isinstance(word, str) else None
    if known is not None:
        return "degraded" if known == "mining" and is_degraded else known
    if word is not None or hashing is None:
        flags.add("state_unknown")
    return miner_state(boards, hashing=hashing, asleep=False, degraded=is_degraded, uptime_s=uptime_s)


def _first(replies: Mapping[str, Reply], name: str) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] | None = getattr(replies[name], name) if name in replies else None
    return rows[0] if rows else None


def _figure(summary: Row | None, body: Row, name: str) -> float | None:
    found = number(summary.get(name)) if summary else None
    return found if found is not None else number(body.get(name))


def _factor(body: Row, model: str) -> float | None:
    """H/s in one GHS: what ``rate_unit`` says, else what the model hashes, the reported one before the configured."""
    unit = body.get("rate_unit")
    said = hashrate_factor(unit) if isinstance(unit, str) else None
    if said is not None:
        return said
    reported = body.get("Type")
    return ghs_factor(algorithm_of(reported if isinstance(reported, str) else None) or algorithm_of(model))


def _rate(summary: Row | None, body: Row, factor: float | None, *names: str) -> tuple[float | None, float | None]:
    """The first of ``names`` that is there, in H/s and as it was said."""
    for name in names:
        said = _figure(summary, body, name)
        if said is not None:
            return hashrate_hs(said, factor if name.startswith("GHS") else _MHS), said
    return None, None


def _shares(own: list[PoolReading], field: str, summary: Row | None, name: str) -> int | None:
    """The user's shares. The summary counts those of the firmware's maker too, where there is a fee."""
    if own:
        return counted(own, attrgetter(field))
    if summary is None or "Fee Percent" in summary:
        return None
    return count(number(summary.get(name)))


def _pools(reply: Reply | None, hashing: bool | None, flags: set[str]) -> tuple[PoolReading, ...]:
    if reply is None:
        return ()
    now = reply.status[0].when if reply.status else None
    rows = by_id(reply.pools, lambda row: count(number(row.get("POOL"))), "duplicate_pool", flags)
    return tuple(_pool(identity, row, now, hashing) for identity, row in rows)


def _pool(identity: int, row: Row, now: float | None, hashing: bool | None) -> PoolReading:
    kind = row.get("Type")
    url = _words(row.get("URL"))
    label = row.get("Diff")
    asked = number(row.get("Stratum Difficulty")) if label is None else None
    last = number(row.get("Last Share Difficulty"))
    return PoolReading(
        slot=str(identity),
        status=pool_status(
            _words(row.get("Status")), in_use=row.get("Stratum Active") is True and hashing is not False
        ),
        is_fee=number(kind) != 0 if kind is not None else (url or "").lower() == "devfee",
        url=pool_url(url),
        user=_words(row.get("User")),
        shares_accepted=count(number(row.get("Accepted"))),
        shares_rejected=count(number(row.get("Rejected"))),
        shares_stale=count(number(row.get("Stale"))),
        work_accepted_d1=_positive(number(row.get("Difficulty Accepted"))),
        difficulty=difficulty(_words(label), last) or _positive(asked) or None,
        last_share_age_s=_age_s(row.get("Last Share Time"), now),
    )


def _age_s(said: object, now: float | None) -> float | None:
    """Seconds since the last share: Bitmain and VNish say ``"0:00:05"``, cgminer the time of day by its own clock."""
    at = number(said)
    if at is None:
        return clock_s(_words(said))
    return now - at if now is not None and _SOME_DATE < at <= now else None


def _positive(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None


def _words(value: object) -> str | None:
    return text(value) if isinstance(value, str) else None


def _errors(body: Row, boards: Iterable[BoardReading]) -> tuple[MinerErrorReading, ...]:
    found = []
    for board in boards:
        fault = _words(body.get(f"chain_fault{board.board}"))
        if fault is not None or board.status == "failure":
            code = f"board_{board.board}_failure"
            found.append(MinerErrorReading(code=code, severity="warning", message=fault))
    return tuple(found)
