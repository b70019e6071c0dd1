"""The state of a host as Prometheus reads it: text format 0.0.4; what there is stands in metrics.py.

Everything comes from files, so that it is told while the store is down. Ages are told as the Unix times they are of:
``time() - lodeline_lane_last_tick_timestamp_seconds`` is right at whatever time it is scraped. What is not known has
no sample: it is never 0.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from storage.errors import NeedsHuman
from storage.histogram import SECONDS, Histogram, continued, empty
from tasks.alerts.book import Book
from tasks.alerts.rule import Level
from tasks.health import fleet as fleets
from tasks.health.host import look
from tasks.health.metrics import METRICS, PREFIX, Kind, MetricDeclaration
from tasks.health.processes import FLOWS, processes, usage
from tasks.health.rows import LANES_OF_THE_PAST, waiting_s
from tasks.health.status import Status, read_status

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ASPECTS = ("score", "completeness", "timeliness", "accuracy", "consistency")


class Sample(NamedTuple):
    """One value of a metric; None: it is not known, and left out."""

    metric: str
    labels: tuple[str, ...]
    value: float | Histogram | None


def exposition(data_directory: Path, now: float) -> bytes:
    """Metrics of the host whose files are under ``data_directory``; ``now`` is Unix time in seconds.

    Raises:
        PermissionError: this user may not read the data directory.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(data_directory, now))
    return generate_latest(registry)


class _Collector:
    def __init__(self, data_directory: Path, now: float) -> None:
        self._data_directory = data_directory
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks a collector for."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples(self._data_directory, self._now):
            if sample.value is not None:
                found[sample.metric].append(sample)
        return (_family(declared, found[name]) for name, declared in METRICS.items() if found[name])


def samples(data_directory: Path, now: float) -> Iterator[Sample]:
    """All that is known, metric by metric."""
    status = read_status(data_directory, now)
    yield Sample("healthy", (), status.healthy)
    yield Sample("build_info", (version("lodeline"),), 1)
    yield Sample("overrides", (), len(status.overrides))
    yield from _lanes(status, now)
    yield from _delivery(status, now)
    yield from _sources(status)
    for name, mark in status.rolled_up.items():
        yield Sample("rolled_up_until_timestamp_seconds", (name,), mark.complete_until)
    yield from _alerts(data_directory / "state")
    yield from _host(data_directory, now)
    yield from _processes(data_directory / "locks")
    yield from _fleet(data_directory / "state")


