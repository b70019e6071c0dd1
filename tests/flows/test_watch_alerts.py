"""The shift that watches, in real processes: it looks by itself, is relieved, and what it saw is seen by the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.up.child import Child
from tasks.alerts.book import Book
from tasks.responses.book import ResponseBook
from tasks.shift.baton import Baton
from tests.prefect_server import PrefectServer, until

pytestmark = pytest.mark.prefect

SHIFT = ["-m", "tests.flows.run_shift", "watch-alerts"]
CONFIGURATION = """
miners:
  - {id: m1, ip: 127.0.0.1, model: S19, site: north}
alerts:
  check_interval_seconds: 10
  rules: {miner_stale: {for_seconds: 0}}
responses:
  mode: dry_run
  actions: [{name: again, rule: miner_stale, action: restart_mining}]
"""


def test_it_looks_is_relieved_and_stopped(api: PrefectServer, tmp_path: Path, children: Callable[..., Child]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text(CONFIGURATION)
    data = tmp_path / "data"
    environ = api.flow_environment(data, tmp_path / "config")
    first = children("first", SHIFT, environ)
    until((data / "state" / "alerts.sqlite").exists, "the book")
    book = Book.open(data / "state")
    until(book.last_look, "the first look")
    assert [(alert.rule, alert.subject, alert.firing) for alert in book.alerts().values()] == [
        ("miner_stale", "m1", True)
    ]
    until((data / "state" / "responses.sqlite").exists, "the book of responses")
    responses = ResponseBook.open(data / "state")
    until(responses.held_back, "what is said after the first look")
    assert list(responses.held_back().values()) == ["its newest reading is not fresh"]
    second = children("second", SHIFT, environ)
    until(lambda: not first.alive, "the first shift's end")
    look = book.last_look()
    assert look is not None
    until(lambda: (book.last_look() or look).at > look.at, "a look of the second shift")
    assert len(book.changes(0)) == 1, "the second knows what the first has seen"
    with Baton(data / "locks", "alerts").stopping():
        until(lambda: not second.alive, "the second shift's end")
    assert "stopped without a successor" in second.log.read_text()
    assert "relieved by the next shift" in first.log.read_text()
