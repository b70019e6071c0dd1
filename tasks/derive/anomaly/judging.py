"""Scores of a fleet at one time, each with its reasons. Pure; the same for the stream and for whole hours.

Order of the tests: missing → impossible value → flatline → parts that are lost → peers → itself → trend. A value that
is not to be believed is not tested any further. A score is null where no test had enough to go by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.derive.anomaly.flatline import LEAST_TICKS, flat
from tasks.derive.anomaly.own_history import REPEAT_SHARE, SIGMA_OF_MAD, Floats
from tasks.derive.anomaly.peers import peer_medians, peer_z
from tasks.derive.anomaly.readings import (
    HASHRATE,
    SHARES,
    SIGNALS,
    STEPS,
    TEMPERATURE,
    VALUES,
    Bools,
    Readings,
    Usual,
)
from tasks.derive.anomaly.scoring import CRITICAL_Z, Sensitivity, combined, score_of
from tasks.derive.anomaly.trend import LIMIT

CERTAIN, FACT = 1.0, 0.9
"""Scores of what needs no statistics: a value that cannot be, and a part that the miner itself reports as lost."""
REASON_FROM = 0.5
"""Score of a single test from which it is given as a reason."""
COMMON_MOST = (0.03, 15.0, 0.05)
"""How much of a deviation that all peers share is not the miner's own: hashrate and power relative to their usual,
degrees. More than that is something that befell the whole group, which each of its miners should tell."""
LEAST_SHARES = 60.0
"""Shares that an hour must usually bring for their absence to mean anything."""
LEAST_REFUSED = 0.005
"""Share of refused ones that no miner is blamed for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One test over all miners: its score, NaN where it could not be made, and its words for one of them."""

    name: str
    signal: int
    score: Floats
    words: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """``scores`` (4 x miners, in the order of SIGNALS) and ``overall``; NaN where there is too little data. ``z``
    (3 x miners) is the deviation of each value from the miner's own usual, less what its peers share."""

    scores: Floats
    overall: Floats
    z: Floats
    findings: tuple[Finding, ...]
    silent: Callable[[int], str]

    def reasons(self, miner: int) -> str:
        """Why the scores of a miner are what they are, or why there is none; empty where nothing is odd."""
        if np.isnan(self.overall[miner]):
            return self.silent(miner)
        odd = [one for one in self.findings if one.score[miner] >= REASON_FROM]
        return "; ".join(f"{SIGNALS[one.signal]}: {one.words(miner)}" for one in odd)


def judge(now: Readings, usual: Usual, sensitivity: Sensitivity = "medium", trend: Floats | None = None) -> Judgement:
    """Judge each miner of ``now``. ``trend``: CUSUM of slow loss of hashrate, where that is known."""
    believed = now.values.copy()
    unit, still = _unbelievable(now)
    believed[HASHRATE, unit | still] = np.nan
    deviation = believed - usual.middle
    common = _common(deviation, usual, now)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = SIGMA_OF_MAD * (deviation - common) / usual.spread
    news = np.where(np.abs(z) > np.nan_to_num(usual.known), z, REPEAT_SHARE * z)
    findings = [
        _fact("unit", HASHRATE, unit, CERTAIN, "not believable, its unit seems to have changed"),
        _fact("flatline", HASHRATE, still, CERTAIN, f"the same to the last digit for {LEAST_TICKS} readings or more"),
        *_parts(now, usual),
        *_shares(now, usual, sensitivity),
    ]
    for signal in range(VALUES):
        beside, centre = peer_z(believed[signal], now.group, STEPS[signal])
        findings.append(
            _against(signal, "its peers", score_of(beside, sensitivity), beside, (believed[signal], centre))
        )
        own = score_of(news[signal], sensitivity)
        findings.append(_against(signal, "itself", own, z[signal], (believed[signal], usual.middle[signal])))
    if trend is not None:
        lost = score_of(trend / LIMIT * CRITICAL_Z, sensitivity)
        findings.append(
            Finding("trend", HASHRATE, lost, lambda miner: f"lost slowly over days (CUSUM {trend[miner]:.1f})")
        )
    working = now.working
    scores = np.stack([_strongest(findings, signal) for signal in range(len(SIGNALS))])
    scores[:, ~working] = np.nan
    return Judgement(scores, combined(list(scores)), z, tuple(findings), lambda miner: _silent(bool(working[miner])))


