from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import BUCKETS
from storage.influx.settings import InfluxSettings
from tests.influx.server import InfluxServer


@pytest.fixture
def influx_server(tmp_path: Path) -> Iterator[InfluxServer]:
    """A server to be stopped and paused. Its databases have no retention, for the dates of tests are fixed."""
    server = InfluxServer(tmp_path / "influxd").start()
    server.query("; ".join(f'CREATE DATABASE "{name}"' for name in BUCKETS))
    yield server
    server.stop()


@pytest.fixture(params=["lake", pytest.param("influxdb", marks=pytest.mark.influx)])
def influx(request: Any) -> InfluxSettings | None:
    """What a collector stores into: None for the lake."""
    if request.param == "lake":
        return None
    return InfluxSettings(url=request.getfixturevalue("influx_server").url, timeout_s=5)
