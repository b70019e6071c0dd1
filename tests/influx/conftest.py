from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.declaration import BUCKETS
from storage.influx.settings import InfluxSettings
from tests.influx.server import InfluxServer


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory) -> Iterator[InfluxServer]:
    """Debian's influxd, shared: a test that stops, pauses or fills it starts one of its own."""
    server = InfluxServer(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def influx(influx_server: InfluxServer) -> InfluxSettings:
    """Settings of a server whose declared databases exist without retention, empty.

    Without retention, since fixed dates would age out of it.
    """
    for name in BUCKETS:
        influx_server.query(f'DROP DATABASE "{name}"')
        influx_server.query(f'CREATE DATABASE "{name}"')
    return InfluxSettings(url=influx_server.url)
