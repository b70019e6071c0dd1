"""Reads a farm with pyasic in its own environment: prints CPU ms per full read, cold reads not counted.

Arguments: JSON object of address to password, rounds. Runs in .venv-bench; imports nothing of Lodeline.
"""

import asyncio
import json
import resource
import sys

import pyasic


async def main() -> None:
    passwords, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
    miners = []
    for address, password in passwords.items():
        miner = await pyasic.get_miner(address)
        miner.web.pwd = password
        miners.append(miner)
    width = asyncio.Semaphore(20)

    async def read(miner) -> bool:
        async with width:
            data = await miner.get_data()
            return data.wattage is not None  # its hashrate comes from port 4028, which the farm does not serve

    good = sum(await asyncio.gather(*map(read, miners)))
    before = cpu()
    for _ in range(rounds):
        good = sum(await asyncio.gather(*map(read, miners)))
    print(json.dumps({"cpu_ms": (cpu() - before) * 1e3 / (rounds * len(miners)), "good": good, "of": len(miners)}))


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


asyncio.run(main())
