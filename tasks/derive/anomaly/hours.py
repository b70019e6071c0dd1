"""Hours of miners as matrices (miner x hour, NaN: not known), and the judgement of one hour from those before. Pure.

Where peers are known their median is taken off before the scatter is measured: what all share is the room's. A miner
without peers is compared with the same hour of seven days instead, so that the heat of the afternoon is no news.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.derive.anomaly.judging import Judgement, judge
from tasks.derive.anomaly.own_history import (
    FLOOR_SHARE,
    LEAST_POINTS,
    SIGMA_OF_MAD,
    TAILS,
    Floats,
    median_and_mad,
    same_hour,
)
from tasks.derive.anomaly.peers import peer_medians
from tasks.derive.anomaly.readings import STEPS, VALUES, Bools, Readings, Usual
from tasks.derive.anomaly.scoring import WARN_Z, Sensitivity
from tasks.derive.anomaly.trend import cusum

HISTORY_H = 168
"""Hours before the one that is judged."""
TREND_H = 168
"""Hours over which slow loss adds up, after HISTORY_H that it is measured against."""
TREND_BLOCK_H = 2
TREND_MOST = 2.0
"""What one block may add to the sum at most: a board that was lost for some hours and is back is no slow loss."""
LEAST_BLOCKS = 36
"""Blocks, three days of them, without which there is no trend."""


@dataclass(frozen=True, slots=True)
class Hours:
    """What is known of hours. ``values`` (3 x miners x hours) as in Readings, ``group`` (miners x hours) too."""

    values: Floats
    reference: Floats
    working: Bools
    boards_lost: Floats
    fans: Floats
    other_pool: Bools
    accepted: Floats
    refused: Floats
    still: NDArray[np.int64]
    unit_wrong: Bools
    group: NDArray[np.int64]


def judged_hours(hours: Hours, first: int, sensitivity: Sensitivity = "medium") -> Iterator[tuple[int, Judgement]]:
    """Judge each hour from number ``first`` on: (number, judgement)."""
    shared = _shared(hours)
    for number in range(first, hours.working.shape[1]):
        yield number, _judged(hours, shared, number, sensitivity)


def _shared(hours: Hours) -> Floats:
    """The median of each miner's group in each hour, NaN without peers."""
    found = np.full(hours.values.shape, np.nan)
    for signal in range(VALUES):
        for number in range(hours.values.shape[2]):
            found[signal, :, number] = peer_medians(hours.values[signal, :, number], hours.group[:, number])
    return found


def _judged(hours: Hours, shared: Floats, number: int, sensitivity: Sensitivity) -> Judgement:
    before = slice(max(number - HISTORY_H, 0), number)
    middle, spread = np.empty((2, VALUES, hours.working.shape[0]))
    known = np.zeros_like(middle)
    for signal in range(VALUES):
        history, room = hours.values[signal][:, before], shared[signal][:, before]
        middle[signal], spread[signal], known[signal] = _usual(history, room, STEPS[signal])
    accepted, refused = hours.accepted[:, before], hours.refused[:, before]
    counted = np.maximum((~np.isnan(accepted)).sum(axis=1), 1)
    usual = Usual(
        middle=middle,
        spread=spread,
        fans=_median_of_day(hours.fans[:, before]),
        boards_lost=np.nan_to_num(_median_of_day(hours.boards_lost[:, before])),
        accepted=np.nansum(accepted, axis=1) / counted,
        refused=np.nansum(refused, axis=1) / counted,
        known=known,
    )
    now = Readings(
        working=hours.working[:, number],
        values=hours.values[:, :, number],
        reference=hours.reference,
        boards_lost=hours.boards_lost[:, number],
        fans=hours.fans[:, number],
        other_pool=hours.other_pool[:, number],
        accepted=hours.accepted[:, number],
        refused=hours.refused[:, number],
        whole_hour=hours.working[:, number],
        still=hours.still[:, number],
        unit_wrong=hours.unit_wrong[:, number],
        group=hours.group[:, number],
    )
    return judge(now, usual, sensitivity, trend(hours.values[0], shared[0], number))


