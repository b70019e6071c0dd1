"""Rows of the pipeline's dashboard: do the hosts bear it, does the store take it, does the disk last?"""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Row, Target, limited, lines, newest
from deployments.grafana.pipeline_panels import HOST, told
from storage.declaration.pipeline import (
    PIPELINE_DELIVERY,
    PIPELINE_DISK,
    PIPELINE_HOST,
    PIPELINE_PROCESS,
    PIPELINE_VOLUME,
)

_WAY = ("host", "lane", "sink")

HOSTS = Row(
    "Hosts",
    (
        told(PIPELINE_HOST, "Processors", "Part of all cores' time that was not idle.", "cpu_busy"),
        told(
            PIPELINE_HOST,
            "Memory",
            "The least that could be had without swapping, and all of it.",
            "memory_available",
            "memory_total",
            worst="min",
        ),
        limited(
            told(
                PIPELINE_HOST,
                "Temperature",
                "Hottest sensor; a board without one has no line.",
                "temperature_c",
            ),
            "host_hot",
        ),
        told(
            PIPELINE_PROCESS,
            "Cores by kind of process",
            "1 is one core. Short flows together; what ended between two rows is not in it.",
            "cpu_cores",
            by=("host", "process"),
        ),
        told(
            PIPELINE_PROCESS,
            "Memory by kind of process",
            "What several processes share is counted once.",
            "pss",
            by=("host", "process"),
        ),
        told(
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
                [HOST],
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
)

DELIVERY = Row(
    "Delivery",
    (
        told(
            PIPELINE_DELIVERY,
            "Throughput",
            "Points that the store took.",
            "stored_per_s",
            worst="mean",
            by=_WAY,
        ),
        told(
            PIPELINE_DELIVERY,
            "Lag",
            "From reading to being stored, 95 of 100 points.",
            "lag_p95_s",
            by=_WAY,
        ),
        limited(
            told(
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
                [HOST],
            ),
            ("stored_per_s", "backlog", "waiting_s", "lag_p99_s", "dead_lettered", "shed"),
            width=24,
        ),
    ),
)

DISK = Row(
    "Disk",
    (
        lines(
            "Size by place",
            "Sum over measurements, lanes and tiers.",
            PIPELINE_DISK,
            [
                Target(
                    queries.sum_of_series(PIPELINE_DISK, "size", ("host", "place"), [HOST]),
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
                    queries.sum_of_series(PIPELINE_DISK, "growth", ("host", "place"), [HOST]),
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
                    queries.measured(PIPELINE_VOLUME, "min", field, ("host", "volume"), [HOST]),
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
                        queries.measured(PIPELINE_VOLUME, "min", "days_until_full", ("host", "volume"), [HOST]),
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
            queries.newest_of_each(PIPELINE_VOLUME, ("total", "free", "days_until_full", "actions"), [HOST]),
            ("total", "free", "days_until_full"),
        ),
    ),
)
