"""Reads a farm with pyasic-rs in its own environment: prints CPU ms per full read, cold reads not counted.

Arguments: JSON object of address to password (not needed to read), rounds. Imports nothing of Lodeline.
"""

import asyncio
import json
import os
import resource
import sys

from pyasic_rs import MinerFactory


async def main() -> None:
    addresses, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    factory = MinerFactory()
    miners = [await factory.get_miner(address) for address in addresses]
    width = asyncio.Semaphore(100)

    async def read(miner) -> bool:
        async with width:
            return bool((await miner.get_data()).hashrate)

    good = sum(await asyncio.gather(*map(read, miners)))
    before = cpu()
    for _ in range(rounds):
        good = sum(await asyncio.gather(*map(read, miners)))
    print(json.dumps({"cpu_ms": (cpu() - before) * 1e3 / (rounds * len(miners)), "good": good, "of": len(miners)}))


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # its runtime sometimes aborts at exit
