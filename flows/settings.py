"""What a flow has to know, read once per run: the folder of configuration, ``LODELINE_...``, secrets."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from flows.secret_blocks import from_secret_block
from storage import retention_settings
from storage.audit.configuration import note_configuration
from storage.audit.trail import Trail
from storage.configuration import usual_resolver
from storage.configuration.folder import files_in
from storage.errors import ConfigurationError
from storage.retention_settings import RetentionSettings, load_retention_settings
from storage.settings import StorageSettings, load_storage_settings
from tasks import collection_settings
from tasks.abacus import settings as abacus_settings
from tasks.abacus.settings import (
    AbacusSettings,
    RealTimeSettings,
    load_abacus_settings,
    load_real_time_settings,
)
from tasks.collection_settings import CollectionSettings, load_collection_settings
from tasks.shift.log import log_to

_LOG = logging.getLogger(__name__)
_FILES = (collection_settings.FILE_NAME, retention_settings.FILE_NAME, abacus_settings.FILE_NAME)


@dataclass(frozen=True)
class FlowSettings:
    """Settings of this host; secrets in them are resolved. ``host`` is the name of this machine."""

    collection: CollectionSettings
    retention: RetentionSettings
    storage: StorageSettings
    host: str


async def load(flow: str, config: str | None) -> FlowSettings:
    """Read the folder ``config`` (None: LODELINE_CONFIG, else defaults), and log to ``<data>/logs/<flow>.log``.

    Here every run comes by, so here the audit trail learns what changed in the configuration.

    Raises:
        ConfigurationError: all faults of the file that is wrong.
        TryAgain: a secret is in a Prefect block, and the server does not answer.
    """
    settings = await asyncio.to_thread(_load, config or os.environ.get("LODELINE_CONFIG"))
    storage = settings.storage
    log_to(storage.data_directory / "logs" / f"{flow}.log", settings.collection.general.log_level)
    sections = {
        collection_settings.FILE_NAME: settings.collection,
        retention_settings.FILE_NAME: settings.retention,
        "LODELINE_ variables": storage,
    }
    trail = Trail.open(storage.data_directory, settings.host)
    await asyncio.to_thread(note_configuration, trail, storage.state_directory, sections, actor=f"flow {flow}")
    return settings


async def load_abacus(config: str | None) -> AbacusSettings | None:
    """Read what goes to Abacus.AI; None: nothing. Apart from the rest, which a fault of it shall not stop.

    Raises:
        ConfigurationError: all faults of the file.
        TryAgain: a secret is in a Prefect block, and the server does not answer.
    """

    def read() -> AbacusSettings | None:
        folder = config or os.environ.get("LODELINE_CONFIG")
        file = files_in(Path(folder) if folder else None, _FILES)[abacus_settings.FILE_NAME]
        return load_abacus_settings(file, os.environ, usual_resolver(os.environ, from_secret_block))

    return await asyncio.to_thread(read)


async def load_real_time(config: str | None) -> RealTimeSettings:
    """Read how anomalies are looked for, from the same file, without the secrets of its other sections.

    Raises:
        ConfigurationError: all faults of this section.
    """

    def read() -> RealTimeSettings:
        folder = config or os.environ.get("LODELINE_CONFIG")
        file = files_in(Path(folder) if folder else None, _FILES)[abacus_settings.FILE_NAME]
        return load_real_time_settings(file, os.environ)

    return await asyncio.to_thread(read)


async def real_time_or_default(config: str | None) -> RealTimeSettings:
    """The same; where its file has a fault, that is logged and the defaults hold: what miners are odd is worth less
    than their readings."""
    try:
        return await load_real_time(config)
    except ConfigurationError as error:
        _LOG.error("anomalies are looked for with the default settings, since the file has a fault: %s", error)
        return RealTimeSettings()


def _load(config: str | None) -> FlowSettings:
    files = files_in(Path(config) if config else None, _FILES)
    resolve = usual_resolver(os.environ, from_secret_block)
    collection = load_collection_settings(files[collection_settings.FILE_NAME], os.environ, resolve)
    retention = load_retention_settings(files[retention_settings.FILE_NAME], os.environ, resolve)
    storage = load_storage_settings(
        StorageSettings,
        os.environ,
        resolve,
        data_directory=collection.general.data_directory,
        storage_base_path=retention.general.storage_base_path,
    )
    return FlowSettings(collection, retention, storage, socket.gethostname())
