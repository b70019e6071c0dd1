"""The dashboard of Lodeline itself: does it collect, does the store take it, does the disk last, what fires."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Dashboard, Panel, Row, Target, limited, lines, newest, tag_values
from storage.declaration.event import ALERT_EVENT, EVENT_SEVERITIES, SOURCE_EVENT
from storage.declaration.measurement import Measurement
from storage.declaration.miner import FAILURE_KINDS, MINER_TELEMETRY
from storage.declaration.pipeline import (
    COLLECTOR_TICK,
    EXPORT_STATE,
    FEATURE_DRIFT,
    FLEET_HEALTH,
    PIPELINE_DELIVERY,
    PIPELINE_DISK,
    PIPELINE_HOST,
    PIPELINE_PROCESS,
    PIPELINE_VOLUME,
    SOURCE_FAILURES,
    SOURCE_HOUR,
    SOURCE_QUALITY,
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


def _told(
    measurement: Measurement,
    title: str,
    description: str,
    *fields: str,
    worst: str = "max",
    by: tuple[str, ...] = ("host",),
    where: tuple[str, ...] = (_HOST,),
    interval: str = "5m",
    width: int = 8,
) -> Panel:
    """``worst`` of ``fields``, all of one unit, by tags."""
    names = " ".join(f"$tag_{tag}" for tag in by)
    targets = [
        Target(
            queries.measured(measurement, worst, field, by, list(where)),
            f"{names} {field}".strip() if len(fields) > 1 else names or field,
        )
        for field in fields
    ]
    unit = measurement.field_by_name[fields[0]].unit
    return lines(title, description, measurement, targets, unit, interval=interval, width=width)


_WAY = ("host", "lane", "sink")


def _fleet(title: str, description: str, *fields: str, worst: str = "min") -> Panel:
    """Figures of the business, hour by hour."""
    return _told(FLEET_HEALTH, title, description, *fields, worst=worst, by=(), where=(), interval="1h", width=6)


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
                _ticks(
                    "Latency of answers",
                    "Time until an answer was whole, of those that came in a tick.",
                    median="latency_p50_ms",
                    of_95="latency_p95_ms",
                    of_99="latency_p99_ms",
                ),
                limited(
                    _ticks(
                        "Event loop delay", "Worst delay in a tick: a busy host, not slow miners.", delay="loop_lag_ms"
                    ),
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
                newest(
                    "Pauses",
                    "Of pools and providers, by hand or by a response, newest first: what is missing meanwhile is "
                    "missing on purpose.",
                    SOURCE_EVENT,
                    queries.latest(SOURCE_EVENT, ("source", "kind", "message"), [_HOST]),
                    (),
                    width=24,
                ),
            ),
        ),
        Row(
            "Hosts",
            (
                _told(PIPELINE_HOST, "Processors", "Part of all cores' time that was not idle.", "cpu_busy"),
                _told(
                    PIPELINE_HOST,
                    "Memory",
                    "The least that could be had without swapping, and all of it.",
                    "memory_available",
                    "memory_total",
                    worst="min",
                ),
                limited(
                    _told(
                        PIPELINE_HOST,
                        "Temperature",
                        "Hottest sensor; a board without one has no line.",
                        "temperature_c",
                    ),
                    "host_hot",
                ),
                _told(
                    PIPELINE_PROCESS,
                    "Cores by kind of process",
                    "1 is one core. Short flows together; what ended between two rows is not in it.",
                    "cpu_cores",
                    by=("host", "process"),
                ),
                _told(
                    PIPELINE_PROCESS,
                    "Memory by kind of process",
                    "What several processes share is counted once.",
                    "pss",
                    by=("host", "process"),
                ),
                _told(
                    PIPELINE_PROCESS,
                    "Open files by kind of process",
                    "Files and connections.",
                    "open_files",
                    by=("host", "process"),
                ),
                newest(
                    "Newest of each host",
                    "`reason` says what its board or system does not tell.",
                    PIPELINE_HOST,
                    queries.newest_of_each(
                        PIPELINE_HOST,
                        (
                            "cpu_busy",
                            "load_1m",
                            "memory_available",
                            "swap_used",
                            "disk_free",
                            "temperature_c",
                            "throttled",
                            "under_voltage",
                            "clock_synchronised",
                            "clock_offset_s",
                            "reason",
                        ),
                        [_HOST],
                    ),
                    (
                        "cpu_busy",
                        "load_1m",
                        "memory_available",
                        "swap_used",
                        "disk_free",
                        "temperature_c",
                        "clock_offset_s",
                    ),
                    width=24,
                ),
            ),
        ),
        Row(
            "Delivery",
            (
                _told(
                    PIPELINE_DELIVERY,
                    "Throughput",
                    "Points that the store took.",
                    "stored_per_s",
                    worst="mean",
                    by=_WAY,
                ),
                _told(
                    PIPELINE_DELIVERY,
                    "Lag",
                    "From reading to being stored, 95 of 100 points.",
                    "lag_p95_s",
                    by=_WAY,
                ),
                limited(
                    _told(
                        PIPELINE_DELIVERY,
                        "Behind",
                        "Since the reading of the newest point stored while others wait; 0: none waits.",
                        "waiting_s",
                        by=_WAY,
                    ),
                    "delivery_late",
                ),
                newest(
                    "Newest of each lane and store",
                    "Dead-lettered and shed over the life of the lane.",
                    PIPELINE_DELIVERY,
                    queries.newest_of_each(
                        PIPELINE_DELIVERY,
                        ("stored_per_s", "backlog", "waiting_s", "lag_p99_s", "dead_lettered", "shed", "trouble"),
                        [_HOST],
                    ),
                    ("stored_per_s", "backlog", "waiting_s", "lag_p99_s", "dead_lettered", "shed"),
                    width=24,
                ),
            ),
        ),
        Row(
            "Business and quality",
            (
                _fleet(
                    "Delivered, known, credited",
                    "Hashrate delivered of what was expected, miners known of those configured, credited of what was "
                    "predicted.",
                    "delivered_ratio",
                    "known_ratio",
                    "credited_ratio",
                ),
                _fleet(
                    "Profit",
                    "Of the newest day, and the mean of the seven before.",
                    "profit_day_usd",
                    "profit_mean_usd",
                ),
                limited(
                    _fleet("Age of prices", "Newest price of the coin whose is oldest.", "price_age_s", worst="max"),
                    "price_old",
                ),
                limited(
                    _told(
                        SOURCE_HOUR,
                        "Answers by source",
                        "Requests that brought data / requests, by hour.",
                        "success_ratio",
                        worst="min",
                        by=("source",),
                        where=(),
                        interval="1h",
                        width=6,
                    ),
                    "source_failing",
                    below=True,
                ),
                newest(
                    "Newest day of each source",
                    "Quality by docs/source-quality.md; `lodeline quality` has all days.",
                    SOURCE_QUALITY,
                    queries.newest_of_each(
                        SOURCE_QUALITY,
                        ("score", "completeness", "timeliness", "accuracy", "consistency", "failed", "reason"),
                    ),
                    ("score", "completeness", "timeliness", "accuracy", "consistency", "failed"),
                    look_back="72h",
                ),
                newest(
                    "Exports to Abacus.AI",
                    "Of each feature group; overdue by its schedule.",
                    EXPORT_STATE,
                    queries.newest_of_each(
                        EXPORT_STATE,
                        ("watermark_age_s", "rows_behind", "overdue_s", "failures", "dead_letters", "failure"),
                    ),
                    ("watermark_age_s", "rows_behind", "overdue_s", "failures", "dead_letters"),
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
                limited(
                    lines(
                        "Days until full",
                        "At the pace of the last days; there is none where it never is, or nobody knows.",
                        PIPELINE_VOLUME,
                        [
                            Target(
                                queries.measured(
                                    PIPELINE_VOLUME, "min", "days_until_full", ("host", "volume"), [_HOST]
                                ),
                                "$tag_host $tag_volume",
                            )
                        ],
                        "days",
                        interval="1h",
                        width=12,
                    ),
                    "disk_filling",
                    below=True,
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