def _family(declared: MetricDeclaration, told: list[Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    name, labels = PREFIX + declared.name, declared.labels
    if declared.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, declared.meaning, labels=labels)
        for sample in told:
            if isinstance(sample.value, Histogram):
                histogram.add_metric(sample.labels, _buckets(sample.value), sample.value.sum)
        return histogram
    family: Metric
    if declared.kind is Kind.COUNTER:
        family = CounterMetricFamily(name, declared.meaning, labels=labels)
    else:
        family = GaugeMetricFamily(name, declared.meaning, labels=labels)
    for sample in told:
        if not isinstance(sample.value, Histogram | None):
            family.add_metric(sample.labels, float(sample.value))
    return family


def _buckets(told: Histogram) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound."""
    from prometheus_client.utils import floatToGoString

    bounds = [*map(floatToGoString, told.bounds), "+Inf"]
    return list(zip(bounds, map(float, accumulate(told.counts)), strict=True))


def _lanes(status: Status, now: float) -> Iterator[Sample]:
    for lane in status.lanes:
        named = (lane.lane,)
        newest = None if lane.newest_data_age_s is None else now - lane.newest_data_age_s
        yield Sample("lane_last_tick_timestamp_seconds", named, now - lane.tick_age_s)
        yield Sample("lane_newest_data_timestamp_seconds", named, newest)
        yield Sample("lane_tick_interval_seconds", named, lane.tick_every_s)
        yield Sample("lane_tick_duration_seconds", named, lane.tick_s)
        yield Sample("lane_loop_lag_seconds", named, lane.loop_lag_ms / 1e3)
        yield Sample("lane_polled", named, lane.polled)
        yield Sample("lane_failed", named, lane.failed)
        yield Sample("lane_left_alone", named, lane.left_alone)
        for reason, number in lane.failed_by_reason.items():
            yield Sample("lane_failed_by_reason", (lane.lane, reason), number)
        if lane.tally.ticks:
            yield Sample("ticks", named, lane.tally.ticks)
            yield Sample("slots_missed", named, lane.tally.missed)
            yield Sample("polls", named, lane.tally.asked)
            yield Sample("poll_duration_seconds", named, lane.tally.answers)
        for reason, number in lane.tally.failed.items():
            yield Sample("polls_failed", (lane.lane, reason), number)


def _delivery(status: Status, now: float) -> Iterator[Sample]:
    for lane in status.lanes:
        for sink, account in lane.sinks.items():
            named = (lane.lane, sink)
            yield Sample("points_accepted", named, account.accepted)
            yield Sample("points_stored", named, account.stored)
            yield Sample("points_dead_lettered", named, account.dead_lettered)
            yield Sample("points_shed", named, account.shed)
            yield Sample("backlog_points", named, account.backlog)
            yield Sample("sink_up", named, account.trouble is None)
            if lane.lane not in LANES_OF_THE_PAST:
                yield Sample("delivery_waiting_seconds", named, waiting_s(account, now))
                yield Sample("delivery_lag_seconds", named, account.lag.delays if account.lag else None)


def _sources(status: Status) -> Iterator[Sample]:
    answers: dict[str, Histogram] = {}
    for lane in status.lanes:
        for source in lane.sources:
            named = (source.source, source.request)
            latency = None if source.latency_ms is None else source.latency_ms / 1e3
            yield Sample("source_last_success_timestamp_seconds", named, source.success_slot)
            yield Sample("source_failures_in_a_row", named, source.failures_in_a_row)
            yield Sample("source_latency_seconds", named, latency)
            if source.tally.asked:
                yield Sample("source_requests", named, source.tally.asked)
                so_far = answers.get(source.source, empty(SECONDS))
                answers[source.source] = so_far.merged(continued(source.tally.answers, SECONDS))
            for reason, number in source.tally.failed.items():
                yield Sample("source_requests_failed", (*named, reason), number)
        for name, account in lane.credits.items():
            yield Sample("source_credits_left", (name,), account.left)
            yield Sample("source_credits_forecast", (name,), account.forecast)
    for name, told in answers.items():
        yield Sample("source_request_duration_seconds", (name,), told)


def _alerts(state: Path) -> Iterator[Sample]:
    try:
        book = Book.look_into(state)
    except NeedsHuman as error:  # all else is told as ever
        _log.error("alerts are not told: %s", error)
        return
    if book is None:
        return
    try:
        alerts, last, channels = book.alerts(), book.last_look(), book.channels()
    finally:
        book.close()
    muted = last.muted if last is not None else {}
    firing = [alert for alert in alerts.values() if alert.firing]
    for level in Level:
        for quiet in (False, True):
            number = sum(alert.level is level and (alert.id in muted) is quiet for alert in firing)
            yield Sample("alerts_firing", (str(level), str(quiet).lower()), number)
    yield Sample("alerts_last_look_timestamp_seconds", (), last.at if last else None)
    for channel in channels:
        yield Sample("channel_last_success_timestamp_seconds", (channel.name,), channel.last_success)
        yield Sample("channel_waiting", (channel.name,), channel.waiting)


def _host(data_directory: Path, now: float) -> Iterator[Sample]:
    host = look(data_directory)
    yield Sample("disk_free_bytes", (), host.disk_free)
    yield Sample("disk_size_bytes", (), host.disk_total)
    yield Sample("host_load1", (), host.load_1m)
    yield Sample("host_cpus", (), host.cpus)
    yield Sample("host_memory_available_bytes", (), host.memory_available)
    yield Sample("host_memory_bytes", (), host.memory_total)
    yield Sample("host_swap_used_bytes", (), host.swap_used)
    yield Sample("host_temperature_celsius", (), host.temperature_c)
    yield Sample("host_throttled", (), host.throttled)
    yield Sample("host_under_voltage", (), host.under_voltage)
    yield Sample("host_boot_timestamp_seconds", (), None if host.uptime_s is None else now - host.uptime_s)
    if host.cpu is not None:
        yield Sample("host_cpu_seconds", ("busy",), host.cpu.busy_s)
        yield Sample("host_cpu_seconds", ("idle",), host.cpu.whole_s - host.cpu.busy_s)
    if host.clock is not None:
        yield Sample("host_clock_synchronised", (), host.clock.synchronised)
        yield Sample("host_clock_error_seconds", (), host.clock.error_s)


def _processes(lock_directory: Path) -> Iterator[Sample]:
    found = processes(lock_directory, pss=False)
    for kind in usage(found, None, 0.0):
        named = (kind.kind,)
        yield Sample("processes", named, kind.processes)
        yield Sample("process_resident_memory_bytes", named, kind.rss)
        yield Sample("process_open_fds", named, kind.open_files)
        yield Sample("process_threads", named, kind.threads)
        if kind.processes == 1 and kind.kind != FLOWS:  # a sum over processes that come and go is no counter
            (only,) = (one for one in found if one.kind == kind.kind)
            yield Sample("process_cpu_seconds", named, only.cpu_s)


def _fleet(state: Path) -> Iterator[Sample]:
    fleet = fleets.kept(state)
    if fleet is None:
        return
    uptime, coverage = fleet.hashing_uptime_percent, fleet.coverage_percent
    yield Sample("fleet_looked_timestamp_seconds", (), fleet.time)
    yield Sample("fleet_miners", (), fleet.miners)
    yield Sample("fleet_miners_known", (), fleet.miners_known)
    yield Sample("fleet_miners_answering", (), fleet.miners_answering)
    yield Sample("fleet_hashrate_expected_hashes_per_second", (), fleet.hashrate_expected_hs)
    yield Sample("fleet_hashrate_delivered_hashes_per_second", (), fleet.hashrate_delivered_hs)
    yield Sample("fleet_hashing_uptime_ratio", (), None if uptime is None else uptime / 100.0)
    yield Sample("fleet_coverage_ratio", (), None if coverage is None else coverage / 100.0)
    yield Sample("fleet_predicted_usd", (), fleet.predicted_usd)
    yield Sample("fleet_credited_usd", (), fleet.credited_usd)
    yield Sample("fleet_profit_day_usd", (), fleet.profit_day_usd)
    yield Sample("fleet_profit_mean_usd", (), fleet.profit_mean_usd)
    oldest = None if fleet.price_age_s is None else fleet.time - fleet.price_age_s
    yield Sample("fleet_oldest_price_timestamp_seconds", (), oldest)
    for source in fleet.sources:
        yield Sample("source_quality_day_timestamp_seconds", (source.source, source.kind), source.day)
        for aspect in _ASPECTS:
            yield Sample("source_quality_ratio", (source.source, source.kind, aspect), getattr(source, aspect))
