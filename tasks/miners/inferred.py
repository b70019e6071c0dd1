"""States of miners that have no word for them, from what they measure: stock firmware and its kin.

Their answers tell whether anything is hashed, since when, and which boards and fans there are. *Tuning* cannot be told
from *mining* that way, and *paused* needs the setting that says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.records.miner import BoardReading, FanReading

FRESH_S = 900
"""So long a miner may need from its start to its first hash; S19 and its kin take up to ten minutes."""

_DEGRADED_BELOW = 0.75
_POOL_STATES = {
    "alive": "working",
    "dead": "offline",
    "unreachable": "offline",
    "disabled": "disabled",
    "rejecting": "rejecting",
}


def board_status(
    chips: float | None, rate: float | None, *, hashing: bool | None, asleep: bool, uptime_s: int | None
) -> str:
    """``miner_board.status`` from the number of chips found and the hashrate, in any unit."""
    if chips is not None and chips <= 0:
        return "disconnected"
    if rate is None or hashing is None:
        return "unknown"
    if rate > 0:
        return "mining"
    if hashing:
        return "failure"
    return "initializing" if _is_fresh(uptime_s) and not asleep else "stopped"


def pool_status(word: str | None, *, in_use: bool) -> str:
    """``miner_pool.status`` from the word of cgminer and its kin."""
    known = _POOL_STATES.get((word or "").strip().lower(), "unknown")
    return "active" if known == "working" and in_use else known


def fan_status(rpm: float | None, *, hashing: bool | None) -> str:
    """``miner_fan.status``. A fan that stands still is lost only where heat is made."""
    if rpm is None:
        return "unknown"
    if rpm > 0:
        return "ok"
    return "lost" if hashing else "unknown"


def miner_state(
    boards: Sequence[BoardReading],
    *,
    hashing: bool | None,
    asleep: bool,
    degraded: bool,
    uptime_s: int | None,
    in_trouble: bool = False,
) -> str:
    """``miner_telemetry.state``. ``in_trouble``: the miner reports an error itself."""
    if hashing:
        return "degraded" if degraded else "mining"
    if asleep:
        return "paused"
    if boards and all(board.status in ("disconnected", "failure") for board in boards):
        return "failed"
    if hashing is None or _is_fresh(uptime_s):
        return "starting"
    return "failed" if in_trouble else "stopped"


def degraded(
    boards: Sequence[BoardReading],
    fans: Sequence[FanReading],
    boards_seen: int,
    hashrate: float | None,
    nominal: float | None,
) -> bool:
    """Whether a miner that hashes does less than it should: a board or a fan is lost, or a quarter of the hashrate."""
    return (
        len(boards) < boards_seen
        or any(board.status not in ("mining", "disabled", "unknown") for board in boards)
        or any(fan.status == "lost" for fan in fans)
        or (hashrate is not None and nominal is not None and hashrate < _DEGRADED_BELOW * nominal)
    )


def _is_fresh(uptime_s: int | None) -> bool:
    return uptime_s is not None and uptime_s < FRESH_S
