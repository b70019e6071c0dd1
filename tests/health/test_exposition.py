"""What Prometheus reads: parsed by Prometheus' own parser, and the numbers are those of the files."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from storage.delivery.courier import Courier
from storage.downsample import watermarks
from storage.spool.lane import Lane
from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Level
from tasks.health import fleet as fleets
from tasks.health.exposition import exposition
from tasks.health.fleet import FleetHealth, QualityOfSource
from tasks.health.host import Clock, CpuTimes, HostState
from tasks.health.metrics import METRICS, PREFIX, Kind
from tasks.health.processes import ProcessState
from tasks.miners.report import Tally, TickReport
from tasks.sources.budget import Budget
from tasks.sources.source import Request
from tasks.sources.standing import RequestStanding, RequestTally, StandingsFile
from tests.delivery.sinks import MemorySink
from tests.spool.batches import batch

T = 1_800_000_000


def samples(data: Path, now: float = T + 30.0) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(exposition(data, now).decode()):
        for sample in family.samples:
            found[(sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items())))] = sample.value
    return found


def report(**fields: object) -> TickReport:
    given = {
        "lane": "miners", "host": "edge", "slot": T, "finished": T + 2.5, "polled": 6, "failed": 1, "points": 60,
        "failed_by_reason": {"deadline": 1}, "points_accepted": 600, "points_stored": 540, "points_dead_lettered": 2,
        "points_shed": 0, "backlog": 58, "tick_s": 2.5, "loop_lag_ms": 3.0, "store": "embedded", "next_slot": T + 60,
    }  # fmt: skip
    return msgspec.convert({**given, **fields}, TickReport)


def keep(data: Path, told: TickReport) -> None:
    (data / "state").mkdir(exist_ok=True)
    (data / "state" / f"{told.lane}.json").write_bytes(msgspec.json.encode(told))


def test_lanes_and_host(tmp_path: Path) -> None:
    keep(tmp_path, report())
    found = samples(tmp_path)
    assert found["lodeline_healthy",] == 1
    assert found["lodeline_lane_last_tick_timestamp_seconds", "lane=miners"] == T
    assert found["lodeline_lane_tick_interval_seconds", "lane=miners"] == 60
    assert found["lodeline_lane_polled", "lane=miners"] == 6
    assert found["lodeline_lane_failed_by_reason", "lane=miners", "reason=deadline"] == 1
    assert 0 < found["lodeline_disk_free_bytes",] <= found["lodeline_disk_size_bytes",]
    assert found["lodeline_host_memory_available_bytes",] > 0
    assert ("lodeline_lane_newest_data_timestamp_seconds", "lane=miners") not in found, "nobody answered: not zero"


def test_a_lane_that_stands_still_is_not_healthy(tmp_path: Path) -> None:
    keep(tmp_path, report())
    assert samples(tmp_path, T + 600.0)["lodeline_healthy",] == 0


def test_nothing_collected_is_not_healthy(tmp_path: Path) -> None:
    assert samples(tmp_path)["lodeline_healthy",] == 0


def test_sources_with_odd_names(tmp_path: Path) -> None:
    keep(tmp_path, report(lane="market", failed_by_reason={}))
    StandingsFile(tmp_path / "state", "market").write(
        [
            RequestStanding(
                source='we"ird\\one',
                request="price",
                every_s=60,
                success_slot=T - 60,
                latency_ms=250.0,
                failures_in_a_row=2,
            ),
            RequestStanding(source="never", request="price", every_s=60, failures_in_a_row=3),
        ]
    )
    found = samples(tmp_path)
    odd = ("request=price", 'source=we"ird\\one')
    assert found[("lodeline_source_last_success_timestamp_seconds", *odd)] == T - 60
    assert found[("lodeline_source_latency_seconds", *odd)] == 0.25
    assert found["lodeline_source_failures_in_a_row", "request=price", "source=never"] == 3
    assert ("lodeline_source_last_success_timestamp_seconds", "request=price", "source=never") not in found


def alert(key: str, level: Level) -> Alert:
    return Alert(
        id=key, rule="r", subject=key, entity=key, site="", rack="", within="", level=level, phase=Phase.FIRING,
        since=T, seen=T, message="is wrong", fired=T,
    )  # fmt: skip


def test_alerts(tmp_path: Path) -> None:
    keep(tmp_path, report())
    assert not [name for name in samples(tmp_path) if name[0].startswith("lodeline_alerts")]
    assert not (tmp_path / "state" / "alerts.sqlite").exists(), "who looks makes no book"
    book = Book.open(tmp_path / "state")
    with book.transaction():
        book.replace_alerts([alert("a", Level.CRITICAL), alert("b", Level.CRITICAL), alert("c", Level.INFO)])
        book.note_look(Look(at=T + 5.0, muted={"b": "maintenance"}))
    book.note_channel("ops", T + 6.0, None)
    book.close()
    found = samples(tmp_path)
    assert found["lodeline_alerts_firing", "level=critical", "muted=false"] == 1
    assert found["lodeline_alerts_firing", "level=critical", "muted=true"] == 1
    assert found["lodeline_alerts_firing", "level=warning", "muted=false"] == 0
    assert found["lodeline_alerts_last_look_timestamp_seconds",] == T + 5
    assert found["lodeline_channel_last_success_timestamp_seconds", "channel=ops"] == T + 6


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of a host on which all there is to tell is known."""
    data = tmp_path
    tally = Tally().plus(missed=1, asked=6, failed={"deadline": 1}, answers_s=[0.2, 0.3, 70.0])
    keep(data, report(tally=tally))
    with Lane.open(data / "spool", "miners", cap_bytes=10**7) as lane:
        lane.append(batch("a", ["p1", "p2"], T))
        lane.append(batch("b", ["p3"], T + 20))
    courier = Courier(
        data / "spool" / "miners",
        MemorySink("lake"),
        ["lake"],
        holder="test",
        random=lambda: 0.5,
        now=lambda: T + 4.0,
        max_points=2,
    )
    courier.attempt()
    courier.close()
    tried = RequestTally().plus(0.3, None).plus(9.0, "timeout")
    keep(data, report(lane="market", failed_by_reason={}))
    StandingsFile(data / "state", "market").write(
        [
            RequestStanding(
                source="gecko", request="price", every_s=60, success_slot=T - 60, latency_ms=250.0, tally=tried
            ),
            RequestStanding(source="gecko", request="list", every_s=60, tally=RequestTally().plus(3.0, None)),
        ]
    )
    Budget(data / "state", "gecko", 10_000.0, clock=lambda: T).reserve(Request("price", 60))
    watermarks.keep(data / "state", {"miner_telemetry": T - 3_600}, T)
    fleet = FleetHealth(
        time=T, miners=3, miners_known=2, miners_answering=1, hashrate_expected_hs=1.5e14, hashrate_delivered_hs=1.2e14,
        hashing_uptime_percent=80.0, coverage_percent=75.0, predicted_usd=100.0, credited_usd=95.0, profit_day_usd=70.0,
        profit_mean_usd=105.0,
        price_age_s=700.0, sources=(QualityOfSource(source="miners", kind="miner", day=T - 86_400, score=0.9),),
    )  # fmt: skip
    fleets.keep(data / "state", fleet)
    book = Book.open(data / "state")
    with book.transaction():
        book.note_look(Look(at=T + 5.0, muted={}))
    book.note_channel("ops", T + 6.0, None)
    book.close()
    host = HostState(
        cpus=4, load_1m=0.5, cpu=CpuTimes(busy_s=25.0, whole_s=100.0), memory_total=1000, memory_available=600,
        swap_used=1, disk_total=100, disk_free=10, temperature_c=50.5, throttled=True, under_voltage=False,
        uptime_s=3_600, clock=Clock(synchronised=True, error_s=0.1), reasons={},
    )  # fmt: skip
    ran = [
        ProcessState(pid, 1, kind, cpu_s, rss=100, pss=None, open_files=7, threads=3)
        for pid, kind, cpu_s in ((1, "flows", 5.0), (2, "flows", 6.0), (3, "shift-miners", 7.0))
    ]
    monkeypatch.setattr("tasks.health.exposition.look", lambda _: host)
    monkeypatch.setattr("tasks.health.exposition.processes", lambda _, **_more: ran)
    return data


