"""No secret of any source is anywhere: every service repeats what it knows, then all that was written is searched.

A flow's log on the Prefect server has what these loggers say, and its states have counts only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from deployments.farm.http import Request, Response
from deployments.farm.markets.service import Service
from storage.lake.sink import LakeSink
from storage.settings import StorageSettings
from storage.spool.lane import Lane, LaneReader
from tasks.collection_settings import CollectionSettings
from tasks.market.sources import open_market_sources
from tasks.miners.collection import open_collection
from tasks.miners.redaction import Redaction, as_text
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.stream import ProhashingStream
from tasks.pools.sources import open_pool_sources
from tasks.shift.journal import Journal
from tasks.shift.log import LOGGERS, log_to
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tasks.sources.collection import SourceCollection
from tasks.sources.source import Source
from tests.prohashing.fake_router import fake_router
from tests.prohashing.listening import QUICK
from tests.secrets.mirror import MODES, TOKEN, forms, respond

SLOT = 1_790_000_100
A_YEAR = 8_640_000
"""Longer than any wait that a refusal brings."""


def planted(name: str) -> str:
    """A secret of the alphabet of base64, since that is what keys are made of, which URLs write otherwise."""
    return f"Pl4nt/{name}+9a/7e=="


PASSWORD = 'Pl4nt "Pässw0rd" & more/1'
MINER_KEY = "Pl4ntK3yOfAMiner/+=9876543210abc"
TICKET = planted("ticket")


@dataclass
class Host:
    """A data directory, and what is found in it. ``known`` are secrets that a mirror without a name knows."""

    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)

    def plant(self, name: str, secret: str | None = None) -> str:
        """A new secret; the mirror of that name knows it, and no other."""
        self.secrets[name] = secret or planted(name)
        return self.secrets[name]

    @property
    def storage(self) -> StorageSettings:
        """Settings of this directory."""
        return StorageSettings(data_directory=self.folder)

    def written(self) -> Iterator[tuple[str, str]]:
        """Everything on disk as text, with the place: files as they are, and what is compressed in them."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes().decode("utf-8", "replace")
            if path.suffix == ".parquet":
                rows = pq.read_table(path).to_pydict()
                yield (
                    f"rows of {path.parent.parent.name}",
                    "\n".join(str(value) for column in rows.values() for value in column),
                )
        for lane in sorted((self.folder / "spool").iterdir()):
            frames = [frame for record in LaneReader(lane).records_after(0, 1_000_000) for frame in record.batch.frames]
            columns = [column for frame in frames for column in frame.columns.values()]
            yield f"spool {lane.name}", "\n".join(str(value) for column in columns for value in column)

    def places(self, log: str) -> dict[str, set[str]]:
        """Where any form of a secret is, and which of whom."""
        wanted = {
            f"{form} of {name}": text
            for name, one in self.secrets.items()
            for text, form in {text: form for form, text in reversed(forms(one).items())}.items()
        }
        found: dict[str, set[str]] = {}
        for place, text in [*self.written(), ("log", log)]:
            names = {name for name, form in wanted.items() if form in text}
            if names:
                found.setdefault(place, set()).update(names)
        return found

    def into_the_lake(self) -> None:
        """Deliver what was spooled."""
        for lane in sorted((self.folder / "spool").iterdir()):
            LakeSink(self.folder / "lake", "h").deliver(list(LaneReader(lane).records_after(0, 1_000_000)))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr("tasks.resilience.http.TRIES", 1)
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
    before = {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in LOGGERS}
    log_to(tmp_path / "logs" / "flow.log", "DEBUG")
    yield Host(tmp_path)
    for name, (level, handlers) in before.items():
        logger = logging.getLogger(name)
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
            logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.fixture
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Also what libraries say at their most talkative: an operator may set the root logger so."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "websockets")  # what our fake of a router says to itself


@contextmanager
def mirrored(host: Host) -> Iterator[tuple[Service, list[str]]]:
    """A mirror, and its mode as the only item of a list. Under the path of a name it knows the secret of that name."""
    mode = [MODES[0]]

    def answer(request: Request) -> Response:
        name = request.path.split("/")[1]
        return respond(request, mode[0], [host.secrets[name]] if name in host.secrets else host.known)

    yield Service(answer), mode