def _usual(history: Floats, room: Floats, step: float) -> tuple[Floats, Floats, Floats]:
    """Median, spread and the size of z that is no news, of each miner."""
    middle, plain, points = median_and_mad(history, step, TAILS)
    beside = history - room
    centre, alone, together = median_and_mad(beside, step, TAILS)
    daily = same_hour(history)
    least = np.maximum(FLOOR_SHARE * np.abs(middle), step)
    peers, course = together >= LEAST_POINTS, ~np.isnan(daily)
    spread = np.where(peers, np.maximum(alone, least), plain)
    off = np.where(peers[:, None], beside - centre[:, None], history - middle[:, None])
    if course.any() and not peers.all():
        residue = history - _course(history)
        alone_by_day = np.maximum(median_and_mad(residue, step, TAILS)[1], least)
        daily_only = course & ~peers
        spread = np.where(daily_only, alone_by_day, spread)
        off = np.where(daily_only[:, None], residue, off)
        middle = np.where(daily_only, daily, middle)
    enough = points >= LEAST_POINTS
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.nan_to_num(np.abs(SIGMA_OF_MAD * off / spread[:, None]))
    return np.where(enough, middle, np.nan), np.where(enough, spread, np.nan), _over(size)


def _over(size: Floats) -> Floats:
    """The greatest z of what was odd and is over: the row of odd hours up to the newest goes on, and is news."""
    odd = size >= WARN_Z
    goes_on = np.logical_and.accumulate(odd[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.where(odd & ~goes_on, size, 0.0).max(axis=1, initial=0.0))


def _course(history: Floats) -> Floats:
    """Median of each hour of the day over the history, at each of its hours; counted back from its end."""
    number = history.shape[1]
    found = np.empty_like(history)
    for hour in range(24):
        places = np.arange(number - 1 - hour, -1, -24)
        found[:, places] = median_and_mad(history[:, places])[0][:, None]
    return found


def _median_of_day(history: Floats) -> Floats:
    """What most of the last 24 hours were like: what has stood for half a day and more is how the miner is."""
    return median_and_mad(history[:, -24:])[0] if history.shape[1] else np.full(history.shape[0], np.nan)


def trend(rates: Floats, room: Floats, number: int) -> Floats:
    """CUSUM of slow loss of hashrate up to hour ``number``, against a week that ended a week before; NaN where too
    little is known, 0 where the newest block is as it was."""
    start = number + 1 - HISTORY_H - TREND_H
    if start < 0:
        rates, room = (np.pad(one, ((0, 0), (-start, 0)), constant_values=np.nan) for one in (rates, room))
        number, start = number - start, 0
    own = rates[:, start : number + 1]
    beside = own / room[:, start : number + 1]
    blocks = np.where((~np.isnan(beside)).sum(axis=1)[:, None] >= LEAST_POINTS, _blocks(beside), _blocks(own))
    base = blocks[:, : HISTORY_H // TREND_BLOCK_H]
    middle, spread, points = median_and_mad(base, tails=TAILS)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = SIGMA_OF_MAD * (middle[:, None] - blocks[:, base.shape[1] :]) / spread[:, None]
    sums = cusum(np.minimum(z, TREND_MOST))[:, -1]
    newest = np.where(np.isnan(z[:, -1]), 0.0, z[:, -1])
    return np.where(points >= LEAST_BLOCKS, np.where(newest > 0.5, sums, 0.0), np.nan)


def _blocks(values: Floats) -> Floats:
    parts = values.reshape(values.shape[0], -1, TREND_BLOCK_H)
    known = ~np.isnan(parts)
    sums = np.where(known, parts, 0.0).sum(axis=2)
    return np.where(known.any(axis=2), sums / np.maximum(known.sum(axis=2), 1), np.nan)
