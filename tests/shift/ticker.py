"""A process on shift: appends ``<slot> <pid>`` to a file. Arguments: folder, ``hang`` to hang in the third tick."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from tasks.shift.baton import Baton, NotNeeded
from tasks.shift.shift import RunSeen, Terms, serve
from tasks.shift.slots import Slot, Slots
from tasks.shift.watchdog import Watchdog


async def main(folder: Path, hang: bool) -> None:
    ticks = folder / "ticks"
    count = 0

    async def tick(slot: Slot) -> None:
        nonlocal count
        count += 1
        while hang and count == 3:
            time.sleep(0.1)  # noqa: ASYNC251 - the point: a loop that hangs
        with ticks.open("a") as file:
            file.write(f"{slot.time} {os.getpid()}\n")

    async def look() -> RunSeen:
        return RunSeen.UNKNOWN

    baton = Baton(folder / "locks", "miners")
    try:
        async with baton.held():
            done = ticks.read_text().split("\n")[:-1] if ticks.exists() else []
            slots = Slots(1, int(done[-1].split()[0]) if done else None)
            with Watchdog(5.0 if not hang else 2.5, folder / "stacks.txt") as watchdog:
                print(await serve(baton, slots, tick, look=look, watchdog=watchdog, terms=Terms(least_s=0)))
    except NotNeeded:
        print("not needed")


asyncio.run(main(Path(sys.argv[1]), "hang" in sys.argv))
