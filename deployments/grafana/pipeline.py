"""The dashboard of Lodeline itself: does it collect, does the store take it, does the disk last, what fires."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Dashboard, Panel, Row, Target, lines, newest, tag_values
from storage.declaration.event import ALERT_EVENT, EVENT_SEVERITIES
from storage.declaration.miner import FAILURE_KINDS, MINER_TELEMETRY
from storage.declaration.pipeline import (
    COLLECTOR_TICK,
    FEATURE_DRIFT,
    PIPELINE_DISK,
    PIPELINE_VOLUME,
    SOURCE_FAILURES,
    SOURCE_REQUEST,
)

_HOST = queries.chosen("host", "host")


def _ticks(title: str, description: str, width: int = 8, **name_of_field: str) -> Panel:
    targets = [
        Target(queries.measured(COLLECTOR_TICK, "max", field, ("host", "lane"), [_HOST]), f"{name} $tag_host $tag_lane")
        for name, field in name_of_field.items()
    ]
    unit = COLLECTOR_TICK.field_by_name[next(iter(name_of_field.values()))].unit
    return lines(title, description, COLLECTOR_TICK, targets, unit, interval="1m", width=width)


def _requests(title: str, description: str, function: str, field: str, unit: str, *where: str) -> Panel:
    query = queries.measured(SOURCE_REQUEST, function, field, ("source",), [_HOST, *where])
    return lines(
        title,
        description,
        SOURCE_REQUEST,
        [Target(query, "$tag_source")],
        unit,
        interval="15m",
        bars=function == "count",
    )


PIPELINE = Dashboard(
    "pipeline",
    "Lodeline pipeline",
    (tag_values("host", "Host", COLLECTOR_TICK, "host"),),
    (
        Row(
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
                _ticks("Event loop delay", "Worst delay in a tick: a busy host, not slow miners.", delay="loop_lag_ms"),
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
                        [_HOST],
                    ),
                    ("polled", "failed", "points", "backlog", "tick_s", "missed"),
                ),
            ),
        ),
        Row(
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
                            queries.measured(
                                SOURCE_REQUEST, "count", "failure", (), [_HOST, queries.equal("failure", reason)]
                            ),
                            reason.replace("_", " "),
                        )
                        for reason in SOURCE_FAILURES
                    ],
                    "count",
                    interval="15m",
                    stacked=True,
                    bars=True,
                ),
                _requests(
                    "Credits left", "In the month, of sources that have a budget.", "min", "credits_left", "count"
                ),
                _requests("Age of answers", "0 unless an answer was kept from before.", "max", "age_s", "s"),
                newest(
                    "Newest requests",
                    "Of each request.",
                    SOURCE_REQUEST,
                    queries.newest_of_each(
                        SOURCE_REQUEST,
                        ("ok", "failure", "latency_ms", "rows", "tries", "credits_left", "retry_after_s", "from_cache"),
                        [_HOST],
                    ),
                    ("latency_ms", "rows", "tries", "credits_left", "retry_after_s"),
                    width=24,
                ),
            ),
        ),
        Row(
            "Disk",
            (
                lines(
                    "Size by place",
                    "Sum over measurements, lanes and tiers.",
                    PIPELINE_DISK,
                    [
                        Target(
                            queries.sum_of_series(PIPELINE_DISK, "size", ("host", "place"), [_HOST]),
                            "$tag_host $tag_place",
                        )
                    ],
                    "bytes",
                    interval="1h",
                    stacked=True,
                ),
                lines(
                    "Growth per day by place",
                    "Bytes that come each day; there is none until two whole days are known.",
                    PIPELINE_DISK,
                    [
                        Target(
                            queries.sum_of_series(PIPELINE_DISK, "growth", ("host", "place"), [_HOST]),
                            "$tag_host $tag_place",
                        )
                    ],
                    "bytes",
                    interval="1h",
                ),
                lines(
                    "Free space",
                    "Of each file system that holds data.",
                    PIPELINE_VOLUME,
                    [
                        Target(
                            queries.measured(PIPELINE_VOLUME, "min", field, ("host", "volume"), [_HOST]),
                            f"$tag_host $tag_volume {field}",
                        )
                        for field in ("free", "total")
                    ],
                    "bytes",
                    interval="1h",
                ),
                lines(
                    "Days until full",
                    "At the pace of the last days; there is none where it never is, or nobody knows.",
                    PIPELINE_VOLUME,
                    [
                        Target(
                            queries.measured(PIPELINE_VOLUME, "min", "days_until_full", ("host", "volume"), [_HOST]),
                            "$tag_host $tag_volume",
                        )
                    ],
                    "days",
                    interval="1h",
                    width=12,
                ),
                newest(
                    "File systems",
                    "With the steps of the guard that are due.",
                    PIPELINE_VOLUME,
                    queries.newest_of_each(PIPELINE_VOLUME, ("total", "free", "days_until_full", "actions"), [_HOST]),
                    ("total", "free", "days_until_full"),
                ),
            ),
        ),
        Row(
            "Alerts and drift",
            (
                lines(
                    "Alerts that fired",
                    "By level. Lodeline's own alerts; Grafana's rules are beside them.",
                    ALERT_EVENT,
                    [
                        Target(
                            queries.measured(
                                ALERT_EVENT,
                                "count",
                                "level",
                                (),
                                [queries.equal("event", "fired"), queries.equal("level", level)],
                            ),
                            level,
                        )
                        for level in EVENT_SEVERITIES
                    ],
                    "count",
                    interval="15m",
                    stacked=True,
                    bars=True,
                ),
                newest(
                    "What happened to alerts",
                    "Newest first; `value` is in the rule's unit.",
                    ALERT_EVENT,
                    queries.latest(
                        ALERT_EVENT, ("event", "rule", "subject", "level", "site", "message", "value", "person")
                    ),
                    (),
                    width=16,
                ),
                newest(
                    "Features that drift",
                    "Newest day of each feature; docs/features.md.",
                    FEATURE_DRIFT,
                    queries.newest_of_each(FEATURE_DRIFT, ("status", "psi", "ks", "current_missing", "reason")),
                    ("psi", "ks", "current_missing"),
                    width=24,
                ),
            ),
        ),
    ),
    span="24h",
)
