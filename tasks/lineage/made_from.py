"""What derived rows are made from: measurements, and the stretch of time around the row. Tests ask the code for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.declaration import Tier
from tasks.derive.anomaly.hours import HISTORY_H, TREND_H
from tasks.derive.forecast.making import HISTORY_H as FORECAST_FROM_H
from tasks.derive.operations import INPUTS as OPERATIONAL
from tasks.derive.opportunities.gathering import WEEK_S
from tasks.market.deriving import CLOSES_S
from tasks.pools.due import REACH_S
from tasks.pools.settling import LATE_S
from tasks.pools.settling import REACH_S as SETTLED_S
from tasks.pools.workers.miners import STANDS_S

HOUR_S, DAY_S = 3_600, 86_400

PERIODS_S = {"1h": HOUR_S, "1d": DAY_S}
"""Lengths by tag ``time_period``."""


@dataclass(frozen=True, slots=True)
class Input:
    """Rows of ``measurement`` from ``before_s`` before the row's begin to ``after_s`` after its end.

    ``of``: tags of the input, and the column of the row that says their value. ``where``: tags that are always so.
    ``when``: values that tags of the row must have for it to be an input at all.
    """

    measurement: str
    tier: Tier = Tier.RAW
    before_s: int = 0
    after_s: int = 0
    of: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """``period_s``: length of what a row is of, from its time on; None: its tag ``time_period`` tells it. ``besides``:
    what is no row of a store and goes in all the same. ``page`` has the formulas."""

    inputs: tuple[Input, ...]
    page: str
    period_s: int | None = None
    besides: str | None = None


_OF_MINER = {"miner_id": "miner_id"}
_OF_POOL = {"pool_id": "pool_id"}
_OF_ACCOUNT = {"pool_id": "pool_id", "coin_id": "coin_id"}
_JUDGED_S = (HISTORY_H + TREND_H) * HOUR_S
_HOURLY = Tier.HOURLY

MADE_FROM: Mapping[str, MadeFrom] = {
    "operational_metrics": MadeFrom(
        (
            *(Input(name, _HOURLY, of=_OF_MINER) for name in OPERATIONAL),
        ),
        "docs/derived-metrics.md",
        besides="pauses and states by hand (lodeline override), nameplates, and the preset told last in the day before",
    ),
    "financial_metrics": MadeFrom(
        (
            Input("miner_telemetry", _HOURLY, of=_OF_MINER),
            Input("worker_match", of=_OF_MINER),
            Input("mining_profitability"),
        ),
        "docs/derived-metrics.md",
        besides="tariffs, fees, coins and prices of miners in the configuration; what miners are told to hash",
    ),
    "financial_summary": MadeFrom(
        (
            Input("financial_metrics", of={"time_period": "time_period"}, when={"scope": ("fleet", "model", "site")}),
            Input("pool_reconciliation", of={"pool_id": "key"}, when={"scope": ("pool",)}),
            Input("worker_match", of={"pool_id": "key"}, when={"scope": ("pool",)}),
        ),
        "docs/derived-metrics.md",
        besides="which miners are of the model or site",
    ),
    "anomaly_score": MadeFrom(
        (
            Input("miner_telemetry", _HOURLY, before_s=_JUDGED_S),
            Input("miner_event", before_s=_JUDGED_S, where={"kind": "pool_switched"}),
        ),
        "docs/anomalies.md",
        besides="what was off by hand; its peers are judged with it, so rows of all miners go in",
    ),
    "worker_match": MadeFrom(
        (
            Input("miner_telemetry", before_s=STANDS_S, of=_OF_MINER),
            Input("miner_pool", before_s=STANDS_S, of=_OF_MINER),
            Input("pool_performance", before_s=REACH_S, of={"pool_id": "pool_id", "worker_id": "worker_id"}),
        ),
        "docs/pools.md",
        period_s=HOUR_S,
        besides="the configuration of pools and miners, and worker_match of the day before: what is usual of a miner",
    ),
    "pool_summary": MadeFrom(
        (
            Input(
                "pool_performance", before_s=REACH_S, of={"pool_id": "pool_id", "worker_id": "key"},
                when={"dimension": ("worker",), "time_period": ("1h",)},
            ),
            Input(
                "pool_performance", before_s=REACH_S, of={"pool_id": "pool_id", "algorithm": "key"},
                when={"dimension": ("algorithm",), "time_period": ("1h",)},
            ),
            Input(
                "pool_account", before_s=REACH_S, of={"pool_id": "pool_id", "coin_id": "key"},
                when={"dimension": ("coin",), "time_period": ("1h",)},
            ),
            Input(
                "market_data", before_s=HOUR_S, of={"coin_id": "key"},
                when={"dimension": ("coin",), "time_period": ("1h",)},
            ),
            Input(
                "pool_summary", of={"pool_id": "pool_id", "dimension": "dimension", "key": "key"},
                where={"time_period": "1h"}, when={"time_period": ("1d",)},
            ),
        ),
        "docs/pools.md",
        besides="its moving averages: the hours of the day, or of the week, before it",
    ),
    "pool_reconciliation": MadeFrom(
        (
            Input("pool_payout", before_s=SETTLED_S, after_s=LATE_S, of=_OF_ACCOUNT),
            Input("pool_account", before_s=SETTLED_S, of=_OF_ACCOUNT),
            Input("pool_summary", of=_OF_POOL, where={"dimension": "algorithm", "time_period": "1h"}),
            Input("pool_profitability", before_s=SETTLED_S, of=_OF_POOL),
            Input("network_data", of={"coin_id": "coin_id"}),
            Input("market_data", of={"coin_id": "coin_id"}),
        ),
        "docs/pools.md",
        period_s=DAY_S,
        besides="a payout counts for the settlement day that it names, and a day is that of the pool's time zone",
    ),
    "market_indicator": MadeFrom(
        (Input("daily_close", before_s=CLOSES_S, of={"source": "source", "coin_id": "coin_id"}),),
        "docs/data-dictionary.md",
        period_s=DAY_S,
    ),
    "mining_profitability": MadeFrom(
        (Input("network_data", of={"source": "source"}), Input("market_data")),
        "docs/derived-metrics.md",
        period_s=HOUR_S,
        besides="of both only the coins in its tag coins, and bitcoin's price",
    ),
    "forecast": MadeFrom(
        (
            Input(
                "miner_telemetry", _HOURLY, before_s=FORECAST_FROM_H * HOUR_S, of=_OF_MINER,
                when={"quantity": ("next_24h_hashrate",)},
            ),
            Input(
                "financial_metrics", before_s=FORECAST_FROM_H * HOUR_S, of=_OF_MINER, where={"time_period": "1h"},
                when={"quantity": ("next_24h_revenue", "next_7d_profitability")},
            ),
        ),
        "docs/forecasts.md",
        period_s=0,
        besides="nothing of later than its time",
    ),
    "forecast_score": MadeFrom(
        (
            Input("forecast", after_s=1, of={tag: tag for tag in ("miner_id", "quantity", "model")}),
            Input(
                "miner_telemetry", _HOURLY, after_s=DAY_S, of=_OF_MINER, when={"quantity": ("next_24h_hashrate",)}
            ),
            Input(
                "financial_metrics", after_s=DAY_S, of=_OF_MINER, where={"time_period": "1h"},
                when={"quantity": ("next_24h_revenue",)},
            ),
            Input(
                "financial_metrics", after_s=7 * DAY_S, of=_OF_MINER, where={"time_period": "1h"},
                when={"quantity": ("next_7d_profitability",)},
            ),
        ),
        "docs/forecasts.md",
        period_s=0,
    ),
    "source_hour": MadeFrom(
        (Input("source_request", of={"source": "source"}),), "docs/metrics.md", period_s=HOUR_S
    ),
    "optimization_opportunity": MadeFrom(
        (
            *(Input(name, _HOURLY, before_s=WEEK_S, of=_OF_MINER) for name in ("miner_telemetry", "miner_fan",
                                                                               "miner_board")),
            *(Input(name, before_s=WEEK_S, of=_OF_MINER) for name in ("financial_metrics", "worker_match")),
            *(Input(name, before_s=WEEK_S) for name in ("pool_profitability", "mining_profitability", "pool_payout",
                                                          "pool_coin")),
        ),
        "docs/advice.md",
        period_s=0,
        besides="tariffs, fees and coins in the configuration, and its rows before; no rule reads all of it",
    ),
}  # fmt: skip
"""By derived measurement."""
