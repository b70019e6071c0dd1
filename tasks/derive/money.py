"""From telemetry, pools and prices in the store to the money of miners, models, sites and the fleet, by hour and day.

A day is read at once, whatever of it is due, so memory does not grow with how much there is to do. Return on
investment goes on from day to day: where a day was done again, those after it are brought up to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S
from storage.frame import Frame, build_frame
from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.derive.credited import credited_work
from tasks.derive.financial import (
    HourInputs,
    Money,
    hour_money,
    money_columns,
    of_group,
    of_members,
    of_whole_day,
    total,
)
from tasks.derive.fleet import Fleet
from tasks.derive.hour_grid import (
    PERIODS,
    Floats,
    HourGrid,
    floats,
    frame_of,
    known_seconds,
    ratio,
    within_the_hour,
)
from tasks.derive.labels import Bools, Group, Labels, read_s
from tasks.derive.membership import belonged
from tasks.derive.returns import break_even_days, cumulative, roi_percent, trailing_mean
from tasks.derive.tariff import usd_per_kwh
from tasks.derive.windows import Inputs, Window, by_day, due_windows, mark_derived
from tasks.derive.worth import algorithms_of, worth, worth_matrix
from tasks.normalize.nameplates import algorithm_of, nameplate

NAME, SUMMARY = "financial_metrics", "financial_summary"
HORIZON_S = 28 * DAY_S
"""How far back hours are looked for that are due."""
REMEMBERED_S = 100 * DAY_S
"""How far back a cumulative profit is looked for. A fleet that told nothing for longer begins at 0 again."""

_TELEMETRY = MEASUREMENTS["miner_telemetry"]
_DAYS = MEASUREMENTS[NAME]
_READ = (
    "reachable_seconds", "state_unreachable_seconds", "state_paused_seconds", "hashrate_hs_integral",
    "hashrate_hs_seconds", "power_w_integral", "power_w_seconds", "devfee_percent_sum", "devfee_percent_count",
    "shares_accepted_inc", "shares_rejected_inc", "shares_stale_inc",
)  # fmt: skip
_NO_GAIN = "break_even_days:no_profit"


@dataclass(frozen=True, slots=True)
class FinancialReport:
    """Rows written, and windows that they are of."""

    rows: int = 0
    windows: int = 0


def derive_financial(store: Store, fleet: Fleet, now: int, horizon_s: int = HORIZON_S) -> FinancialReport:
    """Write what is due at ``now`` (Unix seconds) of the days since ``horizon_s`` ago. Other prices of power, fees or
    miners in ``fleet`` make all of them due.

    Raises:
        TryAgain: the store does not answer; what was not marked stays due.
    """
    inputs = Inputs(("miner_telemetry", "worker_match"), ("mining_profitability",), fleet.words(), silent_too=True)
    report = FinancialReport()
    for windows in by_day(due_windows(store, NAME, inputs, now, horizon_s)):
        written = write_changed(store, financial_frames(store, fleet, windows))
        days = [one.start for one in windows if one.tier is Tier.DAILY]
        if days:
            written += write_changed(store, return_frames(store, fleet, days[0], now))
        mark_derived(store, NAME, windows)
        report = FinancialReport(report.rows + written, report.windows + len(windows))
    return report


def financial_frames(store: Store, fleet: Fleet, windows: Sequence[Window]) -> list[Frame]:
    """Rows of ``windows``, which are hours of one day of UTC, and perhaps the day; without their returns."""
    start, stop = min(one.start for one in windows), max(one.stop for one in windows)
    grid, labels, inputs = hour_inputs(store, fleet, start, stop)
    if not grid.miners:
        return []
    money, groups = hour_money(inputs), labels.groups()
    hours = np.isin(grid.starts(), [one.start for one in windows if one.tier is Tier.HOURLY])
    frames = [_miner_frame(grid, money, labels.there & hours)]
    for at, there in groups.items():
        frames.append(_group_frame(grid, at, of_group(money, there), there & hours))
    if any(one.tier is Tier.DAILY for one in windows):
        frames += _day_frames(grid.as_one(), money, groups, fleet)
    return frames


def _day_frames(grid: HourGrid, hourly: Money, groups: Mapping[Group, Bools], fleet: Fleet) -> list[Frame]:
    """Rows of a day. A group has each miner in the hours in which it was in it, so parts add up to the fleet."""
    unpriced = np.array([[name not in fleet.purchase_price_usd] for name in grid.miners])
    whole = of_whole_day(of_members(hourly, groups["fleet", "fleet"]))
    whole = replace(whole, lacks={**whole.lacks, "roi_percent:no_purchase_price": unpriced})
    frames = [_miner_frame(grid, whole, np.any(groups["fleet", "fleet"], axis=1, keepdims=True))]
    for at, by_hour in groups.items():
        there = np.any(by_hour, axis=1, keepdims=True)
        group = of_group(of_whole_day(of_members(hourly, by_hour)), there)
        nobody = np.all(unpriced | ~there, axis=0, keepdims=True)
        group = replace(group, lacks={**group.lacks, "roi_percent:no_purchase_price": nobody})
        frames.append(_group_frame(grid, at, group, there))
    return frames


def _miner_frame(grid: HourGrid, money: Money, wanted: Bools) -> Frame:
    own = {**money_columns(money), "hours": money.known.reshape(-1)}
    return frame_of(NAME, grid, own, wanted.reshape(-1))


def _group_frame(grid: HourGrid, at: Group, group: Money, wanted: Bools) -> Frame:
    """Rows of a group in the periods in which any miner of it is ``wanted``."""
    columns = {**money_columns(group), "miners_known": group.known.reshape(-1)}
    columns["miners"] = wanted.sum(axis=0).astype(np.float64)
    rows = np.flatnonzero(wanted.any(axis=0)).tolist()
    chosen = {name: [values[row] for row in rows] for name, values in columns.items()}
    return _summary(grid.starts()[rows].tolist(), at, PERIODS[grid.every_s], chosen)


def _summary(times: list[int], at: Group, period: str, columns: Mapping[str, list[Any]]) -> Frame:
    tags = {"scope": at[0], "key": at[1], "time_period": period}
    return build_frame(SUMMARY, times, {**{name: [tag] * len(times) for name, tag in tags.items()}, **columns})


def hour_inputs(store: Store, fleet: Fleet, start: int, stop: int) -> tuple[HourGrid, Labels, HourInputs]:
    """What is stored of the hours of ``[start, stop)``, on a grid of all configured miners and those that have rows;
    with model and site of each."""
    telemetry = store.read(_TELEMETRY, Tier.HOURLY, start, stop, columns=_READ)
    grid = HourGrid(sorted({*fleet.miners, *pc.unique(telemetry["miner_id"]).to_pylist()}), start, stop)
    labels = Labels.told(grid, telemetry, fleet.miners, belonged(store, NAME, "hours", grid, fleet.miners))
    places = grid.places(telemetry)
    of = within_the_hour({name: grid.laid_out(floats(telemetry[name]), places) for name in _READ})
    pools = credited_work(store, fleet.economics, grid)
    assumed = np.array([[fleet.devfee_percent.get(name, fleet.economics.devfee_percent)] for name in grid.miners])
    devfee = ratio(of["devfee_percent_sum"], of["devfee_percent_count"])
    inputs = HourInputs(
        seconds=known_seconds(of),
        unreachable_s=of["state_unreachable_seconds"],
        paused_s=of["state_paused_seconds"],
        hashes=of["hashrate_hs_integral"],
        hashes_s=of["hashrate_hs_seconds"],
        joules=of["power_w_integral"],
        joules_s=of["power_w_seconds"],
        shares_accepted=of["shares_accepted_inc"],
        shares_refused=np.nan_to_num(of["shares_rejected_inc"]) + np.nan_to_num(of["shares_stale_inc"]),
        devfee=np.where(np.isnan(devfee), assumed, devfee) / 100,
        plate_j_th=labels.by_model(_plate_j_th),
        delivered_hs=pools.delivered_hs,
        delivered_net_hs=pools.delivered_net_hs,
        pool_fee=pools.fee,
        untold_hs=pools.untold_hs,
        astray=pools.astray,
        usd_th_day=_usd_th_day(store, fleet, grid, telemetry, labels),
        usd_kwh=_tariffs(fleet, grid, telemetry, labels),
        other_usd_h=fleet.economics.other_cost_usd_per_day / 24,
    )
    return grid, labels, inputs


def _plate_j_th(model: str) -> float:
    plate = nameplate(model)
    return np.nan if plate is None else plate.efficiency_j_th


def _usd_th_day(store: Store, fleet: Fleet, grid: HourGrid, telemetry: pa.Table, labels: Labels) -> Floats:
    """Worth of a TH/s by what the model of the hour hashes, of several by the work of each; of one that does not tell
    it, by what the miner said."""
    found = worth(store, fleet.economics, grid.start, grid.stop)
    told = algorithms_of(store, dict(zip(grid.miners, labels.newest_models(), strict=True)), grid.start)
    usual = worth_matrix(found, grid, [told[name] for name in grid.miners], "usd_th_day")
    models = sorted({model for model, _ in labels.pairs})
    of_model = worth_matrix(found, grid, [algorithm_of(model) for model in models], "usd_th_day")
    for number, model in enumerate(models):
        if algorithm_of(model) is not None:
            usual = np.where(labels.of_model(model), of_model[number], usual)
    places, codes = grid.places(telemetry), _codes(telemetry["model"], models)
    sure = np.array([algorithm_of(model) is not None for model in models], dtype=np.bool_)[codes]
    values = np.where(sure, of_model[codes, places % grid.hours], usual.reshape(-1)[places])
    return _weighed(grid, places, values, np.nan_to_num(floats(telemetry["hashrate_hs_integral"])), usual)


def _tariffs(fleet: Fleet, grid: HourGrid, telemetry: pa.Table, labels: Labels) -> Floats:
    """The price of power of each miner and hour: where it was read at several sites within the hour, by the time of
    each; where it was not read, at the site that it is configured for."""
    hours = grid.starts().tolist()
    sites = sorted({site for _, site in labels.pairs})
    prices = np.array([*(usd_per_kwh(fleet.electricity, site, hours) for site in sites), [np.nan] * len(hours)])
    of_pair = np.array([*(sites.index(site) for _, site in labels.pairs), len(sites)])
    usual = prices[of_pair[labels.numbers], np.arange(len(hours))]
    places = grid.places(telemetry)
    values = prices[_codes(telemetry["site"], sites), places % grid.hours]
    return _weighed(grid, places, values, read_s(telemetry), usual)


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> npt.NDArray[np.int64]:
    found = pc.index_in(pc.fill_null(column, ""), value_set=pa.array(names, pa.string()))
    return np.asarray(found.combine_chunks()).astype(np.int64)


def _weighed(
    grid: HourGrid, places: npt.NDArray[np.int64], values: Floats, weights: Floats, otherwise: Floats
) -> Floats:
    """Mean of ``values`` at each of their ``places``, by ``weights``; ``otherwise`` where nothing weighs anything."""
    counts = (places >= 0) & (weights > 0)
    above, below = np.zeros(len(grid)), np.zeros(len(grid))
    np.add.at(above, places[counts], (values * weights)[counts])
    np.add.at(below, places[counts], weights[counts])
    found = np.where(below > 0, above / np.where(below > 0, below, 1.0), otherwise.reshape(-1))
    return found.reshape(otherwise.shape)


def return_frames(store: Store, fleet: Fleet, day: int, now: int) -> list[Frame]:
    """Cumulative profit, return and break-even of every stored day from ``day`` on, of miners and of their groups."""
    names = ["profit", "profit_cumulative", "hours", "reason"]
    table = store.read(_DAYS, Tier.RAW, day - REMEMBERED_S, now, where={"time_period": "1d"}, columns=names)
    if not table.num_rows:
        return []
    grid = HourGrid(sorted(pc.unique(table["miner_id"]).to_pylist()), day - REMEMBERED_S, _end(now), DAY_S)
    before, places = REMEMBERED_S // DAY_S, grid.places(table)
    profit, carried = (grid.laid_out(floats(table[name]), places) for name in names[:2])
    earned = cumulative(profit[:, before:], _last(carried[:, :before]))
    price = np.array([[fleet.purchase_price_usd.get(name, np.nan)] for name in grid.miners])
    daily = trailing_mean(profit, earned.shape[1])
    there = ~np.isnan(grid.laid_out(floats(table["hours"]), places))[:, before:].reshape(-1)
    later = replace(grid, start=day)
    days = break_even_days(earned, price, daily)
    reasons = np.full(len(grid), "", dtype=object)
    reasons[places] = table["reason"].fill_null("").to_pylist()
    reasons = reasons.reshape(-1, grid.hours)[:, before:].reshape(-1)
    stuck = (np.isnan(days) & ~np.isnan(earned + price)).reshape(-1)
    columns: dict[str, Floats | list[str]] = {
        "profit_cumulative": earned.reshape(-1),
        "roi_percent": roi_percent(earned, price).reshape(-1),
        "break_even_days": days.reshape(-1),
        "reason": [_with_word(*one) for one in zip(reasons.tolist(), stuck.tolist(), strict=True)],
    }
    frames = [frame_of(NAME, later, columns, there)]
    known = ~np.isnan(price[:, 0])
    for at, members in Labels.configured(later, fleet.miners).groups().items():
        own = known & members[:, 0]
        if not own.any():
            continue
        sums = [total(one[own], 0) for one in (earned, np.broadcast_to(price, earned.shape), daily)]
        wanted = ~np.isnan(sums[0][0])
        rates = {"roi_percent": roi_percent(sums[0], sums[1]), "break_even_days": break_even_days(*sums)}
        chosen = {name: one[0][wanted].tolist() for name, one in rates.items()}
        frames.append(_summary(later.starts()[wanted].tolist(), at, PERIODS[DAY_S], chosen))
    return frames


def _end(now: int) -> int:
    return now // DAY_S * DAY_S


def _last(known: Floats) -> Floats:
    """The last value of each row that is known."""
    newest = np.maximum.accumulate(np.where(np.isnan(known), -1, np.arange(known.shape[1])), axis=1)[:, -1:]
    return np.where(newest >= 0, np.take_along_axis(known, np.maximum(newest, 0), axis=1), np.nan)


def _with_word(reason: str, stuck: bool) -> str:
    words = [word for word in reason.split(",") if word and word != _NO_GAIN]
    return ",".join([*words, _NO_GAIN] if stuck else words)
