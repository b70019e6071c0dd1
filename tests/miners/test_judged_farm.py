"""Judging over the simulated farm: sound miners have no flags in hours, and a fault is flagged for what it is."""

from __future__ import annotations

from collections import defaultdict

import httpx
import pytest

from deployments.farm import ALL_VARIANTS, Farm, Fault
from tasks.miners.drivers import DRIVERS
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for
from tasks.normalize.judging import History, judge
from tests.farm.clock import NOON, Clock

EVERY_S, POLLS = 300, 24


async def test_sound_miners_have_no_flags_and_a_restart_is_one_reset() -> None:
    clock = Clock()
    flags: dict[str, list[str | None]] = defaultdict(list)
    worst: dict[str, float] = defaultdict(lambda: 1.0)
    async with Farm(len(ALL_VARIANTS) + 1, port=0, clock=clock, mix=ALL_VARIANTS) as farm:
        miners = [MinerSettings.model_validate(each) for each in farm.configuration()["miners"]]
        faults = dict(
            zip([miner.id for miner in miners], ("reboot", "paused", "board_lost", "overheating"), strict=False)
        )
        for miner_id, kind in faults.items():
            start = NOON + 10 * EVERY_S - 60
            farm.inject(miner_id, Fault(kind=kind, start=start, board=1 if kind == "board_lost" else None))  # type: ignore[arg-type]
        transports = [
            transport_for(httpx.URL(miner.target().base_url), connect_timeout_s=5, deadline_s=20) for miner in miners
        ]
        sessions = [DRIVERS[m.driver].session(m.target(), t) for m, t in zip(miners, transports, strict=True)]
        histories: dict[str, History] = {}
        for poll in range(POLLS):
            slot = int(NOON) + poll * EVERY_S
            clock.now = float(slot)
            for miner, session in zip(miners, sessions, strict=True):
                judged = judge(await session.telemetry(slot), histories.get(miner.id))
                assert judged.notices == ()
                histories[miner.id] = judged.history
                flags[miner.id].append(judged.record.quality_flags)
                worst[miner.id] = min(worst[miner.id], judged.record.quality or 0.0)
        for transport in transports:
            await transport.aclose()
    rebooted = next(miner_id for miner_id, kind in faults.items() if kind == "reboot")
    assert flags.pop(rebooted) == [None] * 10 + ["counter_reset"] + [None] * (POLLS - 11)
    assert {miner_id: set(found) for miner_id, found in flags.items()} == {miner_id: {None} for miner_id in flags}
    worst.pop(rebooted)
    assert worst == dict.fromkeys(worst, pytest.approx(1.0))
