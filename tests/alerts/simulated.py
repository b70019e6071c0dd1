"""A simulated world under watch, hour by hour and without waiting: farm, pools and markets, the real collection of all
three into a spool, its delivery into an embedded store, what is derived from it, and the looks of the watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from deployments.farm.farm import Farm
from deployments.farm.faults import Fault
from deployments.farm.markets.service import FaultKind
from deployments.farm.models import DEFAULT_MIX, Algorithm, Variant
from deployments.farm.services import POOLS, ServiceFault, Services
from deployments.settings import Settings, load_settings
from storage.delivery.delivery import Delivery
from storage.downsample.run import roll_up
from storage.lake.store import EmbeddedStore
from storage.opening import open_sinks, open_store
from tasks.alerts.book import Book
from tasks.alerts.watch import Watch
from tasks.derive.anomaly.hourly import score_hours
from tasks.market.sources import open_market_sources
from tasks.miners.collection import MinerCollection, open_collection
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.pools.configured import expectations, pool_names
from tasks.pools.deriving import derive_pools
from tasks.pools.sources import open_pool_sources
from tasks.shift.slots import Slot
from tasks.sources.collection import SourceCollection, open_sources

T = 1_795_651_200
"""2026-11-26 00:00 UTC."""
HOUR_S = 3_600
LATE_S = 600
"""After the end of an hour, when what is derived of it is derived."""


STEP_S = 300
"""Seconds between two ticks, and looks."""


@dataclass(frozen=True)
class Script:
    """What befalls a farm: ``sites`` of miners that do not stand where the farm says, faults of miners (a start before
    T is their past), faults of ``services`` by the tick before which they begin (None: they end), and miners that
    nobody polls any more from the second tick on."""

    sites: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[tuple[str, Fault]] = ()
    services: Mapping[int, Mapping[str, FaultKind | None]] = field(default_factory=dict)
    cut_off: frozenset[str] = frozenset()


@dataclass(frozen=True)
class World:
    """What there is from ``begin`` on; ``script`` says what befalls it."""

    miners: int
    hours: float
    script: Callable[[Farm], Script] = lambda _farm: Script()
    pools: Mapping[Algorithm, Sequence[str]] = field(default_factory=lambda: POOLS)
    mix: Sequence[Variant] = DEFAULT_MIX
    seed: int = 5
    begin: int = T
    latency_ms: tuple[float, float] = (0.0, 0.0)
    restart_days: float | None = None

    def farm(self, clock: Callable[[], float]) -> Farm:
        """Its miners."""
        return Farm(
            self.miners,
            port=0,
            seed=self.seed,
            clock=clock,
            pools=self.pools,
            mix=self.mix,
            latency_ms=self.latency_ms,
            restart_days=self.restart_days,
        )


@dataclass(frozen=True)
class Seen:
    """What the watch has at the end: (rule, subject) of alerts that fire and are told; those that fire and are muted,
    with the reason; rules that could not be asked; (rule, subject) of every alert that ever fired."""

    loud: frozenset[tuple[str, str]]
    muted: Mapping[tuple[str, str], str]
    not_asked: Mapping[str, str]
    ever: frozenset[tuple[str, str]]


async def seen_after(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Let ``world`` go by under watch, and say what the watch has seen."""
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)  # paces are of the wall clock
    now = [float(world.begin)]
    farm = world.farm(lambda: now[0])
    async with farm, Services(farm) as services:
        script = world.script(farm)
        _configure(folder, farm, services, script)
        settings = _settings(folder)
        miners = settings.collection.miners
        watch = Watch(
            lambda: open_store(settings.host),
            folder / "data",
            miners=miners,
            pool_ids=settings.collection.pool_ids,
            settings=settings.collection.alerts,
            send=lambda _url, _message: None,
        )
        for miner_id, fault in script.faults:
            farm.inject(miner_id, fault)
        delivery = Delivery(settings.host.spool_directory, open_sinks(settings.host, "host"), "host")
        store = EmbeddedStore(settings.host.lake_directory)
        async with AsyncExitStack() as lanes:
            sources = await _open_sources(lanes, folder, lambda: now[0])
            fleet = await lanes.enter_async_context(_Fleet(folder))
            for slot in range(world.begin, world.begin + int(world.hours * HOUR_S) + 1, STEP_S):
                now[0] = float(slot)
                for service, kind in script.services.get(slot, {}).items():
                    if kind is None:
                        services.clear(service)
                    else:
                        services.inject(service, ServiceFault(kind=kind))
                farm.settle()
                await fleet.tick([one for one in miners if slot == world.begin or one.id not in script.cut_off], slot)
                await asyncio.gather(*(one.tick(Slot(slot)) for one in sources))
                await asyncio.to_thread(_deliver, delivery)
                if slot > T + HOUR_S and slot % HOUR_S == LATE_S:
                    await asyncio.to_thread(_derive, settings, store, slot)
                await asyncio.to_thread(watch.look, slot + 5.0)
        watch.close()
        delivery.close()
        store.close()
    return seen(folder / "data")


