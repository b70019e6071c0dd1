"""A made-up fleet for storage figures: random walks, steady counters, some dead miners; seeded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.frame import Frame
from storage.records.miner import BoardReading, FanReading, Miner, MinerTelemetry, PoolReading, telemetry_frames

SITES = 8
Array = npt.NDArray[Any]


def ticks(miners: int, start: int, count: int, every_s: int = 60, seed: int = 1) -> Iterator[tuple[int, list[Frame]]]:
    """``count`` ticks of ``miners`` miners: (slot, frames); 11 rows a miner (1 + 3 boards + 4 fans + 3 pools)."""
    chance = np.random.default_rng(seed)
    who = [
        Miner(f"site{n % SITES}-r{n // 100:02d}-u{n % 100:02d}", "ANTMINER_S19", f"site{n % SITES}")
        for n in range(miners)
    ]
    rate = chance.uniform(28e12, 34e12, (miners, 3))
    temp = chance.uniform(55, 70, (miners, 3))
    accepted = chance.integers(0, 10_000, (miners, 3))
    dead = chance.random(miners) < 0.02
    for tick in range(count):
        slot = start + tick * every_s
        rate = np.clip(rate * chance.normal(1, 0.01, rate.shape), 20e12, 40e12)
        temp = np.clip(temp + chance.normal(0, 0.3, temp.shape), 40, 90)
        accepted = accepted + chance.integers(0, 12, accepted.shape)
        rpm = chance.integers(90, 99, (miners, 4)) * 60
        records = [
            _dead(slot, miner)
            if dead[n]
            else _alive(slot, miner, rate[n], temp[n], accepted[n], rpm[n], tick * every_s)
            for n, miner in enumerate(who)
        ]
        yield slot, telemetry_frames(records)


def _dead(slot: int, miner: Miner) -> MinerTelemetry:
    return MinerTelemetry(time=slot, miner=miner, reachable=False, state="unreachable", failure="refused")


def _alive(slot: int, miner: Miner, rate: Array, temp: Array, accepted: Array, rpm: Array, age: int) -> MinerTelemetry:
    power = int(3250 + (temp[0] - 60) * 4)
    return MinerTelemetry(
        time=slot,
        miner=miner,
        reachable=True,
        state="mining",
        hashrate_hs=float(rate.sum()),
        hashrate_average_hs=float(rate.mean() * 3),
        hashrate_nominal_hs=95e12,
        power_w=power,
        efficiency_j_th=power / float(rate.sum()) * 1e12,
        voltage_v=13.0,
        chip_temp_avg_c=round(float(temp.mean()), 1),
        chip_temp_max_c=float(temp.max().round()),
        pcb_temp_max_c=float(temp.max().round() - 15),
        fan_duty_percent=90.0,
        frequency_mhz=495.0,
        shares_accepted=int(accepted[0]),
        shares_rejected=int(accepted[0] // 300),
        shares_stale=0,
        work_accepted_d1=float(accepted[0]) * 262144,
        last_share_age_s=4.0,
        hardware_errors=int(accepted[1] // 50),
        uptime_s=100_000 + age,
        boards_mining=3,
        boards_expected=3,
        fans_running=4,
        error_count=0,
        poll_ms=12.5,
        quality=1.0,
        boards=tuple(
            BoardReading(
                board=str(b + 1),
                status="mining",
                hashrate_hs=float(rate[b]),
                hashrate_nominal_hs=95e12 / 3,
                pcb_temp_c=float(temp[b].round() - 15),
                chip_temp_c=float(temp[b].round()),
                frequency_mhz=495.0,
                voltage_v=13.0,
                power_w=power // 3,
                hardware_errors=int(accepted[b] // 50),
                chips_bad=0,
            )
            for b in range(3)
        ),
        fans=tuple(FanReading(fan=str(f), status="ok", speed_rpm=int(rpm[f]), speed_percent=90.0) for f in range(4)),
        pools=tuple(
            PoolReading(
                slot=str(p),
                status="active" if p == 0 else "working",
                is_fee=p == 2,
                url="stratum.example.org:3333",
                user="account.worker1",
                shares_accepted=int(accepted[p]),
                shares_rejected=int(accepted[p] // 300),
                shares_stale=0,
                work_accepted_d1=float(accepted[p]) * 262144,
                difficulty=262144.0,
                last_share_age_s=4.0,
                ping_ms=8.0,
            )
            for p in range(3)
        ),
    )
