"""The farm's own door on 127.0.0.1: ask for the truth, inject and end faults, from another process.

======  ========  ==========================================================================================
GET     /miners   who there is, without passwords
GET     /truth    ``?miner=ID`` and ``?at=UNIX``, both optional: one truth, or a list of all
GET     /fleet    ``?at=UNIX`` optional: the farm's sums
GET     /services simulated pools, providers of prices and explorers: address, fault, requests so far
POST    /faults   ``{"miner": ID, "kind": ..., ...}`` with the fields of a fault, or ``{"service": NAME, "kind": ...}``;
                  201 and the fault as it was taken
DELETE  /faults   ``?miner=ID`` or ``?service=NAME``, and ``?kind=KIND``, all optional; ``{"ended": n}``
======  ========  ==========================================================================================

What is wrong is answered with 400 or 404 and ``{"err": "..."}``.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from deployments.farm.farm import Farm
from deployments.farm.faults import FAULT_KINDS, Fault
from deployments.farm.http import Delivery, HttpConnection, Request, Response, answer, error
from deployments.farm.listener import Listener
from deployments.farm.markets.service import FAULT_KINDS as SERVICE_FAULT_KINDS
from deployments.farm.services import ServiceFault, Services

ADDRESS = "127.0.0.1"


class Control:
    """Serves the control interface of a farm, and of the services around it, while it is open."""

    def __init__(self, farm: Farm, port: int, services: Services | None = None) -> None:
        self._farm = farm
        self._services = services
        self._listener = Listener(ADDRESS, port, lambda connections: HttpConnection(self._serve, connections))

    async def __aenter__(self) -> Control:
        """Listen. Raises FarmError where the port is taken."""
        self._listener.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.shut()
        await self._listener.finish()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{ADDRESS}:{self._listener.port}"

    def _serve(self, request: Request) -> Delivery:
        return Delivery(self._respond(request).wire())

    def _respond(self, request: Request) -> Response:
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        route = {
            ("GET", "/miners"): self._miners,
            ("GET", "/truth"): self._truth,
            ("GET", "/fleet"): self._fleet,
            ("GET", "/services"): self._standings,
            ("POST", "/faults"): self._inject,
            ("DELETE", "/faults"): self._clear,
        }.get((request.method, request.path))
        if route is None:
            return error(404, "there are GET /miners, /truth, /fleet, /services, POST /faults and DELETE /faults")
        try:
            return route(request, query)
        except KeyError as problem:
            return error(404, str(problem.args[0]))
        except ValueError as problem:  # msgspec's errors are ValueErrors too
            return error(400, str(problem))

    def _miners(self, _request: Request, _query: dict[str, str]) -> Response:
        return answer(
            [
                {
                    "miner_id": identity.miner_id,
                    "address": identity.address,
                    "port": identity.port,
                    "dialect": identity.variant.dialect,
                    "firmware": identity.variant.firmware,
                    "model": identity.variant.model.name,
                    "algorithm": identity.variant.model.algorithm,
                    "site": identity.site,
                    "location": identity.location,
                }
                for identity in self._farm.miners
            ]
        )

    def _truth(self, _request: Request, query: dict[str, str]) -> Response:
        at = _instant(query)
        if "miner" in query:
            return answer(self._farm.truth(query["miner"], at))
        return answer([self._farm.truth(identity.miner_id, at) for identity in self._farm.miners])

    def _fleet(self, _request: Request, query: dict[str, str]) -> Response:
        return answer(self._farm.fleet_truth(_instant(query)))

    def _inject(self, request: Request, _query: dict[str, str]) -> Response:
        fields = msgspec.json.decode(request.body, type=dict[str, object])
        miner, service = fields.pop("miner", None), fields.pop("service", None)
        if isinstance(service, str) and miner is None:
            return answer(self._those(service).inject(service, msgspec.convert(fields, ServiceFault)), 201)
        if not isinstance(miner, str) or service is not None:
            raise ValueError('the body needs "miner", the id of a simulated miner, or "service", the name of a service')
        return answer(self._farm.inject(miner, msgspec.convert(fields, Fault)), 201)

    def _standings(self, _request: Request, _query: dict[str, str]) -> Response:
        return answer([] if self._services is None else self._services.standings())

    def _those(self, service: str) -> Services:
        if self._services is None:
            raise KeyError(f"there is no service {service!r}: this farm was started without services")
        return self._services

    def _clear(self, _request: Request, query: dict[str, str]) -> Response:
        kind, miner, service = query.get("kind"), query.get("miner"), query.get("service")
        of_miners = next((one for one in FAULT_KINDS if one == kind), None)
        if kind is not None and of_miners is None and kind not in SERVICE_FAULT_KINDS:
            known = dict.fromkeys([*FAULT_KINDS, *SERVICE_FAULT_KINDS])
            raise ValueError(f"{kind!r} is no fault; they are {', '.join(known)}")
        ended = 0
        if service is not None:
            ended += self._those(service).clear(service, kind)
        elif miner is None and self._services is not None:
            ended += self._services.clear(kind=kind)
        if service is None and (kind is None or of_miners is not None):
            ended += self._farm.clear(miner, of_miners)
        return answer({"ended": ended})


def _instant(query: dict[str, str]) -> float | None:
    if "at" not in query:
        return None
    try:
        return float(query["at"])
    except ValueError:
        raise ValueError(f"at must be Unix seconds, not {query['at']!r}") from None
