"""The ten miners that lack most of what is expected of them, each with the reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.page.model import MISSING, Condition, Fleet, MinerLine

SHOWN = 10
ON_PURPOSE = frozenset({Condition.PAUSED, Condition.BY_HAND})
"""Conditions that somebody wanted."""


@dataclass(frozen=True, slots=True)
class Worst:
    """One miner: ``lost_hs`` of what is expected does not come, a ``share`` of 0 to 1."""

    line: MinerLine
    lost_hs: float
    share: float
    reason: str


def worst(fleet: Fleet, mostly: Mapping[str, str], shown: int = SHOWN) -> list[Worst]:
    """The worst now by the share that is lost, then by how much that is. What is paused on purpose is not among them;
    neither is a miner of which nobody knows what to expect.

    ``mostly``: the cause that took most of the newest hour that is derived, by miner, in words; it is told where the
    miner itself gives no reason.
    """
    found = []
    for line in fleet.lines:
        if line.condition in ON_PURPOSE or not line.expected_hs:
            continue
        if line.hashrate_hs is None and line.condition not in MISSING:
            continue
        lost = line.expected_hs - (line.hashrate_hs or 0.0)
        if lost > 0:
            found.append(Worst(line, lost, lost / line.expected_hs, _reason(line, mostly)))
    found.sort(key=lambda one: (-round(one.share, 3), -one.lost_hs, one.line.miner_id))
    return found[:shown]


def _reason(line: MinerLine, mostly: Mapping[str, str]) -> str:
    if line.reason:
        return line.reason
    cause = mostly.get(line.miner_id)
    return "no reason known" if cause is None else f"mostly {cause} in the newest hour derived"