def _deliver(delivery: Delivery) -> None:
    while delivery.deliver_once():
        pass
    assert all(books.backlog == 0 for lane in delivery.books().values() for books in lane.values())


def _configure(folder: Path, farm: Farm, services: Services, script: Script) -> None:
    told = farm.configuration(STEP_S, services.configuration())
    for miner in told["miners"]:
        miner |= {"adaptive": False, "site": script.sites.get(miner["id"], miner["site"])}
    told["alerts"] = {"check_interval_seconds": STEP_S}
    (folder / "data_collection_config.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")


def _settings(folder: Path) -> Settings:
    return load_settings(folder, {"LODELINE_DATA_DIRECTORY": str(folder / "data")})


def seen(data: Path) -> Seen:
    """What the book of alerts says."""
    book = Book.open(data / "state")
    look = book.last_look()
    assert look is not None
    firing = {alert.id: (alert.rule, alert.subject) for alert in book.alerts().values() if alert.firing}
    found = Seen(
        frozenset(what for id_, what in firing.items() if id_ not in look.muted),
        {what: look.muted[id_] for id_, what in firing.items() if id_ in look.muted},
        look.not_asked,
        frozenset((change.alert.rule, change.alert.subject) for change in book.changes(0)),
    )
    book.close()
    return found


class _Fleet:
    """The collection of miners; opened anew when others are to be polled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._polled: list[str] = []
        self._stack = AsyncExitStack()
        self._collection: MinerCollection | None = None

    async def tick(self, miners: Sequence[MinerSettings], slot: int) -> None:
        if self._collection is None or self._polled != [one.id for one in miners]:
            await self._stack.aclose()
            storage = _settings(self._folder).host
            self._collection = await self._stack.enter_async_context(
                open_collection(
                    miners, limits=FleetSettings(), storage=storage, host="host", sinks=["lake"], run_id="run"
                )
            )
            self._polled = [one.id for one in miners]
        await self._collection.tick(Slot(slot))

    async def __aenter__(self) -> _Fleet:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def _open_sources(lanes: AsyncExitStack, folder: Path, clock: Callable[[], float]) -> list[SourceCollection]:
    settings = _settings(folder)
    state = settings.host.state_directory
    pools, _, _ = open_pool_sources(settings.collection, state=state)
    markets, budgets = open_market_sources(settings.collection.market_data, state=state)
    opened = []
    for lane, sources, kept in (("pools", pools, {}), ("market", markets, budgets)):
        one = open_sources(
            lane, sources, budgets=kept, storage=settings.host, host="host", sinks=["lake"], run_id="run", clock=clock
        )
        opened.append(await lanes.enter_async_context(one))
    return opened


def _derive(settings: Settings, store: EmbeddedStore, now: int) -> None:
    """What hourly flows do: roll-up, scores of anomalies, workers matched with miners."""
    collection = settings.collection
    roll_up(store, now)
    score_hours(store, [one.id for one in collection.miners], now)
    pools = pool_names(collection)
    derive_pools(store, now, pools, expectations(collection, pools))