@asynccontextmanager
async def shift(host: Host, lane: str, sources: list[Source], clock: list[float]) -> AsyncIterator[SourceCollection]:
    with Lane.open(host.folder / "spool", lane, cap_bytes=1 << 24) as spool:
        recorder = Recorder(
            spool, host.folder / "spool" / lane, Journal(host.folder / "state", lane), host="h", store="embedded",
            sinks=["lake"], run_id="r",
        )  # fmt: skip
        collection = SourceCollection(
            sources,
            recorder,
            host.folder / "state",
            lane,
            last=None,
            host="h",
            run_id="r",
            patience_s=60.0,
            clock=lambda: clock[0],
        )
        try:
            yield collection
        finally:
            await collection.aclose()


async def ask_all(host: Host, lane: str, sections: Mapping[str, Any]) -> int:
    """Ask every source of ``sections`` in every mode of the mirror; how many requests came there."""
    settings = CollectionSettings.model_validate(sections["of"])
    state = host.folder / "state"
    sources = (
        open_pool_sources(settings, state=state)[0]
        if lane == "pools"
        else open_market_sources(settings.market_data, state=state)[0]
    )
    clock = [float(SLOT)]
    async with shift(host, lane, sources, clock) as collection:
        for number, mode in enumerate(MODES):
            sections["mode"][0] = mode
            clock[0] = SLOT + number * A_YEAR
            await collection.tick(Slot(int(clock[0])))
    return int(sections["service"].count)


def pools(host: Host, url: str, preset: str) -> dict[str, Any]:
    accounts = [
        {"id": kind, "kind": kind, "account": "farm", "api_key": host.plant(kind), "base_url": f"{url}/{kind}"}
        for kind in ("litecoinpool", "viabtc", "mining_dutch", "f2pool")
    ]
    http = {"base_url": f"{url}/prohashing/api/v1", "preset": preset}
    prohashing = {"api_key": host.plant("prohashing"), "account": "farm", "wamp": {"enabled": False}, "http": http}
    return {"pools": accounts, "prohashing": prohashing}


def markets(host: Host, url: str, plan: str) -> dict[str, Any]:
    explorers = ("mempool_space", "blockchain_info", "litesolo", "whattomine", "minerstat")
    network: dict[str, Any] = {name: {"base_url": f"{url}/{name}"} for name in explorers}
    network["minerstat"]["api_key"] = host.plant("minerstat")
    coins = ["bitcoin", "litecoin"]
    return {
        "market_data": {
            "coingecko": {
                "api_key": host.plant("coingecko"),
                "plan": plan,
                "coins": coins,
                "base_url": f"{url}/coingecko",
            },
            "coinmarketcap": {"api_key": host.plant("coinmarketcap"), "base_url": f"{url}/coinmarketcap"},
            "network": network,
        }
    }


def leaks(host: Host, caplog: pytest.LogCaptureFixture) -> dict[str, set[str]]:
    host.into_the_lake()
    return host.places(caplog.text)


@pytest.mark.usefixtures("everything_is_logged")
@pytest.mark.parametrize("preset", ["documented", "live"])
async def test_of_pools(host: Host, preset: str, caplog: pytest.LogCaptureFixture) -> None:
    with mirrored(host) as (service, mode):
        async with service:
            sections = {"of": pools(host, service.url, preset), "mode": mode, "service": service}
            assert await ask_all(host, "pools", sections) >= 5 * len(MODES)
    assert leaks(host, caplog) == {}
    assert "***" in caplog.text


@pytest.mark.usefixtures("everything_is_logged")
@pytest.mark.parametrize("plan", ["demo", "pro"])
async def test_of_markets(host: Host, plan: str, caplog: pytest.LogCaptureFixture) -> None:
    with mirrored(host) as (service, mode):
        async with service:
            sections = {"of": markets(host, service.url, plan), "mode": mode, "service": service}
            assert await ask_all(host, "market", sections) >= 7 * len(MODES)
    assert leaks(host, caplog) == {}


