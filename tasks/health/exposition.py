"""The state of a host as Prometheus reads it: text format 0.0.4, names after its conventions (base units, ``_total``).

Everything comes from files, so that it is told while the store is down. Ages are told as the Unix times they are of:
``time() - lodeline_lane_last_tick_timestamp_seconds`` is right at whatever time it is scraped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.alerts.book import Book
from tasks.alerts.rule import Level
from tasks.health.status import Status, read_status

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "lodeline_"


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
        status = read_status(self._data_directory, self._now)
        yield _gauge("healthy", "1 while nothing is wrong with the pipeline of this host", [], [((), status.healthy)])
        yield from _lanes(status, self._now)
        yield from _delivery(status)
        yield from _sources(status)
        yield from _rolled_up(status)
        yield from _alerts(self._data_directory / "state")
        yield from _host(self._data_directory)


Sample = tuple[tuple[str, ...], float | None]


def _gauge(name: str, meaning: str, labels: Sequence[str], samples: Sequence[Sample]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(_PREFIX + name, meaning, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, float(value))
    return family


def _counter(name: str, meaning: str, labels: Sequence[str], samples: Sequence[Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(_PREFIX + name, meaning, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, float(value))
    return family


def _lanes(status: Status, now: float) -> Iterator[Metric]:
    def each(name: str, meaning: str, value: str) -> Metric:
        return _gauge(name, meaning, ["lane"], [((lane.lane,), getattr(lane, value)) for lane in status.lanes])

    yield _gauge(
        "lane_last_tick_timestamp_seconds",
        "slot of the newest tick",
        ["lane"],
        [((lane.lane,), now - lane.tick_age_s) for lane in status.lanes],
    )
    yield _gauge(
        "lane_newest_data_timestamp_seconds",
        "newest reading",
        ["lane"],
        [
            ((lane.lane,), None if lane.newest_data_age_s is None else now - lane.newest_data_age_s)
            for lane in status.lanes
        ],
    )
    yield each("lane_tick_interval_seconds", "seconds between two ticks", "tick_every_s")
    yield each("lane_tick_duration_seconds", "time that the newest tick took", "tick_s")
    yield each("lane_polled", "miners or requests asked at the newest tick", "polled")
    yield each("lane_failed", "of them, those that gave no reading", "failed")
    yield each("lane_left_alone", "miners not asked since their circuit breaker is open", "left_alone")
    yield _gauge(
        "lane_failed_by_reason",
        "those that gave no reading, by reason",
        ["lane", "reason"],
        [((lane.lane, reason), number) for lane in status.lanes for reason, number in lane.failed_by_reason.items()],
    )


def _delivery(status: Status) -> Iterator[Metric]:
    sinks = [(lane, sink, account) for lane in status.lanes for sink, account in lane.sinks.items()]

    def counted(name: str, meaning: str, value: str) -> Metric:
        return _counter(
            name, meaning, ["lane", "sink"], [((lane.lane, sink), getattr(a, value)) for lane, sink, a in sinks]
        )

    yield counted("points_accepted", "points that the spool took", "accepted")
    yield counted("points_stored", "points that the store took", "stored")
    yield counted("points_dead_lettered", "points that the store refused for good", "dead_lettered")
    yield counted("points_shed", "points dropped since the spool's limit was reached", "shed")
    yield _gauge(
        "backlog_points",
        "points spooled and not stored yet",
        ["lane", "sink"],
        [((lane.lane, sink), account.backlog) for lane, sink, account in sinks],
    )
    yield _gauge(
        "sink_up",
        "0 while the store does not take what it is given",
        ["lane", "sink"],
        [((lane.lane, sink), account.trouble is None) for lane, sink, account in sinks],
    )


def _sources(status: Status) -> Iterator[Metric]:
    found = [(lane, source) for lane in status.lanes for source in lane.sources]
    labels = ["source", "request"]

    def each(name: str, meaning: str, value: str, scale: float = 1.0) -> Metric:
        samples: list[Sample] = []
        for _, source in found:
            number = getattr(source, value)
            samples.append(((source.source, source.request), None if number is None else number * scale))
        return _gauge(name, meaning, labels, samples)

    yield each("source_last_success_timestamp_seconds", "slot at which data last came", "success_slot")
    yield each("source_failures_in_a_row", "tries since then that gave none", "failures_in_a_row")
    yield each("source_latency_seconds", "time of the newest answer", "latency_ms", 1e-3)
    credits = [(name, account) for lane in status.lanes for name, account in lane.credits.items()]
    yield _gauge("source_credits_left", "credits left this month", ["source"], [((n,), a.left) for n, a in credits])
    yield _gauge(
        "source_credits_forecast",
        "credits that the month will have used at its end",
        ["source"],
        [((name,), account.forecast) for name, account in credits],
    )


def _rolled_up(status: Status) -> Iterator[Metric]:
    yield _gauge(
        "rolled_up_until_timestamp_seconds",
        "before it all closed hours are rolled up",
        ["measurement"],
        [((name,), mark.complete_until) for name, mark in status.rolled_up.items()],
    )


def _alerts(state: Path) -> Iterator[Metric]:
    book = Book.look_into(state)
    if book is None:
        return
    try:
        alerts, look, channels = book.alerts(), book.last_look(), book.channels()
    finally:
        book.close()
    muted = look.muted if look is not None else {}
    firing = [alert for alert in alerts.values() if alert.firing]
    yield _gauge(
        "alerts_firing",
        "alerts that fire; muted ones are told nobody",
        ["level", "muted"],
        [
            ((str(level), str(quiet).lower()), sum(a.level is level and (a.id in muted) is quiet for a in firing))
            for level in Level
            for quiet in (False, True)
        ],
    )
    yield _gauge(
        "alerts_last_look_timestamp_seconds", "when the watch last looked", [], [((), look.at if look else None)]
    )
    yield _gauge(
        "channel_last_success_timestamp_seconds",
        "when a channel last took a message",
        ["channel"],
        [((one.name,), one.last_success) for one in channels],
    )
    yield _gauge(
        "channel_waiting",
        "messages that wait for a channel",
        ["channel"],
        [((one.name,), one.waiting) for one in channels],
    )


def _host(data_directory: Path) -> Iterator[Metric]:
    where = next(folder for folder in (data_directory, *data_directory.parents) if folder.exists())
    volume = os.statvfs(where)
    yield _gauge("disk_free_bytes", "bytes free where the data is", [], [((), volume.f_bavail * volume.f_frsize)])
    yield _gauge("disk_size_bytes", "bytes of that file system", [], [((), volume.f_blocks * volume.f_frsize)])
    yield _gauge("host_load1", "processes that ran or waited to, mean of a minute", [], [((), os.getloadavg()[0])])
    yield _gauge("host_cpus", "processors", [], [((), os.cpu_count())])
    memory = Path("/proc/meminfo")
    if memory.exists():
        sizes = dict(line.split(":", 1) for line in memory.read_text().splitlines() if ":" in line)
        yield _gauge("host_memory_available_bytes", "memory that can be had", [], [((), _kib(sizes["MemAvailable"]))])
        yield _gauge("host_memory_bytes", "memory of the host", [], [((), _kib(sizes["MemTotal"]))])


def _kib(text: str) -> float:
    return float(text.split(maxsplit=1)[0]) * 1024
