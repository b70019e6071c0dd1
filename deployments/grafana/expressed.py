"""Rules of ``tasks/alerts`` as questions to InfluxDB, and why the others are none.

The comparison stands in the InfluxQL and not in an expression of Grafana's, so that the tests can run it on a real
server: a query answers one row for each thing that is wrong, and Grafana only asks whether there is one. Only silence
is asked the other way: one row for each thing that should speak, 0 where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployments.grafana.queries import TIME, quoted
from storage.declaration import Measurement
from storage.declaration.derived import ANOMALY_SCORE
from storage.declaration.market import MARKET_DATA
from storage.declaration.miner import MINER_FAN, MINER_TELEMETRY
from storage.declaration.pipeline import (
    COLLECTOR_TICK,
    EXPORT_STATE,
    PIPELINE_DELIVERY,
    PIPELINE_HOST,
    PIPELINE_VOLUME,
    SOURCE_HOUR,
)
from storage.declaration.pool import POOL_ACCOUNT, POOL_PERFORMANCE
from tasks.alerts.rules.crowd import CROWDS
from tasks.alerts.rules.hosts import LEAST_REQUESTS, TOLD_S
from tasks.alerts.rules.miners import FALLING_RATIO, HASHING, LOW_DUTY_PERCENT

# ruff: noqa: S608

MINERS_S = 900
"""How far "now" looks back at miners: three polls at the slowest usual interval of 5 min."""
_SCORES_S = 2 * 3_600
_POOLS_S = 6 * 3_600
_SOURCES_S = 3 * 3_600
_HOSTS_S = int(TOLD_S)
_DAY_S = 86_400
_USUAL_POLL_S = 300
_WINDOW_S = 60
SILENT = 0.001
"""A mean number of rows a window below it is none: a single one in a day of windows is 1 / 1,440."""


@dataclass(frozen=True, slots=True)
class Expressed:
    """A rule as InfluxQL.

    Args:
        measurement: of which it reads raw rows.
        span_s: how far it looks back, seconds.
        query: from the rule's limit to the query, which names its span ``$timeFilter``.
        differs: in what it differs from Lodeline's own rule, in words; empty: in nothing but age.
        silence: it asks who is silent; no answer at all is an alert then.
    """

    measurement: Measurement
    span_s: int
    query: Callable[[float], str]
    differs: str = ""
    silence: bool = False


def _newest(measurement: Measurement, never_null: str, fields: tuple[str, ...], tags: tuple[str, ...]) -> str:
    """The newest row of each thing, whole: ``never_null`` picks the row."""
    columns = f'last("{never_null}") AS "{never_null}"' + (f", {quoted(fields)}" if fields else "")
    return f'SELECT {columns} FROM "{measurement.name}" WHERE {TIME} GROUP BY {quoted(tags)}'


_MINER = ("miner_id", "site")
_HASHES = "(" + " OR ".join(f"\"state\" = '{state}'" for state in HASHING) + ")"


def _miners(condition: str, *fields: str) -> str:
    """Miners of whose newest row ``condition`` holds."""
    newest = _newest(MINER_TELEMETRY, "reachable", fields, _MINER)
    return f'SELECT count("reachable") FROM ({newest}) WHERE {condition} GROUP BY {quoted(_MINER)}'


def _hashing_miners(
    worked_out: str, name: str, condition: str, *, fields: tuple[str, ...], known: str, beside: tuple[str, ...] = ()
) -> str:
    """Miners that answer and hash, and of which ``condition`` holds on what is worked out of the newest row.

    ``known`` must be above 0: a server says that what is divided by 0 is 0.
    """
    newest = _newest(MINER_TELEMETRY, "reachable", ("state", *fields, *beside), _MINER)
    columns = f'{worked_out} AS "{name}"' + (f", {quoted(beside)}" if beside else "")
    hashing = (
        f'SELECT {columns} FROM ({newest}) WHERE "reachable" = true AND {_HASHES} AND "{known}" > 0 '
        f"GROUP BY {quoted(_MINER)}"
    )
    return f'SELECT count("{name}") FROM ({hashing}) WHERE {condition} GROUP BY {quoted(_MINER)}'


def _by_ratio(condition: str, *beside: str) -> str:
    """Miners of whose hashrate over nominal (and fields beside it) ``condition`` holds."""
    return _hashing_miners(
        '"hashrate_hs" / "hashrate_nominal_hs"',
        "ratio",
        condition,
        fields=("hashrate_hs", "hashrate_nominal_hs"),
        known="hashrate_nominal_hs",
        beside=beside,
    )


def _count(newest: str, field: str, condition: str, tags: tuple[str, ...]) -> str:
    return f'SELECT count("{field}") FROM ({newest}) WHERE {condition} GROUP BY {quoted(tags)}'


def _silent(measurement: Measurement, field: str, limit_s: float, tags: tuple[str, ...]) -> str:
    """Mean number of rows a minute in the newest minutes that are more than ``limit_s`` together."""
    windows = int(limit_s) // _WINDOW_S + 1
    rows = (
        f'SELECT moving_average(count("{field}"), {windows}) AS "rows" FROM "{measurement.name}" WHERE {TIME} '
        f"GROUP BY time({_WINDOW_S}s), {quoted(tags)} fill(0)"
    )
    return f'SELECT last("rows") FROM ({rows}) GROUP BY {quoted(tags)}'


def _hosts(condition: str, *fields: str) -> str:
    """Hosts of whose newest row ``condition`` holds."""
    return _count(_newest(PIPELINE_HOST, "cpus", fields, ("host",)), "cpus", condition, ("host",))


_FANS = _newest(MINER_FAN, "status", (), ("fan", *_MINER))
_WORKER = ("pool_id", "worker_id", "algorithm")
_ACCOUNT = ("pool_id", "coin_id")

EXPRESSED: dict[str, Expressed] = {
    "miner_unreachable": Expressed(MINER_TELEMETRY, MINERS_S, lambda _: _miners('"reachable" = false')),
    "miner_failed": Expressed(
        MINER_TELEMETRY, MINERS_S, lambda _: _miners('"reachable" = true AND "state" = \'failed\'', "state")
    ),
    "no_hashrate": Expressed(
        MINER_TELEMETRY,
        MINERS_S,
        lambda limit: _by_ratio(f'"ratio" <= {limit}'),
        "a miner whose nominal hashrate is not known is left out",
    ),
    "hashrate_low": Expressed(MINER_TELEMETRY, MINERS_S, lambda limit: _by_ratio(f'"ratio" < {limit}')),
    "board_lost": Expressed(
        MINER_TELEMETRY,
        MINERS_S,
        lambda _: _hashing_miners(
            '"boards_expected" - "boards_mining"',
            "lost",
            '"lost" > 0',
            fields=("boards_expected", "boards_mining"),
            known="boards_expected",
        ),
    ),
    "fan_lost": Expressed(
        MINER_FAN,
        MINERS_S,
        lambda _: _count(_FANS, "status", "\"status\" = 'lost'", _MINER),
        "it lasts for the span after a miner has fallen silent",
    ),
    "chip_too_hot": Expressed(
        MINER_TELEMETRY,
        MINERS_S,
        lambda limit: _miners(f'"reachable" = true AND "chip_temp_max_c" >= {limit}', "chip_temp_max_c"),
    ),
    "cooling_failing": Expressed(
        MINER_TELEMETRY,
        MINERS_S,
        lambda limit: _by_ratio(
            f'"ratio" < {FALLING_RATIO} AND "chip_temp_max_c" >= {limit} '
            f'AND ("fans_running" = 0 OR "fan_duty_percent" <= {LOW_DUTY_PERCENT})',
            "chip_temp_max_c",
            "fans_running",
            "fan_duty_percent",
        ),
    ),
    "miner_odd": Expressed(
        ANOMALY_SCORE,
        _SCORES_S,
        lambda limit: _count(
            f'SELECT last("overall") AS "overall" FROM "anomaly_score" WHERE {TIME} AND "time_period" = \'1h\' '
            'GROUP BY "miner_id"',
            "overall",
            f'"overall" >= {limit}',
            ("miner_id",),
        ),
    ),
    "worker_rejected": Expressed(
        POOL_PERFORMANCE,
        _POOLS_S,
        lambda limit: _count(
            _newest(POOL_PERFORMANCE, "status", ("reject_ratio", "time_window"), _WORKER),
            "status",
            f'"reject_ratio" > {limit} AND "time_window" =~ /./',
            _WORKER,
        ),
    ),
    "pool_account_lost": Expressed(
        POOL_ACCOUNT,
        _POOLS_S,
        lambda _: _count(
            _newest(POOL_ACCOUNT, "status", (), _ACCOUNT),
            "status",
            "\"status\" = 'gone' OR \"status\" = 'refused'",
            _ACCOUNT,
        ),
        "a pool that is configured as closed is told as well",
    ),
    "price_old": Expressed(
        MARKET_DATA,
        _DAY_S,
        lambda limit: _silent(MARKET_DATA, "price_usd", limit, ("coin_id",)),
        "told up to a minute later",
        silence=True,
    ),
    "lane_stands_still": Expressed(
        COLLECTOR_TICK,
        _DAY_S,
        lambda limit: _silent(COLLECTOR_TICK, "polled", limit * _USUAL_POLL_S, ("host", "lane")),
        f"how often a lane ticks is not stored: {_USUAL_POLL_S} s is taken for every one, and a lane that has not "
        "ticked for a day is no more known",
        silence=True,
    ),
    "disk_filling": Expressed(
        PIPELINE_VOLUME,
        _DAY_S,
        lambda limit: _count(
            _newest(PIPELINE_VOLUME, "free", ("days_until_full",), ("host", "volume")),
            "free",
            f'"days_until_full" < {limit}',
            ("host", "volume"),
        ),
        "always of one level",
    ),
    "host_memory_low": Expressed(
        PIPELINE_HOST,
        _HOSTS_S,
        lambda limit: _count(
            f'SELECT "memory_available" - {limit} * "memory_total" AS "spare" FROM '
            f"({_newest(PIPELINE_HOST, 'cpus', ('memory_available', 'memory_total'), ('host',))}) "
            'WHERE "memory_total" > 0 GROUP BY "host"',
            "spare",
            '"spare" < 0',
            ("host",),
        ),
    ),
    "host_hot": Expressed(
        PIPELINE_HOST,
        _HOSTS_S,
        lambda limit: _hosts(f'"temperature_c" >= {limit} OR "throttled" = true', "temperature_c", "throttled"),
    ),
    "host_under_voltage": Expressed(
        PIPELINE_HOST, _HOSTS_S, lambda _: _hosts('"under_voltage" = true', "under_voltage")
    ),
    "clock_off": Expressed(
        PIPELINE_HOST,
        _HOSTS_S,
        lambda limit: _count(
            'SELECT "clock_offset_s" * "clock_offset_s" AS "squared" FROM '
            f'({_newest(PIPELINE_HOST, "cpus", ("clock_offset_s",), ("host",))}) GROUP BY "host"',
            "squared",
            f'"squared" > {limit * limit}',
            ("host",),
        ),
        "rows that are dated later than now are not seen",
    ),
    "collector_overloaded": Expressed(
        COLLECTOR_TICK,
        _HOSTS_S,
        lambda limit: _count(
            _newest(COLLECTOR_TICK, "polled", ("loop_lag_ms",), ("host", "lane")),
            "polled",
            f'"loop_lag_ms" >= {limit}',
            ("host", "lane"),
        ),
        "miners that a tick skipped are not counted",
    ),
    "delivery_late": Expressed(
        PIPELINE_DELIVERY,
        _HOSTS_S,
        lambda limit: _count(
            _newest(PIPELINE_DELIVERY, "backlog", ("waiting_s",), ("host", "lane", "sink")),
            "backlog",
            f'"waiting_s" > {limit}',
            ("host", "lane", "sink"),
        ),
        "told up to five minutes later, and not while InfluxDB itself is what is slow",
    ),
    "source_failing": Expressed(
        SOURCE_HOUR,
        _SOURCES_S,
        lambda limit: _count(
            _newest(SOURCE_HOUR, "asked", ("success_ratio",), ("source",)),
            "asked",
            f'"asked" >= {LEAST_REQUESTS} AND "success_ratio" < {limit}',
            ("source",),
        ),
        "looks at the last hour of UTC that is over",
    ),
    "export_late": Expressed(
        EXPORT_STATE,
        _DAY_S,
        lambda limit: _count(
            _newest(EXPORT_STATE, "failures", ("overdue_s",), ("host", "feature_group", "way")),
            "failures",
            f'"overdue_s" > {limit}',
            ("feature_group", "way"),
        ),
    ),
}
"""Rules that are a threshold on stored rows."""

NOT_EXPRESSED: dict[str, str] = {
    **{rule.name: "needs the number of configured miners of the site or rack, which is not stored" for rule in CROWDS},
    "miner_stale": "needs the configured miners and the interval of each: one that was never polled has no rows",
    "work_astray": "of several workers that fit a miner in one hour it takes the one that is matched",
    "pool_switched": "compares the first and the last switch of three hours with each other",
    "work_not_credited": "joins what a pool credited in an hour with what the miner does now",
    "pool_away": "needs to know which sources are pools, and what was asked of each: that is configuration",
    "pool_all_offline": "compares all coins of an account with each other",
    "worker_offline": "adds the age of the row to the age of the share, and tells a worker without a share as well",
    "market_source_away": "needs to know which sources are pools, and what was asked of each: that is configuration",
    "store_away": "a store that is away answers no query; the host that cannot deliver tells it",
    "points_refused": "looks at files of the host",
    "response_wants_human": "looks at the book of responses of the host",
    "derived_late": "compares the marks of two measurements",
}
"""Rules that Lodeline alone watches, and why."""
