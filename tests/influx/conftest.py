from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.declaration import BUCKETS
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.influx.store import InfluxStore
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
    """Settings of a server whose declared databases exist, empty and without retention (fixed dates would age out)."""
    return emptied(influx_server)


@pytest.fixture(scope="module")
def influx_of_module(influx_server: InfluxServer) -> InfluxSettings:
    """The same, emptied once: for tests that look at what no other one of the module writes."""
    return emptied(influx_server)


def emptied(influx_server: InfluxServer) -> InfluxSettings:
    """Empty the declared databases, those that are not empty."""
    asked = "; ".join(["SHOW DATABASES", *(f'SHOW MEASUREMENTS ON "{name}"' for name in BUCKETS)])
    listed, *measurements = influx_server.query(asked)["results"]
    existing = {row[0] for row in listed["series"][0].get("values", ())}
    empty = {name for name, result in zip(BUCKETS, measurements, strict=True) if "series" not in result}
    for name in set(BUCKETS) - (existing & empty):
        influx_server.query(f'DROP DATABASE "{name}"; CREATE DATABASE "{name}"')
    return InfluxSettings(url=influx_server.url)


@pytest.fixture
def store(influx: InfluxSettings) -> Iterator[InfluxStore]:
    one = InfluxStore(influx)
    yield one
    one.close()


@pytest.fixture
def sink(influx: InfluxSettings) -> Iterator[InfluxSink]:
    one = InfluxSink(influx, "host-1")
    yield one
    one.close()
