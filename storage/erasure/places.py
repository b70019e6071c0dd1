"""Where a host keeps what an erasure has to look at."""

from __future__ import annotations

from storage.erasure.run import Places
from storage.opening import lake_location
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings


def places_of(storage: StorageSettings, retention: RetentionSettings) -> Places:
    """Folders and stores of a host by its settings.

    Raises:
        NeedsHuman: the packages of its lake are missing.
    """
    return Places(storage.data_directory, lake_location(storage), retention.general.archive_base_path, storage.influx)
