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
from tasks.derive.financial import HourInputs, Money, hour_money, money_columns, of_group, of_whole_day, total
from tasks.derive.fleet import Fleet
from tasks.derive.hour_grid import PERIODS, Floats, HourGrid, floats, frame_of, known_seconds, ratio
from tasks.derive.returns import break_even_days, cumulative, roi_percent, trailing_mean
from tasks.derive.tariff import usd_per_kwh
from tasks.derive.windows import Inputs, Window, by_day, due_windows, mark_derived
from tasks.derive.worth import algorithms_of, worth, worth_matrix
from tasks.normalize.nameplates import nameplate

NAME, SUMMARY = "financial_metrics", "financial_summary"
HORIZON_S = 28 * DAY_S
"""How far back hours are looked for that are due."""
REMEMBERED_S = 100 * DAY_S
"""How far back a cumulative profit is looked for. A fleet that told nothing for longer begins at 0 again."""

_TELEMETRY, _MATCH = MEASUREMENTS["miner_telemetry"], MEASUREMENTS["worker_match"]
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
    inputs = Inputs(("miner_telemetry", "worker_match"), ("mining_profitability",), fleet.words())
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
    money = hour_money(inputs)
    hours = np.isin(grid.starts(), [one.start for one in windows if one.tier is Tier.HOURLY])
    frames = _frames(grid, money, labels, hours, fleet)
    if any(one.tier is Tier.DAILY for one in windows):
        frames += _frames(grid.as_one(), of_whole_day(money), labels, np.array([True]), fleet)
    return frames


def _frames(
    grid: HourGrid, money: Money, labels: Sequence[tuple[str, str]], wanted: npt.NDArray[np.bool_], fleet: Fleet
) -> list[Frame]:
    """Rows of miners, then of groups of them, in the periods of ``grid`` that are ``wanted``."""
    if grid.every_s == DAY_S:
        unpriced = np.array([[name not in fleet.purchase_price_usd] for name in grid.miners])
        money = replace(money, lacks={**money.lacks, "roi_percent:no_purchase_price": unpriced})
    own = {**money_columns(money), "hours": money.known.reshape(-1)}
    frames = [frame_of(NAME, grid, own, np.tile(wanted, len(grid.miners)))]
    times = grid.starts()[wanted].tolist()
    for (scope, key), members in groups(labels).items():
        group = of_group(money, members)
        if grid.every_s == DAY_S:
            nobody = np.all(unpriced[members], axis=0, keepdims=True)
            group = replace(group, lacks={**group.lacks, "roi_percent:no_purchase_price": nobody})
        columns = {**money_columns(group), "miners_known": group.known.reshape(-1)}
        columns["miners"] = np.full(len(wanted), float(len(members)))
        rows = np.flatnonzero(wanted).tolist()
        chosen = {name: [values[row] for row in rows] for name, values in columns.items()}
        frames.append(_summary(times, scope, key, PERIODS[grid.every_s], chosen))
    return frames


def _summary(times: list[int], scope: str, key: str, period: str, columns: Mapping[str, list[Any]]) -> Frame:
    tags = {"scope": scope, "key": key, "time_period": period}
    return build_frame(SUMMARY, times, {**{name: [tag] * len(times) for name, tag in tags.items()}, **columns})


def groups(labels: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
    """Miners (their numbers) by scope and key: the fleet, then models, then sites. ``labels``: model and site."""
    found: dict[tuple[str, str], list[int]] = {("fleet", "fleet"): list(range(len(labels)))}
    for place, scope in enumerate(("model", "site")):
        for key in sorted({one[place] for one in labels if one[place]}):
            found[scope, key] = [number for number, one in enumerate(labels) if one[place] == key]
    return found


def hour_inputs(
    store: Store, fleet: Fleet, start: int, stop: int
) -> tuple[HourGrid, list[tuple[str, str]], HourInputs]:
    """What is stored of the hours of ``[start, stop)``, on a grid of all configured miners and those that have rows;
    with model and site of each."""
    telemetry = store.read(_TELEMETRY, Tier.HOURLY, start, stop, columns=_READ)
    labels = dict(fleet.miners) | _labels(telemetry)
    grid = HourGrid(sorted(labels), start, stop)
    places = grid.places(telemetry)
    of = {name: grid.laid_out(floats(telemetry[name]), places) for name in _READ}
    models = {name: labels[name][0] for name in grid.miners}
    told = algorithms_of(store, models, start)
    algorithms = [told[name] for name in grid.miners]
    delivered, net, fee = _delivered(store, fleet, grid)
    assumed = np.array([[fleet.devfee_percent.get(name, fleet.economics.devfee_percent)] for name in grid.miners])
    devfee = ratio(of["devfee_percent_sum"], of["devfee_percent_count"])
    plates = [plate.efficiency_j_th if (plate := nameplate(models[name])) else np.nan for name in grid.miners]
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
        plate_j_th=np.array(plates).reshape(-1, 1),
        delivered_hs=delivered,
        delivered_net_hs=net,
        pool_fee=fee,
        usd_th_day=worth_matrix(worth(store, fleet.economics, start, stop), grid, algorithms, "usd_th_day"),
        usd_kwh=_tariffs(fleet, grid, telemetry, [labels[name][1] for name in grid.miners]),
        other_usd_h=fleet.economics.other_cost_usd_per_day / 24,
    )
    return grid, [labels[name] for name in grid.miners], inputs


