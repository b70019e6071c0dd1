"""What a host is told by ``LODELINE_...`` variables about where its data lives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, model_validator

from storage.configuration import BucketAddress, Resolver, Section, WebAddress, load
from storage.influx.settings import InfluxSettings

PREFIX = "LODELINE_"
ONLINE_FEATURES = Path("features", "online.sqlite")
"""Where the data directory has the newest features of every entity."""

REPORTS = "reports"
"""Folder of reports under the data directory."""
SERIES_EXPORTS = "exports"
"""Folder of scheduled exports under the data directory."""
EXPORTS = Path("abacus")
"""Where the data directory has what is on its way to Abacus.AI, and what did not go."""


class SpoolSettings(Section):
    """The spool: what is collected and not yet stored everywhere."""

    cap_bytes: int = Field(default=8 * 2**30, ge=16 * 2**20, le=2**50)
    """Bytes that the spool of one lane may take on disk (at least 16 MiB)."""


class LakeSettings(Section):
    """The lake, which is also the embedded store. It needs the extra [lake]."""

    enabled: bool = True
    """Store into the lake; switch it off on an edge host that only sends to InfluxDB."""
    raw_payloads: Literal["every", "changed", "off"] = "every"
    """Keep what miners answered: of every poll (0.3 MB a miner and day), of polls that changed in more than numbers and
    of one an hour (0.1 MB), or not at all. ``lodeline replay`` can correct the polls that are kept."""
    directory: Path | None = None
    """Folder of the lake; ``lake`` in the data directory where not set."""
    uri: BucketAddress | None = None
    """Where the lake lies on an object store that speaks S3, e.g. ``s3://bucket/lake``, instead of a folder."""
    endpoint: WebAddress | None = None
    """Address of the object store where it is not Amazon's, e.g. http://minio:9000."""
    region: str = "us-east-1"
    """Its region."""
    access_key_id: SecretStr | None = None
    """Access key; without it the ``AWS_...`` variables or the role of the machine."""
    secret_access_key: SecretStr | None = None
    """Secret of the access key."""
    session_token: SecretStr | None = None
    """Token that goes with temporary keys."""

    @model_validator(mode="after")
    def _one_place_and_a_whole_key(self) -> LakeSettings:
        if self.uri is not None and self.directory is not None:
            raise ValueError("directory and uri are both set; the lake lies in one place")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")
        return self


class BatchSettings(Section):
    """How batch work over stored data is spread: one part of it per measurement."""

    runner: Literal["threads", "dask"] = "threads"
    """Where parts run: in threads of the flow's own process, or on a Dask cluster, which needs the extra [dask]."""
    at_once: int = Field(default=2, ge=1, le=64)
    """Parts that run at one time in threads; each takes memory of its own. On Dask its workers' threads set it."""
    dask_address: str | None = Field(default=None, pattern=r"^(tcp|tls)://[^/\s@]+:\d+$")
    """Address of the Dask scheduler, e.g. tcp://scheduler:8786. Settings go there, secrets too: tls:// off the host."""

    @model_validator(mode="after")
    def _dask_is_somewhere(self) -> BatchSettings:
        if self.runner == "dask" and self.dask_address is None:
            raise ValueError("runner is dask, and dask_address is not set")
        return self


class DiskSettings(Section):
    """When the guard of the disk acts: at so few days until full, or at so few percent free."""

    compact_below_days: float = Field(default=30, ge=0)
    """Compact the lake below so many days until full."""
    compact_below_percent: float = Field(default=20, ge=0, le=100)
    """Compact the lake below so many percent free."""
    archive_below_days: float = Field(default=21, ge=0)
    """Archive at once what is due below so many days until full."""
    archive_below_percent: float = Field(default=15, ge=0, le=100)
    """Archive at once what is due below so many percent free."""
    warn_below_days: float = Field(default=14, ge=0)
    """Warn below so many days until full."""
    warn_below_percent: float = Field(default=10, ge=0, le=100)
    """Warn below so many percent free."""

    @model_validator(mode="after")
    def _mild_steps_first(self) -> DiskSettings:
        days = (self.compact_below_days, self.archive_below_days, self.warn_below_days)
        percents = (self.compact_below_percent, self.archive_below_percent, self.warn_below_percent)
        if list(days) != sorted(days, reverse=True) or list(percents) != sorted(percents, reverse=True):
            raise ValueError("expected compact before archive before warn: no later step at more days or percent")
        return self


class StorageSettings(Section):
    """Where data lives on this host, and how batch work over it is spread."""

    data_directory: Path = Path("var/lodeline")
    """Folder of spool, state, lake and locks. Goes over ``general.data_directory`` of data_collection_config.yaml."""
    influx: InfluxSettings | None = None
    """InfluxDB to store into; none where nothing is set."""
    lake: LakeSettings = LakeSettings()
    spool: SpoolSettings = SpoolSettings()
    batch: BatchSettings = BatchSettings()
    disk: DiskSettings = DiskSettings()

    @property
    def spool_directory(self) -> Path:
        """Folder of the lanes."""
        return self.data_directory / "spool"

    @property
    def state_directory(self) -> Path:
        """Folder of tick reports."""
        return self.data_directory / "state"

    @property
    def lock_directory(self) -> Path:
        """Folder of the batons of shifts."""
        return self.data_directory / "locks"

    @property
    def online_features_file(self) -> Path:
        """Newest features of every entity."""
        return self.data_directory / ONLINE_FEATURES

    @property
    def lake_directory(self) -> Path:
        """Folder of the lake's tables, where it is on a disk."""
        return self.lake.directory or self.data_directory / "lake"

    @property
    def lake_address(self) -> str:
        """Where the lake is, for people."""
        return self.lake.uri or str(self.lake_directory)


Host = TypeVar("Host", bound=StorageSettings)


def load_storage_settings(
    model: type[Host],
    environ: Mapping[str, str],
    resolve: Resolver,
    *,
    data_directory: Path | None = None,
    storage_base_path: str | None = None,
) -> Host:
    """Read ``model`` (StorageSettings, or more) from ``LODELINE_...``; folders come out absolute.

    ``data_directory`` and ``storage_base_path`` are what the configuration files say; they count where no variable
    says otherwise. LODELINE_DATA_DIRECTORY moves the lake along.

    Raises:
        ConfigurationError: all faults of the variables.
    """
    settings = load(model, None, resolve, prefix=PREFIX, environ=environ)
    moved = "data_directory" in settings.model_fields_set
    root = settings.data_directory if moved else data_directory or settings.data_directory
    root = root.expanduser().absolute()
    directory, uri = settings.lake.directory, settings.lake.uri
    if directory is None and uri is None and storage_base_path is not None and not moved:
        if storage_base_path.startswith("s3://"):
            uri = f"{storage_base_path}/lake"
        else:
            directory = Path(storage_base_path) / "lake"
    if uri is None:
        directory = (directory or root / "lake").expanduser().absolute()
    lake_settings = settings.lake.model_copy(update={"directory": directory, "uri": uri})
    return settings.model_copy(update={"data_directory": root, "lake": lake_settings})
