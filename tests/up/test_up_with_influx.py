"""``lodeline up`` into Debian's InfluxDB, and what a person sees on its page, held against the farm's truth."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from storage.declaration import BUCKETS
from tests.influx.server import InfluxServer
from tests.page.browser import chromium, visitor
from tests.up.test_up import Up

_FACTORS = {"sha256d": ("TH/s", 1e12), "scrypt": ("GH/s", 1e9)}


@pytest.mark.prefect
@pytest.mark.influx
@pytest.mark.browser
def test_influxdb_has_it_all_and_the_page_agrees_with_the_farm(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path / "influxd").start()
    one = Up(tmp_path, "--for", "300", "--miners", "12", "--miners-only", LODELINE_INFLUX__URL=server.url)
    try:
        one.read_until("Page: ")
        address = next(line.removeprefix("Page: ") for line in one.lines if line.startswith("Page: "))
        one.read_until("Waiting for worker")
        with chromium() as chrome, visitor(chrome) as visit:
            page = visit.open(address)
            page.get_by_test_id("reachable").get_by_text("12 of 12").wait_for(timeout=120_000)
            shown = {algorithm: _hashrate_hs(page, algorithm) for algorithm in _FACTORS}
            truth = _truth(one.data)
            assert visit.faults == []
        for algorithm, told in shown.items():
            assert told == pytest.approx(truth[algorithm], rel=0.05), (shown, truth)
        assert one.end_now() == 0, one.text
        summary = json.loads(one.lines[-1])
        assert summary["store"] == "influxdb"
        assert summary["points_accepted"] == summary["points_stored"] > 0
        assert summary["backlog"] == 0
        (stored,) = server.rows("SELECT count(reachable) FROM miner_telemetry", "mining_raw")
        assert stored["count"] == summary["polls"]
        databases = server.query("SHOW DATABASES")["results"][0]["series"][0]["values"]
        assert {name for (name,) in databases} >= {name for name, bucket in BUCKETS.items() if bucket.in_influx}
    finally:
        one.process.kill()
        one.process.communicate()
        server.stop()


def _hashrate_hs(page: Page, algorithm: str) -> float:
    """The big number of the algorithm's tile, in H/s."""
    unit, factor = _FACTORS[algorithm]
    said = page.get_by_test_id(f"hashrate-{algorithm}").locator(".big").inner_text()
    number = re.fullmatch(rf"([\d,.]+) {unit}", said)
    assert number, said
    return float(number[1].replace(",", "")) * factor


def _truth(data: Path) -> dict[str, float]:
    """Hashrates that the farm itself holds to be true now."""
    ready = next(line for line in (data / "logs" / "farm.log").read_text().splitlines() if line.startswith("{"))
    fleet: dict[str, dict[str, float]] = httpx.get(f"{json.loads(ready)['control']}/fleet", trust_env=False).json()
    return fleet["hashrate_hs"]
