"""The dashboard of pools: what they see, pay and owe, against what the miners and the network say."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Dashboard, Panel, Row, Target, lines, newest, tag_values
from storage.declaration import Measurement
from storage.declaration.pool import (
    POOL_ACCOUNT,
    POOL_PAYOUT,
    POOL_PERFORMANCE,
    POOL_PROFITABILITY,
    POOL_RECONCILIATION,
    POOL_SUMMARY,
    WORKER_MATCH,
)

_POOL = queries.chosen("pool_id", "pool")
_COIN = queries.chosen("coin_id", "coin")
_ASK = "15m"
"""Pools are asked every few minutes to an hour; no window is shorter."""


def _lines(
    title: str, description: str, measurement: Measurement, tags: tuple[str, ...], interval: str, **name_of_field: str
) -> Panel:
    """Means of fields of one unit, by ``tags``; of one coin alone where the measurement is of coins."""
    where = [_POOL, *([_COIN] if "coin_id" in measurement.tag_names else [])]
    named = " ".join(f"$tag_{tag}" for tag in tags)
    targets = [
        Target(queries.measured(measurement, "mean", field, tags, where), f"{named} {name}".strip())
        for name, field in name_of_field.items()
    ]
    unit = measurement.field_by_name[next(iter(name_of_field.values()))].unit
    return lines(title, description, measurement, targets, unit, interval=interval, width=12)


def _table(title: str, description: str, measurement: Measurement, fields: tuple[str, ...], width: int = 24) -> Panel:
    where = [_POOL, *([_COIN] if "coin_id" in measurement.tag_names else [])]
    query = queries.newest_of_each(measurement, fields, where)
    return newest(title, description, measurement, query, fields, width=width)


def _summary(title: str, description: str, field: str, dimension: str, period: str) -> Panel:
    where = [_POOL, queries.equal("dimension", dimension), queries.equal("time_period", period)]
    target = Target(queries.measured(POOL_SUMMARY, "mean", field, ("pool_id", "key"), where), "$tag_pool_id $tag_key")
    interval = {"1h": "1h", "1d": "1d"}[period]
    return lines(title, description, POOL_SUMMARY, [target], POOL_SUMMARY.field_by_name[field].unit, interval=interval)


_COINS_OF = ("pool_id", "coin_id")

POOL = Dashboard(
    "pool",
    "Lodeline pool",
    (
        tag_values("pool", "Pool", POOL_ACCOUNT, "pool_id"),
        tag_values("coin", "Coin", POOL_ACCOUNT, "coin_id"),
    ),
    (
        Row(
            "Accounts",
            (
                _table(
                    "Accounts",
                    "What each account has, in coins of its own kind: the newest row.",
                    POOL_ACCOUNT,
                    (
                        *("status", "hashrate_hs", "workers_active", "workers_inactive", "predicted_24h"),
                        *("credited_24h", "unpaid", "credited_total", "paid_total"),
                    ),
                ),
                _lines(
                    "Workers that the pool sees",
                    "Active workers, and those that it knows and does not see.",
                    POOL_ACCOUNT,
                    _COINS_OF,
                    _ASK,
                    active="workers_active",
                    inactive="workers_inactive",
                ),
                _lines(
                    "Credited and not paid out",
                    "In coins of each kind; it falls when the pool pays.",
                    POOL_ACCOUNT,
                    _COINS_OF,
                    _ASK,
                    unpaid="unpaid",
                ),
            ),
        ),
        Row(
            "Workers",
            (
                _table(
                    "Workers",
                    "The newest row of each worker.",
                    POOL_PERFORMANCE,
                    (
                        *("status", "hashrate_reported_hs", "hashrate_effective_hs", "time_window", "reject_ratio"),
                        *("reject_basis", "last_share_age_s", "earnings_usd", "earnings_period", "quality"),
                    ),
                ),
                _lines(
                    "Effective hashrate by worker",
                    "Hashrate that the accepted work of each worker amounts to.",
                    POOL_PERFORMANCE,
                    ("pool_id", "worker_id", "algorithm"),
                    _ASK,
                    effective="hashrate_effective_hs",
                ),
                _lines(
                    "Rejected by worker",
                    "Rejected over all, on the basis that the pool gives.",
                    POOL_PERFORMANCE,
                    ("pool_id", "worker_id", "algorithm"),
                    _ASK,
                    rejected="reject_ratio",
                ),
            ),
        ),
        Row(
            "Pool against miner",
            (
                _lines(
                    "Hashrate of miner and pool",
                    "Means of the hour: what each miner told and what its pool credited.",
                    WORKER_MATCH,
                    ("miner_id",),
                    "1h",
                    miner="hashrate_miner_hs",
                    pool="hashrate_pool_hs",
                ),
                lines(
                    "Parts of the gap",
                    "Mean over the pool's miners: the firmware's fee, stale and rejected work, and what nothing "
                    "explains. They add up to 1 - pool / miner.",
                    WORKER_MATCH,
                    [
                        Target(
                            queries.measured(WORKER_MATCH, "mean", f"gap_{part}_ratio", ("pool_id",), [_POOL]),
                            f"$tag_pool_id {part}",
                        )
                        for part in ("devfee", "rejected", "unexplained")
                    ],
                    "ratio",
                    interval="1h",
                    width=12,
                ),
                _table(
                    "How miners and workers fit",
                    "The newest hour of each pair.",
                    WORKER_MATCH,
                    (
                        *("status", "hashrate_miner_hs", "hashrate_pool_hs", "gap_ratio", "gap_devfee_ratio"),
                        *("gap_rejected_ratio", "gap_unexplained_ratio", "reason"),
                    ),
                ),
            ),
        ),
        Row(
            "Summary",
            (
                _summary(
                    "Effective hashrate by algorithm",
                    "Mean of the hour.",
                    "hashrate_effective_hs",
                    "algorithm",
                    "1h",
                ),
                _summary(
                    "Mean of 24 hours",
                    "By algorithm; there is none until 24 h are whole.",
                    "hashrate_ma_24h_hs",
                    "algorithm",
                    "1h",
                ),
                _summary(
                    "Mean of 7 days",
                    "By algorithm; there is none until 7 days are whole.",
                    "hashrate_ma_7d_hs",
                    "algorithm",
                    "1h",
                ),
                _summary("Accepted by worker", "Accepted over all.", "acceptance_ratio", "worker", "1h"),
                _summary("Mined per day", "In coins of each kind.", "amount", "coin", "1d"),
                _summary("Earned per day by coin", "At the prices of that time.", "earnings_usd", "coin", "1d"),
            ),
        ),
        Row(
            "Predicted, credited, paid",
            (
                _lines(
                    "Predicted, credited, paid",
                    "Of each settlement day, in coins of each kind: what the work should have earned before fees, what "
                    "was credited for the day and what was paid on it.",
                    POOL_RECONCILIATION,
                    _COINS_OF,
                    "1d",
                    predicted="predicted",
                    credited="credited",
                    paid="paid",
                ),
                _lines(
                    "Predicted and credited in USD",
                    "At the price of the settlement day's end.",
                    POOL_RECONCILIATION,
                    _COINS_OF,
                    "1d",
                    predicted="predicted_usd",
                    credited="credited_usd",
                ),
                _lines(
                    "Parts of the difference",
                    "Credited - predicted, in coins of each kind: fee, stale work, hours without data, and the rest.",
                    POOL_RECONCILIATION,
                    _COINS_OF,
                    "1d",
                    difference="difference",
                    fee="explained_fee",
                    stale="explained_stale",
                    missing="explained_missing",
                    unexplained="unexplained",
                ),
                _lines(
                    "What a pool pays",
                    "Per TH/s and day, before its own fee where the pool tells it so.",
                    POOL_PROFITABILITY,
                    ("pool_id", "algorithm"),
                    _ASK,
                    pays="per_hash_rate_usd_th_day",
                ),
                _table(
                    "Newest settlement day",
                    "With the reason in words.",
                    POOL_RECONCILIATION,
                    ("predicted", "credited", "paid", "difference", "unexplained", "coverage_percent", "reason"),
                    12,
                ),
                newest(
                    "Credits and payouts",
                    "Newest first, at the pool's own times.",
                    POOL_PAYOUT,
                    queries.latest(
                        POOL_PAYOUT,
                        ("pool_id", "coin_id", "kind", "amount", "usd_at_receipt", "settlement_day", "transaction"),
                        [_POOL, _COIN],
                    ),
                    ("amount", "usd_at_receipt"),
                ),
            ),
        ),
    ),
    span="7d",
)