def test_a_damaged_book_of_alerts_hides_nothing_else(tmp_path: Path) -> None:
    keep(tmp_path, report())
    (tmp_path / "state" / "alerts.sqlite").write_bytes(b"no book" * 500)
    found = samples(tmp_path)
    assert found["lodeline_healthy",] == 1
    assert not any(name.startswith("lodeline_alerts") for name, *_ in found)


def test_every_metric_is_told_as_it_is_declared_and_no_other(everything: Path) -> None:
    told = {family.name: family for family in text_string_to_metric_families(exposition(everything, T + 30.0).decode())}
    assert set(told) == {PREFIX + name for name in METRICS}
    for name, declared in METRICS.items():
        family = told[PREFIX + name]
        assert (family.type, family.documentation) == (str(declared.kind), declared.meaning)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(declared.labels), sample


def test_help_and_type_come_once_before_the_samples(everything: Path) -> None:
    lines = exposition(everything, T + 30.0).decode().splitlines()
    for declared in METRICS.values():
        heads = [
            number
            for number, line in enumerate(lines)
            if line.split()[1:3] in (["HELP", declared.told_name], ["TYPE", declared.told_name])
        ]
        assert len(heads) == 2, declared.told_name
        assert heads[1] == heads[0] + 1
        assert lines[heads[1] + 1].startswith(declared.told_name)


