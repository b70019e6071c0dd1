from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.declaration import BUCKETS
from storage.influx.settings import InfluxSettings
from tests.influx.server import InfluxServer


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[InfluxSettings]:
    """A server of its own that has the declared databases, without retention."""
    server = InfluxServer(tmp_path / "influxd")
    server.start()
    server.query("; ".join(f'CREATE DATABASE "{name}"' for name in BUCKETS))
    yield InfluxSettings(url=server.url)
    server.stop()
