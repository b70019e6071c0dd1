"""Retention of the audit trail as a task run."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from storage.audit.trail import Trail

DAY_S = 86_400


@task(name="cut-audit-trail", cache_policy=NO_CACHE, persist_result=False)
async def cut_trail_step(data_directory: Path, host: str, days: int) -> int:
    """Remove entries of this host's audit trail that are older than ``days``, and spool rows that wait.

    Returns the number removed. Raises NeedsHuman where the trail cannot be written.
    """
    trail = Trail.open(data_directory, host)
    await asyncio.to_thread(trail.follow)
    return await asyncio.to_thread(trail.cut, int(time.time()) - days * DAY_S, actor="flow maintain-lake")
