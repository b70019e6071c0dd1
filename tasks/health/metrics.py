"""Every metric of ``/metrics``, declared once: the exposition and docs/metrics.md follow from it.

Names are Prometheus' own way (prometheus.io/docs/practices/naming): prefix, thing, base unit; counters end in
``_total``, which is written by the exposition and is no part of the names here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "lodeline_"


class Kind(StrEnum):
    """How a metric behaves."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricDeclaration:
    """One metric. ``meaning`` is its HELP; ``section`` where it stands in docs/metrics.md."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    section: str

    @property
    def told_name(self) -> str:
        """The name that is written: with prefix, and ``_total`` of a counter."""
        return PREFIX + self.name + ("_total" if self.kind is Kind.COUNTER else "")


def _gauges(section: str, *given: tuple[str, tuple[str, ...], str]) -> list[MetricDeclaration]:
    return [MetricDeclaration(name, Kind.GAUGE, labels, meaning, section) for name, labels, meaning in given]


def _counters(section: str, *given: tuple[str, tuple[str, ...], str]) -> list[MetricDeclaration]:
    return [MetricDeclaration(name, Kind.COUNTER, labels, meaning, section) for name, labels, meaning in given]


def _histograms(section: str, *given: tuple[str, tuple[str, ...], str]) -> list[MetricDeclaration]:
    return [MetricDeclaration(name, Kind.HISTOGRAM, labels, meaning, section) for name, labels, meaning in given]


_LANE = ("lane",)
_LANE_REASON = ("lane", "reason")
_LANE_SINK = ("lane", "sink")
_REQUEST = ("source", "request")
_PROCESS = ("process",)

_LANES, _DELIVERY, _SOURCES, _DERIVED = "Collection", "Delivery", "Pools and market sources", "What is worked out"
_ALERTS, _HOST, _PROCESSES, _FLEET = "Alerts", "Host", "Processes", "Business"

_DECLARED = (
    *_gauges(
        _LANES,
        ("healthy", (), "1 while nothing is wrong with the pipeline of this host"),
        ("build_info", ("version",), "1; the label tells the version"),
        ("lane_last_tick_timestamp_seconds", _LANE, "slot of the newest tick"),
        ("lane_newest_data_timestamp_seconds", _LANE, "newest reading"),
        ("lane_tick_interval_seconds", _LANE, "seconds between two ticks"),
        ("lane_tick_duration_seconds", _LANE, "time that the newest tick took"),
        ("lane_loop_lag_seconds", _LANE, "worst delay of the event loop at the newest tick"),
        ("lane_polled", _LANE, "miners or requests asked at the newest tick"),
        ("lane_failed", _LANE, "of them, those that gave no reading"),
        ("lane_left_alone", _LANE, "miners not asked since their circuit breaker is open"),
        ("lane_failed_by_reason", _LANE_REASON, "those that gave no reading, by reason"),
        ("overrides", (), "overrides by hand that hold"),
    ),
    *_counters(
        _LANES,
        ("ticks", _LANE, "ticks"),
        ("slots_missed", _LANE, "slots that nobody ticked"),
        ("polls", _LANE, "miners or requests asked"),
        ("polls_failed", _LANE_REASON, "those that gave no reading"),
    ),
    *_histograms(_LANES, ("poll_duration_seconds", _LANE, "time until an answer was whole")),
    *_counters(
        _DELIVERY,
        ("points_accepted", _LANE_SINK, "points that the spool took"),
        ("points_stored", _LANE_SINK, "points that the store took"),
        ("points_dead_lettered", _LANE_SINK, "points that the store refused for good"),
        ("points_shed", _LANE_SINK, "points dropped since the spool's limit was reached"),
    ),
    *_gauges(
        _DELIVERY,
        ("backlog_points", _LANE_SINK, "points spooled and not stored yet"),
        ("sink_up", _LANE_SINK, "0 while the store does not take what it is given"),
        (
            "delivery_waiting_seconds",
            _LANE_SINK,
            "since the reading of the newest point stored while others wait; else 0",
        ),
    ),
    *_histograms(_DELIVERY, ("delivery_lag_seconds", _LANE_SINK, "from reading to being stored, of points")),
    *_gauges(
        _SOURCES,
        ("source_last_success_timestamp_seconds", _REQUEST, "slot at which data last came"),
        ("source_failures_in_a_row", _REQUEST, "tries since then that gave none"),
        ("source_latency_seconds", _REQUEST, "time of the newest answer"),
        ("source_credits_left", ("source",), "credits left this month"),
        ("source_credits_forecast", ("source",), "credits that the month will have used at its end"),
        (
            "source_quality_ratio",
            ("source", "kind", "aspect"),
            "completeness, timeliness, accuracy, consistency and score of the newest day; miners is the mean of them",
        ),
        ("source_quality_day_timestamp_seconds", ("source", "kind"), "start of that day"),
    ),
    *_counters(
        _SOURCES,
        ("source_requests", _REQUEST, "requests, those not sent for want of credits included"),
        ("source_requests_failed", (*_REQUEST, "reason"), "those that brought nothing"),
    ),
    *_histograms(_SOURCES, ("source_request_duration_seconds", ("source",), "time until an answer was whole")),
    *_gauges(
        _DERIVED,
        ("rolled_up_until_timestamp_seconds", ("measurement",), "before it all closed hours are rolled up"),
    ),
    *_gauges(
        _ALERTS,
        ("alerts_firing", ("level", "muted"), "alerts that fire; muted ones are told nobody"),
        ("alerts_last_look_timestamp_seconds", (), "when the watch last looked"),
        ("channel_last_success_timestamp_seconds", ("channel",), "when a channel last took a message"),
        ("channel_waiting", ("channel",), "messages that wait for a channel"),
    ),
    *_gauges(
        _HOST,
        ("disk_free_bytes", (), "bytes free where the data is"),
        ("disk_size_bytes", (), "bytes of that file system"),
        ("host_load1", (), "processes that ran or waited to, mean of a minute"),
        ("host_cpus", (), "processors"),
        ("host_memory_available_bytes", (), "memory that can be had without swapping"),
        ("host_memory_bytes", (), "memory of the host, or the limit of its container"),
        ("host_swap_used_bytes", (), "memory that was swapped out"),
        ("host_temperature_celsius", (), "hottest sensor of the board"),
        ("host_throttled", (), "1 while the processor is slowed down for heat or power"),
        ("host_under_voltage", (), "1 while the power supply gives too little voltage"),
        ("host_boot_timestamp_seconds", (), "when the host started"),
        ("host_clock_synchronised", (), "1 while something keeps the clock right, as the kernel knows"),
        ("host_clock_error_seconds", (), "error that the clock may have, as the kernel knows"),
    ),
    *_counters(_HOST, ("host_cpu_seconds", ("mode",), "time of all processors, busy or idle")),
    *_gauges(
        _PROCESSES,
        ("processes", _PROCESS, "processes of Lodeline and its Prefect"),
        ("process_resident_memory_bytes", _PROCESS, "memory, what several share counted in each"),
        ("process_open_fds", _PROCESS, "open files and connections"),
        ("process_threads", _PROCESS, "threads"),
    ),
    *_counters(
        _PROCESSES,
        ("process_cpu_seconds", _PROCESS, "processor time, of kinds that run once and for long; flows are none"),
    ),
    *_gauges(
        _FLEET,
        ("fleet_looked_timestamp_seconds", (), "when the figures of this section were worked out"),
        ("fleet_miners", (), "miners of the configuration"),
        ("fleet_miners_known", (), "those whose newest row is not stale"),
        ("fleet_miners_answering", (), "those that answered"),
        ("fleet_hashrate_expected_hashes_per_second", (), "of the presets, mean of 24 hours"),
        ("fleet_hashrate_delivered_hashes_per_second", (), "expected less what was lost, mean of 24 hours"),
        ("fleet_hashing_uptime_ratio", (), "time that miners hashed / time that they should, mean of 24 hours"),
        ("fleet_coverage_ratio", (), "time of 24 hours that is known of the miners: what the other means are of"),
        ("fleet_predicted_usd", (), "what pools should have credited for their newest day"),
        ("fleet_credited_usd", (), "what they credited for it"),
        ("fleet_profit_day_usd", (), "profit of the newest day"),
        ("fleet_profit_mean_usd", (), "mean of the seven days before"),
        ("fleet_oldest_price_timestamp_seconds", (), "newest price of the coin whose is oldest"),
    ),
)

METRICS: dict[str, MetricDeclaration] = {declared.name: declared for declared in _DECLARED}
"""Every metric by name, without prefix, in order of the document."""
