"""Prefect's part of asking sources: a place at a limit that hosts share on its server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from prefect.client.orchestration import get_client

from tasks.sources.shared_pace import LimitAway

ANSWERS_WITHIN_S = 5.0
"""Prefect's client would go on trying a server that is away for minutes."""

_ALL_TAKEN = 423
_LEAST_S = 0.1


async def place_at_limit(name: str) -> float:
    """Ask the global concurrency limit ``name`` for a place: 0 if it was given, else the server's Retry-After.

    Not by Prefect's ``rate_limit``: that waits in there, without an end while the server is away, and lets pass
    whoever names a limit that nobody made. A limit that an operator has switched off lets pass.

    Raises:
        LimitAway: the server does not answer, or has no such limit.
    """
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S), get_client() as client:
            given: list[dict[str, Any]] = (await client.increment_concurrency_slots([name], 1, "rate_limit")).json()
    except httpx.HTTPStatusError as error:
        if error.response.status_code == _ALL_TAKEN:
            return max(_LEAST_S, float(error.response.headers["Retry-After"]))
        raise LimitAway(f"the Prefect server answered {error.response.status_code} for limit {name}") from error
    except (httpx.HTTPError, TimeoutError) as error:
        raise LimitAway(f"the Prefect server does not answer ({type(error).__name__})") from error
    if not given:
        raise LimitAway(f"the Prefect server has no limit {name}; lodeline deploy makes it")
    return 0.0
