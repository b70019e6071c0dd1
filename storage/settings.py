"""What a host is told by ``LODELINE_...`` variables about where its data lives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from storage.configuration import Resolver, Section, load
from storage.influx.settings import InfluxSettings

PREFIX = "LODELINE_"


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


class StorageSettings(Section):
    """Where data lives on this host."""

    data_directory: Path = Path("var/lodeline")
    """Folder of spool, state, lake and locks. Goes over ``general.data_directory`` of data_collection_config.yaml."""
    influx: InfluxSettings | None = None
    """InfluxDB to store into; none where nothing is set."""
    lake: LakeSettings = LakeSettings()
    spool: SpoolSettings = SpoolSettings()

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
    def lake_directory(self) -> Path:
        """Folder of the lake's tables."""
        return self.lake.directory or self.data_directory / "lake"


Host = TypeVar("Host", bound=StorageSettings)


def load_storage_settings(
    model: type[Host],
    environ: Mapping[str, str],
    resolve: Resolver,
    *,
    data_directory: Path | None = None,
    storage_base_path: Path | None = None,
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
    lake = settings.lake.directory
    if lake is None and storage_base_path is not None and not moved:
        lake = storage_base_path / "lake"
    lake = (lake or root / "lake").expanduser().absolute()
    lake_settings = settings.lake.model_copy(update={"directory": lake})
    return settings.model_copy(update={"data_directory": root, "lake": lake_settings})
