"""Whatever a device answers, a driver gives a record that can be stored, or a PollFailure; nothing else leaves it."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.declaration.miner import MINER_STATES
from storage.records.miner import MinerTelemetry, configuration_frames, telemetry_frames
from tasks.miners.driver import PollFailure
from tasks.miners.drivers import DRIVERS
from tests.miners.antminer_payloads import legacy, socket, stock
from tests.miners.library_payloads import library_reading
from tests.miners.payloads import PASSWORD, SLOT, Answers, cgi, rest, target

SOUND: dict[str, dict[str, Any]] = {
    "vnish-rest": rest(status={"miner_state": "stopped"}),
    "vnish-cgi": cgi(),
    "antminer-stock": stock(),
    "antminer-legacy": legacy(),
    "cgminer-socket": socket(),
    "asic-rs": {"/reading": library_reading()},
    "auto": rest(),
}

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e308, "", " ", "0", "-5", "1e999", "N/A",
    "nan", "\x00\n\u202e", "x" * 5_000, "\ud800", [], {}, [[]], [None, 5, {}], {"id": 1}, {"min": "a", "max": None},
)  # fmt: skip


def read(driver: str, answers: dict[str, Any], slot: int = SLOT) -> list[MinerTelemetry]:
    """Poll once, in whole: the record, or none where it failed as it may."""

    async def run() -> None:
        session = DRIVERS[driver].session(target(username="admin", password=PASSWORD), Answers(answers))
        try:
            records.append(await session.telemetry(slot))
            configuration_frames([await session.configuration(slot)])
        except PollFailure as failure:
            str(failure).encode()

    records: list[MinerTelemetry] = []
    with suppress(
        StopIteration
    ):  # nothing in it waits, so no event loop is needed, which makes thousands of cases cheap
        run().send(None)
    return records


def check(records: list[MinerTelemetry]) -> None:
    """All of it can be stored: in the declared words and types, and no two rows of one series and time."""
    assert {record.state for record in records} <= set(MINER_STATES)
    for frame in telemetry_frames(records):
        tags = [column for name, column in frame.columns.items() if name in frame.declared.tag_names]
        keys = list(zip(*tags, frame.times, strict=True))
        assert len(set(keys)) == len(keys)
        msgspec.json.encode(frame)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def changed(value: Any, path: tuple[str | int, ...], to: Any) -> Any:
    if not path:
        return to
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], to)
    return copy


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_field_with_hostile_values(driver: str) -> None:
    cases = [
        {page: json.dumps(changed(sound, place, value)).encode()}
        for page, sound in SOUND[driver].items()
        for number, place in enumerate(places(sound))
        for value in HOSTILE[number % 3 :: 3]
    ]
    records = [record for i, case in enumerate(cases) for record in read(driver, SOUND[driver] | case, SLOT + i)]
    assert len(records) > len(cases) / 2
    check(records)


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_cut_and_every_turned_byte(driver: str) -> None:
    chance = random.Random(5)
    records = []
    for page, sound in SOUND[driver].items():
        body = json.dumps(sound).encode()
        for i in range(150):
            position = chance.randrange(len(body))
            cut, turned = body[:position], bytearray(body)
            turned[position] = chance.randrange(256)
            for offset, sent in enumerate((cut, bytes(turned))):
                records += read(driver, SOUND[driver] | {page: sent}, SLOT + 2 * i + offset)
        check(records)
        records.clear()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_anything_anywhere(driver: str, data: st.DataObject) -> None:
    answers = dict(SOUND[driver])
    for page, sound in SOUND[driver].items():
        for _ in range(data.draw(st.integers(0, 3))):
            answers[page] = changed(sound, data.draw(st.sampled_from(places(sound))), data.draw(anything))
    check(read(driver, {page: json.dumps(body).encode() for page, body in answers.items()}))


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body(driver: str, body: bytes) -> None:
    for page in SOUND[driver]:
        check(read(driver, SOUND[driver] | {page: body}))
