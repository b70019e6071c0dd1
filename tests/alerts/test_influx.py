"""The watch on a real InfluxDB: what it finds there, and its history written back."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.declaration.event import ALERT_EVENT
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from tasks.alerts.book import Book
from tasks.alerts.settings import AlertSettings
from tasks.alerts.watch import Watch
from tests.alerts.shelf import rows
from tests.alerts.world import MATCH, WELL, T, miner
from tests.influx.conftest import influx, influx_server

__all__ = ["influx", "influx_server"]

pytestmark = pytest.mark.influx
IDS = {"miner_id": "m1", "model": "S19", "site": "north"}


def test_a_look_at_influxdb_asks_every_rule_and_keeps_its_history_there(influx: InfluxSettings, tmp_path: Path) -> None:
    store = InfluxStore(influx)
    store.write(
        [
            rows("miner_telemetry", IDS | WELL | {"state": "failed", "failure": None}, time=T),
            rows("miner_fan", IDS | {"fan": "1", "status": "lost"}, time=T),
            rows("worker_match", MATCH | {"status": "wrong_pool"}, time=T),
            rows("source_request", {"host": "h", "source": "s", "request": "r", "ok": True}, time=T),
        ]
    )
    immediately = {name: {"for_seconds": 0} for name in ("miner_failed", "fan_lost")}
    watch = Watch(
        lambda: InfluxStore(influx),
        tmp_path,
        miners=[miner("m1")],
        pool_ids=frozenset(),
        settings=AlertSettings.model_validate({"rules": immediately}),
        send=lambda _url, _message: None,
    )
    report = watch.look(T + 5.0)
    watch.close()
    book = Book.open(tmp_path / "state")
    look = book.last_look()
    assert look is not None
    assert (report.not_asked, look.not_asked) == (0, {})
    fired = {"miner_failed", "fan_lost", "work_astray"}
    assert {alert.rule for alert in book.alerts().values() if alert.firing} == fired
    assert book.unstored() == []
    assert set(store.newest(ALERT_EVENT, T)["rule"].to_pylist()) == fired
    book.close()
    store.close()