@pytest.mark.usefixtures("everything_is_logged")
async def test_of_miners(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.plant("password", PASSWORD), host.plant("key", MINER_KEY), host.plant("token", TOKEN)
    with mirrored(host) as (service, mode):
        async with service:
            at = {"ip": "127.0.0.1", "port": int(service.url.rpartition(":")[2]), "model": "S19"}
            login = {"username": "root", "password": PASSWORD}
            miners = [
                {"id": f"{driver} {number}", "driver": driver, **at, **how}
                for number, (driver, how) in enumerate(
                    [
                        ("vnish-rest", {"password": PASSWORD}), ("vnish-rest", {"api_key": MINER_KEY}),
                        ("vnish-cgi", login), ("antminer-stock", login), ("antminer-legacy", login), ("auto", login),
                    ]
                )
            ]  # fmt: skip
            settings = CollectionSettings.model_validate({"fleet": {"retries": 0}}).fleet
            for number, how in enumerate(MODES):
                mode[0] = how
                for each in miners:  # one address may be there once: they are polled one after the other
                    (one,) = CollectionSettings.model_validate({"miners": [each]}).miners
                    host.known = [str(each.get("password", MINER_KEY))]
                    async with open_collection(
                        [one], limits=settings, storage=host.storage, host="h", sinks=["lake"], run_id="r"
                    ) as collection:
                        await collection.tick(Slot(SLOT + number * A_YEAR))
    assert leaks(host, caplog) == {}
    assert any(TOKEN in value for request in service.asked for value in request.headers.values())
    assert "***" in repr(list(host.written()))


@pytest.mark.usefixtures("everything_is_logged")
async def test_of_a_router(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """WAMP: events, errors and a farewell that repeat the account's key and the ticket."""
    key = host.plant("key")
    host.plant("ticket", TICKET)
    every = " ".join(form for secret in host.secrets.values() for form in forms(secret).values())
    async with fake_router() as router:
        said = {"url": router.url, "auth": "ticket", "auth_id": "farm", "auth_secret": TICKET,
                "subscriptions": ["miner_update_diffs_{api_key}", "profitability_updates"]}  # fmt: skip
        settings = ProhashingSettings.model_validate({"api_key": key, "wamp": said})
        link = Link("p")
        stream = ProhashingStream(settings, link, PriceGuard(host.folder, "p"), timing=QUICK)
        clock = [float(SLOT)]
        async with shift(host, "pools", [], clock) as collection:
            running = asyncio.create_task(stream.run(collection.push))
            async with asyncio.timeout(30):
                while not link.live:  # noqa: ASYNC110  # states of a connection, nobody to notify us
                    await asyncio.sleep(0.01)
                topic = f"miner_update_diffs_{key}"
                for payload in (
                    {"uuid": "u1", "miner_name": "w1", "algorithm_name": "Scrypt", "hashrate": 1.0, "note": every},
                    {"uuid": every, "hashrate": every}, every, [every],
                ):  # fmt: skip
                    await router.publish(topic, payload)
                await router.publish("profitability_updates", {"1": {"usd": every}, every: {"usd": 0.0025}})
                while link.malformed < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await router.send(f'[3,{{"message":"{TICKET} {key}"}},"wamp.close.{TICKET}.{key}"]')
                while link.connections < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert leaks(host, caplog) == {}
    assert "***" in caplog.text


@pytest.mark.usefixtures("everything_is_logged")
async def test_the_search_finds_what_is_not_masked(
    host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without redaction the same ways leave secrets in the log, in the spool, in the lake and in the state."""
    monkeypatch.setattr(Redaction, "text", lambda _, body: as_text(body))
    with mirrored(host) as (service, mode):
        async with service:
            sections = {"of": pools(host, service.url, "live"), "mode": mode, "service": service}
            await ask_all(host, "pools", sections)
    found = leaks(host, caplog)
    assert {"log", "logs/flow.log", "spool pools", "state/pools.sources.json"} <= set(found)
    assert any(place.startswith("rows of ") for place in found)
