"""Every rule by tables: what it finds, what it leaves alone, and what it cannot know. Null is never wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.frame import Value
from tasks.alerts.facts import rack_of
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings, RuleSettings
from tests.alerts.world import AWAY, AWAY_UNTOLD, IDS, MATCH, TH, WELL, T, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, {}),
        (AWAY, {"miner_unreachable": "does not answer: connect timeout"}),
        (AWAY_UNTOLD, {"miner_unreachable": "does not answer: no reason stored"}),
        ({"state": "failed"}, {"miner_failed": "its state is failed"}),
        ({"hashrate_hs": 0.0}, {"no_hashrate": "hashrate is 0.00 H/s, state mining", "hashrate_low": ""}),
        ({"hashrate_hs": 0.0, "hashrate_nominal_hs": None}, {"no_hashrate": ""}),
        ({"hashrate_hs": None}, {}),
        ({"hashrate_hs": 89 * TH}, {"hashrate_low": "hashrate is 89.0 TH/s of 100 TH/s, below 90%"}),
        ({"hashrate_hs": 91 * TH}, {}),
        ({"hashrate_hs": 0.0, "state": "paused"}, {}),  # on purpose
        ({"hashrate_hs": 0.0, "state": "starting"}, {}),
        ({"boards_mining": 2}, {"board_lost": "2 of 3 boards mine"}),
        ({"boards_mining": 0, "state": "paused"}, {}),
        ({"boards_mining": None}, {}),
        ({"chip_temp_max_c": 95.0}, {"chip_too_hot": "hottest chip has 95 °C, limit 95 °C"}),
        ({"chip_temp_max_c": 94.0}, {}),
        ({"chip_temp_max_c": 88.0, "fan_duty_percent": 30.0}, {}),  # hot and low, and the hashrate is well
        (
            {"chip_temp_max_c": 88.0, "fan_duty_percent": 30.0, "hashrate_hs": 93 * TH},
            {"cooling_failing": "hottest chip has 88 °C, fans are driven at 30%, hashrate is 93% of nominal"},
        ),
        (
            {"chip_temp_max_c": 88.0, "fan_duty_percent": None, "fans_running": 0, "hashrate_hs": 93 * TH},
            {"cooling_failing": "hottest chip has 88 °C, no fan turns, hashrate is 93% of nominal"},
        ),
    ],
)
def test_what_rules_find_at_a_miner(world: World, fields: dict[str, Value], found: dict[str, str]) -> None:
    world.telemetry(**{**(dict.fromkeys(WELL) if fields.get("reachable") is False else {}), **fields})
    of_miners = [name for name, rule in RULES.items() if rule.about == "miner"]
    facts = world.facts()
    said = {
        name: {one.subject: one.message for one in RULES[name].find(facts, RULES[name].limit).findings}
        for name in of_miners
    }
    assert {name for name, subjects in said.items() if subjects} == set(found)
    for name, words in found.items():
        if words:
            assert said[name] == {"m1": words}


def test_of_a_miner_that_does_not_answer_nothing_is_known(world: World) -> None:
    world.telemetry(**dict.fromkeys(WELL) | AWAY)
    for name in ("chip_too_hot", "hashrate_low", "board_lost", "fan_lost"):
        assert world.unknown(name) == {"m1"}
    assert world.unknown("miner_unreachable") == set()
    # two and a half intervals later it is not even known to be unreachable
    assert world.find("miner_stale", T + 150.0) == {}
    assert world.find("miner_stale", T + 151.0) == {"m1": "newest reading is 151 s old; it is polled every 60 s"}
    assert world.unknown("miner_unreachable", T + 151.0) == {"m1"}


def test_a_reading_that_a_clock_dated_ahead_hides_none_of_now(world: World) -> None:
    world.telemetry(**WELL | {"time": T + 400})
    world.telemetry(**dict.fromkeys(WELL) | AWAY)
    assert world.find("miner_unreachable") == {"m1": "does not answer: connect timeout"}


def test_a_miner_that_was_never_polled_is_stale(world: World) -> None:
    assert world.find("miner_stale") == {"m1": "no reading in reach; it is polled every 60 s"}


def test_a_fan_that_does_not_turn(world: World) -> None:
    world.telemetry()
    fan: dict[str, Value] = {"miner_id": "m1", "model": "S19", "site": "north"}
    world.put("miner_fan", fan | {"fan": "0", "status": "ok"}, fan | {"fan": "2", "status": "lost"})
    assert world.find("fan_lost") == {"m1": "fan 2 does not turn"}
    world.telemetry(**dict.fromkeys(WELL) | AWAY)
    assert world.find("fan_lost") == {}


@pytest.mark.parametrize(
    ("away", "subjects"),
    [
        ([1, 2], []),  # fewer than three are told one by one
        ([1, 2, 3], ["site north, rack_0"]),  # 3 of 3 in rack_0, 3 of 11 at the site
        ([1, 4, 8], []),
        ([1, 2, 4, 8], ["site north"]),
    ],
)
def test_a_crowd_is_a_site_or_a_rack(tmp_path: Path, away: list[int], subjects: list[str]) -> None:
    world = World(tmp_path, miners=11)
    ids: dict[str, Value] = {"model": "S19", "site": "north"}
    world.put(
        "miner_telemetry",
        *[
            {"miner_id": f"m{number}", **ids, **(dict.fromkeys(WELL) | AWAY if number in away else WELL)}
            for number in range(1, 12)
        ],
    )
    assert sorted(world.find("many_miner_unreachable")) == subjects


@pytest.mark.parametrize(
    ("location", "rack"),
    [
        ("rack_1_position_2", "rack_1"),
        ("Rack 7 position 12", "Rack 7"),
        ("hall 2/rack 3/7", "hall 2/rack 3"),
        ("container", ""),
        ("", ""),
    ],
)
def test_the_rack_is_in_the_place(location: str, rack: str) -> None:
    assert rack_of(location) == rack


@pytest.mark.parametrize(
    ("rows_of_match", "rule", "found"),
    [
        ([{"status": "matched", "gap_unexplained_ratio": 0.02}], "work_astray", {}),
        ([{"status": "matched", "gap_unexplained_ratio": 0.02}], "work_not_credited", {}),
        ([{"status": "matched", "gap_unexplained_ratio": None}], "work_not_credited", {}),
        (
            [{"status": "matched", "gap_unexplained_ratio": 0.5, "hashrate_pool_hs": 48 * TH}],
            "work_not_credited",
            {"m1": "the miner tells 100 TH/s, ltc credits 48.0 TH/s"},
        ),
        ([{"status": "wrong_pool", "reason": "expected ltc"}], "work_astray", {"m1": "wrong pool: expected ltc"}),
        ([{"status": "missing_worker"}], "work_astray", {"m1": "missing worker: see lodeline pools"}),
        ([{"status": "superseded", "gap_unexplained_ratio": 0.9}], "work_not_credited", {}),
        ([{"status": "not_told"}], "work_astray", {}),
        # of one hour two rows: what is matched counts
        ([{"status": "missing_worker", "pool_id": "other"}, {"status": "matched"}], "work_astray", {}),
        # the hour after it was well again
        ([{"status": "wrong_pool", "time": T - 3_600}, {"status": "matched", "time": T}], "work_astray", {}),
        ([{"status": "wrong_pool", "time": T - 4 * 3_600}], "work_astray", {}),  # long ago
        ([{"status": "fee_only", "miner_id": "m9"}], "work_astray", {}),  # not configured any more
    ],
)
def test_where_the_work_goes(
    world: World, rows_of_match: list[dict[str, Value]], rule: str, found: dict[str, str]
) -> None:
    world.telemetry()
    for row in rows_of_match:
        world.put("worker_match", MATCH | row)
    assert world.find(rule) == found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"overall": 0.85, "reasons": "hashrate: below its own"}, {"m1": "score 0.85: hashrate: below its own"}),
        ({"overall": 0.7}, {}),
        ({"overall": None, "hashrate": 0.9}, {}),
        ({"overall": 0.9, "time": T - 3 * 3_600}, {}),
        ({"overall": 0.9, "time_period": "1d"}, {}),
    ],
)
def test_a_miner_that_is_odd(world: World, fields: dict[str, Value], found: dict[str, str]) -> None:
    world.put("anomaly_score", {"miner_id": "m1", "time_period": "1h"} | fields)
    assert world.find("miner_odd") == found


@pytest.mark.parametrize(("days", "level"), [(20.0, None), (13.0, "usual"), (2.0, "critical"), (None, None)])
def test_a_disk_that_fills(world: World, days: float | None, level: str | None) -> None:
    world.put("pipeline_volume", {"host": "edge", "volume": "lake", "free": 10, "days_until_full": days})
    found = RULES["disk_filling"].find(world.facts(), RULES["disk_filling"].limit).findings
    assert [str(finding.level or "usual") for finding in found] == ([level] if level else [])


def test_points_that_a_store_refused_are_told_for_a_day(world: World) -> None:
    import os

    letters = world.folder / "spool" / "miners" / "dead.influxdb.jsonl"
    letters.parent.mkdir(parents=True)
    letters.touch()
    assert world.find("points_refused") == {}
    letters.write_text("{}\n")
    os.utime(letters, (T, T))
    assert world.find("points_refused") == {"lane miners to influxdb": "influxdb refused points of lane miners 5 s ago"}
    assert world.find("points_refused", T + 86_401.0) == {}


def test_rules_are_declared_whole() -> None:
    for name, rule in RULES.items():
        assert rule.muted_by <= RULES.keys(), name
        assert name not in rule.muted_by
        assert rule.meaning.endswith(".")
        assert rule.remedy
        assert (rule.limit is None) == (not rule.unit), name


def test_a_crowd_is_of_what_is_found_with_the_limit_in_force(tmp_path: Path) -> None:
    hot = World(tmp_path, miners=4)
    hot.put("miner_telemetry", *({"miner_id": f"m{n}", **IDS, **WELL, "chip_temp_max_c": 85.0} for n in range(1, 5)))
    for limit, found in ((95, 0), (80, 1)):
        rule = AlertSettings(rules={"chip_too_hot": RuleSettings(limit=limit)}).rules_in_force()["many_chip_too_hot"]
        assert len(rule.find(hot.facts(), rule.limit).findings) == found


def test_what_another_rule_explains_makes_no_crowd_of_its_own(tmp_path: Path) -> None:
    """Four of four have lost a board, so hashrate is low as well: one crowd, not two."""
    lost: dict[str, Value] = {"boards_mining": 2, "hashrate_hs": 66 * TH}
    site = World(tmp_path, miners=4)
    site.put("miner_telemetry", *({"miner_id": f"m{n}", **IDS, **WELL, **lost} for n in range(1, 5)))
    assert len(site.find("hashrate_low")) == 4
    assert (len(site.find("many_board_lost")), len(site.find("many_hashrate_low"))) == (1, 0)


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([], {}),
        ([("a", "b", 600)], {"m1": "mines at b, until 10 min ago at a"}),
        ([("a", "b", 1_200), ("b", "a", 600)], {}),  # back again
        ([("a", "b", 1_200), ("b", "c", 600)], {"m1": "mines at c, until 10 min ago at a"}),
        ([("a", "b", 4 * 3_600)], {}),  # by now the match says where the work goes
    ],
)
def test_a_miner_at_another_pool_is_told_until_it_is_back(
    world: World, events: list[tuple[str, str, int]], found: dict[str, str]
) -> None:
    world.telemetry()
    for old, new, ago_s in events:
        event: dict[str, Value] = {"kind": "pool_switched", "subject": "pool", "old": old, "new": new}
        world.put("miner_event", {"miner_id": "m1", **IDS, **event, "time": T - ago_s})
    assert world.find("pool_switched", now=T) == found
