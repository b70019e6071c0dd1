"""An hour against a real router with a fast clock: nothing of any minute is lost, and nothing is left over."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.pools.prohashing.subject import Subject
from tests.prohashing.cutting import wire
from tests.prohashing.listening import QUICK, listening
from tests.prohashing.pool_side import GENERAL, KEY, PRICES, pool_side
from tests.prohashing.router.router import Router

MINUTES = 60
WORKERS = 20
START = 1_790_000_100
FAST = replace(QUICK, flush_s=0.02, heartbeat_s=0.2, pong_s=1.0, first_wait_s=0.02, longest_wait_s=0.1)
"""An hour in some seconds: a heartbeat of 30 s and a back-off of 1 to 60 s shrink with it."""


async def test_an_hour_of_a_minutes_updates_each(router: Router, tmp_path: Path) -> None:
    """Every minute all workers change. The wire is cut three times and once dead without a word, the pool says nonsense
    now and then, and once nothing; each minute of each worker is stored with its value all the same."""
    now = [float(START)]
    table: dict[str, dict[str, Any]] = {}

    def stored() -> set[tuple[str, int, int]]:
        return {
            (row["worker_id"], (row["time"] - START) // 60, round(row["hashrate_reported_hs"]))
            for row in heard.rows("pool_performance")
        }

    def whole(minute: int) -> bool:
        return {(f"lodeline.w{number}", minute, minute) for number in range(WORKERS)} <= stored()

    async with wire(router.url) as between, pool_side(router.url, "mining") as pool:
        await pool.offer("f_all_miner_updates", lambda: list(table.values()))
        await pool.offer("f_all_profitability_updates", PRICES)
        await pool.offer("f_all_general_updates", GENERAL)
        await pool.offer("f_all_balance_updates", {})
        wamp = {"preset": "live", "url": between.url}
        async with listening(tmp_path, wamp, key=KEY, timing=FAST, clock=lambda: now[0]) as heard:
            await heard.until_state(lambda: heard.link.live)
            used: list[tuple[int, int]] = []
            for minute in range(1, MINUTES + 1):
                now[0] = START + 60.0 * minute
                if minute in (15, 16, 40):
                    between.cut()
                if minute == 25:
                    between.die()
                table |= {
                    f"u{number}": {"uuid": f"u{number}", "miner_name": f"w{number}", "algorithm": "scrypt",
                                   "hashrate": float(minute)}
                    for number in range(WORKERS)
                }  # fmt: skip
                if minute % 10 == 0:
                    await pool.publish(f"miner_update_diffs_{KEY}", ["nonsense", {"uuid": "u1", "hashrate": "much"}])
                await pool.publish(f"miner_update_diffs_{KEY}", list(table.values()))
                if minute == 25:
                    await heard.until_state(lambda: not heard.link.live)
                    between.live()
                await heard.until(lambda: whole(minute))  # noqa: B023
                if minute in (5, MINUTES):
                    await heard.until_state(lambda: heard.link.live)
                    used.append((len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))))
    assert heard.link.connections >= 1 + 4
    assert heard.link.malformed >= 2 * 3, "those of the minutes that the wire was whole"
    assert len(heard.stream._feed._table[Subject.WORKERS]) == WORKERS
    (tasks, files), (tasks_then, files_then) = used
    # Each of four losses would leave a socket and a task behind; what is just being closed is none of them.
    assert tasks_then <= tasks + 2
    assert files_then <= files + 2
