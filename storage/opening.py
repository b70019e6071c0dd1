"""Which stores and sinks a host has, from its settings. The one place that knows both InfluxDB and the lake.

With InfluxDB configured it is the store that is read, and the lake (where enabled) a second sink; without it the lake
is the embedded store and serves everything.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from storage.erasure.store import HonouringStore
from storage.erasure.tombstones import HonouringSink, Tombstones
from storage.errors import NeedsHuman
from storage.influx.sink import InfluxSink
from storage.settings import StorageSettings
from storage.sink import Sink
from storage.store import Store

if TYPE_CHECKING:
    from storage.lake.location import LakeLocation

_LAKE_PACKAGES = ("pyarrow", "deltalake", "duckdb")


def open_sinks(settings: StorageSettings, host: str) -> list[Sink]:
    """Every sink of this host; the first is the store that is read, whose books say what is *stored*.

    Raises:
        NeedsHuman: there is none, or the lake's packages are missing.
    """
    sinks: list[Sink] = []
    if settings.influx is not None:
        sinks.append(InfluxSink(settings.influx, host))
    if settings.lake.enabled:
        _require_lake("The lake is enabled")
        from storage.lake.sink import LakeSink  # needs the extra [lake]

        sinks.append(LakeSink(lake_location(settings), host))
    if not sinks:
        raise NeedsHuman(
            "Nothing to store into: no InfluxDB is configured and the lake is off",
            remedy="Set LODELINE_INFLUX__URL, or LODELINE_LAKE__ENABLED=true",
        )
    tombstones = Tombstones(settings.data_directory)
    return [HonouringSink(sink, tombstones) for sink in sinks]


def open_store(settings: StorageSettings) -> Store:
    """The store that is read and rolled up: InfluxDB where configured, else the embedded one.

    Raises:
        NeedsHuman: its packages are missing.
    """
    if settings.influx is not None:
        _require_lake("Reading needs Arrow")
        from storage.influx.store import InfluxStore  # reads into Arrow, which an edge host need not have

        return _honouring(InfluxStore(settings.influx), settings)
    _require_lake("The embedded store is used, since no InfluxDB is configured")
    from storage.lake.store import EmbeddedStore

    return _honouring(EmbeddedStore(lake_location(settings)), settings)


def open_lake(settings: StorageSettings) -> Store | None:
    """The lake of this host as a store, for what it alone keeps; None where it is off.

    Raises:
        NeedsHuman: its packages are missing.
    """
    if not settings.lake.enabled:
        return None
    _require_lake("The lake is enabled")
    from storage.lake.store import EmbeddedStore

    return _honouring(EmbeddedStore(lake_location(settings)), settings)


def open_past(settings: StorageSettings, as_of: int) -> Store:
    """The lake of this host as it was at ``as_of`` (Unix seconds), to be read only. Its reads raise NeedsHuman where
    that is further back than it can be read.

    Raises:
        NeedsHuman: it is off, or its packages are missing.
    """
    if not settings.lake.enabled:
        raise NeedsHuman("Only the lake can be read as of the past, and it is off here", remedy="Leave out --as-of")
    _require_lake("The lake is enabled")
    from storage.lake.store import EmbeddedStore

    return EmbeddedStore(lake_location(settings), as_of=as_of)


def lake_location(settings: StorageSettings) -> LakeLocation:
    """Where the lake of this host lies. Needs the extra [lake]; asks nobody.

    Raises:
        NeedsHuman: its packages are missing.
    """
    if settings.lake.uri is None:
        return settings.lake_directory
    _require_lake("The lake is on an object store")
    from storage.lake.object_store import ObjectLocation, ObjectStore

    bucket, _, key = settings.lake.uri.removeprefix("s3://").partition("/")
    lake = settings.lake
    store = ObjectStore(
        bucket, lake.region, lake.endpoint, lake.access_key_id, lake.secret_access_key, lake.session_token
    )
    return ObjectLocation(store, key)


def _honouring(store: Store, settings: StorageSettings) -> Store:
    return HonouringStore(store, Tombstones(settings.data_directory))


def _require_lake(why: str) -> None:
    missing = [name for name in _LAKE_PACKAGES if find_spec(name) is None]
    if missing:
        raise NeedsHuman(f"{why}, but {', '.join(missing)} is not installed", remedy="Install lodeline[lake]")
