"""From the store to :class:`Facts` of every configured miner: its last day, and for presets the fleet's last week.

Hours in which a miner was off on purpose, by itself or by hand, are left out: they say nothing of how it works.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.opportunities.facts import HOURS, RECENT, TERA, CoinPay, Facts, PoolPay, PresetRecord
from tasks.derive.tariff import usd_per_kwh
from tasks.derive.worth import algorithms_of
from tasks.normalize.nameplates import nameplate
from tasks.overrides.stretches import stretches_by_hand

WEEK_S = 7 * DAY_S
_MOSTLY_S = 1_800
"""A state that held for more of an hour than this is the hour's."""
_PAUSED_S = 300
"""An hour in which it was paused for longer is one in which it was off on purpose."""
_WHOLE_S = 3_300
"""An hour counts for a preset in which it was mined this long, all of it in that preset."""

_TELEMETRY = MEASUREMENTS["miner_telemetry"]
_SUMS = (
    "hashrate_hs_integral", "hashrate_hs_seconds", "hashrate_nominal_hs_sum", "hashrate_nominal_hs_count",
    "power_w_integral", "power_w_seconds", "chip_temp_max_c_sum", "chip_temp_max_c_count", "fan_duty_percent_sum",
    "fan_duty_percent_count", "ambient_temp_c_sum", "ambient_temp_c_count", "devfee_percent_sum",
    "devfee_percent_count", "reachable_true_seconds",
)  # fmt: skip
_OTHERS = (
    "boards_expected_max", "power_limit_w_min", "power_limit_w_max", "power_limit_w_last", "state_mining_seconds",
    "state_paused_seconds",
)  # fmt: skip

Row = Mapping[str, Any]


def gather(store: Store, fleet: Fleet, hour: int) -> list[Facts]:
    """Facts of every configured miner over the 24 hours before ``hour`` (Unix seconds, the start of an hour).

    Raises:
        TryAgain: the store does not answer.
    """
    start = hour - HOURS * HOUR_S
    every = _hours(store.read(_TELEMETRY, Tier.HOURLY, hour - WEEK_S, hour, columns=[*_SUMS, *_OTHERS]))
    off = _off(store, every, hour)
    week = _without(every, off)
    models = {name: model for name, (model, _) in fleet.miners.items()}
    algorithms = algorithms_of(store, models, start)
    records = _presets(week, models)
    day = week[week["at"] >= start]
    told = {str(name): rows for name, rows in day.groupby("miner_id")}
    idle = every[(every["at"] >= start) & (every["state_paused_seconds"] > _MOSTLY_S)].groupby("miner_id").size()
    fans, fan_hours = _lost(store, "fan", start, hour, off)
    boards, board_hours = _lost(store, "board", start, hour, off)
    revenue = _revenue(store, start, hour)
    matches = _matches(store, start, hour, off)
    pays, coin_pays = _pool_pays(store, start, hour), _coin_pays(store, start, hour)
    credited = _credited(store, hour)
    tariffs: dict[str, tuple[float, ...] | None] = {}
    found = []
    for name, (model, site) in fleet.miners.items():
        if site not in tariffs:
            tariffs[site] = _tariff(fleet, site, hour)
        algorithm = algorithms[name]
        match = matches.get(name, {})
        pool = match.get("pool_id")
        coins = _coins(fleet, algorithm, coin_pays)
        found.append(
            Facts(
                miner_id=name,
                model=model,
                algorithm=algorithm,
                plate_hs=plate.hashrate_hs if (plate := nameplate(model)) is not None else None,
                **_means(told.get(name), fleet.devfee_percent.get(name, fleet.economics.devfee_percent)),
                idle_hours=int(idle.get(name, 0)),
                usd_th_day=_usd_th_day(told.get(name), revenue.get(name)),
                lost_fans=fans.get(name, {}),
                lost_boards=boards.get(name, {}),
                fan_hours=fan_hours.get(name, 0),
                board_hours=board_hours.get(name, 0),
                presets=records.get(model, ()),
                tariff=tariffs[site],
                coins=coins,
                coin_pays={text: pay for (of, text), pay in coin_pays.items() if of == algorithm},
                pool_id=pool,
                pool_pays={at: pay for (at, of), pay in pays.items() if of == algorithm},
                credited_coins=credited.get(pool or "", frozenset()),
                worker_status=match.get("status"),
                worker_hours=match.get("hours", 0),
                worker_reason=match.get("reason"),
            )
        )
    return found


