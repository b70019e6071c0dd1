"""A day that was made by hand, with the one before it, for any store."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa

from storage.arrow_schema import ANSWER_TIME, integers
from storage.declaration import MEASUREMENTS, Tier
from storage.frame import Frame, build_frame
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.reports.period import Kind, period_of

HOUR = 3_600
TH = 1e12
DAY = period_of(Kind.DAILY, dt.date(2026, 11, 28), "UTC")
FLEET = Fleet(
    {"a": ("Antminer S19", "hall"), "b": ("Antminer S19", "yard"), "silent": ("Antminer S19", "yard")},
)
NOW = DAY.stop + 3_601


def frame(name: str, times: list[int], **columns: Any) -> Frame:
    wide = {key: value if isinstance(value, list) else [value] * len(times) for key, value in columns.items()}
    return build_frame(name, times, wide)


def rolled(name: str, hours: list[int], tags: dict[str, str], columns: dict[str, list[float | None]]) -> pa.Table:
    """Hourly rows; tags that are not told are empty."""
    time = integers(np.array(hours)).cast(pa.timestamp("s")).cast(ANSWER_TIME)
    wide = {tag: pa.array([tags.get(tag, "")] * len(hours)) for tag in MEASUREMENTS[name].tag_names}
    return pa.table({"time": time, **wide, **{key: pa.array(one, pa.float64()) for key, one in columns.items()}})


def fill(store: Store) -> None:
    """a makes 90 of 100 TH/s and loses 10 to a board; b makes nothing in half the day. The day before a made all."""
    hours = list(range(DAY.start, DAY.stop, HOUR))
    before = [hour - 86_400 for hour in hours]
    away = [number < 12 for number in range(24)]
    store.write(
        [
            frame(
                "operational_metrics", hours, miner_id="a", time_period="1h", hashrate_expected_hs=100 * TH,
                hashrate_lost_hs=10 * TH, lost_board_hs=10 * TH, lost_heat_hs=0.0, uptime_percentage=100.0,
                hashing_uptime_percentage=100.0, coverage_percentage=100.0,
            ),
            frame(
                "operational_metrics", hours, miner_id="b", time_period="1h", hashrate_expected_hs=100 * TH,
                hashrate_lost_hs=[100 * TH if one else 0.0 for one in away],
                lost_unreachable_hs=[100 * TH if one else 0.0 for one in away],
                uptime_percentage=[0.0 if one else 100.0 for one in away], hashing_uptime_percentage=50.0,
                coverage_percentage=100.0,
            ),
            frame(
                "operational_metrics", before, miner_id="a", time_period="1h", hashrate_expected_hs=100 * TH,
                hashrate_lost_hs=0.0, uptime_percentage=100.0, hashing_uptime_percentage=100.0,
                coverage_percentage=100.0,
            ),
            frame(
                "financial_metrics", hours, miner_id="a", time_period="1h", revenue=0.5, cost=0.2, profit=0.3,
                energy_kwh=3.0, electricity_cost=0.15,
            ),
            frame("financial_metrics", hours, miner_id="b", time_period="1h", revenue=0.25),
            frame(
                "financial_metrics", before, miner_id="a", time_period="1h", revenue=0.3, cost=0.1, profit=0.2,
                energy_kwh=3.0, electricity_cost=0.1,
            ),
            frame(
                "mining_profitability", hours, source="net", algorithm="sha256d", coins="bitcoin", usd_th_day=0.05,
            ),
            frame(
                "alert_event", [hours[3], hours[4], hours[5]], rule=["miner_unreachable", "board_lost", "fan_lost"],
                subject=["b", "a", "x|y"], event=["fired", "fired", "resolved"],
                level=["critical", "warning", "critical"],
                message=["does not answer", "2 of 3 boards mine", "m"],
            ),
            frame(
                "pool_reconciliation", [DAY.start], pool_id="ltc", coin_id="litecoin", predicted=0.02, credited=0.019,
                unexplained=-0.001,
            ),
            frame(
                "optimization_opportunity", [hours[-1]], miner_id="a", type="board", subject="board 2", status="open",
                description="Repair <board> 2", potential_impact_usd_day=0.66, confidence=0.9,
            ),
            frame(
                "source_event", [hours[10], hours[12]], host="h", source="ltc",
                kind=["override_began", "override_ended"], severity="info",
                new=["paused by hand until 2026-11-28 12:00:00 UTC by ana: new <account>", None],
            ),
            frame("anomaly_score", hours[:2], miner_id="a", time_period="1h", overall=0.9, anomalous=[True, False]),
        ]
    )  # fmt: skip
    chips: list[float | None] = [70.0] * 24
    chips[20] = 88.5
    coolest: list[float | None] = [60.0] * 24
    for name, rows in {
        "market_data": [
            rolled("market_data", hours, {"coin_id": "bitcoin", "source": source}, {"price_usd_last": [price] * 24})
            for source, price in (("coinmarketcap", 1.0), ("coingecko", 91_000.0))
        ],
        "miner_telemetry": [
            rolled("miner_telemetry", hours, {"miner_id": miner}, {"chip_temp_max_c_max": values})
            for miner, values in (("a", chips), ("b", coolest))
        ],
    }.items():
        whole = pa.concat_tables(rows).sort_by([(tag, "ascending") for tag in MEASUREMENTS[name].tag_names])
        store.replace(MEASUREMENTS[name], Tier.HOURLY, DAY.start, DAY.stop, whole)
