"""Miners hour by hour with all sources on one index: what they told, what pools credited, the market, what is derived.

A row for every miner and every hour asked for, null where nothing is known. It is read in slices, so memory does not
grow with the range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import ARROW_TYPES, integers
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.declaration.rollup import rollup_columns
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.hour_grid import HourGrid, Places, floats
from tasks.derive.worth import algorithms_of, worth, worth_matrix
from tasks.market.reconciliation import PRIORITY

ROWS_AT_ONCE = 120_000
"""A slice has about so many rows, one hour of all miners at least."""

TELEMETRY = (
    "hashrate_hs_mean", "hashrate_hs_min", "hashrate_hs_max", "hashrate_nominal_hs_mean", "power_w_mean",
    "power_w_max", "voltage_v_mean", "frequency_mhz_mean", "ambient_temp_c_mean", "chip_temp_avg_c_mean",
    "chip_temp_max_c_max", "pcb_temp_max_c_max", "fan_duty_percent_mean", "fans_running_min", "boards_mining_min",
    "boards_expected_max", "shares_accepted_inc", "shares_rejected_inc", "shares_stale_inc", "hardware_errors_inc",
    "uptime_s_last", "devfee_percent_mean", "error_count_max", "state_last", "quality_mean",
)  # fmt: skip
"""Columns of hourly ``miner_telemetry``, under their own names (docs/data-dictionary.md)."""

_POOL = {
    "pool_id": "pool_id", "worker_id": "worker_id", "status": "worker_status", "hashrate_pool_hs": "pool_hashrate_hs",
    "gap_ratio": "pool_gap_ratio", "gap_unexplained_ratio": "pool_gap_unexplained_ratio",
}  # fmt: skip
_MARKET = ("coin_price_usd", "network_difficulty", "usd_th_day", "btc_th_day")
_DERIVED = {"operational_metrics": "operational_reason", "financial_metrics": "financial_reason"}


def joined_schema() -> pa.Schema:
    """Columns: index and labels, ``algorithm``, :data:`TELEMETRY`; of ``worker_match`` the pool, worker, status and
    hashrate that the miner's work was credited under (of several pools in the hour the one that credited most); price
    at the hour's end and mean difficulty of the coin configured for the algorithm, worth of a TH/s and day by network
    and prices; then all fields of ``operational_metrics`` and ``financial_metrics`` of the hour, each with its reason.
    """
    telemetry = {column.name: ARROW_TYPES[column.type] for column in rollup_columns(MEASUREMENTS["miner_telemetry"])}
    columns = [("time", pa.timestamp("s", tz="UTC")), *((name, pa.string()) for name in _LABELS)]
    columns += [(name, telemetry[name]) for name in TELEMETRY]
    columns += [(name, pa.string() if name in _TEXTS else pa.float64()) for name in (*_POOL.values(), *_MARKET)]
    for name in _DERIVED:
        fields = MEASUREMENTS[name].fields
        columns += [(_named(name, field.name), ARROW_TYPES[field.type]) for field in fields]
    return pa.schema(columns)


def joined_meanings() -> dict[str, tuple[str, str]]:
    """Unit and meaning of every column of :func:`joined_schema`."""
    found = {
        "time": ("", "start of the hour, UTC"),
        "miner_id": ("", "the miner"),
        "model": ("", "its model"),
        "site": ("", "its site"),
        "algorithm": ("", "what it hashes"),
        "pool_id": ("", "pool that its work was credited by"),
        "worker_id": ("", "worker that it was credited under"),
        "coin_price_usd": ("USD", "price, at the hour's end, of the coin configured for the algorithm"),
        "network_difficulty": ("d1_shares", "mean difficulty of that coin's network"),
        "usd_th_day": ("USD/TH/day", "what a TH/s earned by difficulty, reward and price"),
        "btc_th_day": ("BTC", "the same in BTC per TH/s and day"),
    }
    for column in rollup_columns(MEASUREMENTS["miner_telemetry"]):
        if column.name in TELEMETRY:
            found[column.name] = (column.field.unit, f"{column.aggregate} of the hour: {column.field.meaning}")
    matches = MEASUREMENTS["worker_match"].field_by_name
    found |= {new: (matches[old].unit, matches[old].meaning) for old, new in _POOL.items() if old in matches}
    for name in _DERIVED:
        found |= {_named(name, field.name): (field.unit, field.meaning) for field in MEASUREMENTS[name].fields}
    return found


_LABELS = ("miner_id", "model", "site", "algorithm")
_TEXTS = ("pool_id", "worker_id", "worker_status")


def joined_hours(
    store: Store, fleet: Fleet, start: int, stop: int, miners: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of the hours that touch ``[start, stop)`` (Unix seconds), in slices, each sorted by miner, then time.

    ``miners``: of these alone; by default of all that are configured.

    Raises:
        TryAgain: the store does not answer.
    """
    names = sorted(set(fleet.miners if miners is None else miners))
    first, end = start // HOUR_S * HOUR_S, -(-stop // HOUR_S) * HOUR_S
    step = min(max(ROWS_AT_ONCE // max(len(names), 1), 1) * HOUR_S, 31 * DAY_S)
    for at in range(first, end, step) if names else ():
        yield _slice(store, fleet, HourGrid(names, at, min(at + step, end)))


def joined_frame(
    store: Store, fleet: Fleet, start: int, stop: int, miners: Sequence[str] | None = None
) -> pd.DataFrame:
    """All of it as one DataFrame with index (miner_id, time), sorted; it must fit in memory."""
    table = pa.concat_tables([joined_schema().empty_table(), *joined_hours(store, fleet, start, stop, miners)])
    return table.to_pandas().set_index(["miner_id", "time"]).sort_index()


def _slice(store: Store, fleet: Fleet, grid: HourGrid) -> pa.Table:
    def read(name: str, tier: Tier, columns: Sequence[str], **more: str) -> pa.Table:
        where: dict[str, str | Sequence[str]] = {"miner_id": list(grid.miners), **more}
        return store.read(MEASUREMENTS[name], tier, grid.start, grid.stop, where=where, columns=columns)

    telemetry = _laid_out(grid, read("miner_telemetry", Tier.HOURLY, TELEMETRY), TELEMETRY)
    pools = read("worker_match", Tier.RAW, [name for name in _POOL if name not in ("pool_id", "worker_id")])
    pools = pools.filter(pc.fill_null(pc.not_equal(pools["status"], "superseded"), False))
    # of several the one that credited most comes last, and stays
    order = np.argsort(np.nan_to_num(floats(pools["hashrate_pool_hs"]), nan=-1.0), kind="stable")
    pools = pools.take(integers(order))
    configured = [fleet.miners.get(name, ("", "")) for name in grid.miners]
    columns = {"time": grid.times(), "miner_id": grid.of_miners(list(grid.miners))}
    for place, label in enumerate(("model", "site")):
        columns[label] = pc.coalesce(telemetry[label], grid.of_miners([one[place] for one in configured]))
    models = {name: model for name, (model, _) in zip(grid.miners, configured, strict=True)}
    told = algorithms_of(store, models, grid.start)
    algorithms = [told[name] for name in grid.miners]
    columns["algorithm"] = grid.of_miners(algorithms)
    columns |= {name: telemetry[name] for name in TELEMETRY}
    laid = _laid_out(grid, pools, list(_POOL))
    columns |= {new: laid[old] for old, new in _POOL.items()}
    columns |= _market(store, fleet, grid, algorithms)
    for name in _DERIVED:
        fields = [field.name for field in MEASUREMENTS[name].fields]
        rows = _laid_out(grid, read(name, Tier.RAW, fields, time_period="1h"), fields)
        columns |= {_named(name, field): rows[field] for field in fields}
    schema = joined_schema()
    return pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)


def _named(measurement: str, field: str) -> str:
    return _DERIVED[measurement] if field == "reason" else field


def _laid_out(grid: HourGrid, table: pa.Table, names: Sequence[str]) -> pa.Table:
    """``table`` over all rows of the grid, null where it has none; of two rows at one place the later one."""
    source = np.full(len(grid), -1, dtype=np.int64)
    places: Places = grid.places(table)
    inside = np.flatnonzero(places >= 0)
    source[places[inside]] = inside
    labels = [name for name in ("model", "site") if name in table.column_names]
    return table.select([*labels, *names]).take(pa.array(source, mask=source < 0))


def _market(store: Store, fleet: Fleet, grid: HourGrid, algorithms: Sequence[str | None]) -> dict[str, pa.Array]:
    """Price and difficulty of the coin configured for each miner's algorithm, and the worth of a TH/s."""
    values = worth(store, fleet.economics, grid.start, grid.stop)
    coins = [None if one is None else fleet.economics.coin_of(one) for one in algorithms]
    prices = _hourly(store, MEASUREMENTS["market_data"], "price_usd_last", grid)
    difficulties = _hourly(store, MEASUREMENTS["network_data"], "network_difficulty_mean", grid)
    found = {
        "coin_price_usd": worth_matrix(prices, grid, coins, "value"),
        "network_difficulty": worth_matrix(difficulties, grid, coins, "value"),
        "usd_th_day": worth_matrix(values, grid, algorithms, "usd_th_day"),
        "btc_th_day": worth_matrix(values, grid, algorithms, "btc_th_day"),
    }
    return {name: pa.array(one.reshape(-1), mask=np.isnan(one.reshape(-1))) for name, one in found.items()}


def _hourly(
    store: Store, measurement: Measurement, column: str, grid: HourGrid
) -> Mapping[tuple[int, str], Mapping[str, float]]:
    """``column`` of each hour and coin, from the provider whose prices count, else the first by name."""
    found: dict[tuple[int, str], tuple[tuple[int, str], Mapping[str, float]]] = {}
    for row in store.read(measurement, Tier.HOURLY, grid.start, grid.stop, columns=[column]).to_pylist():
        source = row["source"]
        rank = (PRIORITY.index(source) if source in PRIORITY else len(PRIORITY), source)
        key = (int(row["time"].timestamp()), row["coin_id"])
        if row[column] is not None and (key not in found or rank < found[key][0]):
            found[key] = (rank, {"value": row[column]})
    return {key: value for key, (_, value) in found.items()}
