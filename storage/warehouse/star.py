"""The star schema, declared once: tables, their grain, keys and columns. docs/warehouse.md is checked against it.

Facts are projections of a tier: one row of the source gives one row of the fact, so a fact can be made anew from its
source at any time. Sums and counts stand beside means where a question has to average over miners or hours.

Keys of dimensions are numbers made by SHA-256 of the natural key alone (and of ``valid_from`` for versions of a miner):
the same on every host and in every build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from storage.declaration import MEASUREMENTS, Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.lake.layout import Period


class ColumnType(StrEnum):
    """Type of a column, as SQL names it."""

    TEXT = "VARCHAR"
    INTEGER = "BIGINT"
    FLOAT = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    TIME = "TIMESTAMPTZ"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``source`` is the column of the fact's source that it is taken from; None: it is worked out."""

    name: str
    type: ColumnType
    meaning: str
    unit: str = ""
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that a fact is made of: those of ``tier`` of ``measurement`` that have these tags."""

    measurement: Measurement
    tier: Tier
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StarTable:
    """One table. ``grain`` says what a row is; ``identity`` and the row's time tell two rows apart.

    Files are sorted by ``identity``, then time. Every table has a column ``time``, which the lake partitions by
    ``period``: the hour, day or moment of a fact, the beginning of what a row of a dimension says.
    """

    name: str
    meaning: str
    grain: str
    identity: tuple[str, ...]
    columns: tuple[Column, ...]
    period: Period


@dataclass(frozen=True, slots=True)
class Fact(StarTable):
    """A fact: one row for each row of ``source``."""

    source: Source


_TIME_KEY = Column("time_key", ColumnType.INTEGER, "hour in UTC as yyyymmddhh, see dim_time")
_MINER_KEY = Column("miner_key", ColumnType.INTEGER, "version of the miner at that time, see dim_miner")
_POOL_KEY = Column("pool_key", ColumnType.INTEGER, "pool, see dim_pool")
_COIN_KEY = Column("coin_key", ColumnType.INTEGER, "coin, see dim_coin")

_SQL = {
    Type.FLOAT: ColumnType.FLOAT,
    Type.INTEGER: ColumnType.INTEGER,
    Type.BOOLEAN: ColumnType.BOOLEAN,
    Type.STRING: ColumnType.TEXT,
}


def _tags(source: Source, *names: str) -> tuple[Column, ...]:
    meanings = {tag.name: tag.meaning for tag in source.measurement.tags}
    return tuple(Column(name, ColumnType.TEXT, meanings[name], source=name) for name in names)


def _measures(source: Source, **columns: str) -> tuple[Column, ...]:
    """Columns of the fact by the column of the source that they are; type, unit and meaning are the source's."""
    if source.tier is Tier.RAW:
        fields = source.measurement.field_by_name
        return tuple(
            Column(name, _SQL[fields[of].type], fields[of].meaning, fields[of].unit, of) for name, of in columns.items()
        )
    rolled = {column.name: column for column in rollup_columns(source.measurement)}
    return tuple(
        Column(name, _SQL[rolled[of].type], rolled[of].meaning, rolled[of].unit, of) for name, of in columns.items()
    )


_TELEMETRY = Source(MEASUREMENTS["miner_telemetry"], Tier.HOURLY)
FACT_TELEMETRY_HOURLY = Fact(
    "fact_telemetry_hourly",
    "how a miner worked in an hour",
    "a miner and an hour (two rows where its model or site changed within it)",
    ("miner_id", "model", "site"),
    (
        _TIME_KEY,
        _MINER_KEY,
        *_tags(_TELEMETRY, "miner_id", "model", "site"),
        *_measures(
            _TELEMETRY,
            polls="reachable_count",
            polls_reachable="reachable_true_count",
            polls_mining="state_mining_count",
            hashrate_hs="hashrate_hs_mean",
            hashrate_min_hs="hashrate_hs_min",
            hashrate_max_hs="hashrate_hs_max",
            hashrate_sum_hs="hashrate_hs_sum",
            hashrate_count="hashrate_hs_count",
            hashrate_nominal_hs="hashrate_nominal_hs_mean",
            power_w="power_w_mean",
            power_max_w="power_w_max",
            power_sum_w="power_w_sum",
            power_count="power_w_count",
            chip_temp_c="chip_temp_avg_c_mean",
            chip_temp_max_c="chip_temp_max_c_max",
            ambient_temp_c="ambient_temp_c_mean",
            fan_duty_percent="fan_duty_percent_mean",
            frequency_mhz="frequency_mhz_mean",
            devfee_percent="devfee_percent_mean",
            shares_accepted="shares_accepted_inc",
            shares_rejected="shares_rejected_inc",
            shares_stale="shares_stale_inc",
            work_accepted_d1="work_accepted_d1_inc",
            hardware_errors="hardware_errors_inc",
            boards_mining_min="boards_mining_min",
            fans_running_min="fans_running_min",
            errors_max="error_count_max",
            quality="quality_mean",
        ),
    ),
    Period.MONTH,
    _TELEMETRY,
)

