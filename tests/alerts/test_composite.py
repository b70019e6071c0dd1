"""Rules made of rules and conditions: the logic by its truth tables, windows, and what cannot be known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from storage.frame import Value
from tasks.alerts.book import Book
from tasks.alerts.composite import FARM, Evaluation, Memory, Truth, all_of, any_of, none_of
from tasks.alerts.rule import Found
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings
from tasks.alerts.watch import ask
from tests.alerts.test_watch import FAILED, Farm
from tests.alerts.world import AWAY, WELL, T, World

NO, UNKNOWN, YES = Truth.NO, Truth.UNKNOWN, Truth.YES
SLOW = {"field": "hashrate_hs", "of": "hashrate_nominal_hs", "below": 0.9, "unit": "ratio"}
LOW_FANS = {"field": "fan_duty_percent", "below": 30, "unit": "percent"}


def settings(**composite: Any) -> AlertSettings:
    usual = {"name": "mine", "meaning": "It is bad.", "for_seconds": 0, "keep_seconds": 0}
    return AlertSettings.model_validate({"composite": [usual | composite]})


def asked(world: World, wanted: AlertSettings, now: float = T + 5.0, before: Memory | None = None) -> Evaluation:
    rules = wanted.rules_in_force()
    made_of = {name for rule in rules.values() if rule.composite is not None for name in rule.composite.rules}
    asked_for = {name: rule for name, rule in rules.items() if rule.composite is not None or name in made_of}
    evaluation, not_asked = ask(asked_for, world.facts(now), before)
    assert not not_asked
    return evaluation


def found(world: World, **composite: Any) -> Found:
    return asked(world, settings(**composite)).found["mine"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_logic_is_kleenes() -> None:
    # conjunction and disjunction of Kleene's strong logic, row by row
    table = {
        (YES, YES): (YES, YES), (YES, UNKNOWN): (UNKNOWN, YES), (YES, NO): (NO, YES),
        (UNKNOWN, UNKNOWN): (UNKNOWN, UNKNOWN), (UNKNOWN, NO): (NO, UNKNOWN), (NO, NO): (NO, NO),
    }  # fmt: skip
    for pair, (both, either) in table.items():
        for one in (pair, pair[::-1]):
            assert (all_of(one), any_of(one)) == (both, either)
    assert [none_of([truth]) for truth in (NO, UNKNOWN, YES)] == [YES, UNKNOWN, NO]
    assert (all_of([]), any_of([]), none_of([])) == (YES, NO, YES)


@given(some.lists(some.sampled_from(Truth), max_size=6))
def test_what_is_not_known_never_decides_and_knowing_more_never_turns_an_answer_round(truths: list[Truth]) -> None:
    def settled(choices: Iterable[Truth]) -> set[Truth]:
        answers: list[list[Truth]] = [[]]
        for truth in choices:
            options = [NO, YES] if truth is UNKNOWN else [truth]
            answers = [[*one, option] for one in answers for option in options]
        return {group(answer) for answer in answers}

    for group in (all_of, any_of, none_of):
        whole, possible = group(truths), settled(truths)
        # known exactly where every way in which the unknown may turn out gives the same
        assert whole is (possible.pop() if len(possible) == 1 else UNKNOWN)


@pytest.mark.parametrize(
    ("fields", "truth"),
    [
        ({"chip_temp_max_c": 97.0, "fan_duty_percent": 20.0, "hashrate_hs": 80e12}, YES),
        ({"chip_temp_max_c": 97.0, "fan_duty_percent": 30.0, "hashrate_hs": 80e12}, NO),  # not below
        ({"chip_temp_max_c": 97.0, "fan_duty_percent": 20.0, "hashrate_hs": 90e12}, NO),
        ({"chip_temp_max_c": 94.0, "fan_duty_percent": 20.0, "hashrate_hs": 80e12}, NO),
        ({"chip_temp_max_c": 97.0, "fan_duty_percent": None, "hashrate_hs": 80e12}, UNKNOWN),
        ({"chip_temp_max_c": 97.0, "fan_duty_percent": 20.0, "hashrate_nominal_hs": None}, UNKNOWN),
        ({"chip_temp_max_c": 97.0, "fan_duty_percent": 20.0, "hashrate_nominal_hs": 0.0}, UNKNOWN),
        ({"chip_temp_max_c": 94.0, "fan_duty_percent": None, "hashrate_hs": 80e12}, NO),  # one that fails is enough
        ({**dict.fromkeys(WELL), **AWAY}, UNKNOWN),
    ],
)
def test_hot_and_fans_low_and_hashrate_falling(world: World, fields: dict[str, Value], truth: Truth) -> None:
    world.telemetry(**fields)
    got = found(world, all_of=[{"rule": "chip_too_hot"}, LOW_FANS, SLOW])
    assert [one.entity for one in got.findings] == ["m1"] * (truth is YES)
    assert got.unknown == ({"m1"} if truth is UNKNOWN else set())
    if truth is YES:
        (finding,) = got.findings
        assert finding.site == "north"
        assert finding.message == (
            "chip_too_hot: hottest chip has 97 °C, limit 95 °C; fan_duty_percent is 20 percent; "
            "hashrate_hs / hashrate_nominal_hs is 0.8 ratio"
        )


def worker(world: World, status: str, *, matched: bool = True) -> None:
    if matched:
        match: dict[str, Value] = {"miner_id": "m1", "pool_id": "ltc", "worker_id": "acc.m1", "status": "matched"}
        world.put("worker_match", match)
    row: dict[str, Value] = {
        "pool_id": "ltc",
        "worker_id": "acc.m1",
        "algorithm": "scrypt",
        "status": status,
        "last_share_age_s": 7_200.0,
    }
    world.put("pool_performance", row)


@pytest.mark.parametrize(
    ("fields", "status", "matched", "truth"),
    [
        ({}, "offline", True, YES),
        ({}, "online", True, NO),
        ({}, "offline", False, UNKNOWN),  # which worker the miner is, nobody knows
        ({"hashrate_hs": 50e12}, "offline", True, NO),  # the miner is not well
        ({"state": "paused"}, "offline", True, NO),
        (
            {**dict.fromkeys(WELL), **AWAY},
            "offline",
            True,
            NO,
        ),  # nobody expects its shares
    ],
)
def test_the_miner_is_well_and_its_pool_silent(
    world: World, fields: dict[str, Value], status: str, matched: bool, truth: Truth
) -> None:
    world.telemetry(**fields)
    worker(world, status, matched=matched)
    got = found(
        world,
        all_of=[{"field": "state", "is_one_of": ["mining"]}],
        any_of=[{"rule": "worker_offline"}, {"rule": "pool_all_offline"}],
        none_of=[{"rule": "hashrate_low"}, {"rule": "no_hashrate"}],
    )
    assert [one.entity for one in got.findings] == ["m1"] * (truth is YES)
    assert got.unknown == ({"m1"} if truth is UNKNOWN else set())


def test_a_part_holds_within_its_window_and_not_longer(world: World) -> None:
    wanted = settings(all_of=[{"rule": "chip_too_hot", "within_minutes": 15}, SLOW])
    memory: Memory = {}
    seen = {}
    for minute, (chip, rate) in {0: (97.0, 100e12), **dict.fromkeys((1, 2, 14, 15, 16), (70.0, 80e12))}.items():
        fields = {"miner_id": "m1", "model": "S19", "site": "north", **WELL, "time": T + 60 * minute}
        world.put("miner_telemetry", fields | {"chip_temp_max_c": chip, "hashrate_hs": rate})
        evaluation = asked(world, wanted, T + 60 * minute, memory)
        memory = evaluation.after
        seen[minute] = [one.message for one in evaluation.found["mine"].findings]
    assert seen[0] == []
    assert seen[1] == [
        "chip_too_hot: hottest chip has 97 °C, limit 95 °C (60 s ago); hashrate_hs / hashrate_nominal_hs is 0.8 ratio"
    ]
    assert [minute for minute, messages in seen.items() if messages] == [1, 2, 14, 15]


def test_a_window_of_what_must_not_be(world: World) -> None:
    world.telemetry(hashrate_hs=80e12)
    part = {"rule": "chip_too_hot", "within_minutes": 10}
    wanted = settings(all_of=[SLOW], none_of=[part])
    hot = {"miner_id": "m1", "model": "S19", "site": "north", **WELL, "hashrate_hs": 80e12, "chip_temp_max_c": 97.0}
    world.put("miner_telemetry", hot)
    first = asked(world, wanted, T + 5.0)
    assert first.found["mine"].findings == ()
    world.telemetry(hashrate_hs=80e12)
    assert asked(world, wanted, T + 100.0, first.after).found["mine"].findings == ()
    assert len(asked(world, wanted, T + 100.0).found["mine"].findings) == 1, "without what it remembers"


def test_for_the_farm_a_part_holds_where_it_does_for_anybody(tmp_path: Path) -> None:
    world = World(tmp_path, miners=3)
    for number, chip in ((1, 97.0), (2, 96.0)):
        fields = {"miner_id": f"m{number}", "model": "S19", "site": "north", **WELL, "chip_temp_max_c": chip}
        world.put("miner_telemetry", fields)
    world.put("market_data", {"source": "gecko", "coin_id": "bitcoin", "price_usd": 40_000.0})
    price = {"measurement": "market_data", "coin": "bitcoin", "field": "price_usd", "below": 50_000, "unit": "USD"}
    got = found(world, per="farm", all_of=[{"rule": "chip_too_hot"}, price])
    (finding,) = got.findings
    assert (finding.entity, finding.site) == (FARM, "")
    assert finding.message == ("chip_too_hot: 2: hottest chip has 97 °C, limit 95 °C, …; price_usd is 4e+04 USD")
    dear = found(world, per="farm", all_of=[price | {"below": 30_000}])
    assert (dear.findings, dear.unknown) == ((), frozenset())
    old = asked(world, settings(per="farm", all_of=[price]), T + 3_700).found["mine"]
    assert (old.findings, old.unknown) == ((), frozenset({FARM})), "an old price is none"
    each = found(world, all_of=[{"rule": "chip_too_hot"}, price])
    assert {one.entity for one in each.findings} == {"m1", "m2"}
    third = found(world, per="farm", all_of=[{"field": "chip_temp_max_c", "above": 99, "unit": "degC"}])
    assert third.unknown == {FARM}, "m3 was never read, and may be"


def test_one_may_be_made_of_another(world: World) -> None:
    world.telemetry(chip_temp_max_c=97.0, hashrate_hs=80e12)
    usual = {"meaning": "It is bad.", "for_seconds": 0}
    wanted = AlertSettings.model_validate(
        {"composite": [
            usual | {"name": "upper", "all_of": [{"rule": "lower"}, SLOW]},
            usual | {"name": "lower", "all_of": [{"rule": "chip_too_hot"}]},
        ]}
    )  # fmt: skip
    got = asked(world, wanted).found
    assert [one.entity for one in got["upper"].findings] == ["m1"]


@pytest.mark.parametrize(
    ("composite", "told"),
    [
        (
            {"all_of": [{"rule": "chip_to_hot"}]},
            "composite mine: rule chip_to_hot is not there; did you mean chip_too_hot?",
        ),
        ({"all_of": [{"rule": "mine"}]}, "composite rules are made of each other: mine -> mine"),
        ({"name": "fan_lost", "all_of": [SLOW]}, "composite fan_lost: there is a rule of that name already"),
        ({"all_of": [SLOW], "muted_by": ["stale"]}, "composite mine: rule stale is not there"),
        ({"none_of": [SLOW]}, "needs all_of or any_of: without them it would hold always"),
        ({"all_of": [{"field": "chip_temp_max_c", "above": 90}]}, "chip_temp_max_c needs its unit: degC"),
        ({"all_of": [{"field": "chip_temp_max_c", "above": 90, "unit": "F"}]}, "chip_temp_max_c is in degC, not in F"),
        ({"all_of": [SLOW | {"unit": "H/s"}]}, "hashrate_hs is in ratio, not in H/s"),
        ({"all_of": [{"field": "chip_temp", "above": 1, "unit": "degC"}]}, "miner_telemetry has no field 'chip_temp'"),
        ({"all_of": [{"field": "state", "is_one_of": ["hot"]}]}, "state is never 'hot'; it is one of"),
        ({"all_of": [{"field": "state", "above": 1}]}, "state is a text: give is_one_of"),
        ({"all_of": [{"field": "power_w", "above": 1, "below": 2, "unit": "W"}]}, "one of below, above or is_one_of"),
        ({"all_of": [{"rule": "fan_lost", "above": 1}]}, "above belongs to a field, and this part is rule fan_lost"),
        ({"all_of": [{"within_minutes": 5}]}, "expected either rule or field"),
        ({"all_of": [{"measurement": "market_data", "field": "price_usd", "below": 1, "unit": "USD"}]}, "needs coin"),
    ],
)
def test_mistakes(composite: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        settings(**composite)
    assert told in str(error.value)


def test_a_circle_over_several_and_a_rule_that_is_switched_off() -> None:
    usual = {"meaning": "It is bad."}
    names = ("one", "two", "three")
    circle = [
        usual | {"name": name, "all_of": [{"rule": other}]}
        for name, other in zip(names, (*names[1:], "one"), strict=True)
    ]
    with pytest.raises(ValidationError, match="made of each other: one -> two -> three -> one"):
        AlertSettings.model_validate({"composite": circle})
    with pytest.raises(ValidationError, match="composite one: rule fan_lost is switched off"):
        AlertSettings.model_validate(
            {
                "rules": {"fan_lost": {"enabled": False}},
                "composite": [usual | {"name": "one", "all_of": [{"rule": "fan_lost"}]}],
            }
        )


def test_the_example_of_the_documentation_is_taken() -> None:
    text = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    (example,) = re.findall(r"```yaml\n(alerts:\n  composite:.*?)```", text, re.DOTALL)
    wanted = AlertSettings.model_validate(yaml.safe_load(example)["alerts"])
    assert [one.name for one in wanted.composite] == ["hot_and_slow", "mines_for_nobody", "cheap_and_hot"]


def test_it_fires_is_told_and_explained_and_windows_live_over_a_restart(tmp_path: Path) -> None:
    own = {
        "name": "failed_while_hot", "meaning": "It failed while hot.", "for_seconds": 0, "keep_seconds": 0,
        "all_of": [{"rule": "miner_failed"}, {"rule": "chip_too_hot", "within_minutes": 5}],
    }  # fmt: skip
    keep = {"miner_failed", "chip_too_hot"}
    off = {name: {"enabled": False} for name in RULES if name not in keep}
    farm = Farm(tmp_path, composite=[own], rules=off)
    farm.minutes(1, state="mining", chip_temp_max_c=97.0)
    farm.restart()
    farm.minutes(2)
    assert farm.titles == ["[warning] failed_while_hot: m1"], "miner_failed itself has not lasted long enough"
    book = farm.book()
    (alert,) = [one for one in book.alerts().values() if one.rule == "failed_while_hot"]
    assert (
        alert.message
        == "miner_failed: its state is failed; chip_too_hot: hottest chip has 97 °C, limit 95 °C (2 min ago)"
    )
    book.close()
    farm.minutes(4)
    assert farm.titles[-1] == "[resolved] failed_while_hot: m1", "the window is over"
    assert FAILED["state"] == "failed"


def test_a_book_of_version_1_is_taken_over(tmp_path: Path) -> None:
    import sqlite3

    Book.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "alerts.sqlite") as connection:
        connection.execute("DROP TABLE composite")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    book = Book.open(tmp_path)
    assert book.composites() == {}
    book.close()