def _labels(telemetry: pa.Table) -> dict[str, tuple[str, str]]:
    """Model and site of each miner as its newest row says."""
    rows = telemetry.select(["time", "miner_id", "model", "site"]).to_pandas()
    newest = rows.sort_values("time", kind="stable").drop_duplicates("miner_id", keep="last").fillna("")
    return dict(zip(newest["miner_id"], zip(newest["model"], newest["site"], strict=True), strict=True))


def _delivered(store: Store, fleet: Fleet, grid: HourGrid) -> tuple[Floats, Floats, Floats]:
    """Hashrate that pools credited to each miner's worker, the same less their fees, and the fee (a ratio) of the pool:
    where none is known of the hour, that of any pool."""
    table = store.read(_MATCH, Tier.RAW, grid.start, grid.stop, columns=["status", "hashrate_pool_hs"])
    table = table.filter(pc.fill_null(pc.not_equal(table["status"], "superseded"), False))
    economics = fleet.economics
    pools = table["pool_id"].combine_chunks().dictionary_encode()
    fees = np.array([_ratio_of(economics.fee_percent_of(pool)) for pool in pools.dictionary.to_pylist()] + [np.nan])
    fee = fees[np.asarray(pools.indices.fill_null(len(fees) - 1))]
    places, credited = grid.places(table), floats(table["hashrate_pool_hs"])
    of_pool = grid.laid_out(fee, places, "max")
    heard = grid.laid_out(np.where(pc.is_valid(table["pool_id"]), 1.0, np.nan), places, "max")
    return (
        grid.laid_out(credited, places),
        grid.laid_out(credited * (1 - np.nan_to_num(fee)), places),
        np.where(np.isnan(heard), _ratio_of(economics.pool_fee_percent), of_pool),
    )


def _ratio_of(percent: float | None) -> float:
    return np.nan if percent is None else percent / 100


def _tariffs(fleet: Fleet, grid: HourGrid, telemetry: pa.Table, sites: Sequence[str]) -> Floats:
    """The price of power of each miner and hour: at the site that its readings of the hour say, else at ``sites``."""
    known = sorted({*sites, *pc.unique(telemetry["site"]).drop_null().to_pylist()})
    hours = grid.starts().tolist()
    prices = np.array([usd_per_kwh(fleet.electricity, site, hours) for site in known]).reshape(-1, len(hours))
    codes = floats(pc.index_in(telemetry["site"], value_set=pa.array(known, pa.string())))
    at = grid.laid_out(codes, grid.places(telemetry), "max")
    usual = np.array([[known.index(site)] for site in sites], dtype=np.float64)
    site = np.where(np.isnan(at), usual, at).astype(np.int64)
    return np.asarray(prices[site, np.arange(len(hours))])


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
    for (scope, key), members in groups([fleet.miners.get(name, ("", "")) for name in grid.miners]).items():
        own = [member for member in members if known[member]]
        if not own:
            continue
        sums = [total(one[own], 0) for one in (earned, np.broadcast_to(price, earned.shape), daily)]
        wanted = ~np.isnan(sums[0][0])
        rates = {"roi_percent": roi_percent(sums[0], sums[1]), "break_even_days": break_even_days(*sums)}
        chosen = {name: one[0][wanted].tolist() for name, one in rates.items()}
        frames.append(_summary(later.starts()[wanted].tolist(), scope, key, PERIODS[DAY_S], chosen))
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
