"""Tiers and the buckets (InfluxDB 2), databases (1.x, 3.x) or lake layers that hold them.

Names carry no slash: InfluxDB 3 ignores ``rp`` and 1.x DELETE reaches every retention policy of a database
(reference/influx-portable.md 0, 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """How far a row is condensed."""

    RAW = "raw"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One place with one retention. ``retention_days`` is the default; data_retention_config.yaml overrides it.

    ``in_influx``: false for what only the lake keeps. InfluxDB has no such bucket, and its sink passes such rows by.
    """

    name: str
    retention_days: int
    shard_days: int
    meaning: str
    in_influx: bool = True


_DECLARED = (
    Bucket("mining_raw", 30, 1, "points as polled"),
    Bucket("mining_payload", 7, 1, "answers of miners as they came", in_influx=False),
    Bucket("mining_hourly", 180, 30, "hourly roll-ups, and what is recorded on change"),
    Bucket("mining_daily", 1095, 180, "daily roll-ups"),
    Bucket("mining_pool_detail", 90, 7, "pool rows per worker and payout"),
    Bucket("mining_pool", 365, 30, "pool performance"),
    Bucket("mining_price", 365, 30, "prices and network metrics"),
    Bucket("mining_technical", 730, 180, "market indicators"),
    Bucket("mining_operational", 365, 30, "operational metrics of miners and of the pipeline"),
    Bucket("mining_financial", 1825, 180, "money"),
    Bucket("mining_anomaly", 90, 7, "anomaly scores"),
    Bucket("mining_audit", 365, 30, "life-cycle events and configuration changes"),
)

BUCKETS: dict[str, Bucket] = {bucket.name: bucket for bucket in _DECLARED}