def _hours(table: pa.Table) -> pd.DataFrame:
    """Rows by miner and hour; of a miner with two series in an hour (it was given another model) both."""
    frame: pd.DataFrame = table.to_pandas()
    frame["at"] = table["time"].cast(pa.int64()).to_numpy()
    return frame


def _means(rows: pd.DataFrame | None, devfee_percent: float) -> dict[str, Any]:
    """Means of the day, each over the time or readings that it is known of."""
    if rows is None:
        return {"kept": 1 - devfee_percent / 100}
    sums = rows[list(_SUMS)].sum(min_count=1)

    def mean(total: str, number: str) -> float | None:
        known = sums[number]
        return float(sums[total] / known) if pd.notna(known) and known > 0 and pd.notna(sums[total]) else None

    newest = rows.sort_values("at").iloc[-1]
    devfee = mean("devfee_percent_sum", "devfee_percent_count")
    boards = rows["boards_expected_max"].max()
    limit = newest["power_limit_w_last"]
    return {
        "hours": int((rows["reachable_true_seconds"] > 0).sum()),
        "hashrate_hs": mean("hashrate_hs_integral", "hashrate_hs_seconds"),
        "nominal_hs": mean("hashrate_nominal_hs_sum", "hashrate_nominal_hs_count"),
        "power_w": mean("power_w_integral", "power_w_seconds"),
        "chip_max_c": mean("chip_temp_max_c_sum", "chip_temp_max_c_count"),
        "fan_duty_percent": mean("fan_duty_percent_sum", "fan_duty_percent_count"),
        "ambient_c": mean("ambient_temp_c_sum", "ambient_temp_c_count"),
        "boards_expected": None if pd.isna(boards) else int(boards),
        "power_limit_w": None if pd.isna(limit) else int(limit),
        "kept": 1 - (devfee_percent if devfee is None else devfee) / 100,
    }


def _presets(week: pd.DataFrame, models: Mapping[str, str]) -> dict[str, tuple[PresetRecord, ...]]:
    """What presets of each model did in hours that were mined in them from end to end, by the fleet's own week."""
    whole = week[
        (week["power_limit_w_min"] == week["power_limit_w_max"])
        & (week["state_mining_seconds"] >= _WHOLE_S)
        & (week["hashrate_hs_integral"] > 0)
        & (week["power_w_integral"] > 0)
    ]
    found: dict[str, list[PresetRecord]] = defaultdict(list)
    whole = whole.assign(of=whole["miner_id"].map(models))
    for (model, limit), rows in whole.groupby(["of", "power_limit_w_max"], sort=True):
        found[str(model)].append(
            PresetRecord(
                power_limit_w=int(limit),
                hashrate_hs=float(rows["hashrate_hs_integral"].sum() / rows["hashrate_hs_seconds"].sum()),
                power_w=float(rows["power_w_integral"].sum() / rows["power_w_seconds"].sum()),
                hours=len(rows),
                miners=int(rows["miner_id"].nunique()),
            )
        )
    return {model: tuple(records) for model, records in found.items()}


Off = frozenset[tuple[str, int]]
"""Miners and hours (Unix seconds)."""


