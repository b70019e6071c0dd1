"""The web server of one simulated miner: its dialect, behind whatever faults it has."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol

from deployments.farm import antminer_socket, vnish_socket
from deployments.farm.antminer_cgi import LegacyCgi, StockCgi
from deployments.farm.faults import Fault
from deployments.farm.http import Delivery, Request, Response, error
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import Truth
from deployments.farm.vnish_cgi import VnishCgi
from deployments.farm.vnish_rest import VnishRest

_PAGE = b"<!DOCTYPE html>\n<html><head><title>Miner</title></head><body><h1>Please wait</h1></body></html>\n"


class Dialect(Protocol):
    """A web server's words."""

    def respond(self, request: Request, truth: Truth) -> Response:
        """The answer at the instant of ``truth``."""
        ...

    def cacheable(self, request: Request) -> bool:
        """Whether the same request has the same answer until the figures are renewed."""
        ...


_DIALECTS: dict[str, Callable[[SimulatedMiner], Dialect]] = {
    "vnish-rest": VnishRest,
    "vnish-cgi": VnishCgi,
    "antminer-stock": StockCgi,
    "antminer-legacy": LegacyCgi,
    "cgminer-socket": StockCgi,  # its socket is asked; nobody listens for its web interface
}


class MinerWeb:
    """Serves one miner. Figures are renewed every ``refresh_s`` and when a fault begins or ends."""

    def __init__(
        self,
        miner: SimulatedMiner,
        *,
        clock: Callable[[], float],
        refresh_s: float,
        latency_s: tuple[float, float],
        dice: random.Random,
    ) -> None:
        self.miner = miner
        self._dialect: Dialect = _DIALECTS[miner.identity.variant.dialect](miner)
        self._clock = clock
        self._refresh_s = refresh_s
        self._latency_s = latency_s
        self._dice = dice
        self._edges: list[float] = []
        self._truth: Truth | None = None
        self._wires: dict[str, bytes] = {}

    def change_faults(self, faults: list[Fault]) -> None:
        """Take another list of faults."""
        self.miner.change_faults(faults)
        self._edges = sorted({edge for fault in faults for edge in fault.span if abs(edge) != float("inf")})
        self._truth = None
        self._wires.clear()

    def truth(self, at: float) -> Truth:
        """What answers given at an instant are written from: the figures as last renewed."""
        return self.miner.truth(self._renewed(at))

    def pool_side(self, at: float) -> Truth:
        """The same for what the miner's pool sees of it: a firmware that is frozen mines on."""
        return self.miner.truth(at - at % self._refresh_s)

    def serve(self, request: Request) -> Delivery:
        """What is sent back now, and how it travels."""
        now = self._clock()
        active = self.miner.active(now)
        if not active:
            return Delivery(self._wire(request, now), self._delay(now))
        kinds = {fault.kind for fault in active}
        if "hanging" in kinds:
            return Delivery(None)
        if "http_500" in kinds:
            data = error(500, "internal error").wire()
        elif "html" in kinds:
            data = Response(200, _PAGE, "text/html").wire()
        elif "truncated_json" in kinds:
            data = _cut(self._answer(request, now)).wire()
        else:
            data = self._wire(request, now)
        pace = next((fault.bytes_per_s for fault in active if fault.kind == "slow_drip"), None)
        return Delivery(data, self._delay(now), pace)

    def serve_socket(self, command: str) -> Delivery:
        """The same for a command of the socket API."""
        now = self._clock()
        kinds = {fault.kind for fault in self.miner.active(now)}
        if "hanging" in kinds:
            return Delivery(None)
        dialect = vnish_socket if self.miner.identity.variant.is_vnish else antminer_socket
        data = dialect.respond(self.miner, command, self._current(now))
        if "html" in kinds:
            data = _PAGE
        elif "truncated_json" in kinds:
            data = data[: len(data) // 2]
        pace = next((fault.bytes_per_s for fault in self.miner.active(now) if fault.kind == "slow_drip"), None)
        return Delivery(data, self._delay(now), pace)

    def _delay(self, now: float) -> float:
        low, high = self._latency_s
        delay = low if low == high else self._dice.uniform(low, high)
        for fault in self.miner.active(now):
            if fault.kind == "latency" and fault.ms is not None:
                delay += self._dice.uniform(fault.ms, fault.ms_max or fault.ms) / 1000
        return delay

    def _renewed(self, at: float) -> float:
        renewed = at - at % self._refresh_s
        frozen = [fault.span[0] for fault in self.miner.active(at) if fault.kind == "frozen"]
        if frozen:
            return min(frozen)
        if self._edges and (past := bisect_right(self._edges, at)):
            return max(renewed, self._edges[past - 1])
        return renewed

    def _current(self, now: float) -> Truth:
        renewed = self._renewed(now)
        if self._truth is None or self._truth.time != renewed:
            self._truth = self.miner.truth(renewed)
            self._wires.clear()
        return self._truth

    def _answer(self, request: Request, now: float) -> Response:
        return self._dialect.respond(request, self._current(now))

    def _wire(self, request: Request, now: float) -> bytes:
        if not self._dialect.cacheable(request):
            said = self._answer(request, now)
            if request.method == "POST":  # it may have been told to do something
                self.change_faults(self.miner.faults)
            return said.wire()
        truth = self._current(now)
        wire = self._wires.get(request.path)
        if wire is None:
            wire = self._wires[request.path] = self._dialect.respond(request, truth).wire()
        return wire


def _cut(response: Response) -> Response:
    return response._replace(body=response.body[: len(response.body) // 2])
