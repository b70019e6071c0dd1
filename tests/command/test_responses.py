"""``lodeline responses`` on a book that a responder has written."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.audit.trail import Trail
from tasks.responses.book import ResponseBook
from tasks.responses.response import Act, Mode, Phase, Response

NOW = time.time()
HELPED = Response(
    id="aaaa1111", name="cool", act=Act.CHANGE_PRESET, mode=Mode.ON, rule="cooling_failing", alert_id="a1",
    subject="m1", site="north", phase=Phase.HELPED, planned=NOW - 3_600, ended=NOW - 1_800, plan="a lower preset",
    told="cooling_failing is over",
)  # fmt: skip
UNCLEAR = msgspec.structs.replace(HELPED, id="bbbb2222", subject="m2", phase=Phase.UNCLEAR, told="look whether")


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    action = {"name": "cool", "rule": "cooling_failing", "action": "change_preset", "from_hour": 22, "to_hour": 6}
    content = {"responses": {"mode": "dry_run", "actions": [action]}}
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump(content))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


@pytest.fixture
def book(tmp_path: Path) -> ResponseBook:
    book = ResponseBook.open(tmp_path / "data" / "state")
    for one in (HELPED, UNCLEAR):
        book.save_evidence(one.id, {"readings": [{"chip_temp_max_c": 101.0}]})
        book.note(one, str(one.phase), NOW)
    book.note_look({"c3": "muted: maintenance filters"}, NOW)
    return book


def run(runner: CliRunner, *words: str, code: int = 0) -> str:
    done = runner.invoke(app, ["responses", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_the_list_says_what_was_done_what_wants_somebody_and_what_is_held_back(
    runner: CliRunner, book: ResponseBook
) -> None:
    lines = run(runner, code=1).splitlines()
    assert lines[0] == "Responses are in a dry run"
    assert lines[1].startswith("aaaa1111  ")
    assert lines[1].endswith("cool for cooling_failing of m1: a lower preset: helped: cooling_failing is over")
    assert lines[2].endswith("cool for cooling_failing of m2: a lower preset: unclear: look whether; look at it")
    assert lines[3] == "alert c3 is not answered: muted: maintenance filters"
    told = json.loads(run(runner, "--json", code=1))
    assert (told["mode"], len(told["responses"]), told["held_back"]) == (
        "dry_run",
        2,
        {"c3": "muted: maintenance filters"},
    )
    few = json.loads(run(runner, "list", "--hours", "0.5", "--json", code=1))
    assert [one["id"] for one in few["responses"]] == ["bbbb2222"], "what wants somebody is always told"


def test_without_a_book_there_is_nothing(runner: CliRunner, tmp_path: Path) -> None:
    assert "Nothing was done in the last 48 hours" in run(runner)
    assert not (tmp_path / "data" / "state").exists()


def test_one_is_shown_with_its_evidence_and_settled_once(runner: CliRunner, book: ResponseBook, tmp_path: Path) -> None:
    shown: dict[str, Any] = json.loads(run(runner, "show", "bbbb2222"))
    assert shown["response"]["plan"] == "a lower preset"
    assert shown["evidence"]["readings"] == [{"chip_temp_max_c": 101.0}]
    assert "Response bbbb2222 is settled by " in run(runner, "settle", "bbbb2222")
    assert "(settled by " in run(runner)
    assert "wants nobody: it is unclear, settled by" in run(runner, "settle", "bbbb2222", code=2)
    (entry,) = Trail.open(tmp_path / "data", socket.gethostname()).entries()
    assert (entry.kind, entry.subject) == ("response_settled", "response bbbb2222")
    assert [happened.event for _, happened in book.unstored()] == ["helped", "unclear", "settled"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show"], "show needs the id of a response"),
        (["settle"], "settle needs the id of a response"),
        (["list", "x"], "list takes no ids"),
        (["show", "x"], "there is no response x"),
        (["settle", "aaaa1111"], "response aaaa1111 wants nobody: it is helped"),
    ],
)
def test_mistakes(runner: CliRunner, book: ResponseBook, words: list[str], told: str) -> None:
    assert told in run(runner, *words, code=2)


def test_rules_are_told_as_configured(runner: CliRunner) -> None:
    lines = run(runner, "rules").splitlines()
    assert lines == [
        "Responses are dry_run; at most 1 at once at a site, and 10% of its miners a day",
        "cool: cooling_failing -> change_preset, at most 1 a day, 60 min apart, 22 to 6 h UTC; judged after 15 min",
    ]
    assert json.loads(run(runner, "rules", "--json"))["actions"][0]["name"] == "cool"
