"""The simulated farm: any number of miners in one process, each on its own loopback address, with known truth."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import yaml

from deployments.farm import faults as fault_rules
from deployments.farm.faults import Fault, FaultKind
from deployments.farm.http import HttpConnection
from deployments.farm.identity import Identity
from deployments.farm.listener import Connection, FarmError, Listener, allow_open_files, bound
from deployments.farm.miner import SimulatedMiner
from deployments.farm.models import ALL_VARIANTS, DEFAULT_MIX, Algorithm, Variant
from deployments.farm.physics import climate
from deployments.farm.truth import FleetTruth, Truth
from deployments.farm.vnish_socket import SocketConnection
from deployments.farm.web import MinerWeb

DEFAULT_PORT = 4080
FIRST_ADDRESS = "127.16.0.1"
SITES = ("north", "south")
_RACK = 24
_WATCH_S = 0.25
_PORT_ATTEMPTS = 20


class Farm:
    """Simulated miners that answer HTTP while the ``async with`` block runs.

    Args:
        miners: how many.
        seed: everything but the network follows from it, the clock and the faults.
        port: the same for all miners; 0 takes a free one.
        first_address: of the first miner; the others follow, without those that end in 0 or 255.
        clock: Unix time in seconds. Tests give their own.
        mix: dealt out over the miners in this order, over and over.
        latency_ms: every answer comes so late; a pair is a range, evenly spread.
        refresh_s: the firmwares renew their figures this often. Answers in between are the same bytes, which makes the
            farm cheap where one miner is asked several times.
        restart_days: mean time between restarts that nobody asked for; None: there are none.
        socket_port: where miners of dialect ``vnish-rest`` have their socket API, 4028 on real ones; None: nowhere.
        pools: names of simulated pools by algorithm, dealt out to its miners; without one they mine at a nameless pool.
    """

    def __init__(
        self,
        miners: int,
        *,
        seed: int = 1,
        port: int = DEFAULT_PORT,
        first_address: str = FIRST_ADDRESS,
        clock: Callable[[], float] = time.time,
        mix: Sequence[Variant] = DEFAULT_MIX,
        latency_ms: float | tuple[float, float] = 0.0,
        refresh_s: float = 1.0,
        restart_days: float | None = None,
        socket_port: int | None = None,
        pools: Mapping[Algorithm, Sequence[str]] | None = None,
    ) -> None:
        if miners < 1 or seed < 0 or not mix or refresh_s <= 0:
            raise ValueError("a farm has at least 1 miner and 1 variant; seed is not negative, refresh_s above 0")
        self.seed = seed
        self.port = port
        self.clock = clock
        low, high = latency_ms if isinstance(latency_ms, tuple) else (latency_ms, latency_ms)
        if not 0 <= low <= high:
            raise ValueError(f"latency_ms must be 0 or more and rise, not {low} to {high}")
        self._latency_s = (low / 1000, high / 1000)
        self._refresh_s = refresh_s
        self._restart_days = restart_days
        self.socket_port = socket_port
        self._mix = tuple(mix)
        self._pools = dict(pools or {})
        self._addresses = _addresses(first_address, miners)
        self._webs: dict[str, MinerWeb] = {}
        self._listeners: list[tuple[MinerWeb, Listener]] = []
        self._watch: asyncio.TimerHandle | None = None
        self._build()

    @property
    def miners(self) -> list[Identity]:
        """Who there is, in order of address."""
        return [web.miner.identity for web in self._webs.values()]

    async def __aenter__(self) -> Farm:
        """Listen on every address. Raises FarmError, and then listens on none."""
        allow_open_files(len(self._webs), 1 if self.socket_port is None else 2)
        if self.port == 0:
            self.port = self._free_port()
            self._build()
        try:
            for web in self._webs.values():
                identity = web.miner.identity
                by_socket = identity.variant.dialect == "cgminer-socket"
                self._listen(web, Listener(identity.address, self.port, _socket(web) if by_socket else _http(web)))
                if self.socket_port is not None and identity.variant.dialect == "vnish-rest":
                    self._listen(web, Listener(identity.address, self.socket_port, _socket(web)))
        except FarmError:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections and stop listening."""
        await self._stop()

    def truth(self, miner_id: str, at: float | None = None) -> Truth:
        """What is true of a miner now or at an instant: exactly what its answers at that instant are written from.

        Raises:
            KeyError: no such miner.
        """
        return self._web(miner_id).truth(self.clock() if at is None else at)

    def pool_side(self, miner_id: str) -> Truth:
        """What is true of a miner now as its pool sees it, also where its firmware is frozen.

        Raises:
            KeyError: no such miner.
        """
        return self._web(miner_id).pool_side(self.clock())

    def refused_ratio(self, miner_id: str, start: float, stop: float) -> float:
        """Part of a miner's shares of ``[start, stop)`` that its pool does not pay.

        Raises:
            KeyError: no such miner.
        """
        return self._web(miner_id).miner.refused_ratio(start, stop)

    def accepted_work(self, miner_id: str, start: float, stop: float) -> float:
        """Work in difficulty 1 that a miner's pool accepts in ``[start, stop)``, over restarts.

        Raises:
            KeyError: no such miner.
        """
        return self._web(miner_id).miner.accepted_work(start, stop)

    def fleet_truth(self, at: float | None = None) -> FleetTruth:
        """The same for the whole farm."""
        now = self.clock() if at is None else at
        truths = [web.truth(now) for web in self._webs.values()]
        hashrate: dict[str, float] = {}
        for web, truth in zip(self._webs.values(), truths, strict=True):
            if truth.answering:
                algorithm = web.miner.model.algorithm
                hashrate[algorithm] = hashrate.get(algorithm, 0.0) + truth.hashrate_hs
        return FleetTruth(
            time=now,
            miners=len(truths),
            answering=sum(truth.answering for truth in truths),
            by_state=dict(Counter(truth.state if truth.answering else "unreachable" for truth in truths)),
            failures=dict(Counter(truth.failure for truth in truths if truth.failure is not None)),
            hashrate_hs=hashrate,
            power_w=sum(
                truth.power_w
                for web, truth in zip(self._webs.values(), truths, strict=True)
                if truth.answering and web.miner.identity.variant.is_vnish
            ),
        )

    def inject(self, miner_id: str, fault: Fault | FaultKind) -> Fault:
        """Let a fault befall a miner, from now on unless it says when. A start in the past rewrites the miner's past.

        Raises:
            KeyError: no such miner.
            ValueError: the fault makes no sense for it.
        """
        web = self._web(miner_id)
        fault = Fault(kind=fault) if isinstance(fault, str) else fault
        if fault.start is None:
            fault = msgspec.structs.replace(fault, start=self.clock())
        fault_rules.check(fault, web.miner.model.boards, web.miner.model.fans)
        web.change_faults([*web.miner.faults, fault])
        self.settle()
        return fault

    def clear(self, miner_id: str | None = None, kind: FaultKind | None = None) -> int:
        """End the faults of a miner (None: of all), of a kind (None: any), now. Those yet to come never come.

        Returns:
            how many were ended.
        """
        now = self.clock()
        ended = 0
        for web in self._webs.values() if miner_id is None else (self._web(miner_id),):
            kept = []
            for fault in web.miner.faults:
                start, end = fault.span
                if (kind is not None and fault.kind != kind) or end <= now:
                    kept.append(fault)
                    continue
                ended += 1
                if start < now:
                    kept.append(fault if fault.kind == "reboot" else msgspec.structs.replace(fault, end=now))
            web.change_faults(kept)
        self.settle()
        return ended

    def settle(self) -> None:
        """Open and shut the doors of miners as their faults want it. The farm does so by itself a few times a second;
        tests with a clock of their own call it after moving the clock."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self._listeners:
            return
        now = self.clock()
        to_come = False
        for web, listener in self._listeners:
            dead = [fault for fault in web.miner.faults if fault.kind == "dead"]
            if any(fault.active(now) for fault in dead):
                listener.shut()
            elif not listener.is_open:
                listener.open()
            to_come |= any(now < edge < float("inf") for fault in dead for edge in fault.span)
        if to_come:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_S, self.settle)

    def configuration(
        self, polling_interval_seconds: int = 10, sections: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The farm as data_collection_config.yaml has it, with further ``sections``, such as those of simulated pools.

        The passwords are the simulated miners' own, in the clear.
        """
        return {
            "general": {"environment": "development", "log_level": "INFO"},
            "miners": [
                {
                    "id": identity.miner_id,
                    "ip": identity.address,
                    "port": identity.port,
                    "driver": identity.variant.dialect,
                    "username": identity.username,
                    "password": identity.password,
                    "model": identity.variant.model.name,
                    "site": identity.site,
                    "location": identity.location,
                    "polling_interval_seconds": polling_interval_seconds,
                }
                for identity in self.miners
            ],
            **(sections or {}),
        }

    def write_configuration(
        self, folder: Path, polling_interval_seconds: int = 10, sections: Mapping[str, Any] | None = None
    ) -> Path:
        """Write data_collection_config.yaml into a folder, which is made if need be. Returns the file's path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "data_collection_config.yaml"
        text = yaml.safe_dump(self.configuration(polling_interval_seconds, sections), sort_keys=False)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text("# Written by the simulated farm (deployments/farm).\n" + text, encoding="utf-8")
        return path

    def _listen(self, web: MinerWeb, listener: Listener) -> None:
        listener.open()
        self._listeners.append((web, listener))

    def _build(self) -> None:
        climates = [climate(random.Random(f"{self.seed}/site/{site}")) for site in SITES]
        latency = random.Random(f"{self.seed}/latency")
        now = self.clock()
        self._webs = {}
        pools = {algorithm: cycle(names) for algorithm, names in self._pools.items()}
        for index, address in enumerate(self._addresses):
            variant = self._mix[index % len(self._mix)]
            pool = next(pools.get(variant.model.algorithm, iter(())), None)
            identity = replace(_identity(self.seed, index, address, self.port, variant), pool=pool)
            miner = SimulatedMiner(
                identity, climates[SITES.index(identity.site)], seed=self.seed, restart_days=self._restart_days
            )
            miner.running_since(now)
            self._webs[identity.miner_id] = MinerWeb(
                miner, clock=self.clock, refresh_s=self._refresh_s, latency_s=self._latency_s, dice=latency
            )

    def _web(self, miner_id: str) -> MinerWeb:
        try:
            return self._webs[miner_id]
        except KeyError:
            first, last = self.miners[0].miner_id, self.miners[-1].miner_id
            raise KeyError(f"there is no miner {miner_id!r}; they are {first} to {last}") from None

    def _free_port(self) -> int:
        """A port that is free on all addresses: one that the system gives for the first, tried on the others."""
        for _ in range(_PORT_ATTEMPTS):
            held = [bound(self._addresses[0], 0)]
            port = int(held[0].getsockname()[1])
            try:
                held.extend(bound(address, port) for address in self._addresses[1:])
            except FarmError:
                continue
            else:
                return port
            finally:
                for listening in held:
                    listening.close()
        raise FarmError("no port was free on all addresses of the farm", remedy="Give one with --port")

    async def _stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for _, listener in self._listeners:
            listener.shut()
        for _, listener in self._listeners:
            await listener.finish()
        self._listeners = []
        await asyncio.sleep(0)  # let the transports close their sockets


def _http(web: MinerWeb) -> Callable[[set[Connection]], Connection]:
    return lambda connections: HttpConnection(web.serve, connections)


def _socket(web: MinerWeb) -> Callable[[set[Connection]], Connection]:
    return lambda connections: SocketConnection(web.serve_socket, connections)


def _addresses(first: str, count: int) -> list[str]:
    try:
        start = int(ipaddress.IPv4Address(first))
    except ValueError:
        raise ValueError(f"first_address {first!r} is not an IPv4 address") from None
    addresses: list[str] = []
    while len(addresses) < count:
        if start % 256 not in (0, 255):
            address = ipaddress.IPv4Address(start)
            if not address.is_loopback:
                raise ValueError(f"{count} miners from {first} on reach {address}, which is not a loopback address")
            addresses.append(str(address))
        start += 1
    return addresses


def _identity(seed: int, index: int, address: str, port: int, variant: Variant) -> Identity:
    dice = random.Random(f"{seed}/{index}/identity")
    number = index + 1
    rack, position = divmod(index, _RACK)
    return Identity(
        miner_id=f"miner_{number:04}",
        index=index,
        address=address,
        port=port,
        variant=variant,
        site=SITES[rack % len(SITES)],
        location=f"rack_{rack + 1}_position_{position + 1}",
        mac="02:00:5E:" + ":".join(f"{byte:02X}" for byte in number.to_bytes(3, "big")),
        serial=f"SIM{number:08}",
        username="admin",
        password=f"farm-{dice.getrandbits(40):010x}",
        api_key=f"{dice.getrandbits(128):032x}",
    )


def variants(dialects: Iterable[str] = (), firmwares: Iterable[str] = ()) -> tuple[Variant, ...]:
    """The variants that have one of the dialects and one of the firmwares; the default mix where neither is given.

    Dialect ``all`` stands for every one there is.

    Raises:
        ValueError: nothing is left.
    """
    dialects, firmwares = set(dialects), set(firmwares)
    if "all" in dialects:
        dialects = {variant.dialect for variant in ALL_VARIANTS}
    left = tuple(
        variant
        for variant in (ALL_VARIANTS if dialects or firmwares else DEFAULT_MIX)
        if (not dialects or variant.dialect in dialects) and (not firmwares or variant.firmware in firmwares)
    )
    if not left:
        known = sorted({f"{variant.dialect} {variant.firmware}" for variant in ALL_VARIANTS})
        raise ValueError(f"no simulated miner is like that; there are {', '.join(known)}")
    return left
