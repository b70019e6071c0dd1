"""Prefect: server, version, work pool, workers, deployments. By its REST API: a doctor needs no client of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import httpx

from deployments.doctor.finding import Finding, odd, well, wrong
from deployments.doctor.stores import clock
from deployments.prefect.access import access
from deployments.settings import Settings

_PATIENCE_S = 5.0
_LET_IN = "Set PREFECT_API_AUTH_STRING to what the server has as PREFECT_SERVER_API_AUTH_STRING"


def prefect(settings: Settings) -> Iterator[Finding]:
    """Whether the server answers, is of this version, and has what lodeline deploy puts there."""
    own = settings.host.prefect
    url = str(own.api_url or os.environ.get("PREFECT_API_URL") or f"http://127.0.0.1:{own.port}/api").rstrip("/")
    remedy = "Start it (prefect server start), or set LODELINE_PREFECT__API_URL; shifts that run go on without it"
    try:
        with httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False, **access()) as client:
            sent = time.time()
            reply = client.get("/health")
            if not reply.is_success:
                yield wrong("Prefect", f"{url}/health answered {reply.status_code}", remedy)
                return
            yield from clock(f"the Prefect server at {url}", reply.headers.get("date"), (sent + time.time()) / 2)
            if (told := client.get("/admin/version")).status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                yield wrong("Prefect", f"{url} does not let us in ({told.status_code})", _LET_IN)
                return
            yield _version(told.raise_for_status().json(), url)
            yield from _registered(client, settings.collection.sites)
    except httpx.HTTPError as error:
        yield wrong("Prefect", f"{url} does not answer ({type(error).__name__})", remedy)


def _version(there: str, url: str) -> Finding:
    here = version("prefect")
    if there != here:
        return odd("Prefect", f"server {there}, here {here}", "Run the same version on server and workers")
    return well("Prefect", f"{url} answers, version {there}")


def _registered(client: httpx.Client, sites: Sequence[str]) -> Iterator[Finding]:
    from deployments.prefect.plan import read_plan

    plan = read_plan()
    pool = client.get(f"/work_pools/{plan.pool.name}")
    if pool.status_code == httpx.codes.NOT_FOUND:
        yield wrong("deployments", f"there is no work pool {plan.pool.name}", "lodeline deploy")
        return
    there = {one["name"]: one for one in _all(client, "/deployments/filter")}
    if "collect-miners" not in there:  # lodeline up collects all sites by itself
        plan = plan.at_sites(sites)
    missing = [one.name for one in plan.deployments if one.name not in there]
    paused = [one.name for one in plan.deployments if there.get(one.name, {}).get("paused")]
    if missing:
        yield wrong("deployments", f"not there: {', '.join(missing)}", "lodeline deploy")
    if paused:
        yield odd("deployments", f"paused: {', '.join(paused)}", "prefect deployment schedule resume, when it is time")
    if not missing and not paused:
        yield well("deployments", f"all {len(plan.deployments)} are there")
    workers = _all(client, f"/work_pools/{plan.pool.name}/workers/filter")
    online = [one["name"] for one in workers if one.get("status") == "ONLINE"]
    start = f"prefect worker start --pool {plan.pool.name}"
    if online:
        yield well("workers", f"online: {', '.join(online)}")
    else:
        yield wrong("workers", f"none is online in {plan.pool.name}", start)
    if plan.site_queues:
        yield from _served(client, plan.pool.name, plan.site_queues, start)


def _served(client: httpx.Client, pool: str, queues: Sequence[str], start: str) -> Iterator[Finding]:
    """Whether somebody asked for the work of each site of late."""
    there = {one["name"]: one for one in _all(client, f"/work_pools/{pool}/queues/filter")}
    unserved = [name for name in queues if there.get(name, {}).get("status") != "READY"]
    if unserved:
        each = "; ".join(f"{start} --work-queue {name}" for name in unserved)
        yield wrong("sites", f"no worker asks for work of {', '.join(unserved)}", f"At the site: {each}")
    else:
        yield well("sites", f"a worker asks for work of {', '.join(queues)}")


def _all(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.post(path, json={"limit": 200}).raise_for_status().json()
    return found
