"""Rows of pools and markets are traced to request, run and answers; what is gone, or open, is said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deployments.command import app
from deployments.farm.markets.coingecko import FakeCoinGecko
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, Account
from deployments.farm.pools.f2pool import FakeF2pool
from storage.declaration import MEASUREMENTS, Tier
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from storage.settings import StorageSettings
from storage.spool.reader import LaneReader
from tasks.pools.prohashing.watch import EVERY_S, NAME
from tasks.shift.slots import Slot
from tasks.sources.collection import open_sources
from tests.market.accounts import KEY as GECKO_KEY
from tests.market.accounts import coingecko
from tests.pools.test_on_fake_pools import KEY, NOW, farm
from tests.pools.test_on_fake_pools import source as pool_source

AT = int(NOW) // 15 * 15
"""Slot of the collection: 2026-09-21 14:55:00 UTC."""
LATER = AT + 3_600
RUN = "run-4711"
SENT = AT + 3_607
"""Second in which a stream pushed; the watch over its connection was asked 7 s before."""


async def collected(folder: Path) -> None:
    """A pool and a provider of prices asked for all they tell at AT, and again an hour later; spooled and stored."""
    settings = StorageSettings(data_directory=folder)
    fake_pool = FakeF2pool(Account(farm(), "sha256d", key=KEY))
    fake_gecko = FakeCoinGecko(key=GECKO_KEY, clock=lambda: float(AT))
    async with fake_pool.service() as pool, fake_gecko.service() as gecko:
        await shifts(settings, pool, gecko)
    store = EmbeddedStore(folder / "lake")
    for record in LaneReader(settings.spool_directory / "pools").records_after(0, 1_000):
        store.write(record.batch.frames)
    store.write(streamed())
    store.close()


async def shifts(settings: StorageSettings, pool: Service, gecko: Service) -> None:
    state = settings.state_directory
    sources = [pool_source("f2pool", pool.url, state), coingecko(state, base_url=gecko.url, coins=("bitcoin",))]
    async with open_sources(
        "pools", sources, storage=settings, host="north", sinks=["lake"], run_id=RUN, clock=lambda: NOW
    ) as shift:
        for slot in (AT, LATER):
            await shift.tick(Slot(slot))
    for source in sources:
        await source.aclose()


def streamed() -> list[Any]:
    """What a stream sent in one second, and the watch over its connection before."""
    worker: dict[str, list[Value]] = {
        "pool_id": ["prohashing"], "worker_id": ["farm.a"], "algorithm": ["scrypt"], "hashrate_effective_hs": [9.5e9],
    }  # fmt: skip
    body = '[{"miner_name":"a"}]'
    kept: dict[str, list[Value]] = {
        "source": ["prohashing"] * 2, "request": ["wamp workers", "wamp balances"], "page": ["1"] * 2,
        "body": [body, "[]"], "sha256": [hashlib.sha256(body.encode()).hexdigest(), None], "size": [20, 2],
        "address": ["wss://127.0.0.1/ws"] * 2, "version": ["1"] * 2, "received_ms": [SENT * 1000 + 250] * 2,
    }  # fmt: skip
    watch: dict[str, list[Value]] = {
        "host": ["north"], "source": [NAME], "request": ["connection"], "ok": [True], "run_id": ["run-of-stream"],
    }  # fmt: skip
    return [
        build_frame("pool_performance", [SENT], worker),
        build_frame("source_payload", [SENT] * 2, kept),
        build_frame("source_request", [SENT - 7], watch),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collected")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
        asyncio.run(collected(folder))
    return folder


@pytest.fixture
def data(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(made))
    monkeypatch.setattr("time.time", lambda: LATER + 3_600.0)
    return made


@pytest.fixture
def copy(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to take something away from."""
    shutil.copytree(data, tmp_path / "copy")
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "copy"))
    return tmp_path / "copy"


def run(*arguments: str) -> Result:
    return CliRunner(env={"LODELINE_CONFIG": None, "COLUMNS": "200"}).invoke(app, list(arguments))


