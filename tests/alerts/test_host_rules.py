"""Rules over hosts and over work that falls behind: by tables, and through the real sampler, delivery and watch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from storage.delivery.courier import Courier
from storage.frame import Value
from storage.settings import StorageSettings
from storage.spool.lane import Lane, LaneReader
from storage.store import Store
from tasks.alerts.rules import RULES
from tasks.alerts.rules.hosts import HOST_RULES
from tasks.alerts.settings import AlertSettings
from tasks.alerts.watch import Watch
from tasks.health.sampling import Sampler
from tests.alerts.shelf import Shelf, rows
from tests.alerts.simulated import seen
from tests.alerts.world import T, World
from tests.delivery.sinks import MemorySink
from tests.health.test_exposition import keep, report
from tests.health.test_sampling import state
from tests.spool.batches import batch

GIB = 2**30
WELL: dict[str, Value] = {
    "host": "pi", "memory_total": 4 * GIB, "memory_available": GIB, "temperature_c": 60.0, "throttled": False,
    "under_voltage": False, "clock_offset_s": 0.4,
}  # fmt: skip


OF_HOSTS = ("host_memory_low", "host_hot", "host_under_voltage", "clock_off")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, {}),
        (dict.fromkeys(WELL.keys() - {"host"}) | {"cpus": 4}, {}),  # a board that tells nothing
        ({"memory_available": GIB // 4}, {"host_memory_low": "pi had 256 MiB of 4,096 MiB memory left"}),
        ({"memory_available": 0.11 * 4 * GIB // 1}, {}),
        ({"temperature_c": 80.0}, {"host_hot": "pi is too hot, its hottest sensor has 80 °C"}),
        ({"temperature_c": 79.0}, {}),
        ({"throttled": True}, {"host_hot": "pi is slowed down by its firmware, its hottest sensor has 60 °C"}),
        ({"throttled": True, "temperature_c": None}, {"host_hot": "pi is slowed down by its firmware"}),
        ({"under_voltage": True}, {"host_under_voltage": "the power supply of pi gives too little voltage"}),
        ({"clock_offset_s": 7.0}, {"clock_off": "the clock of pi is 7 s ahead"}),
        ({"clock_offset_s": -90.0}, {"clock_off": "the clock of pi is 90 s behind"}),
        ({"clock_offset_s": -5.0}, {}),
        ({"time": T + 65, "clock_offset_s": None}, {"clock_off": "the clock of pi is 60 s ahead"}),
        ({"time": T - 950, "memory_available": 1, "temperature_c": 99.0}, {}),  # nobody knows how it is now
    ],
)
def test_what_rules_find_at_a_host(world: World, fields: dict[str, Value], found: dict[str, str]) -> None:
    world.put("pipeline_host", WELL | fields)
    facts = world.facts()
    said = {name: RULES[name].find(facts, RULES[name].limit).findings for name in OF_HOSTS}
    assert {name: finding.message for name, findings in said.items() for finding in findings} == found


@pytest.mark.parametrize(
    ("told", "found"),
    [(T - 200, []), (T - 500, ["the clock of pi is 395 s ahead"])],  # T + 400 is 395 s from now
    ids=["set right since", "ahead still"],
)
def test_rows_that_a_clock_left_in_the_future(world: World, told: int, found: list[str]) -> None:
    world.put("pipeline_host", WELL | {"time": told}, WELL | {"time": T + 400})
    findings = RULES["clock_off"].find(world.facts(), RULES["clock_off"].limit).findings
    assert [finding.message for finding in findings] == found


def test_of_a_host_that_fell_silent_nothing_is_known(world: World) -> None:
    world.put("pipeline_host", WELL | {"time": T - 950})
    for name in ("host_memory_low", "host_hot", "host_under_voltage", "clock_off"):
        assert world.unknown(name) == {"pi"}


@pytest.mark.parametrize(("waiting_s", "found"), [(0.0, {}), (899.0, {}), (None, {}), (3_600.0, {"a": 1})])
def test_another_hosts_delivery(world: World, waiting_s: float | None, found: dict[str, int]) -> None:
    row: dict[str, Value] = {"host": "pi", "lane": "miners", "sink": "influx", "backlog": 9}
    world.put("pipeline_delivery", row | {"waiting_s": waiting_s})
    said = world.find("delivery_late")
    assert said == (
        {"lane miners at pi to influx": "influx is 60 min behind with what lane miners at pi reads"} if found else {}
    )


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ("....xx", {}),
        (".xxxxx", {"gecko": "gecko answered 1 of 6 requests in the last hour"}),
        (".xxxx", {}),  # too few for a rate
        ("..xxx...bbbbbbbb", {}),  # for want of credits nobody was asked
        ("xxxxxxxx" + "." * 8, {}),  # a half is not below a half
    ],
)
def test_a_source_that_fails_more_often_than_not(world: World, answers: str, found: dict[str, str]) -> None:
    failures = {"x": "timeout", "b": "budget", ".": None}
    tried: dict[str, Value] = {"host": "pi", "request": "price", "source": "gecko"}
    world.put(
        "source_request",
        *(
            tried | {"time": T - 60 * number, "ok": failures[one] is None, "failure": failures[one]}
            for number, one in enumerate(answers)
        ),
        tried | {"time": T - 3_700, "ok": False, "failure": "timeout"},  # more than an hour ago
    )
    assert world.find("source_failing") == found


@pytest.mark.parametrize(("overdue_s", "found"), [(0, False), (6 * 3_600, False), (7 * 3_600, True), (None, False)])
def test_an_export_that_is_late(world: World, overdue_s: int | None, found: bool) -> None:
    row: dict[str, Value] = {"host": "pi", "feature_group": "miner_features", "way": "batch", "overdue_s": overdue_s}
    world.put("export_state", row | {"failure": "HTTP 503", "failures": 2})
    said = world.find("export_late")
    assert said == (
        {"miner_features by batch": "the export of miner_features is 7 h overdue: HTTP 503"} if found else {}
    )


HOUR = T // 3_600 * 3_600 - 4 * 3_600
"""An hour that was over more than three hours ago."""


def touched(hour: int, name: str = "miner_telemetry", at: int = 0) -> dict[str, Value]:
    return {"host": "pi", "measurement": name, "time": hour, "touched_ns": (at or hour + 60) * 10**9}


def done(hour: int, name: str = "miner_telemetry", tier: str = "hourly") -> dict[str, Value]:
    return {"measurement": name, "tier": tier, "time": hour, "covered": 5}


@pytest.mark.parametrize(
    ("got", "marks", "late"),
    [
        ([], [], set()),
        ([touched(HOUR)], [], {"miner_telemetry"}),
        ([touched(HOUR)], [done(HOUR)], set()),
        ([touched(HOUR)], [done(HOUR, tier="daily")], {"miner_telemetry"}),
        ([touched(HOUR + 3 * 3_600)], [], set()),  # it has been over for less than two hours
        ([touched(HOUR, at=T - 600)], [], set()),  # its data came ten minutes ago
        # derived of what is rolled up, where it ever was
        ([touched(HOUR)], [done(HOUR), done(HOUR - 9 * 3_600, "operational_metrics")], {"operational_metrics"}),
        ([touched(HOUR)], [done(HOUR), done(HOUR, "operational_metrics")], set()),
        ([], [done(HOUR, "operational_metrics")], set()),
        ([], [done(HOUR), done(HOUR - 9 * 3_600, "anomaly_score")], {"anomaly_score"}),
        ([], [done(HOUR), done(HOUR, "anomaly_score")], set()),
        ([], [done(HOUR, "pool_performance"), done(HOUR - 9 * 3_600, "worker_match")], {"worker_match"}),
        ([], [done(HOUR), done(HOUR - 9 * 3_600, "worker_match")], set()),  # pools told nothing
    ],
)
def test_what_is_worked_out_late(
    world: World, got: list[dict[str, Value]], marks: list[dict[str, Value]], late: set[str]
) -> None:
    if got:
        world.put("window_touched", *got)
    if marks:
        world.put("window_rolled", *marks)
    assert set(world.find("derived_late")) == late


@pytest.mark.parametrize(
    ("ended", "scored", "late"),
    [
        (HOUR, False, {"forecast_score"}),
        (HOUR, True, set()),
        (HOUR + 3 * 3_600, False, set()),  # an hour ago
        (HOUR - 30 * 3_600, False, set()),  # of the day before yesterday
    ],
)
def test_forecasts_that_nobody_scores(world: World, ended: int, scored: bool, late: set[str]) -> None:
    def row(end: int, **fields: Value) -> dict[str, Value]:
        key = {"miner_id": "fleet", "quantity": "next_24h_hashrate", "model": "theta"}
        return {**key, "time": end - 86_400, **fields}

    told = {"value": 1e14, "horizon_s": 86_400}
    world.put("forecast", row(HOUR - 9 * 3_600, **told), row(ended, **told), row(HOUR, model="none", horizon_s=86_400))
    assert world.find("derived_late") == {}, "nobody ever scored any"
    world.put("forecast_score", row(HOUR - 9 * 3_600, coverage=1.0), *([row(ended, coverage=0.5)] if scored else []))
    assert set(world.find("derived_late")) == late


def test_words_of_what_is_late(world: World) -> None:
    world.put("window_touched", touched(HOUR))
    (words,) = world.find("derived_late").values()
    assert words.startswith("an hour of miner_telemetry could have been worked out 3 h ago")


def test_without_a_store_nothing_is_said_of_hosts() -> None:
    of_the_store = {name for name, rule in RULES.items() if rule.about == "pipeline" and rule.needs_store}
    assert of_the_store == {
        "disk_filling", "host_memory_low", "host_hot", "host_under_voltage", "clock_off",
        "source_failing", "export_late", "derived_late",
    }  # fmt: skip


class Watched:
    """A watch over rows in memory that looks every five minutes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shelf = Shelf()
        self.now = T
        self._watch = Watch(
            lambda: cast("Store", self.shelf),
            folder,
            miners=[],
            pool_ids=frozenset(),
            settings=AlertSettings(check_interval_seconds=STEP_S),
            send=lambda _url, _message: None,
        )

    def look(self, times: int, happens: Callable[[], None]) -> None:
        """So many looks, each after what ``happens``."""
        for _ in range(times):
            self.now += STEP_S
            happens()
            self._watch.look(self.now + 5.0)

    def sample(self, offset_s: float = 0.0, **fields: Any) -> Callable[[], None]:
        """What a host tells of itself, by the real sampler."""

        def happens() -> None:
            with Lane.open(self.folder / "samples", "health-pi", cap_bytes=10**7) as lane:
                sampler = Sampler(
                    lane,
                    StorageSettings(data_directory=self.folder / "pi"),
                    host="pi",
                    run_id="run",
                    look_at=lambda _: state(**fields),
                    offset_to=lambda _: offset_s,
                )
                sampler.minute(self.now)
            self.shelf.write(LaneReader(self.folder / "samples" / "health-pi").records_after(0, 10**6)[-1].batch.frames)

        return happens


