"""Reported faults, one folder each: what a miner answered in ``input.json``, what must be stored in ``expected.json``.

A new case is a folder, no code. ``input.json``: ``report`` (where it was reported), ``driver``, ``model``, ``settings``
(further ones of the miner) and ``polls``: each with ``answers`` by path (an object, a number for an HTTP status, text
for a raw body; added to those of the poll before), or with ``failure`` for one that fails; ``times`` repeats it, polls
are ``every_s`` (60) apart. ``expected.json`` has one entry per poll, true for each time: ``telemetry`` fields,
``boards``, ``fans``, ``pools``, ``errors`` (a list of fields for each part), ``configuration`` (read where it is
expected); what is not named may be anything. Readings are judged as the fleet judges them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.records.miner import Miner, MinerTelemetry
from tasks.miners.driver import PollFailure, Target
from tasks.miners.drivers import DRIVERS
from tasks.miners.member import unreachable
from tasks.normalize.judging import History, judge
from tests.miners.payloads import SLOT, Answers

CASES = sorted(path.parent for path in (Path(__file__).parent / "testcases").glob("*/input.json"))
PARTS = ("boards", "fans", "pools", "errors")


def raw(answer: Any) -> Any:
    return answer.encode() if isinstance(answer, str) else answer


def matches(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and found is not None:
        return bool(found == pytest.approx(expected))
    return bool(found == expected)


def differences(place: str, found: Any, expected: dict[str, Any]) -> list[str]:
    return [
        f"{place}.{name}: stored {getattr(found, name)!r}, right is {value!r}"
        for name, value in expected.items()
        if not matches(getattr(found, name), value)
    ]


def test_there_are_cases_and_each_is_whole() -> None:
    assert CASES
    assert [case.name for case in CASES if not (case / "expected.json").is_file()] == []


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_case(case: Path) -> None:
    given = json.loads((case / "input.json").read_bytes())
    expected = json.loads((case / "expected.json").read_bytes())
    assert len(given["polls"]) == len(expected)
    target = Target(Miner("miner_01", given["model"], ""), "192.0.2.1", "http://192.0.2.1", **given.get("settings", {}))
    transport = Answers({})
    session = DRIVERS[given["driver"]].session(target, transport)
    history: History | None = None
    slot, wrong = SLOT, []
    for number, (poll, right) in enumerate(zip(given["polls"], expected, strict=True)):
        transport.answers.update({path: raw(answer) for path, answer in poll.get("answers", {}).items()})
        for _ in range(poll.get("times", 1)):
            record: MinerTelemetry
            if "failure" in poll:
                record = unreachable(target, slot, PollFailure(poll["failure"], "as reported"), None)
            else:
                record = await session.telemetry(slot)
            judged = judge(record, history)
            history = judged.history
            place = f"poll {number} at {slot - SLOT} s: "
            wrong += differences(f"{place}telemetry", judged.record, right.get("telemetry", {}))
            for part in PARTS:
                items = getattr(judged.record, part)
                if part in right and len(items) != len(right[part]):
                    wrong.append(f"{place}{part}: {len(items)}, right are {len(right[part])}")
                for item, values in zip(items, right.get(part, ()), strict=False):
                    wrong += differences(f"{place}{part}", item, values)
            if "configuration" in right:
                wrong += differences(f"{place}configuration", await session.configuration(slot), right["configuration"])
            slot += given.get("every_s", 60)
    assert wrong == []