def traced(measurement: str, at: int, *where: str) -> dict[str, Any]:
    conditions = [part for one in where for part in ("--where", one)]
    result = run("trace", measurement, *conditions, "--at", str(at), "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def bodies(data: Path, source: str, request: str, slot: int) -> list[str]:
    store = EmbeddedStore(data / "lake")
    where = {"source": source, "request": request}
    kept = store.read(MEASUREMENTS["source_payload"], Tier.RAW, slot, slot + 1, where=where).to_pylist()
    store.close()
    return [row["body"] for row in sorted(kept, key=lambda row: int(row["page"]))]


def test_a_worker_of_a_pool(data: Path) -> None:
    found = traced("pool_performance", AT + 60, "pool_id=p")
    assert (found["source"], found["time"], found["store"], found["notes"]) == ("p", AT, "embedded", [])
    (asked,) = found["requests"]
    # payouts were asked at the same slot and bring no workers
    assert {name: asked[name] for name in ("slot", "source", "request", "host", "run_id", "ok", "failure")} == {
        "slot": AT, "source": "p", "request": "workers", "host": "north", "run_id": RUN, "ok": True, "failure": None,
    }  # fmt: skip
    assert asked["latency_ms"] > 0
    # its three answers: hashrate, list of workers, balance
    assert [answer["page"] for answer in asked["answers"]] == ["1", "2", "3"]
    assert ["hash_rate/info" in answer["address"] for answer in asked["answers"]] == [True, False, False]
    assert [answer["sha256"] for answer in asked["answers"]] == [
        hashlib.sha256(body.encode()).hexdigest() for body in bodies(data, "p", "workers", AT)
    ]
    assert all("body" not in answer for answer in asked["answers"])
    worker = found["rows"][0]["worker_id"]
    (row,) = traced("pool_performance", AT + 60, "pool_id=p", f"worker_id={worker}")["rows"]
    assert row == found["rows"][0]
    assert traced("pool_performance", LATER, "pool_id=p")["time"] == LATER


def test_in_words(data: Path) -> None:
    result = run("trace", "pool_account", "--at", "2026-09-21T14:20:00Z")
    assert result.exit_code == 0, result.output
    for said in ("pool_account of p at 2026-09-21 14:15:00 UTC, in embedded",
                 "told by   p, workers, at 2026-09-21 14:15:00 UTC by north: ", f"by run    {RUN}",
                 "answer    page 1 of http://127.0.0.1:"):  # fmt: skip
        assert said in result.stdout


def test_a_price_that_two_requests_told(data: Path) -> None:
    found = traced("market_data", AT, "coin_id=bitcoin")
    assert [asked["request"] for asked in found["requests"]] == ["market_data", "simple_price"]
    assert any("does not say which one told what" in note for note in found["notes"])


def test_a_payout_is_found_by_its_reference(data: Path) -> None:
    found = traced("pool_payout", AT)
    (row,) = found["rows"]
    assert row["time"] == found["time"] < AT, "when the pool paid"
    (asked,) = found["requests"]
    assert (asked["request"], asked["slot"]) == ("payouts", AT)
    (text,) = bodies(data, "p", "payouts", AT)
    assert row["reference"] in text
    assert asked["answers"][0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert any("oldest kept answer that names its reference" in note for note in found["notes"])
    assert any("usd_at_receipt is worked out afterwards" in note for note in found["notes"])


def test_a_close_is_told_by_the_history_of_its_coin(data: Path) -> None:
    found = traced("daily_close", AT, "coin_id=bitcoin")
    assert found["time"] == AT // DAY_S * DAY_S - DAY_S, "of the day before"
    assert [(asked["request"], asked["slot"]) for asked in found["requests"]] == [("historical.bitcoin", AT)]
    assert "its time is the source's own" in found["notes"][0]


def test_what_a_stream_sent_has_no_request(data: Path) -> None:
    found = traced("pool_performance", SENT, "pool_id=prohashing")
    (sent,) = found["requests"]
    assert (sent["request"], sent["ok"], sent["host"], sent["run_id"]) == (
        "wamp workers", None, "north", "run-of-stream",
    )  # fmt: skip
    (answer,) = sent["answers"]
    assert (answer["size"], answer["received_ms"]) == (20, SENT * 1000 + 250)
    # printf '[{"miner_name":"a"}]' | sha256sum
    assert answer["sha256"] == hashlib.sha256(b'[{"miner_name":"a"}]').hexdigest()
    assert any("over its stream, nobody asked" in note for note in found["notes"])
    said = run("trace", "pool_performance", "--where", "pool_id=prohashing", "--at", str(SENT)).stdout
    assert "wamp workers, at 2026-09-21 15:15:07 UTC by north: sent over the stream" in said
    assert "answer    page 1 of wss://127.0.0.1/ws: 20 bytes, sha256" in said
    assert EVERY_S > 7


def test_what_is_gone_is_said(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copy / "lake" / "mining_payload")
    found = traced("pool_performance", AT, "pool_id=p")
    assert found["requests"][0]["answers"] == []
    assert found["notes"] == [
        "workers: no answer is in the lake of this host: another host asked, or it needed no answer"
    ]
    assert "or sent over the stream" in traced("pool_performance", SENT, "pool_id=prohashing")["notes"][0]
    assert "no kept answer is known to have it" in traced("pool_payout", AT)["notes"][0]
    assert traced("pool_payout", AT)["requests"][0]["slot"] == AT, "the first that can have told it"
    monkeypatch.setattr("time.time", lambda: AT + 8.0 * DAY_S)
    assert "older than raw_data.miner_payloads" in traced("pool_performance", AT, "pool_id=p")["notes"][0]
    shutil.rmtree(copy / "lake" / "mining_operational")
    gone = traced("pool_performance", AT, "pool_id=p")
    assert gone["requests"] == []
    assert "older than mining_operational keeps, or not written by a shift" in gone["notes"][0]


def test_an_account_that_is_gone_comes_of_the_failure(copy: Path) -> None:
    at = LATER + 900
    account: dict[str, list[Value]] = {"pool_id": ["p"], "coin_id": ["bitcoin"], "status": ["refused"]}
    asked: dict[str, list[Value]] = {
        "host": ["north", "south"], "source": ["p"] * 2, "request": ["payouts"] * 2, "ok": [False] * 2,
        "failure": ["refused"] * 2, "run_id": ["a", "b"],
    }  # fmt: skip
    cached: dict[str, list[Value]] = {
        "host": ["north"], "source": ["coingecko"], "request": ["simple_price"], "ok": [True], "from_cache": [True],
        "age_s": [float(at - LATER)], "rows": [1],
    }  # fmt: skip
    price: dict[str, list[Value]] = {"source": ["coingecko"], "coin_id": ["bitcoin"], "price_usd": [1.0]}
    store = EmbeddedStore(copy / "lake")
    store.write([build_frame("pool_account", [at], account), build_frame("source_request", [at] * 2, asked)])
    store.write([build_frame("market_data", [at], price), build_frame("source_request", [at], cached)])
    store.close()
    found = traced("pool_account", at)
    assert [(one["host"], one["ok"], one["failure"]) for one in found["requests"]] == [
        ("north", False, "refused"), ("south", False, "refused"),
    ]  # fmt: skip
    assert any("several hosts asked" in note for note in found["notes"])
    of_cache = traced("market_data", at)
    assert of_cache["requests"][0]["answers"][0]["slot"] == LATER, "that of the request that fetched it"
    assert "one kept from before, 900 s old" in of_cache["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("market_dat", "--at", str(AT)), "Did you mean market_data"),
        (("market_data", "--where", "pool=p", "--at", str(AT)), "Take of its tags: coin_id, source"),
        (("market_data", "--miner", "m", "--at", str(AT)), "market_data has no tag miner_id"),
        (("market_data", "--where", "coin_id=nocoin", "--at", str(AT)), "no market_data, coin_id nocoin, before"),
        (("market_data", "--where", "coin_id", "--at", str(AT)), "'coin_id' is no condition"),
        (("miner_board", "--at", str(AT)), "Say which: --miner ID"),
        (("miner_board", "--miner", "a", "--where", "miner_id=b", "--at", str(AT)), "exclude each other"),
    ],
)
def test_a_users_mistakes(data: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("trace", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_several_sources_at_one_time(copy: Path) -> None:
    other: dict[str, list[Value]] = {"pool_id": ["q"], "coin_id": ["bitcoin"], "status": ["live"]}
    store = EmbeddedStore(copy / "lake")
    store.write([build_frame("pool_account", [LATER], other)])
    store.close()
    result = run("trace", "pool_account", "--at", str(LATER))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "several sources told pool_account then: p, q" in result.stderr
    assert "--where pool_id=p" in result.stderr
