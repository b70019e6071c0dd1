"""Money of miners in hours and days: ``financial_metrics``. Pure; formulas stand in docs/derived-metrics.md.

The chain of an hour: work that counts -> worth by the network and prices of that hour -> less fees -> less electricity
by the tariff of that hour. Days are the sums of their hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.downsample.rollup import DAY_S, HOUR_S
from tasks.derive.hour_grid import Floats, ratio, words_of

KNOWN_S = HOUR_S / 2
"""Seconds of an hour that must be known; then what holds in them is taken for the whole hour."""
J_PER_KWH = 3.6e6
TH = 1e12
CURRENCY = "USD"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HourInputs:
    """What money is made of: matrices of miners x hours, NaN where nothing is known.

    ``seconds`` known at all; of them ``unreachable_s`` and ``paused_s``; ``hashes`` and ``joules`` with the seconds in
    which they were measured; shares; ``devfee``, a ratio. ``plate_j_th``: J/TH by the nameplate, of miners that tell no
    power. ``delivered_hs``: what pools credited; ``delivered_net_hs``: the same less their fees; ``pool_fee``: of the
    pool that a miner mines at, a ratio; NaN: not told. ``untold_hs``: what the miner measured for pools that told
    nothing of their workers, beside those that did; ``astray``: its work went where no pool of the configuration sees
    it. ``usd_th_day``: worth of a TH/s; ``usd_kwh``: the tariff; ``other_usd_h``: other cost of a miner in an hour.
    """

    seconds: Floats
    unreachable_s: Floats
    paused_s: Floats
    hashes: Floats
    hashes_s: Floats
    joules: Floats
    joules_s: Floats
    shares_accepted: Floats
    shares_refused: Floats
    devfee: Floats
    plate_j_th: Floats
    delivered_hs: Floats
    delivered_net_hs: Floats
    pool_fee: Floats
    untold_hs: Floats
    astray: Bools
    usd_th_day: Floats
    usd_kwh: Floats
    other_usd_h: float


@dataclass(frozen=True)
class Money:
    """What comes of it, by miner (or group of them) and period.

    ``amounts`` add up, over hours as well as over miners: USD, kWh. ``hashrate``: H/s of the work that counts, before
    the pool's fee. ``ratios``: numerator and denominator, both of the hours in which both are known, so that they add
    up too. ``known``: hours of which the profit is known; of a group, miners. ``lacks``: what a period lacks or was
    helped out with, by the words of ``reason``.
    """

    amounts: Mapping[str, Floats]
    hashrate: Floats
    ratios: Mapping[str, tuple[Floats, Floats]]
    known: Floats
    lacks: Mapping[str, Bools]


def hour_money(of: HourInputs) -> Money:
    """The chain of every miner and hour."""
    enough = np.nan_to_num(of.seconds) >= KNOWN_S
    unreachable, paused = np.nan_to_num(of.unreachable_s), np.nan_to_num(of.paused_s)
    told_s = np.minimum(np.nan_to_num(of.seconds), np.nan_to_num(of.hashes_s) + unreachable + paused)
    measured = np.where(told_s >= KNOWN_S, ratio(np.nan_to_num(of.hashes), told_s), np.nan)
    refused = np.nan_to_num(ratio(of.shares_refused, of.shares_accepted + of.shares_refused))
    accepted = measured * (1 - refused)
    by_pool = ~np.isnan(of.delivered_hs)
    beside = by_pool & (np.nan_to_num(of.untold_hs) > 0)
    fee = np.nan_to_num(of.pool_fee)
    part = np.where(beside, of.untold_hs * (1 - refused), 0.0)
    part_after = np.where(beside, part * (1 - of.devfee), 0.0)
    after_devfee = np.where(by_pool, of.delivered_hs + part_after, accepted * (1 - of.devfee))
    net = np.where(by_pool, of.delivered_net_hs + part_after * (1 - fee), after_devfee * (1 - fee))
    before = np.where(by_pool, of.delivered_hs + part, accepted)
    usd_of_hs = of.usd_th_day / TH * HOUR_S / DAY_S
    revenue = net * usd_of_hs
    energy, estimated = _energy_kwh(of, enough, unreachable, measured)
    electricity = energy * of.usd_kwh
    cost = electricity + of.other_usd_h
    work = after_devfee / TH * HOUR_S
    return Money(
        amounts={
            "revenue": revenue,
            "fees": (before - net) * usd_of_hs,
            "electricity_cost": electricity,
            "cost": cost,
            "profit": revenue - cost,
            "energy_kwh": energy,
        },
        hashrate=after_devfee,
        ratios={
            "hashprice_usd_th_day": _both(of.usd_th_day, np.ones_like(work)),
            "hashcost_usd_th_day": _both(DAY_S * electricity, work),
            "break_even_usd_kwh": _both(revenue, energy),
        },
        known=(~np.isnan(revenue - cost)).astype(np.float64),
        lacks={
            "revenue:no_work": np.isnan(net),
            "revenue:no_hashprice": np.isnan(of.usd_th_day),
            "revenue:measured_by_miner": (~by_pool | beside) & ~np.isnan(revenue),
            "revenue:seen_by_no_pool": ~by_pool & of.astray & (np.nan_to_num(net) > 0),
            "revenue:pool_fee_unknown": ~np.isnan(net) & np.isnan(of.pool_fee),
            "cost:no_power": np.isnan(energy),
            "cost:power_estimated": estimated,
            "cost:no_tariff": np.isnan(of.usd_kwh),
        },
    )


def _energy_kwh(of: HourInputs, enough: Bools, unreachable: Floats, measured: Floats) -> tuple[Floats, Bools]:
    """Energy of each hour, and where it is an estimate: of miners that tell no power by their nameplate and hashrate.

    Out of reach is taken for 0 W, unless the pool credits work: then it draws what that work takes."""
    answered = 1 - np.nan_to_num(ratio(unreachable, np.nan_to_num(of.seconds)))
    watts = ratio(of.joules, of.joules_s)
    j_th = TH * ratio(watts, ratio(of.hashes, of.hashes_s))
    j_th = np.where(np.isnan(j_th), of.plate_j_th, j_th)
    by_plate = enough & np.isnan(watts) & (answered > 0) & ~np.isnan(of.plate_j_th * measured)
    drawn = np.where(answered > 0, watts * answered, 0.0)
    drawn = np.where(by_plate, of.plate_j_th * measured / TH, drawn)
    unseen = enough & (answered < 1) & (np.nan_to_num(of.delivered_hs) > 0)
    drawn = np.where(unseen, drawn + j_th * of.delivered_hs / TH * (1 - answered), drawn)
    energy = np.where(enough, drawn * HOUR_S / J_PER_KWH, np.nan)
    return energy, (by_plate | unseen) & ~np.isnan(energy)


def _both(numerator: Floats, denominator: Floats) -> tuple[Floats, Floats]:
    known = ~np.isnan(numerator + denominator)
    return np.where(known, numerator, np.nan), np.where(known, denominator, np.nan)


def of_whole_day(money: Money) -> Money:
    """The hours of each miner as one: sums over the hours that are known, and the mean hashrate of them."""
    lacks: dict[str, Bools] = {word: np.any(one, axis=1, keepdims=True) for word, one in money.lacks.items()}
    known = money.known.sum(axis=1, keepdims=True)
    lacks["profit:hours_missing"] = (known < money.known.shape[1]) & (known > 0)
    hours = np.sum(~np.isnan(money.hashrate), axis=1, keepdims=True)
    return Money(
        {name: total(one, 1) for name, one in money.amounts.items()},
        ratio(total(money.hashrate, 1), hours.astype(np.float64)),
        {name: (total(above, 1), total(below, 1)) for name, (above, below) in money.ratios.items()},
        known,
        lacks,
    )


def of_members(money: Money, there: Bools) -> Money:
    """``money`` where ``there`` (miners x periods) is true; elsewhere nothing is known, nor lacking."""

    def of(one: Floats) -> Floats:
        return np.where(there, one, np.nan)

    return Money(
        {name: of(one) for name, one in money.amounts.items()},
        of(money.hashrate),
        {name: (of(above), of(below)) for name, (above, below) in money.ratios.items()},
        np.where(there, money.known, 0.0),
        {word: one & there for word, one in money.lacks.items()},
    )


def of_group(money: Money, there: Bools) -> Money:
    """The miners of ``money`` that are ``there`` (miners x periods) as one: sums over those that are known."""
    money = of_members(money, there)
    number = there.sum(axis=0, keepdims=True)
    known = np.sum(money.known > 0, axis=0, keepdims=True).astype(np.float64)
    ratios = {name: (total(above, 0), total(below, 0)) for name, (above, below) in money.ratios.items()}
    worth, hours = money.ratios["hashprice_usd_th_day"]
    weighed = _both(worth / hours * money.hashrate, money.hashrate)
    return Money(
        {name: total(one, 0) for name, one in money.amounts.items()},
        total(money.hashrate, 0),
        ratios | {"hashprice_usd_th_day": (total(weighed[0], 0), total(weighed[1], 0))},
        known,
        {"profit:no_miner_known": known == 0, "profit:miners_missing": (known > 0) & (known < number)},
    )


def money_columns(money: Money) -> dict[str, Floats | list[str]]:
    """Fields that miners and groups have alike, flattened; ratios are null where the denominator is not above 0."""
    found: dict[str, Floats | list[str]] = {name: one.reshape(-1) for name, one in money.amounts.items()}
    found["hashrate_paid_hs"] = money.hashrate.reshape(-1)
    for name, (above, below) in money.ratios.items():
        found[name] = ratio(above, below).reshape(-1)
    found["currency"] = [CURRENCY] * money.hashrate.size
    found["reason"] = words_of(money.lacks)
    return found


def total(one: Floats, axis: int) -> Floats:
    """Sum over ``axis`` of what is known, NaN where nothing is."""
    return np.where(np.isnan(one).all(axis=axis, keepdims=True), np.nan, np.nansum(one, axis=axis, keepdims=True))