def _silent(working: bool) -> str:
    if not working:
        return "not judged: it is unreachable, does not mine or started just now, or is off by hand"
    return "not judged: too little is known of it and of its peers"


def _strongest(findings: list[Finding], signal: int) -> Floats:
    """The greatest score of a signal's tests: they look at one thing, so two of them are no more evidence."""
    best = np.stack([one.score for one in findings if one.signal == signal])
    return np.where(np.isnan(best).all(axis=0), np.nan, np.nan_to_num(best, nan=-1.0).max(axis=0))


def _unbelievable(now: Readings) -> tuple[Bools, Bools]:
    return now.unit_wrong, flat(now.still) & ~now.unit_wrong


def _common(deviation: Floats, usual: Usual, now: Readings) -> Floats:
    """What the peers of each miner deviate by, on the median, within bounds; 0 where there are too few of them."""
    shared = np.zeros_like(deviation)
    for signal in range(VALUES):
        middle = peer_medians(deviation[signal], now.group)
        most = COMMON_MOST[signal] * (1.0 if signal == TEMPERATURE else usual.middle[signal])
        shared[signal] = np.clip(np.nan_to_num(middle), -np.nan_to_num(most), np.nan_to_num(most))
    return shared


def _fact(name: str, signal: int, there: Bools, score: float, words: str) -> Finding:
    """A finding that is there or is not; its absence is no evidence that all is well, hence NaN."""
    return Finding(name, signal, np.where(there, score, np.nan), lambda _: words)


def _parts(now: Readings, usual: Usual) -> list[Finding]:
    boards, fans = now.boards_lost > np.nan_to_num(usual.boards_lost), now.fans < usual.fans
    return [
        Finding(
            "board", HASHRATE, np.where(boards, FACT, np.nan), lambda miner: f"{now.boards_lost[miner]:.0f} boards lost"
        ),
        Finding(
            "fan",
            TEMPERATURE,
            np.where(fans, FACT, np.nan),
            lambda miner: f"{now.fans[miner]:.0f} of {usual.fans[miner]:.0f} fans turn",
        ),
        _fact("pool", SHARES, now.other_pool, FACT, "mines at another pool than usual"),
    ]


def _shares(now: Readings, usual: Usual, sensitivity: Sensitivity) -> list[Finding]:
    """Refused shares of the last hour against the usual share of them, by square roots, which make the scatter of
    counts the same whatever their size (Anscombe); and an hour without any accepted one."""
    every, before = now.accepted + now.refused, usual.accepted + usual.refused
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.maximum(usual.refused / before, LEAST_REFUSED)
    z = 2 * (np.sqrt(now.refused + 0.375) - np.sqrt(every * rate + 0.375))
    none = now.whole_hour & (now.accepted == 0) & (usual.accepted >= LEAST_SHARES)
    return [
        Finding(
            "refused",
            SHARES,
            score_of(np.maximum(z, 0.0), sensitivity),
            lambda miner: f"{now.refused[miner]:.0f} of {every[miner]:.0f} refused, usually {100 * rate[miner]:.1f}%",
        ),
        _fact("no_shares", SHARES, none, FACT, "none accepted for an hour"),
    ]


def _against(signal: int, whom: str, score: Floats, z: Floats, seen: tuple[Floats, Floats]) -> Finding:
    values, middle = seen

    def words(miner: int) -> str:
        off = values[miner] - middle[miner]
        by = f"{off:+.0f} degrees" if signal == TEMPERATURE else f"{100 * off / middle[miner]:+.1f}%"
        return f"{by} against {whom} (z {z[miner]:+.1f})"

    return Finding(whom, signal, score, words)