def _off(store: Store, hours: pd.DataFrame, stop: int) -> Off:
    """Those of the last week in which a miner was off on purpose: paused, or by hand (tasks.overrides.stretches)."""
    paused = hours[hours["state_paused_seconds"] > _PAUSED_S]
    found = set(zip(paused["miner_id"], paused["at"].tolist(), strict=True))
    for one in stretches_by_hand(store, stop - WEEK_S, stop):
        found |= {(one.subject, at) for at in range(window_of(one.start, HOUR_S), one.stop, HOUR_S)}
    return frozenset(found)


def _without(rows: pd.DataFrame, off: Off) -> pd.DataFrame:
    if not off:
        return rows
    return rows[~pd.MultiIndex.from_frame(rows[["miner_id", "at"]]).isin(off)]


_LOST: Mapping[str, tuple[Measurement, tuple[str, ...]]] = {
    "fan": (MEASUREMENTS["miner_fan"], ("status_lost_seconds",)),
    "board": (MEASUREMENTS["miner_board"], ("status_failure_seconds", "status_disconnected_seconds")),
}


def _lost(store: Store, part: str, start: int, hour: int, off: Off) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Parts by miner that are lost in the miner's newest hour, with in how many of the RECENT hours they were; and
    hours of the day of which anything is known of the miner's parts."""
    measurement, lost = _LOST[part]
    rows = _hours(store.read(measurement, Tier.HOURLY, start, hour, columns=["status_seconds", *lost]))
    rows = _without(rows, off).copy()
    if rows.empty:
        return {}, {}
    lost_s = rows[list(lost)].sum(axis=1)
    rows["lost"] = (lost_s > _MOSTLY_S) | (lost_s >= 0.9 * rows["status_seconds"].clip(lower=1))
    known: dict[str, int] = rows.groupby("miner_id")["at"].nunique().to_dict()
    newest = rows.groupby("miner_id")["at"].transform("max")
    now = rows[rows["lost"] & (rows["at"] == newest)]
    recent = rows[rows["lost"] & (rows["at"] >= hour - RECENT * HOUR_S)]
    often = recent.groupby(["miner_id", part])["at"].nunique()
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for miner, number in zip(now["miner_id"], now[part], strict=True):
        found[str(miner)][str(number)] = int(often.get((miner, number), 0))
    return dict(found), {str(miner): int(hours) for miner, hours in known.items()}


def _revenue(store: Store, start: int, hour: int) -> dict[str, pd.Series]:
    """Revenue of each hour by miner, those that are known."""
    table = store.read(
        MEASUREMENTS["financial_metrics"], Tier.RAW, start, hour, where={"time_period": "1h"}, columns=["revenue"]
    )
    rows = _hours(table)
    rows = rows[rows["revenue"].notna()]
    return {str(name): one.set_index("at")["revenue"] for name, one in rows.groupby("miner_id")}


def _usd_th_day(rows: pd.DataFrame | None, revenue: pd.Series | None) -> float | None:
    """What a TH/s of this miner earned in a day: revenue / work, over hours in which both are known."""
    if rows is None or revenue is None:
        return None
    work = rows.groupby("at")["hashrate_hs_integral"].sum(min_count=1)
    both = revenue.index.intersection(work[work > 0].index)
    hashes = float(work[both].sum())
    return float(revenue[both].sum()) / (hashes / TERA) * DAY_S if hashes > 0 else None


def _matches(store: Store, start: int, hour: int, off: Off) -> dict[str, dict[str, Any]]:
    """The newest match of each miner, with in how many hours of the day its status was the same."""
    by_miner: dict[str, list[Row]] = defaultdict(list)
    for row in store.read(MEASUREMENTS["worker_match"], Tier.RAW, start, hour).to_pylist():
        at = (row["miner_id"], int(row["time"].timestamp()))
        if row["miner_id"] and row["status"] not in {"superseded", "not_told"} and at not in off:
            by_miner[row["miner_id"]].append(row)
    found = {}
    for miner, told in by_miner.items():
        newest = max(told, key=lambda row: row["time"])
        alike = {row["time"] for row in told if row["status"] == newest["status"]}
        found[miner] = {**newest, "hours": len(alike)}
    return found