_UNITS = ("_seconds", "_bytes", "_ratio", "_celsius", "_usd", "_hashes_per_second", "_total", "_info")
# What counts things has their name for a unit, and what is true or not has none.
_WITHOUT_UNIT = {
    "healthy", "overrides", "lane_polled", "lane_failed", "lane_left_alone", "lane_failed_by_reason", "backlog_points",
    "sink_up", "source_failures_in_a_row", "source_credits_left", "source_credits_forecast", "alerts_firing",
    "channel_waiting", "host_load1", "host_cpus", "host_throttled", "host_under_voltage", "host_clock_synchronised",
    "processes", "process_open_fds", "process_threads", "fleet_miners", "fleet_miners_known", "fleet_miners_answering",
}  # fmt: skip


def test_names_are_those_of_prometheus() -> None:
    """Base units, ``_total`` of counters alone, snake case: prometheus.io/docs/practices/naming."""
    for name, declared in METRICS.items():
        assert re.fullmatch(r"lodeline_[a-z][a-z0-9_]*[a-z0-9]", declared.told_name), name
        assert declared.told_name.endswith("_total") == (declared.kind is Kind.COUNTER), name
        assert (declared.told_name.endswith(_UNITS)) != (name in _WITHOUT_UNIT), name
        assert not re.search(r"_(ms|milliseconds|percent|minutes|kib|mib)(_|$)", name), name
        assert not {"le", "quantile", "job", "instance"} & set(declared.labels), name
        if declared.kind is Kind.HISTOGRAM:
            assert name.endswith("_seconds")


def test_histograms_rise_and_end_with_all(everything: Path) -> None:
    found = samples(everything)
    of_miners = {
        labels[1]: value for (name, *labels), value in found.items() if name == "lodeline_poll_duration_seconds_bucket"
    }
    # 0.2 and 0.3 s, and one answer of 70 s which is beyond the last bound
    assert (of_miners["le=0.1"], of_miners["le=0.25"], of_miners["le=0.5"], of_miners["le=60.0"]) == (0, 1, 2, 2)
    assert of_miners["le=+Inf"] == found["lodeline_poll_duration_seconds_count", "lane=miners"] == 3
    assert found["lodeline_poll_duration_seconds_sum", "lane=miners"] == pytest.approx(70.5)
    assert found["lodeline_source_request_duration_seconds_count", "source=gecko"] == 2, (
        "requests of one source together"
    )
    assert found["lodeline_delivery_lag_seconds_count", "lane=miners", "sink=lake"] == 2
    assert found["lodeline_delivery_lag_seconds_bucket", "lane=miners", "le=5.0", "sink=lake"] == 2
    for (name, *labels), value in found.items():
        if name.endswith("_bucket") and "le=+Inf" not in labels:
            whole = tuple("le=+Inf" if label.startswith("le=") else label for label in labels)
            assert value <= found[(name, *whole)]


def test_numbers_in_base_units(everything: Path) -> None:
    found = samples(everything)
    assert found["lodeline_lane_loop_lag_seconds", "lane=miners"] == 0.003
    assert found["lodeline_polls_failed_total", "lane=miners", "reason=deadline"] == 1
    assert found["lodeline_slots_missed_total", "lane=miners"] == 1
    assert found["lodeline_delivery_waiting_seconds", "lane=miners", "sink=lake"] == 30.0, "the second record waits"
    assert found["lodeline_source_requests_failed_total", "reason=timeout", "request=price", "source=gecko"] == 1
    assert found["lodeline_host_cpu_seconds_total", "mode=idle"] == 75.0
    assert found["lodeline_host_boot_timestamp_seconds",] == T + 30 - 3_600
    assert found["lodeline_fleet_hashing_uptime_ratio",] == 0.8
    assert found["lodeline_fleet_coverage_ratio",] == 0.75
    assert found["lodeline_fleet_oldest_price_timestamp_seconds",] == T - 700
    assert found["lodeline_process_resident_memory_bytes", "process=flows"] == 200
    assert found["lodeline_process_cpu_seconds_total", "process=shift-miners"] == 7.0
    assert ("lodeline_process_cpu_seconds_total", "process=flows") not in found, "they come and go: no counter"
    quality = ("kind=miner", "source=miners")
    assert found["lodeline_source_quality_ratio", "aspect=score", *quality] == 0.9
    assert ("lodeline_source_quality_ratio", "aspect=accuracy", *quality) not in found, "not known: not zero"


def test_readings_of_long_ago_are_not_late(tmp_path: Path) -> None:
    keep(tmp_path, report(lane="replay"))
    with Lane.open(tmp_path / "spool", "replay", cap_bytes=10**7) as lane:
        lane.append(batch("a", ["p1"], T - 86_400))
    courier = Courier(tmp_path / "spool" / "replay", MemorySink("lake"), ["lake"], holder="t", random=lambda: 0.5)
    courier.attempt()
    courier.close()
    found = samples(tmp_path)
    assert found["lodeline_points_stored_total", "lane=replay", "sink=lake"] == 1
    assert [name for name, *_ in found if name.startswith("lodeline_delivery")] == []
