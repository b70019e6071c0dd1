"""The same day in a real InfluxDB gives the same report, word for word and line for line."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from tasks.reports.figures import gather
from tasks.reports.page import as_html
from tests.influx.conftest import influx, influx_server
from tests.reports.day import DAY, FLEET, NOW, fill

__all__ = ["influx", "influx_server"]

pytestmark = pytest.mark.influx


def test_the_report_is_the_same(influx: InfluxSettings, tmp_path: Path) -> None:
    pages = []
    for store in (EmbeddedStore(tmp_path / "lake"), InfluxStore(influx)):
        fill(store)
        pages.append(as_html(gather(store, FLEET, DAY, NOW)))
        store.close()
    assert pages[1] == pages[0]
    assert "7.20 USD" in pages[0]