def _pool_pays(store: Store, start: int, hour: int) -> dict[tuple[str, str], PoolPay]:
    """Mean pay by pool and algorithm after the fee that the pool tells; suspect estimates are left out."""
    table = store.read(
        MEASUREMENTS["pool_profitability"], Tier.RAW, start, hour,
        columns=["per_hash_rate_usd_th_day", "fee_ratio", "quality_flags"],
    )  # fmt: skip
    rows = _hours(table)
    rows = rows[rows["per_hash_rate_usd_th_day"].notna() & (rows["quality_flags"].fillna("") == "")]
    rows = rows.assign(
        net=rows["per_hash_rate_usd_th_day"] * (1 - rows["fee_ratio"].astype("float64").fillna(0.0)),
        hour=rows["at"] // HOUR_S,
    )
    return {
        (str(pool), str(algorithm)): PoolPay(float(one["net"].mean()), int(one["hour"].nunique()))
        for (pool, algorithm), one in rows.groupby(["pool_id", "algorithm"])
    }


def _coin_pays(store: Store, start: int, hour: int) -> dict[tuple[str, str], CoinPay]:
    """Mean of what coins earned by algorithm and coins; of several networks' sources each hour's least."""
    hours: dict[tuple[str, str], dict[int, Row]] = defaultdict(dict)
    for row in store.read(MEASUREMENTS["mining_profitability"], Tier.RAW, start, hour).to_pylist():
        if row["usd_th_day"] is None or row["quality_flags"]:
            continue
        key, at = (row["algorithm"], row["coins"]), int(row["time"].timestamp()) // HOUR_S
        held = hours[key].get(at)
        if held is None or row["usd_th_day"] < held["usd_th_day"]:
            hours[key][at] = row
    found = {}
    for key, told in hours.items():
        parts: dict[str, list[float]] = defaultdict(list)
        for row in told.values():
            for text in filter(None, (row["by_coin"] or "").split(",")):
                coin, _, value = text.partition("=")
                parts[coin].append(float(value))
        mean = sum(row["usd_th_day"] for row in told.values()) / len(told)
        by_coin = {coin: sum(values) / len(told) for coin, values in parts.items()}
        found[key] = CoinPay(mean, len(told), by_coin)
    return found


def _coins(fleet: Fleet, algorithm: str | None, pays: Mapping[tuple[str, str], CoinPay]) -> str | None:
    """The coins that are mined by ``algorithm`` here, as mining_profitability names them; with most merged ones."""
    coin = None if algorithm is None else fleet.economics.coin_of(algorithm)
    texts = [text for of, text in pays if of == algorithm and text.partition("+")[0] == coin]
    return max(texts, key=lambda text: (text.count("+"), text), default=None)


def _credited(store: Store, hour: int) -> dict[str, frozenset[str]]:
    """Coins that each pool credited in the last week."""
    payouts = store.read(
        MEASUREMENTS["pool_payout"], Tier.RAW, hour - WEEK_S, hour, where={"kind": "credited"}, columns=["amount"]
    ).to_pylist()
    mined = store.read(MEASUREMENTS["pool_coin"], Tier.RAW, hour - DAY_S, hour, columns=["amount"]).to_pylist()
    found: dict[str, set[str]] = defaultdict(set)
    for row in (*payouts, *mined):
        if row["amount"]:
            found[row["pool_id"]].add(row["coin_id"])
    return {pool: frozenset(coins) for pool, coins in found.items()}


def _tariff(fleet: Fleet, site: str, hour: int) -> tuple[float, ...] | None:
    """Prices of the next 24 hours at ``site``; None where one of them is not known."""
    prices = usd_per_kwh(fleet.electricity, site, [hour + number * HOUR_S for number in range(HOURS)])
    return None if bool(pd.isna(prices).any()) else tuple(float(price) for price in prices)
