"""Rows of the pipeline's dashboard: does it collect?"""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Panel, Row, Target, limited, lines, newest
from deployments.grafana.pipeline_panels import HOST
from storage.declaration.event import SOURCE_EVENT
from storage.declaration.miner import FAILURE_KINDS, MINER_TELEMETRY
from storage.declaration.pipeline import COLLECTOR_TICK, SOURCE_FAILURES, SOURCE_REQUEST


def _ticks(title: str, description: str, width: int = 8, **name_of_field: str) -> Panel:
    targets = [
        Target(queries.measured(COLLECTOR_TICK, "max", field, ("host", "lane"), [HOST]), f"{name} $tag_host $tag_lane")
        for name, field in name_of_field.items()
    ]
    unit = COLLECTOR_TICK.field_by_name[next(iter(name_of_field.values()))].unit
    return lines(title, description, COLLECTOR_TICK, targets, unit, interval="1m", width=width)


def _requests(title: str, description: str, function: str, field: str, unit: str, *where: str) -> Panel:
    query = queries.measured(SOURCE_REQUEST, function, field, ("source",), [HOST, *where])
    return lines(
        title,
        description,
        SOURCE_REQUEST,
        [Target(query, "$tag_source")],
        unit,
        interval="15m",
        bars=function == "count",
    )


COLLECTOR = Row(
    "Collector",
    (
        _ticks(
            "Asked and failed",
            "Of every tick: entities asked, those that gave no reading, and those left alone since their "
            "breaker is open.",
            asked="polled",
            failed="failed",
            alone="left_alone",
        ),
        _ticks("Points", "Accepted by the spool in a tick.", points="points"),
        _ticks(
            "Backlog",
            "Points spooled and not yet stored. Rising: the store does not take them.",
            waiting="backlog",
        ),
        _ticks("Tick time", "From the slot's start until all was read.", took="tick_s"),
        _ticks("Missed slots", "Slots that nobody ticked since the tick before.", missed="missed"),
        _ticks(
            "Latency of answers",
            "Time until an answer was whole, of those that came in a tick.",
            median="latency_p50_ms",
            of_95="latency_p95_ms",
            of_99="latency_p99_ms",
        ),
        limited(
            _ticks("Event loop delay", "Worst delay in a tick: a busy host, not slow miners.", delay="loop_lag_ms"),
            "collector_overloaded",
        ),
        lines(
            "Failed polls by reason",
            "Polls of miners that failed, of all hosts.",
            MINER_TELEMETRY,
            [
                Target(
                    queries.measured(MINER_TELEMETRY, "count", "failure", (), [queries.equal("failure", kind)]),
                    kind.replace("_", " "),
                )
                for kind in FAILURE_KINDS
            ],
            "count",
            interval="5m",
            width=12,
            stacked=True,
            bars=True,
        ),
        newest(
            "Newest ticks",
            "Of each host and lane, with its failures by reason.",
            COLLECTOR_TICK,
            queries.newest_of_each(
                COLLECTOR_TICK,
                ("polled", "failed", "failed_by_reason", "points", "backlog", "tick_s", "missed"),
                [HOST],
            ),
            ("polled", "failed", "points", "backlog", "tick_s", "missed"),
        ),
    ),
)

SOURCES = Row(
    "Pools and market sources",
    (
        _requests("Requests", "Sent to each source in the window.", "count", "ok", "count"),
        _requests(
            "Requests with data",
            "Those of them that brought data.",
            "count",
            "ok",
            "count",
            '"ok" = true',
        ),
        _requests("Latency", "Mean time until the answer was whole.", "mean", "latency_ms", "ms"),
        lines(
            "Failed requests by reason",
            "Of all sources.",
            SOURCE_REQUEST,
            [
                Target(
                    queries.measured(SOURCE_REQUEST, "count", "failure", (), [HOST, queries.equal("failure", reason)]),
                    reason.replace("_", " "),
                )
                for reason in SOURCE_FAILURES
            ],
            "count",
            interval="15m",
            stacked=True,
            bars=True,
        ),
        _requests("Credits left", "In the month, of sources that have a budget.", "min", "credits_left", "count"),
        _requests("Age of answers", "0 unless an answer was kept from before.", "max", "age_s", "s"),
        newest(
            "Newest requests",
            "Of each request.",
            SOURCE_REQUEST,
            queries.newest_of_each(
                SOURCE_REQUEST,
                ("ok", "failure", "latency_ms", "rows", "tries", "credits_left", "retry_after_s", "from_cache"),
                [HOST],
            ),
            ("latency_ms", "rows", "tries", "credits_left", "retry_after_s"),
            width=24,
        ),
        newest(
            "Pauses",
            "Of pools and providers, by hand or by a response, newest first: what is missing meanwhile is "
            "missing on purpose.",
            SOURCE_EVENT,
            queries.latest(SOURCE_EVENT, ("source", "kind", "message"), [HOST]),
            (),
            width=24,
        ),
    ),
)
