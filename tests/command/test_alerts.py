"""``lodeline alerts`` on a book that a watch has written."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.audit.trail import Trail
from tasks.alerts.book import Book, Look
from tasks.alerts.composite import Held, Truth
from tasks.alerts.life_cycle import Alert, Change, Event, Phase
from tasks.alerts.rule import Level, fingerprint
from tasks.alerts.rules import RULES

NOW = time.time()


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    channels = [{"name": "ops", "url": "json://127.0.0.1:9/hush"}]
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"alerts": {"channels": channels}}))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


def alert(rule: str, subject: str, phase: Phase) -> Alert:
    return Alert(
        id=fingerprint(rule, subject), rule=rule, subject=subject, entity=subject, site="north", rack="", within="",
        level=RULES[rule].level, phase=phase, since=NOW - 600, seen=NOW - 5, message="is wrong",
        fired=NOW - 500 if phase is Phase.FIRING else None,
    )  # fmt: skip


FAN, LOW, BOARD = (
    alert("fan_lost", "m1", Phase.FIRING),
    alert("hashrate_low", "m2", Phase.FIRING),
    alert("board_lost", "m3", Phase.PENDING),
)


@pytest.fixture
def book(runner: CliRunner, tmp_path: Path) -> Book:
    book = Book.open(tmp_path / "data" / "state")
    with book.transaction():
        book.replace_alerts([FAN, LOW, BOARD])
        book.add_changes([Change(event=Event.FIRED, at=NOW - 500, alert=FAN)])
        book.note_look(Look(at=time.time() - 5, muted={LOW.id: "maintenance filters"}))
    return book


def test_a_look_before_the_watch_has_looked_makes_no_file(runner: CliRunner, tmp_path: Path) -> None:
    """It would belong to who looked, root perhaps, and the watch could not write it."""
    told = runner.invoke(app, ["alerts"])
    assert (told.exit_code, told.output[:24]) == (0, "Nobody has looked yet: f")
    assert json.loads(runner.invoke(app, ["alerts", "list", "--json"]).output)["alerts"] == []
    assert runner.invoke(app, ["alerts", "history"]).output == "Nothing happened in the last 24 hours\n"
    assert "no alert x fires" in runner.invoke(app, ["alerts", "ack", "x"]).output
    assert not (tmp_path / "data").exists()


def test_an_alert_of_a_rule_of_ones_own_is_explained_by_its_parts(runner: CliRunner, tmp_path: Path) -> None:
    own = {
        "name": "hot_and_slow", "meaning": "Hot and slow.", "remedy": "Cool it.",
        "all_of": [
            {"rule": "chip_too_hot", "within_minutes": 15},
            {"field": "fan_duty_percent", "below": 30, "unit": "percent"},
        ],
        "none_of": [{"rule": "pool_away"}],
    }  # fmt: skip
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"alerts": {"composite": [own]}}))
    rule = "hot_and_slow"
    one = Alert(
        id=fingerprint(rule, "m1"), rule=rule, subject="m1", entity="m1", site="north", rack="", within="",
        level=Level.WARNING, phase=Phase.FIRING, since=NOW - 600, seen=NOW - 5, message="hot", fired=NOW - 500,
    )  # fmt: skip
    book = Book.open(tmp_path / "data" / "state")
    with book.transaction():
        book.replace_alerts([one, FAN])
        hot, slow = Held(NOW - 245, Truth.NO, "has 97 °C"), Held(NOW - 5, Truth.YES, "fan_duty_percent is 20 percent")
        book.replace_composites({rule: [{"m1": hot}, {"m1": slow}, {"m1": Held(None, Truth.UNKNOWN)}]})
        book.note_look(Look(at=NOW - 5))
    assert runner.invoke(app, ["alerts", "explain", one.id]).output.splitlines() == [
        "hot_and_slow: m1: hot (firing)",
        "Hot and slow. Cool it.",
        "Fires after 120 s, over after 300 s",
        "all of: chip_too_hot within 15 min: held 4 min ago: has 97 °C",
        "all of: fan_duty_percent below 30 percent: holds now: fan_duty_percent is 20 percent",
        "none of: pool_away: is not known",
    ]
    assert "Swap the fan soon" in runner.invoke(app, ["alerts", "explain", FAN.id]).output
    told = json.loads(runner.invoke(app, ["alerts", "explain", one.id, "--json"]).output)
    assert len(told[0]["lines"]) == 6
    assert "there is no alert nothing" in runner.invoke(app, ["alerts", "explain", "nothing"]).output
    assert "explain needs the ids" in runner.invoke(app, ["alerts", "explain"]).output
    rules = runner.invoke(app, ["alerts", "rules"]).output
    assert "hot_and_slow: warning, for 120 s. Hot and slow.\n  all of: chip_too_hot within 15 min\n" in rules
    silenced = runner.invoke(app, ["alerts", "silence", "--rule", "hot_and_*"])
    assert silenced.exit_code == 0, silenced.output


def test_the_list_says_what_fires_and_why_some_is_not_told(runner: CliRunner, book: Book) -> None:
    shown = runner.invoke(app, ["alerts"])
    assert shown.exit_code == 1, shown.output
    first, second, third = shown.output.splitlines()
    # 10 minutes before this file was read, which in a long run of tests is a while ago
    assert re.match(rf"{FAN.id}  critical  fan_lost: m1 at north: is wrong \(for \d+ min\)", first)
    assert "muted: maintenance filters" in second
    assert "pending" in third
    rows = json.loads(runner.invoke(app, ["alerts", "list", "--json"]).output)
    assert [one["id"] for one in rows["alerts"]] == [FAN.id, LOW.id, BOARD.id]


def test_acknowledged_it_is_still_listed(runner: CliRunner, book: Book) -> None:
    done = runner.invoke(app, ["alerts", "ack", FAN.id, "--hours", "1"])
    assert done.exit_code == 0, done.output
    (held,) = [one for one in book.alerts().values() if one.id == FAN.id]
    assert held.acknowledged_until == pytest.approx(time.time() + 3_600, abs=60)
    assert f"acknowledged by {held.acknowledged_by}" in runner.invoke(app, ["alerts"]).output
    assert f"acknowledged by {held.acknowledged_by}" in runner.invoke(app, ["alerts", "history"]).output


@pytest.mark.parametrize("ids", [[], [BOARD.id], ["nosuch"], [FAN.id, "nosuch"]])
def test_only_what_fires_can_be_acknowledged_and_all_or_nothing(runner: CliRunner, book: Book, ids: list[str]) -> None:
    refused = runner.invoke(app, ["alerts", "ack", *ids])
    assert refused.exit_code == 2
    assert all(one.acknowledged is None for one in book.alerts().values())


def test_a_silence_is_made_audited_and_ended(runner: CliRunner, book: Book, tmp_path: Path) -> None:
    made = runner.invoke(app, ["alerts", "silence", "--rule", "fan_*", "--hours", "4", "--why", "new fans"])
    assert made.exit_code == 0, made.output
    (silence,) = book.silences()
    assert (silence.rule, silence.why) == ("fan_*", "new fans")
    assert silence.until == pytest.approx(time.time() + 4 * 3_600, abs=60)
    assert runner.invoke(app, ["alerts", "unsilence", silence.id]).exit_code == 0
    assert book.silences() == []
    (trail,) = (tmp_path / "data" / "audit").glob("*.jsonl")
    subjects = [entry.subject for entry in Trail.open(tmp_path / "data", trail.stem).entries()]
    assert subjects == [f"alerts silence {silence.id}", f"alerts unsilence {silence.id}"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["silence"], "that would silence everything"),
        (["silence", "--rule", "nosuch"], "no rule fits 'nosuch'"),
        (["unsilence"], "needs the id of a silence"),
        (["unsilence", "nosuch"], "there is no silence nosuch"),
        (["list", "surplus"], "list takes no ids"),
        (["test", "--channel", "nosuch"], "no channel nosuch is configured"),
        (["silence", "--rule", "fan_*", "--hours", "nan"], "Invalid value for '--hours'"),
        (["silence", "--rule", "fan_*", "--hours", "inf"], "Input should be less than or equal to 8784"),
        (["silence", "--rule", "fan_*", "--hours", "1e9"], "Input should be less than or equal to 8784"),
        (["ack", "all", "--hours", "nan"], "Invalid value for '--hours'"),
    ],
)
def test_mistakes_are_told(runner: CliRunner, book: Book, arguments: list[str], said: str) -> None:
    refused = runner.invoke(app, ["alerts", *arguments])
    assert refused.exit_code == 2
    assert said in " ".join(refused.output.split())
    assert book.silences() == [], "one without an end could not be read again, and no look would be made any more"


def test_a_channel_that_fails_its_test_is_told_without_its_secret(runner: CliRunner, book: Book) -> None:
    tested = runner.invoke(app, ["alerts", "test"])
    assert tested.exit_code == 1
    assert tested.output.startswith("ops: ")
    assert "hush" not in tested.output
    assert "ops: last taken never; fails:" in runner.invoke(app, ["alerts", "channels"]).output


def test_without_a_look_it_says_so(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["alerts"])
    assert shown.exit_code == 0
    assert "Nobody has looked yet" in shown.output


def test_a_watch_that_has_stopped_is_told(runner: CliRunner, book: Book) -> None:
    with book.transaction():
        book.note_look(Look(at=time.time() - 7_200))
    assert "The last look was 2 h ago" in runner.invoke(app, ["alerts"]).output


def test_rules_are_shown_as_configured(runner: CliRunner) -> None:
    shown = json.loads(runner.invoke(app, ["alerts", "rules", "--json"]).output)
    assert {row["name"] for row in shown} == RULES.keys()
    assert {row["level"] for row in shown} <= set(Level)
