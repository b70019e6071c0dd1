"""Reads a farm with Lodeline's own sessions: prints CPU ms per full read (telemetry and configuration).

Arguments: JSON object of address to password (not needed to read), rounds.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

import httpx

from storage.records.miner import Miner
from tasks.miners.driver import Target
from tasks.miners.drivers import DRIVERS
from tasks.miners.transport import transport_for


async def main() -> None:
    """One warm-up, then the rounds that count; 100 miners at a time."""
    addresses, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    sessions = []
    for address in addresses:
        base = f"http://{address}"
        transport = transport_for(httpx.URL(base), connect_timeout_s=1, deadline_s=3)
        target = Target(Miner(address, "any", "bench"), address, base)
        sessions.append(DRIVERS["vnish-rest"].session(target, transport))
    width = asyncio.Semaphore(100)
    slot = 1795478400

    async def read(session, slot: int) -> bool:
        async with width:
            record = await session.telemetry(slot)
            await session.configuration(slot)
            return record.hashrate_hs is not None

    good = sum(await asyncio.gather(*(read(session, slot) for session in sessions)))
    before = cpu()
    for turn in range(1, rounds + 1):
        good = sum(await asyncio.gather(*(read(session, slot + 60 * turn) for session in sessions)))
    print(json.dumps({"cpu_ms": (cpu() - before) * 1e3 / (rounds * len(sessions)), "good": good, "of": len(sessions)}))


def cpu() -> float:
    """User and system seconds so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


asyncio.run(main())
