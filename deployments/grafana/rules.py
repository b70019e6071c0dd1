"""Grafana's alert rules, made from the rules of ``tasks/alerts``: name, level, meaning, remedy, limit and ``for``.

The comparison stands in the InfluxQL and not in an expression of Grafana's, so that the tests can run it on a real
server: a query answers one row for each thing that is wrong, and Grafana only asks whether there is one. Only silence
is asked the other way: one row for each thing that should speak, 0 where it does not.

No ``$`` is in what Grafana reads from this: it would take the word behind it from its environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import yaml

from deployments.grafana.queries import TIME, quoted
from deployments.markdown import markdown_table
from storage.declaration import Measurement, Tier
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
from tasks.alerts.rule import About, Rule
from tasks.alerts.rules import RULES
from tasks.alerts.rules.crowd import CROWDS
from tasks.alerts.rules.hosts import LEAST_REQUESTS, TOLD_S
from tasks.alerts.rules.miners import FALLING_RATIO, HASHING, LOW_DUTY_PERCENT

# ruff: noqa: S608

_MINERS_S = 900
"""How far "now" looks back at miners: three polls at the slowest usual interval of 5 min."""
_SCORES_S = 2 * 3_600
_POOLS_S = 6 * 3_600
_SOURCES_S = 3 * 3_600
_HOSTS_S = int(TOLD_S)
_DAY_S = 86_400
_USUAL_POLL_S = 300
_WINDOW_S = 60
_SILENT = 0.001
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
    "miner_unreachable": Expressed(MINER_TELEMETRY, _MINERS_S, lambda _: _miners('"reachable" = false')),
    "miner_failed": Expressed(
        MINER_TELEMETRY, _MINERS_S, lambda _: _miners('"reachable" = true AND "state" = \'failed\'', "state")
    ),
    "no_hashrate": Expressed(
        MINER_TELEMETRY,
        _MINERS_S,
        lambda limit: _by_ratio(f'"ratio" <= {limit}'),
        "a miner whose nominal hashrate is not known is left out",
    ),
    "hashrate_low": Expressed(MINER_TELEMETRY, _MINERS_S, lambda limit: _by_ratio(f'"ratio" < {limit}')),
    "board_lost": Expressed(
        MINER_TELEMETRY,
        _MINERS_S,
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
        _MINERS_S,
        lambda _: _count(_FANS, "status", "\"status\" = 'lost'", _MINER),
        "it lasts for the span after a miner has fallen silent",
    ),
    "chip_too_hot": Expressed(
        MINER_TELEMETRY,
        _MINERS_S,
        lambda limit: _miners(f'"reachable" = true AND "chip_temp_max_c" >= {limit}', "chip_temp_max_c"),
    ),
    "cooling_failing": Expressed(
        MINER_TELEMETRY,
        _MINERS_S,
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

_CONDITION = {False: ("gt", 0), True: ("lt", _SILENT)}
"""What the number in the query's answer must be for an alert: more than no row, or less than any row a minute."""


def told_query(name: str) -> str:
    """The query as Grafana sends it, with its span written out."""
    rule, expressed = RULES[name], EXPRESSED[name]
    span = f"time > now() - {expressed.span_s}s AND time <= now()"
    return expressed.query(rule.limit or 0.0).replace(TIME, span)


def alerting(uid_of: dict[str, str]) -> str:
    """Provisioning of the rules. ``uid_of``: datasource of each bucket."""
    groups = [
        {
            "orgId": 1,
            "name": f"lodeline {about}",
            "folder": "Lodeline",
            "interval": "1m",
            "rules": [
                _rule(rule, EXPRESSED[name], uid_of)
                for name, rule in RULES.items()
                if rule.about is about and name in EXPRESSED
            ],
        }
        for about in About
        if any(RULES[name].about is about for name in EXPRESSED)
    ]
    written = yaml.safe_dump({"apiVersion": 1, "groups": groups}, sort_keys=False, width=200, allow_unicode=True)
    return f"# Generated by deployments/grafana/build.py from tasks/alerts/rules\n{written}"


def _rule(rule: Rule, expressed: Expressed, uid_of: dict[str, str]) -> dict[str, object]:
    comparison, bound = _CONDITION[expressed.silence]
    return {
        "uid": f"lodeline-{rule.name.replace('_', '-')}",
        "title": rule.name,
        "condition": "C",
        "for": f"{rule.for_s}s",
        # Nothing that is wrong is no data; but nobody that speaks is an alert of the pipeline, always.
        "noDataState": "Alerting" if expressed.silence and rule.about is About.PIPELINE else "OK",
        "execErrState": "Error",
        "labels": {"severity": str(rule.level), "about": str(rule.about), "source": "lodeline"},
        "annotations": {
            "summary": rule.meaning,
            "description": rule.remedy,
            "lodeline_rule": f"docs/alerts.md#{rule.name}",
        },
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": {"from": expressed.span_s, "to": 0},
                "datasourceUid": uid_of[expressed.measurement.buckets[Tier.RAW]],
                "model": {
                    "refId": "A",
                    "rawQuery": True,
                    "query": told_query(rule.name),
                    "resultFormat": "time_series",
                },
            },
            _expression("B", {"type": "reduce", "expression": "A", "reducer": "last", "settings": {"mode": "dropNN"}}),
            _expression(
                "C",
                {
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [{"evaluator": {"type": comparison, "params": [bound]}}],
                },
            ),
        ],
    }


def _expression(reference: str, model: dict[str, object]) -> dict[str, object]:
    source = {"type": "__expr__", "uid": "__expr__"}
    return {
        "refId": reference,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": reference, "datasource": source} | model,
    }


def rules_page() -> str:
    """What is in Grafana's rules and what is not, for an operator."""
    told = [
        (f"`{name}`", str(rule.level), _limit(rule), f"{rule.for_s} s", EXPRESSED[name].differs)
        for name, rule in RULES.items()
        if name in EXPRESSED
    ]
    left = [(f"`{name}`", why) for name, why in NOT_EXPRESSED.items()]
    return f"""# Alert rules for Grafana

Made from `tasks/alerts/rules` by `python -m deployments.grafana.build`; a test fails when it is stale.

`provisioning/alerting/lodeline.yaml` has the rules below, for a farm whose people live in Grafana. What each means
and what to do is in docs/alerts.md; to whom they go is Grafana's own matter (contact points, notification policies:
label `severity` is {", ".join(sorted({str(rule.level) for rule in RULES.values()}))}).
`notification/lodeline.yaml` has such to begin with: README.md.

They are fewer and simpler than the watch of Lodeline itself (`lodeline alerts`), which also mutes what a cause
explains, tells a rack or site as one, keeps an alert until it has been over for a while, and knows what is stale by
each miner's own interval. Grafana looks {_MINERS_S // 60} min back at miners. Use one of the two to wake people. Limits
are those that are declared; `alerts.rules` of the configuration is not read here.

{markdown_table(("rule", "level", "limit", "for", "differs from Lodeline's own"), told)}
Where a rule finds nothing, its query answers no row, which Grafana is told to take for OK. `lane_stands_still` is the
one that alerts when there is no data, so a store that is empty or away is not silence.

## Only Lodeline watches

{markdown_table(("rule", "why"), left)}"""


def _limit(rule: Rule) -> str:
    return "" if rule.limit is None else f"{rule.limit:g} {rule.unit}"
