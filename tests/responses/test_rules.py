"""The two rules over responses and over what they relieve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks.alerts.rule import Level
from tasks.alerts.rules import RULES
from tasks.responses.book import ResponseBook
from tasks.responses.response import Phase
from tests.alerts.world import T, World
from tests.command.test_status import leave, report
from tests.responses.test_deciding import earlier


@pytest.mark.parametrize(
    ("tick", "told"),
    [
        ({}, None),
        ({"loop_lag_ms": 999.0}, None),
        ({"loop_lag_ms": 1_500.0}, "0 miners skipped by the last tick of lane miners, its event loop was 1.5 s late"),
        (
            {"failed_by_reason": {"skipped": 12}},
            "12 miners skipped by the last tick of lane miners, its event loop was",
        ),
    ],
)
def test_a_collector_with_too_much_to_do(tmp_path: Path, tick: dict[str, Any], told: str | None) -> None:
    world = World(tmp_path)
    leave(tmp_path, report(T, **tick))
    found = RULES["collector_overloaded"].find(world.facts(), 1_000.0).findings
    assert [(one.subject, one.entity) for one in found] == [("lane miners at edge-1", "edge-1")] * (told is not None)
    assert all(one.message.startswith(told or "?") for one in found)


def test_what_wants_a_human_is_told_for_a_day_and_what_is_unclear_until_somebody_settles_it(tmp_path: Path) -> None:
    world, book = World(tmp_path), ResponseBook.open(tmp_path / "state")
    phases = (Phase.HELPED, Phase.NO_HELP, Phase.FAILED, Phase.NOT_KNOWN, Phase.UNCLEAR, Phase.DONE, Phase.DRY_RUN)
    for number, phase in enumerate(phases):
        book.note(earlier(f"m{number}", 0.0, phase, id=str(phase), ended=float(T)), str(phase), T)
    found = {one.subject: one.level for one in RULES["response_wants_human"].find(world.facts(), None).findings}
    assert found == {
        "response no_help": None, "response failed": None, "response not_known": None,
        "response unclear": Level.CRITICAL,
    }  # fmt: skip
    assert set(world.find("response_wants_human", T + 86_401)) == {"response unclear"}
    unclear = book.response("unclear")
    assert unclear is not None
    book.note(msgspec.structs.replace(unclear, settled_by="ana"), "settled", T)
    assert world.find("response_wants_human", T + 86_401) == {}
