"""Five days of a small farm, its pools and its market, made up by arithmetic: what docs/warehouse.md is answered on.

Everything is kept as plain rows as well, so that answers can be worked out of them without the code under test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.declaration import BUCKETS, MEASUREMENTS
from storage.downsample.run import GRACE_S, roll_up
from storage.downsample.touch import touched_frame
from storage.frame import Frame, build_frame
from storage.lake.location import LakeLocation
from storage.spool.record import Batch, SpoolRecord
from storage.store import Store
from storage.warehouse.build import BuildReport, Surroundings, build
from storage.warehouse.members import Coin
from tests.downsample.memory_store import MemoryStore

HOUR, DAY = 3600, 86400
T = 1_795_392_000  # 2026-11-23T00:00Z, a Monday
DAYS = 5
END = T + DAYS * DAY
EVERY = 600
MINERS = (
    ("m1", "S19", "north"),
    ("m2", "S19", "north"),
    ("m3", "S19", "south"),
    ("m4", "L7", "south"),
    ("m5", "L7", "south"),
    ("m6", "S21", "north"),
)
UPDATE = T + 2 * DAY + 12 * HOUR
"""m1 gets another firmware, which is 5 % faster at the same power."""
POOLS = (("alpha", "farm.m1", "sha256d"), ("alpha", "farm.m2", "sha256d"), ("beta", "farm.m4", "scrypt"))
PLACES = {"m1": "rack 1", "m4": "rack 7"}
COINS = {
    "bitcoin": Coin("BTC", "Bitcoin", "sha256d"),
    "litecoin": Coin("LTC", "Litecoin", "scrypt"),
}
_KEPT = {name: min(bucket.retention_days, 30) for name, bucket in BUCKETS.items()}
TOLD = Surroundings(_KEPT, "Europe/Berlin", PLACES, COINS)
_RATES = {"S19": 100e12, "L7": 9.5e9, "S21": 200e12}
_POWERS = {"S19": 3250, "L7": 3425, "S21": 3500}


@dataclass
class Rows:
    """All that happened, by measurement: one dictionary a row."""

    of: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, measurement: str, time: int, **values: Any) -> None:
        self.of.setdefault(measurement, []).append({"time": time, **values})

    def frames(self) -> list[Frame]:
        return [frame_of(name, rows) for name, rows in self.of.items()]


def frame_of(measurement: str, rows: Sequence[dict[str, Any]]) -> Frame:
    names = [name for name in MEASUREMENTS[measurement].columns() if name != "time"]
    columns = {name: [row.get(name) for row in rows] for name in names if any(name in row for row in rows)}
    return build_frame(measurement, [row["time"] for row in rows], columns)


def farm() -> Rows:
    """What was collected, and what is worked out of it once a day."""
    rows = Rows()
    for number, (miner_id, model, site) in enumerate(MINERS):
        _poll(rows, number, {"miner_id": miner_id, "model": model, "site": site})
    for at in range(0, DAYS * DAY, EVERY):
        _ask(rows, at)
    for day in range(DAYS - 1):
        for number, (miner_id, _, _) in enumerate(MINERS):
            revenue, cost = 4.0 + number + day / 4, 3.5 + number / 2
            rows.add(
                "financial_metrics", T + day * DAY, miner_id=miner_id, time_period="1d",
                revenue=revenue, cost=cost, profit=revenue - cost, currency="USD",
            )  # fmt: skip
            rows.add(
                "financial_metrics", T + day * DAY, miner_id=miner_id, time_period="1h",
                revenue=1e6, cost=0.0, profit=1e6, currency="USD",
            )  # fmt: skip
    for number, (kind, severity) in enumerate(
        [("board_lost", "critical"), ("board_back", "info"), ("fan_lost", "critical"), ("started", "warning")] * 3
    ):
        miner_id, model, site = MINERS[number % 5]
        rows.add(
            "miner_event", T + number * 7 * HOUR + 60, miner_id=miner_id, model=model, site=site, kind=kind,
            subject=f"part {number % 3}", severity=severity, message=f"{miner_id}: {kind}",
        )  # fmt: skip
    return rows


def _poll(rows: Rows, number: int, tags: dict[str, str]) -> None:
    shares = 1000 * number
    for at in range(0, DAYS * DAY, EVERY):
        time, hour = T + at, at // HOUR % 24
        away = tags["miner_id"] == "m3" and 30 * HOUR <= at < 36 * HOUR
        if away:
            rows.add("miner_telemetry", time, **tags, reachable=False, state="unreachable", failure="refused")
            continue
        faster = 1.05 if tags["miner_id"] == "m1" and time >= UPDATE else 1.0
        rate = _RATES[tags["model"]] * faster * (1 + 0.01 * math.sin(at / 7000 + number))
        shares += 20 + (at // EVERY + number) % 5
        rows.add(
            "miner_telemetry", time, **tags, reachable=True, state="mining", hashrate_hs=rate,
            power_w=_POWERS[tags["model"]] + 10 * (at // EVERY % 3),
            chip_temp_max_c=70.0 + number + 5 * math.sin((hour - 9) / 24 * 2 * math.pi),
            shares_accepted=shares, shares_rejected=shares // 200, quality=1.0,
        )  # fmt: skip
        if at % HOUR == 0:
            new = tags["miner_id"] == "m1" and time >= UPDATE
            rows.add(
                "miner_configuration", time, **tags, ip_address=f"10.0.0.{number + 1}", driver="vnish-rest",
                firmware_version="1.3.0" if new else "1.2.6", overclock_profile="eco" if number % 2 else "normal",
                algorithm="scrypt" if tags["model"] == "L7" else "sha256d",
            )  # fmt: skip


def _ask(rows: Rows, at: int) -> None:
    time = T + at
    for number, (pool_id, worker_id, algorithm) in enumerate(POOLS):
        accepted = at // EVERY * (30 + number)
        rows.add(
            "pool_performance", time, pool_id=pool_id, worker_id=worker_id, algorithm=algorithm, status="online",
            hashrate_effective_hs=(95e12, 94e12, 9.3e9)[number], shares_accepted=accepted,
            shares_rejected=accepted // (100 * (number + 1)), earnings_usd=1.5 + number,
        )  # fmt: skip
    for coin_id, price in (("bitcoin", 90_000.0), ("litecoin", 85.0)):
        moved = price * (1 + 0.02 * math.sin(at / 40_000))
        rows.add("market_data", time, source="coingecko", coin_id=coin_id, symbol=coin_id[:3], price_usd=moved)
        rows.add(
            "network_data", time, source="litesolo", coin_id=coin_id, network_difficulty=price * 1e9 + at,
            network_hashrate_hs=price * 1e15, block_reward=6.25, mining_algorithm=COINS[coin_id].mining_algorithm,
        )  # fmt: skip


def deliver(store: Store, frames: Sequence[Frame]) -> None:
    """What a sink does: the rows, then the hours they touched."""
    store.write(frames)
    sequence = next(_sequences)
    touched = touched_frame([SpoolRecord("seed", sequence, 0, Batch("s", T, "run", list(frames)))], "host", sequence)
    if touched is not None:
        store.write([touched])


_sequences = iter(range(1, 1 << 30))


def built(store: Store, lake: LakeLocation, now: int = END + GRACE_S, told: Surroundings = TOLD) -> BuildReport:
    """Roll up what is due, then build."""
    roll_up(store, now)
    return build(store, lake, now, told)


def seeded(lake: Path) -> tuple[Store, Rows]:
    """A warehouse of the whole farm; the tiers are in memory."""
    store, rows = MemoryStore(), farm()
    deliver(store, rows.frames())
    built(store, lake)
    return store, rows
