"""The dashboard of Lodeline itself: does it collect, does the store take it, does the disk last, what fires."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Dashboard, Panel, Row, Target, limited, lines, newest, tag_values
from deployments.grafana.pipeline_collecting import COLLECTOR, SOURCES
from deployments.grafana.pipeline_keeping import DELIVERY, DISK, HOSTS
from deployments.grafana.pipeline_panels import told
from storage.declaration.event import ALERT_EVENT, EVENT_SEVERITIES
from storage.declaration.pipeline import (
    COLLECTOR_TICK,
    EXPORT_STATE,
    FEATURE_DRIFT,
    FLEET_HEALTH,
    SOURCE_HOUR,
    SOURCE_QUALITY,
)


def _fleet(title: str, description: str, *fields: str, worst: str = "min") -> Panel:
    """Figures of the business, hour by hour."""
    return told(FLEET_HEALTH, title, description, *fields, worst=worst, by=(), where=(), interval="1h", width=6)


_BUSINESS = Row(
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
            told(
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
)

_ALERTS = Row(
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
            queries.latest(ALERT_EVENT, ("event", "rule", "subject", "level", "site", "message", "value", "person")),
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
)

PIPELINE = Dashboard(
    "pipeline",
    "Lodeline pipeline",
    (tag_values("host", "Host", COLLECTOR_TICK, "host"),),
    (COLLECTOR, SOURCES, HOSTS, DELIVERY, _BUSINESS, DISK, _ALERTS),
    span="24h",
)
