"""``lodeline up`` with all that it simulates, into Debian's InfluxDB: from miners, pools and markets to stored rows, to
what a person sees on its page, held against the farm's truth, and back to nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from tests.influx.server import InfluxServer
from tests.page.browser import chromium, visitor
from tests.up.orphans import processes_of
from tests.up.test_up import Up

MINERS = 12
POOLS = {"litecoinpool", "prohashing", "mining_dutch", "f2pool", "viabtc"}
MARKETS = {"coingecko", "coinmarketcap", "minerstat", "mempool_space", "blockchain_info", "whattomine", "litesolo"}
_FACTORS = {"sha256d": ("TH/s", 1e12), "scrypt": ("GH/s", 1e9)}


@pytest.mark.prefect
@pytest.mark.influx
@pytest.mark.browser
def test_influxdb_has_it_all_and_the_page_agrees_with_the_farm(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path / "influxd").start()
    asked = ("--for", "300", "--miners", str(MINERS), "--with-fake-abacus")
    one = Up(tmp_path, *asked, LODELINE_INFLUX__URL=server.url)
    try:
        one.read_until("A FAKE of Abacus.AI listens at", "Page: ")
        address = next(line.removeprefix("Page: ") for line in one.lines if line.startswith("Page: "))
        one.read_until("Waiting for worker")
        with chromium() as chrome, visitor(chrome) as visit:
            page = visit.open(address)
            page.get_by_test_id("reachable").get_by_text(f"{MINERS} of {MINERS}").wait_for(timeout=120_000)
            shown = {algorithm: _hashrate_hs(page, algorithm) for algorithm in _FACTORS}
            truth = _truth(one.data)
            assert visit.faults == []
        for algorithm, told in shown.items():
            assert told == pytest.approx(truth[algorithm], rel=0.05), (shown, truth)
        one.read_until("pools: asked", "market: asked")
        one.await_answers("pools", "litecoinpool")
        one.await_answers("market", "coingecko", "coinmarketcap", "mempool.space", "litesolo")
        assert one.end_now() == 0, one.text
        summary = json.loads(one.lines[-1])
        assert summary["store"] == "influxdb"
        assert summary["polls"] >= 2 * MINERS
        assert summary["polls_failed"] == summary["points_dead_lettered"] == 0
        assert summary["flow_runs"]["completed"] >= 1
        assert not {"running", "failed", "crashed"} & summary["flow_runs"].keys()
        assert summary["urls"].keys() == {"fake_abacus", "farm", "prefect", "page"}
        # on a slow machine exports have begun by then; what they bring is tested in tests/abacus
        groups = {name.removesuffix("_online").removesuffix("_batches") for name in summary["fake_abacus"]}
        assert groups <= {"miner_telemetry", "pool_performance", "market_data"}
        assert summary["points_accepted"] == summary["points_stored"] > 0
        assert summary["backlog"] == 0
        (stored,) = server.rows("SELECT count(reachable) FROM miner_telemetry", "mining_raw")
        assert stored["count"] == summary["polls"]
        miners = tags(server, "miner_telemetry", "miner_id")
        assert len(miners) == MINERS

        # What stands around them is simulated too, and collected: the pools' workers are these miners.
        assert set(summary["simulated"]) == {"miners"} | POOLS | MARKETS
        assert summary["requests"].keys() == {"pools", "market"}
        for lane, sums in summary["requests"].items():
            assert (sums["asked"] > 0, sums["failed"]) == (True, 0), (lane, one.text)
        workers = tags(server, "pool_performance", "worker_id")
        assert workers
        assert workers <= {f"lodeline.{miner}" for miner in miners}
        assert tags(server, "market_data", "source") == {"coingecko", "coinmarketcap"}
        assert {"mempool.space", "litesolo"} <= tags(server, "network_data", "source")
        assert "litecoinpool" in tags(server, "pool_account", "pool_id")
        databases = server.query("SHOW DATABASES")["results"][0]["series"][0]["values"]
        assert {name for (name,) in databases} >= {name for name, bucket in BUCKETS.items() if bucket.in_influx}
        assert processes_of(one.data) == []
    finally:
        one.process.kill()
        one.process.communicate()
        server.stop()


def tags(server: InfluxServer, measurement: str, tag: str) -> set[str]:
    """Values of ``tag`` that are stored."""
    (database,) = {MEASUREMENTS[measurement].buckets[Tier.RAW]}
    asked = f'SHOW TAG VALUES ON "{database}" FROM "{measurement}" WITH KEY = "{tag}"'
    series = server.query(asked)["results"][0].get("series", [{"values": []}])
    return {value for one in series for _, value in one["values"]}


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
