"""What Prometheus reads: parsed by Prometheus' own parser, and the numbers are those of the files."""

from __future__ import annotations

from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Level
from tasks.health.exposition import exposition
from tasks.miners.report import TickReport
from tasks.sources.standing import RequestStanding, StandingsFile

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