_POOL = Source(MEASUREMENTS["pool_performance"], Tier.HOURLY)
FACT_POOL_HOURLY = Fact(
    "fact_pool_hourly",
    "what a pool says of a worker in an hour",
    "a worker at a pool, an algorithm and an hour",
    ("pool_id", "worker_id", "algorithm"),
    (
        _TIME_KEY,
        _POOL_KEY,
        *_tags(_POOL, "pool_id", "worker_id", "algorithm"),
        *_measures(
            _POOL,
            hashrate_reported_hs="hashrate_reported_hs_mean",
            hashrate_effective_hs="hashrate_effective_hs_mean",
            shares_accepted="shares_accepted_inc",
            shares_rejected="shares_rejected_inc",
            shares_stale="shares_stale_inc",
            shares_invalid="shares_invalid_inc",
            work_accepted_d1="work_accepted_d1_inc",
            work_stale_d1="work_stale_d1_inc",
            work_invalid_d1="work_invalid_d1_inc",
            reject_ratio="reject_ratio_mean",
            reject_basis="reject_basis_last",
            earnings_amount="earnings_amount_last",
            earnings_currency="earnings_currency_last",
            earnings_period="earnings_period_last",
            earnings_usd="earnings_usd_last",
            quality="quality_mean",
        ),
    ),
    Period.MONTH,
    _POOL,
)

_MARKET = Source(MEASUREMENTS["market_data"], Tier.HOURLY)
FACT_MARKET = Fact(
    "fact_market",
    "price of a coin in an hour",
    "a coin, a source and an hour",
    ("coin_id", "source"),
    (
        _TIME_KEY,
        _COIN_KEY,
        *_tags(_MARKET, "coin_id", "source"),
        *_measures(
            _MARKET,
            price_usd="price_usd_mean",
            price_last_usd="price_usd_last",
            price_min_usd="price_usd_min",
            price_max_usd="price_usd_max",
            price_btc="price_btc_mean",
            market_cap_usd="market_cap_usd_last",
            volume_24h_usd="volume_24h_usd_last",
            price_change_24h_percent="price_change_24h_percent_last",
            quality="quality_mean",
        ),
    ),
    Period.YEAR,
    _MARKET,
)

_NETWORK = Source(MEASUREMENTS["network_data"], Tier.HOURLY)
FACT_NETWORK = Fact(
    "fact_network",
    "network of a coin in an hour",
    "a coin, a source and an hour",
    ("coin_id", "source"),
    (
        _TIME_KEY,
        _COIN_KEY,
        *_tags(_NETWORK, "coin_id", "source"),
        *_measures(
            _NETWORK,
            network_hashrate_hs="network_hashrate_hs_mean",
            network_difficulty="network_difficulty_mean",
            block_reward="block_reward_last",
            block_time_s="block_time_s_mean",
            block_height="block_height_max",
        ),
    ),
    Period.YEAR,
    _NETWORK,
)

_PROFIT = Source(MEASUREMENTS["financial_metrics"], Tier.RAW, {"time_period": "1d"})
FACT_PROFIT_DAILY = Fact(
    "fact_profit_daily",
    "money of a miner in a day",
    "a miner and a day",
    ("miner_id",),
    (
        _TIME_KEY,
        _MINER_KEY,
        *_tags(_PROFIT, "miner_id"),
        *_measures(
            _PROFIT,
            revenue_usd="revenue",
            cost_usd="cost",
            profit_usd="profit",
            roi_percent="roi_percent",
            break_even_days="break_even_days",
            currency="currency",
        ),
    ),
    Period.YEAR,
    _PROFIT,
)

_EVENT = Source(MEASUREMENTS["miner_event"], Tier.RAW)
FACT_EVENT = Fact(
    "fact_event",
    "something that happened to a miner",
    "an event",
    ("miner_id", "kind", "subject", "model", "site"),
    (
        _TIME_KEY,
        _MINER_KEY,
        *_tags(_EVENT, "miner_id", "model", "site", "kind", "subject"),
        *_measures(_EVENT, severity="severity", message="message", old="old", new="new"),
    ),
    Period.MONTH,
    _EVENT,
)

