"""Scripted faults: what can go wrong with a simulated miner, from when to when."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

FaultKind = Literal[
    "dead", "hanging", "slow_drip", "http_500", "html", "truncated_json", "wrong_password", "board_lost", "fan_lost",
    "fans_slow", "overheating", "paused", "unit_switched", "reboot", "latency", "throttled", "fans_held", "frozen",
    "pool_changed", "skimmed", "shares_refused",
]  # fmt: skip

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

EXPECTED_FAILURE: dict[FaultKind, str] = {
    "dead": "refused",
    "hanging": "deadline",
    "slow_drip": "deadline",
    "http_500": "http_status",
    "html": "not_json",
    "truncated_json": "truncated",
}
"""The failure kind (tasks/miners/driver.py) a poll must come to while the fault lasts. The order is the order in which
they hide each other."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault of one miner. Active where ``start <= time < end``; without ``end`` it lasts until it is cleared.

    =============== ======================================================================================
    kind            what happens
    =============== ======================================================================================
    dead            no power: the listening socket is closed (connections are refused) and nothing is mined;
                    when it ends, the miner boots with its counters at zero
    hanging         connections are accepted, requests are never answered
    slow_drip       the answer comes at ``bytes_per_s``
    http_500        every request is answered with status 500
    html            a page instead of JSON, with status 200
    truncated_json  the JSON stops half-way; the HTTP around it is in order
    wrong_password  the password of the configuration is not the miner's
    board_lost      ``board`` (1-based) delivers nothing
    fan_lost        ``fan`` (0-based) stands still
    fans_slow       their control is stuck at a low duty: chips beyond 85 degrees at full load, and throttled
    overheating     hot air at the intake and clogged fins: chips beyond 85 degrees
    paused          mining is stopped on purpose
    unit_switched   hashrates in the other unit (GH/s for MH/s or back), and the unit's name says so
    reboot          uptime and counters start again at ``start``; no hashrate for ``boot_s``. ``end`` is not used
    latency         every answer comes ``ms`` late, or evenly spread over ``ms`` to ``ms_max``
    throttled       every board mines, and delivers ``ratio`` of what it did; 0 is nothing at all
    fans_held       the fans' control stands still at a low duty; the firmware holds the chips just below their limit
                    by delivering less
    frozen          the firmware answers what it knew at ``start``, whatever happens since
    pool_changed    the miner mines at ``url`` as ``user``; its own pool gets nothing more
    skimmed         ``ratio`` of the work goes to somebody else, and the miner does not say so
    shares_refused  the pool refuses ``ratio`` of the shares
    =============== ======================================================================================

    ``until_restart``: a board_lost or paused that is over when the miner is told to restart its mining.
    """

    kind: FaultKind
    start: float | None = None
    end: float | None = None
    board: int | None = None
    fan: int | None = None
    ms: float | None = None
    ms_max: float | None = None
    ratio: float | None = None
    url: str | None = None
    user: str | None = None
    bytes_per_s: float = 20.0
    boot_s: float = 20.0
    until_restart: bool = False

    def active(self, at: float) -> bool:
        """Whether the fault is on at an instant. A reboot is on for its ``boot_s``."""
        start, end = self.span
        return start <= at < end

    @property
    def span(self) -> tuple[float, float]:
        """First instant, and the first one after the fault."""
        start = self.start if self.start is not None else float("-inf")
        if self.kind == "reboot":
            return start, start + self.boot_s
        return start, self.end if self.end is not None else float("inf")


_CURED: tuple[FaultKind, ...] = ("board_lost", "paused")
_PARAMETERS: dict[str, set[FaultKind]] = {
    "board": {"board_lost"},
    "fan": {"fan_lost"},
    "ms": {"latency"},
    "ms_max": {"latency"},
    "ratio": {"throttled", "skimmed", "shares_refused"},
    "url": {"pool_changed"},
    "user": {"pool_changed"},
}


def check(fault: Fault, boards: int, fans: int) -> None:
    """Refuse what makes no sense for a miner with so many boards and fans.

    Raises:
        ValueError: which parameter is wrong, and what it may be.
    """
    for name, kinds in _PARAMETERS.items():
        if getattr(fault, name) is not None and fault.kind not in kinds:
            raise ValueError(f"{name} has no meaning for {fault.kind}; it belongs to {' and '.join(sorted(kinds))}")
    if fault.until_restart and fault.kind not in _CURED:
        raise ValueError(f"until_restart has no meaning for {fault.kind}; it belongs to {' and '.join(_CURED)}")
    if fault.kind == "board_lost" and (fault.board is None or not 1 <= fault.board <= boards):
        raise ValueError(f"board_lost needs board, 1 to {boards} for this miner, not {fault.board}")
    if fault.kind == "fan_lost" and (fault.fan is None or not 0 <= fault.fan < fans):
        raise ValueError(f"fan_lost needs fan, 0 to {fans - 1} for this miner, not {fault.fan}")
    if fault.kind in _PARAMETERS["ratio"] and (fault.ratio is None or not 0 <= fault.ratio <= 1):
        raise ValueError(f"{fault.kind} needs ratio, from 0 to 1, not {fault.ratio}")
    if fault.kind == "pool_changed" and not (fault.url and fault.user):
        raise ValueError(f"pool_changed needs url and user, not {fault.url!r} and {fault.user!r}")
    if fault.kind == "latency" and (fault.ms is None or not 0 <= fault.ms <= (fault.ms_max or fault.ms)):
        raise ValueError(
            f"latency needs ms >= 0, and ms_max >= ms where it is given; not {fault.ms} and {fault.ms_max}"
        )
    if fault.bytes_per_s <= 0 or fault.boot_s < 0:
        raise ValueError("bytes_per_s must be above 0, boot_s not below")
    if fault.start is not None and fault.end is not None and fault.end <= fault.start:
        raise ValueError(f"end ({fault.end}) must be after start ({fault.start})")
