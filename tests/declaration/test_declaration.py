"""The declaration holds together, and it holds every field that MISSION.md asks of R1 to R4."""

from __future__ import annotations

from typing import get_args

import pytest

from storage.declaration import BUCKETS, MEASUREMENTS, Kind, Tier, Type
from storage.declaration.field import Field, state
from storage.declaration.miner import FAILURE_KINDS
from storage.declaration.rollup import rollup_columns
from storage.records import miner
from tasks.miners.driver import FailureKind

ASKED = {
    # MISSION.md, Schemas: field asked for -> measurement.column that holds it
    "R1": """miner_telemetry.time miner_telemetry.miner_id miner_configuration.ip_address miner_telemetry.model
        miner_configuration.firmware_version miner_telemetry.hashrate_hs miner_board.board miner_board.hashrate_hs
        miner_board.status miner_telemetry.ambient_temp_c miner_telemetry.chip_temp_avg_c
        miner_telemetry.chip_temp_max_c
        miner_board.pcb_temp_c miner_board.chip_temp_c miner_telemetry.power_w miner_telemetry.efficiency_j_th
        miner_telemetry.voltage_v miner_fan.fan miner_fan.speed_rpm miner_fan.speed_percent miner_fan.status
        miner_pool.url miner_pool.user miner_pool.status miner_telemetry.shares_accepted miner_telemetry.shares_rejected
        miner_telemetry.shares_stale miner_telemetry.last_share_age_s miner_telemetry.state miner_telemetry.uptime_s
        miner_error.code miner_error.message miner_error.severity miner_configuration.frequency_mhz
        miner_configuration.overclock_profile miner_configuration.power_limit_w""",
    "R2": """pool_performance.time pool_performance.pool_id pool_performance.worker_id pool_performance.algorithm
        pool_performance.hashrate_reported_hs pool_performance.hashrate_effective_hs pool_performance.shares_accepted
        pool_performance.shares_rejected pool_performance.shares_stale pool_performance.shares_invalid
        pool_performance.earnings_amount pool_performance.earnings_currency pool_performance.earnings_period
        pool_coin.coin_id pool_coin.symbol pool_coin.amount pool_coin.usd_value pool_coin.mining_type
        pool_profitability.per_hash_rate_usd_th_day pool_profitability.unit pool_profitability.time_period
        pool_performance.difficulty pool_performance.status""",
    "R3": """market_data.time market_data.source market_data.coin_id market_data.symbol market_data.name
        market_data.price_usd market_data.price_btc market_data.market_cap_usd market_data.market_cap_btc
        market_data.volume_24h_usd market_data.volume_24h_btc market_data.price_change_1h_percent
        market_data.price_change_24h_percent market_data.price_change_7d_percent network_data.network_hashrate_hs
        network_data.network_difficulty network_data.block_reward network_data.block_time_s
        network_data.mining_algorithm market_indicator.rsi_14 market_indicator.ma_50_usd market_indicator.ma_200_usd
        market_indicator.volatility_30d""",
    "R4": """operational_metrics.time operational_metrics.miner_id operational_metrics.time_period
        operational_metrics.hashrate_stability operational_metrics.power_efficiency_j_th
        operational_metrics.thermal_efficiency operational_metrics.uptime_percentage financial_metrics.revenue
        financial_metrics.cost financial_metrics.profit financial_metrics.roi_percent financial_metrics.break_even_days
        financial_metrics.currency optimization_opportunity.type optimization_opportunity.description
        optimization_opportunity.potential_impact_usd_day optimization_opportunity.confidence anomaly_score.hashrate
        anomaly_score.temperature anomaly_score.power anomaly_score.shares anomaly_score.overall forecast.quantity
        forecast.value""",
}


@pytest.mark.parametrize("record", ASKED)
def test_every_field_of_the_mission_has_a_column(record: str) -> None:
    missing = []
    for asked in ASKED[record].split():
        measurement, column = asked.split(".")
        declared = MEASUREMENTS[measurement]
        assert declared.record == record
        if column not in declared.columns():
            missing.append(asked)
    assert missing == []


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_column_is_told_apart(name: str) -> None:
    declared = MEASUREMENTS[name]
    raw = list(declared.columns())
    assert len(raw) == len(set(raw))
    rolled = [column.name for column in rollup_columns(declared)]
    assert len(rolled) == len(set(rolled))
    assert not set(rolled) & set(declared.tag_names)
    assert all(field.meaning and not field.meaning.endswith(".") for field in declared.fields)
    assert Tier.RAW in declared.buckets


def test_no_two_tables_meet_in_a_bucket() -> None:
    places = [(bucket, m.stored_name(tier)) for m in MEASUREMENTS.values() for tier, bucket in m.buckets.items()]
    assert len(places) == len(set(places))
    assert {bucket for bucket, _ in places} | {"mining_audit"} == set(BUCKETS)


def test_bucket_names_hold_on_every_influxdb() -> None:
    """No slash (1.x, 3.x), and letters, digits, underscore only (3.x)."""
    assert all(name.replace("_", "").isalnum() and name.startswith("mining_") for name in BUCKETS)


@pytest.mark.parametrize(
    ("struct", "measurement", "own"),
    [
        (
            miner.MinerTelemetry,
            "miner_telemetry",
            {"time", "miner", "boards", "fans", "pools", "errors", "cannot_tell"},
        ),
        (miner.BoardReading, "miner_board", {"board"}),
        (miner.FanReading, "miner_fan", {"fan"}),
        (miner.PoolReading, "miner_pool", {"slot"}),
        (miner.MinerErrorReading, "miner_error", {"code"}),
        (miner.MinerConfiguration, "miner_configuration", {"time", "miner"}),
    ],
)
def test_records_have_the_declared_fields(struct: type, measurement: str, own: set[str]) -> None:
    assert set(struct.__struct_fields__) - own == set(MEASUREMENTS[measurement].field_by_name)  # type: ignore[attr-defined]


def test_failure_kinds_are_said_twice_and_alike() -> None:
    assert get_args(FailureKind) == FAILURE_KINDS


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Field("x", Type.FLOAT, Kind.GAUGE, "furlong", ""), "unit 'furlong'"),
        (lambda: Field("time", Type.FLOAT, Kind.GAUGE, "s", ""), "never 'time'"),
        (lambda: Field("x", Type.STRING, Kind.STATE, "", ""), "has values"),
        (lambda: state("Bad", ("a",), ""), "lower case"),
    ],
)
def test_a_wrong_declaration_is_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
