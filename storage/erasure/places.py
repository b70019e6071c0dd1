"""Where a host keeps what an erasure has to look at."""

from __future__ import annotations

from pathlib import Path

from storage.erasure.run import Places
from storage.errors import NeedsHuman
from storage.opening import lake_location
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings


def places_of(storage: StorageSettings, retention: RetentionSettings) -> Places:
    """Folders and stores of a host by its settings.

    Raises:
        NeedsHuman: its lake is on an object store.
    """
    lake = lake_location(storage)
    if not isinstance(lake, Path):
        raise NeedsHuman(
            f"the lake is at {lake}, and erasing works on a disk only",
            remedy="Copy the lake to a disk, erase there with LODELINE_LAKE__DIRECTORY, and copy it back",
        )
    return Places(storage.data_directory, lake, retention.general.archive_base_path, storage.influx)
