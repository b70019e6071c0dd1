"""All feature views, declared from the record schemas. docs/data-dictionary.md lists them.

A view is of a measurement that some flow writes; who declares one more enters its fingerprint in registry.py.
"""

from __future__ import annotations

from storage.declaration import MEASUREMENTS, Tier
from storage.errors import NeedsHuman
from storage.features.view import FeatureView, features_of

HOUR, DAY = 3600, 86400
_LAG_RAW, _LAG_HOUR, _LAG_DERIVED, _LAG_DAY = 900, 1_800, 3_600, 7_200
"""Roll-up and publication look every 15 minutes, the roll-up at a day once its last hour is there; what is derived of
an hour comes after its roll-up."""


def _view(
    name: str,
    meaning: str,
    source: str,
    tier: Tier,
    *,
    entity: tuple[str, ...],
    width_s: int,
    ttl_s: int,
    lag_s: int,
    columns: dict[str, str],
    where: dict[str, str] | None = None,
    newest_by: str | None = None,
    version: int = 1,
) -> FeatureView:
    measurement = MEASUREMENTS[source]
    features = features_of(measurement, tier, columns)
    return FeatureView(
        name, version, meaning, measurement, tier, entity, width_s, ttl_s, lag_s, features, where or {}, newest_by
    )


def _same(*names: str) -> dict[str, str]:
    return dict(zip(names, names, strict=True))


_MINER_COLUMNS = {
    "model": "model",
    "site": "site",
    "polls": "reachable_count",
    "polls_reachable": "reachable_true_count",
    "mining_seconds": "state_mining_seconds",
    "known_seconds": "state_seconds",
    "hashrate_hs": "hashrate_hs_mean",
    "hashrate_min_hs": "hashrate_hs_min",
    "hashrate_max_hs": "hashrate_hs_max",
    "hashrate_nominal_hs": "hashrate_nominal_hs_mean",
    "hashes": "hashrate_hs_integral",
    "power_w": "power_w_mean",
    "energy_j": "power_w_integral",
    "efficiency_j_th": "efficiency_j_th_mean",
    "chip_temp_avg_c": "chip_temp_avg_c_mean",
    "chip_temp_max_c": "chip_temp_max_c_max",
    "ambient_temp_c": "ambient_temp_c_mean",
    "fan_duty_percent": "fan_duty_percent_mean",
    "frequency_mhz": "frequency_mhz_mean",
    "voltage_v": "voltage_v_mean",
    "shares_accepted": "shares_accepted_inc",
    "shares_rejected": "shares_rejected_inc",
    "hardware_errors": "hardware_errors_inc",
    "boards_mining": "boards_mining_min",
    "quality": "quality_mean",
}

_MONEY = (
    "revenue",
    "fees",
    "electricity_cost",
    "cost",
    "profit",
    "energy_kwh",
    "hashrate_paid_hs",
    "hashprice_usd_th_day",
    "hashcost_usd_th_day",
)

