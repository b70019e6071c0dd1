"""What stands around a farm on the internet, over loopback: its pools, providers of prices, explorers of networks.

One world: a miner mines at one pool, a coin has one price and one network, and pools pay by both. A pool that no miner
mines at is left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Protocol

import msgspec

from deployments.farm.farm import Farm
from deployments.farm.markets.blockchain_info import FakeBlockchainInfo
from deployments.farm.markets.coingecko import FakeCoinGecko
from deployments.farm.markets.coinmarketcap import FakeCoinMarketCap
from deployments.farm.markets.litesolo import FakeLitesolo
from deployments.farm.markets.mempool_space import FakeMempoolSpace
from deployments.farm.markets.minerstat import FakeMinerstat
from deployments.farm.markets.service import FaultKind, Service
from deployments.farm.markets.whattomine import FakeWhatToMine
from deployments.farm.models import Algorithm
from deployments.farm.pools.account import NAME, Account
from deployments.farm.pools.f2pool import FakeF2pool
from deployments.farm.pools.litecoinpool import FakeLitecoinpool
from deployments.farm.pools.mining_dutch import FakeMiningDutch
from deployments.farm.pools.prohashing import FakeProhashing
from deployments.farm.pools.viabtc import FakeViabtc

POOLS: Mapping[Algorithm, Sequence[str]] = {
    "scrypt": ("litecoinpool", "prohashing", "mining_dutch"),
    "sha256d": ("f2pool", "viabtc"),
}
"""Pools by algorithm, for the farm to deal its miners out to."""

OFTEN_S, SELDOM_S, MONEY_S = 60, 300, 600
"""Seconds between requests of workers and prices, of what changes slowly, and of what was paid: more often than real
services are asked, so that there is something to see soon. Accounts have a plan that allows it."""


class Answering(Protocol):
    """A service of any kind, before it listens."""

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        ...


class ServiceFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with a service, from now on until it is cleared."""

    kind: FaultKind


class ServiceStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A service as it stands; ``asked``: requests so far."""

    service: str
    url: str
    fault: FaultKind | None
    asked: int


class _Pool(NamedTuple):
    """How a pool is simulated: ``fee`` is what it keeps, ``exchanged`` whether it pays everything in one coin."""

    fake: type[FakeLitecoinpool | FakeProhashing | FakeMiningDutch | FakeF2pool | FakeViabtc]
    coin: str
    fee: float
    exchanged: bool = False


_KINDS = {
    "litecoinpool": _Pool(FakeLitecoinpool, "litecoin", 0.0),
    "prohashing": _Pool(FakeProhashing, "litecoin", 0.0499, exchanged=True),
    "mining_dutch": _Pool(FakeMiningDutch, "litecoin", 0.02, exchanged=True),
    "f2pool": _Pool(FakeF2pool, "bitcoin", 0.025),
    "viabtc": _Pool(FakeViabtc, "bitcoin", 0.02),
}
_KEYLESS: dict[str, type[FakeMempoolSpace | FakeBlockchainInfo | FakeWhatToMine | FakeLitesolo]] = {
    "mempool_space": FakeMempoolSpace,
    "blockchain_info": FakeBlockchainInfo,
    "whattomine": FakeWhatToMine,
    "litesolo": FakeLitesolo,
}


class Services:
    """All services around ``farm``, which listen while the ``async with`` block runs. The farm was made with POOLS."""

    def __init__(self, farm: Farm) -> None:
        self._keys = random.Random(f"{farm.seed}/services")
        self._accounts = {
            name: Account(
                farm, algorithm, key=self._key(), pool=name, fee=_KINDS[name].fee, exchanged=_KINDS[name].exchanged
            )
            for algorithm, names in POOLS.items()
            for name in names
        }
        self._market_keys = {name: self._key() for name in ("coingecko", "coinmarketcap", "minerstat")}
        fakes: dict[str, Answering] = {
            name: _KINDS[name].fake(account) for name, account in self._accounts.items() if account.has_workers
        }
        fakes["coingecko"] = FakeCoinGecko(key=self._market_keys["coingecko"], clock=farm.clock)
        fakes["coinmarketcap"] = FakeCoinMarketCap(key=self._market_keys["coinmarketcap"], clock=farm.clock)
        fakes["minerstat"] = FakeMinerstat(key=self._market_keys["minerstat"], clock=farm.clock)
        for name, fake in _KEYLESS.items():
            fakes[name] = fake(clock=farm.clock)
        self._services = {name: fake.service() for name, fake in fakes.items()}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Services:
        """Listen, each on a free port of 127.0.0.1. Raises FarmError, and then none listens."""
        for name, account in self._accounts.items():  # with 1,000 miners it takes seconds, in which nobody would answer
            account.settled(_KINDS[name].coin)
        try:
            for service in self._services.values():
                await self._open.enter_async_context(service)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        await self._open.aclose()

    @property
    def names(self) -> list[str]:
        """What there is, as faults and configuration call it."""
        return list(self._services)

    def standings(self) -> list[ServiceStanding]:
        """How each stands."""
        return [
            ServiceStanding(service=name, url=one.url, fault=one.fault, asked=one.count)
            for name, one in self._services.items()
        ]

    def inject(self, name: str, fault: ServiceFault) -> ServiceFault:
        """Let a fault befall a service, in the place of the one that it has.

        Raises:
            KeyError: no such service.
        """
        self._service(name).fault = fault.kind
        return fault

    def clear(self, name: str | None = None, kind: str | None = None) -> int:
        """End the faults of a service (None: of all), of a kind (None: any). How many were ended.

        Raises:
            KeyError: no such service.
        """
        faulty = [
            service
            for service in (self._services.values() if name is None else [self._service(name)])
            if service.fault is not None and kind in (None, service.fault)
        ]
        for service in faulty:
            service.fault = None
        return len(faulty)

    def configuration(self) -> dict[str, Any]:
        """The sections of data_collection_config.yaml that make Lodeline ask these services and no others."""
        prohashing = "prohashing" in self._services
        return {
            "market_data": {
                "coingecko": {
                    **self._keyed("coingecko"),
                    "plan": "pro",
                    "polling_intervals": {"simple_price": OFTEN_S, "market_data": SELDOM_S},
                },
                "coinmarketcap": {
                    **self._keyed("coinmarketcap"),
                    "tier": "hobbyist",
                    "polling_intervals": {"listings": SELDOM_S, "global_metrics": MONEY_S},
                },
                "network": {
                    "minerstat": {**self._keyed("minerstat"), "polling_interval": SELDOM_S},
                    **{name: {**self._at(name), "polling_interval": SELDOM_S} for name in _KEYLESS},
                },
            },
            "pools": [self._pool(name) for name in self._accounts if name in self._services and name != "prohashing"],
            **({"prohashing": self._prohashing()} if prohashing else {}),
        }

    def _pool(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "kind": name,
            "account": NAME,
            "api_key": self._accounts[name].key,
            "coins": [_KINDS[name].coin],
            **self._at(name),
            "polling_intervals": {"workers": OFTEN_S, "profitability": SELDOM_S, "payouts": MONEY_S},
        }

    def _prohashing(self) -> dict[str, Any]:
        intervals = {"status": SELDOM_S, "profitability": SELDOM_S, "workers": OFTEN_S, "payouts": MONEY_S}
        return {
            "api_key": self._accounts["prohashing"].key,
            "account": NAME,
            "wamp": {"enabled": False},
            "http": {"base_url": f"{self._services['prohashing'].url}/api/v1", "polling_intervals": intervals},
        }

    def _keyed(self, name: str) -> dict[str, str]:
        return {"api_key": self._market_keys[name], **self._at(name)}

    def _at(self, name: str) -> dict[str, str]:
        return {"base_url": self._services[name].url}

    def _service(self, name: str) -> Service:
        try:
            return self._services[name]
        except KeyError:
            raise KeyError(f"there is no service {name!r}; {_listed(self._services)}") from None

    def _key(self) -> str:
        return f"farm-{self._keys.getrandbits(64):016x}"


def _listed(names: Iterable[str]) -> str:
    return f"they are {', '.join(names)}"