DIM_MINER = StarTable(
    "dim_miner",
    "miners, a row for each version: what a miner was set to, and where it stood, from when to when",
    "a miner and a stretch of time in which nothing of it changed",
    ("miner_id",),
    (
        Column("miner_key", ColumnType.INTEGER, "key of the version"),
        Column("miner_id", ColumnType.TEXT, "identity from the configuration"),
        Column("valid_from", ColumnType.TIME, "first moment of the version"),
        Column("valid_to", ColumnType.TIME, "moment at which the next version begins; null of the present one"),
        Column("is_current", ColumnType.BOOLEAN, "it is the present version"),
        Column("model", ColumnType.TEXT, "model from the configuration"),
        Column("site", ColumnType.TEXT, "site from the configuration"),
        Column("location", ColumnType.TEXT, "place at the site, from the configuration at the time of the build"),
        Column("firmware_version", ColumnType.TEXT, "firmware and version"),
        Column("overclock_profile", ColumnType.TEXT, "preset in use"),
        Column("power_limit_w", ColumnType.INTEGER, "power target", "W"),
        Column("algorithm", ColumnType.TEXT, "what it hashes"),
        Column("model_reported", ColumnType.TEXT, "model as the miner names it"),
        Column("driver", ColumnType.TEXT, "driver that read it, with its dialect"),
        Column("mac", ColumnType.TEXT, "hardware address"),
        Column("serial", ColumnType.TEXT, "serial number"),
        Column("ip_address", ColumnType.TEXT, "address polled"),
        Column("pool_url", ColumnType.TEXT, "first pool of the user"),
        Column("pool_user", ColumnType.TEXT, "its account and worker"),
    ),
    Period.YEAR,
)
VERSIONED = tuple(column.name for column in DIM_MINER.columns[5:])
"""Columns of dim_miner of which a new value begins a new version. A value not known until then only fills it in."""

DIM_POOL = StarTable(
    "dim_pool",
    "pools",
    "a pool",
    ("pool_id",),
    (
        Column("pool_key", ColumnType.INTEGER, "key"),
        Column("pool_id", ColumnType.TEXT, "pool from the configuration"),
        Column("first_seen", ColumnType.TIME, "first hour in the facts"),
    ),
    Period.YEAR,
)

DIM_COIN = StarTable(
    "dim_coin",
    "coins",
    "a coin",
    ("coin_id",),
    (
        Column("coin_key", ColumnType.INTEGER, "key"),
        Column("coin_id", ColumnType.TEXT, "coin in Lodeline's table of coins"),
        Column("symbol", ColumnType.TEXT, "ticker symbol"),
        Column("name", ColumnType.TEXT, "name of the coin"),
        Column("mining_algorithm", ColumnType.TEXT, "sha256d, scrypt and so on"),
        Column("first_seen", ColumnType.TIME, "first hour in the facts"),
    ),
    Period.YEAR,
)

DIM_TIME = StarTable(
    "dim_time",
    "hours of every month that has facts",
    "an hour, UTC",
    ("zone",),
    (
        Column("time_key", ColumnType.INTEGER, "yyyymmddhh, UTC"),
        Column("hour_start", ColumnType.TIME, "first moment of the hour"),
        Column("utc_date", ColumnType.TEXT, "date, UTC, ISO 8601"),
        Column("year", ColumnType.INTEGER, "year, UTC"),
        Column("quarter", ColumnType.INTEGER, "1 to 4, UTC"),
        Column("month", ColumnType.INTEGER, "1 to 12, UTC"),
        Column("day", ColumnType.INTEGER, "day of the month, UTC"),
        Column("hour", ColumnType.INTEGER, "0 to 23, UTC"),
        Column("iso_week", ColumnType.INTEGER, "week of ISO 8601, UTC"),
        Column("weekday", ColumnType.INTEGER, "1 Monday to 7 Sunday, UTC"),
        Column("is_weekend", ColumnType.BOOLEAN, "Saturday or Sunday, UTC"),
        Column("zone", ColumnType.TEXT, "time zone of the local columns, general.timezone"),
        Column("local_date", ColumnType.TEXT, "date there, ISO 8601"),
        Column("local_hour", ColumnType.INTEGER, "hour there"),
        Column("local_weekday", ColumnType.INTEGER, "1 Monday to 7 Sunday there"),
        Column("utc_offset_minutes", ColumnType.INTEGER, "local time - UTC"),
    ),
    Period.YEAR,
)

FACTS = (FACT_TELEMETRY_HOURLY, FACT_POOL_HOURLY, FACT_MARKET, FACT_NETWORK, FACT_PROFIT_DAILY, FACT_EVENT)
DIMENSIONS = (DIM_MINER, DIM_POOL, DIM_COIN, DIM_TIME)
STAR = (*DIMENSIONS, *FACTS)