STEP_S = 300
FAULTS: dict[str, tuple[float, dict[str, Any]]] = {
    "host_memory_low": (0.0, {"memory_available": 99}),
    "host_hot": (0.0, {"temperature_c": 85.0}),
    "host_under_voltage": (0.0, {"under_voltage": True}),
    "clock_off": (30.0, {}),
}


def quiet(folder: Path) -> set[str]:
    """Rules about hosts and work that ever fired; of lanes and stores there are no files here."""
    return {rule.name for rule in HOST_RULES} & {rule for rule, _ in seen(folder).ever}


def test_each_fault_of_a_host_fires_its_rule_and_no_other(tmp_path: Path) -> None:
    """A quiet half an hour, then one fault after another, each for as long as its rule wants."""
    watched = Watched(tmp_path)
    watched.look(6, watched.sample())
    assert quiet(tmp_path) == set()
    fired: set[str] = set()
    for rule, (offset_s, fields) in FAULTS.items():
        watched.look(1, watched.sample(offset_s, **fields))
        assert quiet(tmp_path) == fired, "a moment is none"
        watched.look(2, watched.sample(offset_s, **fields))
        fired.add(rule)
        assert quiet(tmp_path) == fired


def test_each_fault_of_work_fires_its_rule_and_no_other(tmp_path: Path) -> None:
    """A source that answers one request of three, an export that is a night late, an hour of this
    morning that nobody rolled up."""
    watched = Watched(tmp_path)
    number = 0

    def put(name: str, *given: dict[str, Value]) -> None:
        watched.shelf.write([rows(name, *given, time=watched.now)])

    def work(bad: bool) -> None:
        nonlocal number
        number += 1
        ok = not bad or number % 3 == 0
        tried: dict[str, Value] = {"host": "pi", "source": "gecko", "request": "price"}
        put("source_request", tried | {"ok": ok, "failure": None if ok else "timeout"})
        put("export_state", {"host": "pi", "feature_group": "g", "way": "batch", "overdue_s": 90_000 if bad else 0})

    put("window_touched", touched(HOUR))
    put("window_rolled", done(HOUR))
    watched.look(8, lambda: work(False))
    assert quiet(tmp_path) == set()
    put("window_touched", touched(HOUR + 3_600))
    watched.look(15, lambda: work(True))
    assert quiet(tmp_path) == {"source_failing", "export_late", "derived_late"}


def test_a_store_that_is_slow_fires_delivery_late(tmp_path: Path) -> None:
    """It took what was read at T, and nothing since, without a word."""
    keep(tmp_path, report(slot=T, next_slot=T + 60))
    with Lane.open(tmp_path / "spool", "miners", cap_bytes=10**7) as lane:
        lane.append(batch("a", ["p1"], T))
    courier = Courier(
        tmp_path / "spool" / "miners",
        MemorySink("influx"),
        ["influx"],
        holder="t",
        random=lambda: 0.5,
        now=lambda: T + 2.0,
    )
    assert courier.attempt() == 0.0
    world = World(tmp_path)
    assert world.find("delivery_late", T + 5_000.0) == {}, "nothing waits"
    with Lane.open(tmp_path / "spool", "miners", cap_bytes=10**7) as lane:
        lane.append(batch("b", ["p2"], T + 60))
    assert world.find("delivery_late", T + 900.0) == {}
    found = world.find("delivery_late", T + 901.0)
    assert found == {"lane miners at edge to influx": "influx is 15 min behind with what lane miners at edge reads"}
    assert courier.attempt() == 0.0
    courier.close()
    assert world.find("delivery_late", T + 5_000.0) == {}