_DECLARED = (
    _view(
        "miner_hourly",
        "how a miner worked in an hour",
        "miner_telemetry",
        Tier.HOURLY,
        entity=("miner_id",),
        width_s=HOUR,
        ttl_s=6 * HOUR,
        lag_s=_LAG_HOUR,
        columns=_MINER_COLUMNS,
        newest_by="reachable_last_at",
    ),
    _view(
        "miner_daily",
        "how a miner worked on a day of UTC",
        "miner_telemetry",
        Tier.DAILY,
        entity=("miner_id",),
        width_s=DAY,
        ttl_s=3 * DAY,
        lag_s=_LAG_DAY,
        columns=_MINER_COLUMNS,
        newest_by="reachable_last_at",
    ),
    _view(
        "miner_configuration",
        "what a miner is set to",
        "miner_configuration",
        Tier.RAW,
        entity=("miner_id",),
        width_s=0,
        ttl_s=2 * DAY,
        lag_s=_LAG_RAW,
        columns=_same(
            "model",
            "site",
            "driver",
            "firmware_version",
            "algorithm",
            "overclock_profile",
            "frequency_mhz",
            "voltage_v",
            "power_limit_w",
        ),
    ),
    _view(
        "pool_worker_hourly",
        "what a pool says of a worker in an hour",
        "pool_performance",
        Tier.HOURLY,
        entity=("pool_id", "worker_id", "algorithm"),
        width_s=HOUR,
        ttl_s=6 * HOUR,
        lag_s=_LAG_HOUR,
        columns={
            "online_seconds": "status_online_seconds",
            "known_seconds": "status_seconds",
            "hashrate_reported_hs": "hashrate_reported_hs_mean",
            "hashrate_effective_hs": "hashrate_effective_hs_mean",
            "shares_accepted": "shares_accepted_inc",
            "shares_rejected": "shares_rejected_inc",
            "shares_stale": "shares_stale_inc",
            "reject_ratio": "reject_ratio_mean",
            "earnings_amount": "earnings_amount_last",
            "earnings_currency": "earnings_currency_last",
            "earnings_usd": "earnings_usd_last",
            "quality": "quality_mean",
        },
    ),
    _view(
        "market",
        "price of a coin from one provider",
        "market_data",
        Tier.RAW,
        entity=("coin_id", "source"),
        width_s=0,
        ttl_s=HOUR,
        lag_s=_LAG_RAW,
        columns=_same(
            "price_usd",
            "price_btc",
            "market_cap_usd",
            "volume_24h_usd",
            "price_change_1h_percent",
            "price_change_24h_percent",
            "price_change_7d_percent",
            "age_s",
            "quality",
        ),
    ),
    _view(
        "network",
        "the network of a coin from one provider",
        "network_data",
        Tier.RAW,
        entity=("coin_id", "source"),
        width_s=0,
        ttl_s=6 * HOUR,
        lag_s=_LAG_RAW,
        columns=_same("network_hashrate_hs", "network_difficulty", "block_reward", "block_time_s", "quality"),
    ),
    _view(
        "indicators",
        "indicators of a coin up to the close of a day",
        "market_indicator",
        Tier.RAW,
        entity=("coin_id", "source"),
        width_s=DAY,
        ttl_s=3 * DAY,
        lag_s=_LAG_DAY,
        columns=_same(
            "rsi_14",
            "ma_50_usd",
            "ma_200_usd",
            "volatility_30d",
            "change_1d_percent",
            "change_7d_percent",
            "change_30d_percent",
        ),
    ),
    _view(
        "operational",
        "how well a miner worked in an hour, and what hashrate it lost to what",
        "operational_metrics",
        Tier.RAW,
        entity=("miner_id",),
        width_s=HOUR,
        ttl_s=6 * HOUR,
        lag_s=_LAG_DERIVED,
        columns=_same(
            "hashrate_stability",
            "power_efficiency_j_th",
            "thermal_efficiency",
            "uptime_percentage",
            "hashing_uptime_percentage",
            "planned_off_percentage",
            "coverage_percentage",
            "hashrate_expected_hs",
            "hashrate_lost_hs",
            "lost_unreachable_hs",
            "lost_paused_hs",
            "lost_pool_hs",
            "lost_board_hs",
            "lost_heat_hs",
            "lost_unknown_hs",
        ),
        where={"time_period": "1h"},
    ),
    _view(
        "profit_hourly",
        "money of a miner in an hour",
        "financial_metrics",
        Tier.RAW,
        entity=("miner_id",),
        width_s=HOUR,
        ttl_s=6 * HOUR,
        lag_s=_LAG_DERIVED,
        columns=_same(*_MONEY),
        where={"time_period": "1h"},
    ),
    _view(
        "profit_daily",
        "money of a miner on a day of UTC",
        "financial_metrics",
        Tier.RAW,
        entity=("miner_id",),
        width_s=DAY,
        ttl_s=3 * DAY,
        lag_s=_LAG_DAY,
        columns=_same(*_MONEY, "profit_cumulative", "hours", "roi_percent", "break_even_days"),
        where={"time_period": "1d"},
    ),
    _view(
        "anomaly",
        "how odd a miner was in an hour, against its own week and its peers",
        "anomaly_score",
        Tier.RAW,
        entity=("miner_id",),
        width_s=HOUR,
        ttl_s=6 * HOUR,
        lag_s=_LAG_DERIVED,
        columns=_same("hashrate", "temperature", "power", "shares", "overall", "anomalous"),
        where={"time_period": "1h"},
    ),
    _view(
        "profitability",
        "what a TH/s earned in an hour by a network's difficulty",
        "mining_profitability",
        Tier.RAW,
        entity=("algorithm", "coins", "source"),
        width_s=HOUR,
        ttl_s=6 * HOUR,
        lag_s=_LAG_HOUR,
        columns=_same("usd_th_day", "btc_th_day", "fee_ratio"),
    ),
)

VIEWS: dict[str, FeatureView] = {view.name: view for view in _DECLARED}


def view_of(name: str) -> FeatureView:
    """The view of that name.

    Raises:
        NeedsHuman: there is none.
    """
    if name not in VIEWS:
        raise NeedsHuman(f"There is no feature view {name!r}", remedy=f"Ask one of {', '.join(VIEWS)}")
    return VIEWS[name]
