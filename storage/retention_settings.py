"""data_retention_config.yaml: how long what is kept, in which form, and when it goes to the archive."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from storage.configuration import CronExpression, EmailAddress, FolderOrBucket, Resolver, Section, TimeZoneName, load
from storage.declaration import BUCKETS

FILE_NAME = "data_retention_config.yaml"
PREFIX = "LODELINE_RETENTION__"

Days = Annotated[int, Field(ge=1, le=36_525)]
"""Whole days, up to a hundred years."""
Part = Literal["date", "year", "month", "miner_id", "worker_id", "coin_id", "metric_type", "anomaly_type", "event_type"]
"""What data may be split by."""


class TableRetention(Section):
    """Data kept as tables."""

    retention_days: Days
    """Days that it is kept."""
    storage_format: Literal["parquet"] = "parquet"
    """Form of the files."""
    compression: Literal["snappy", "zstd", "gzip", "lz4", "brotli", "none"] = "zstd"
    """Compression of the files. snappy takes a quarter more bytes than zstd, and no less time of the processor."""
    partition_by: Annotated[tuple[Part, ...], Field(min_length=1)] = ("date",)
    """What reads must be able to skip by. The finest of date, month and year is the length of a partition of the lake;
    the entity comes first in the order of its files."""


class SourceRetention(TableRetention):
    """Data that is rolled up."""

    retention_days: Annotated[int, Field(ge=2, le=36_525)]
    """Days that it is kept. A window is rolled up after its end, of all its rows: the last of a day on the next day."""


class HourlyRetention(SourceRetention):
    """Hourly roll-ups."""

    aggregation_interval: Literal["hourly"] = "hourly"
    """Length of a window."""


class DailyRetention(TableRetention):
    """Daily roll-ups."""

    aggregation_interval: Literal["daily"] = "daily"
    """Length of a window."""


class LogRetention(Section):
    """Logs."""

    retention_days: Days
    """Days that they are kept."""
    storage_format: Literal["text"] = "text"
    """Form of the files."""
    compression: Literal["gzip", "none"] = "gzip"
    """Compression of closed files."""


def _table(bucket: str, *partition_by: Part) -> TableRetention:
    return TableRetention(retention_days=BUCKETS[bucket].retention_days, partition_by=partition_by)


def _source(bucket: str, *partition_by: Part) -> SourceRetention:
    return SourceRetention(retention_days=BUCKETS[bucket].retention_days, partition_by=partition_by)


class MinerTelemetryRetention(Section):
    """Telemetry of miners in its three tiers."""

    high_resolution: SourceRetention = _source("mining_raw", "date", "miner_id")
    medium_resolution: HourlyRetention = HourlyRetention(
        retention_days=BUCKETS["mining_hourly"].retention_days, partition_by=("year", "month", "miner_id")
    )
    low_resolution: DailyRetention = DailyRetention(
        retention_days=BUCKETS["mining_daily"].retention_days, partition_by=("year", "miner_id")
    )


class PoolRetention(Section):
    """Data of pools."""

    transaction_data: SourceRetention = _source("mining_pool_detail", "date", "worker_id")
    performance_data: SourceRetention = _source("mining_pool", "year", "month", "worker_id")


class MarketRetention(Section):
    """Data of markets."""

    price_data: SourceRetention = _source("mining_price", "year", "month", "coin_id")
    technical_data: TableRetention = _table("mining_technical", "year", "coin_id")


class RawDataRetention(Section):
    """What is collected."""

    miner_telemetry: MinerTelemetryRetention = MinerTelemetryRetention()
    miner_payloads: TableRetention = _table("mining_payload", "date", "miner_id")
    pool_data: PoolRetention = PoolRetention()
    market_data: MarketRetention = MarketRetention()


class ProcessedDataRetention(Section):
    """What is worked out."""

    operational_metrics: TableRetention = _table("mining_operational", "year", "month", "metric_type")
    financial_metrics: TableRetention = _table("mining_financial", "year", "metric_type")
    anomaly_detection: TableRetention = _table("mining_anomaly", "date", "anomaly_type")


class LogsRetention(Section):
    """Logs by level."""

    error_logs: LogRetention = LogRetention(retention_days=90)
    info_logs: LogRetention = LogRetention(retention_days=30)


class SystemDataRetention(Section):
    """What Lodeline says of itself."""

    logs: LogsRetention = LogsRetention()
    audit_trails: TableRetention = _table("mining_audit", "year", "month", "event_type")


class RetentionGeneralSettings(Section):
    """Where and by which clock."""

    timezone: TimeZoneName = "UTC"
    """Time zone of schedules. Data is always in UTC."""
    storage_base_path: FolderOrBucket | None = None
    """Folder, or ``s3://bucket/prefix``, that holds the lake; the data directory where not set."""
    archive_base_path: Path | None = None
    """Folder that holds the archive."""


class ArchivingSettings(Section):
    """The weekly archive."""

    schedule: CronExpression = "0 0 * * 0"
    """When, as a cron expression."""
    parallel_jobs: int = Field(default=4, ge=1, le=64)
    """Jobs at one time."""
    verification_enabled: bool = True
    """Compare checksums before anything is deleted."""
    notification_email: EmailAddress | None = None
    """Who is mailed what each run did, by the first ``mailto://`` or ``mailtos://`` of alerts.channels."""


class RetentionSettings(Section):
    """The whole file; without it, what is written in the defaults."""

    general: RetentionGeneralSettings = RetentionGeneralSettings()
    raw_data: RawDataRetention = RawDataRetention()
    processed_data: ProcessedDataRetention = ProcessedDataRetention()
    system_data: SystemDataRetention = SystemDataRetention()
    archiving: ArchivingSettings = ArchivingSettings()

    def bucket_tables(self) -> dict[str, TableRetention]:
        """How each bucket of storage.declaration keeps its rows."""
        return {name: attrgetter(key)(self) for name, key in BUCKET_KEYS.items()}

    def bucket_days(self) -> dict[str, int]:
        """Days that each bucket of storage.declaration keeps its rows."""
        return {bucket: table.retention_days for bucket, table in self.bucket_tables().items()}


BUCKET_KEYS = {
    "mining_raw": "raw_data.miner_telemetry.high_resolution",
    "mining_payload": "raw_data.miner_payloads",
    "mining_hourly": "raw_data.miner_telemetry.medium_resolution",
    "mining_daily": "raw_data.miner_telemetry.low_resolution",
    "mining_pool_detail": "raw_data.pool_data.transaction_data",
    "mining_pool": "raw_data.pool_data.performance_data",
    "mining_price": "raw_data.market_data.price_data",
    "mining_technical": "raw_data.market_data.technical_data",
    "mining_operational": "processed_data.operational_metrics",
    "mining_financial": "processed_data.financial_metrics",
    "mining_anomaly": "processed_data.anomaly_detection",
    "mining_audit": "system_data.audit_trails",
}
"""Bucket to the key of data_retention_config.yaml that rules it."""


def load_retention_settings(file: Path | None, environ: Mapping[str, str], resolve: Resolver) -> RetentionSettings:
    """Read ``file``, or take the defaults. Raises ConfigurationError with all its faults."""
    return load(RetentionSettings, file, resolve, prefix=PREFIX, environ=environ)
