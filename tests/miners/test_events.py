"""What counts as an event: each kind once, with old and new, and nothing from what a reading does not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.declaration.event import EVENT_KINDS, EVENT_SEVERITIES, MINER_EVENT
from storage.records.events import MinerEvent, event_frames
from storage.records.miner import (
    BoardReading,
    FanReading,
    Miner,
    MinerConfiguration,
    MinerTelemetry,
    PoolReading,
)
from tasks.miners.events import Glimpse, events_between, wants_configuration

MINER = Miner("miner_01", "S19", "north")
POLL_S = 60
DAY_S = 86_400


def boards(**over: str) -> tuple[BoardReading, ...]:
    said = {"0": "mining", "1": "mining", "2": "mining"} | {name.removeprefix("b"): over[name] for name in over}
    return tuple(BoardReading(board=name, status=status) for name, status in said.items() if status != "gone")


def fans(**over: str) -> tuple[FanReading, ...]:
    said = {"0": "ok", "1": "ok"} | {name.removeprefix("f"): over[name] for name in over}
    return tuple(FanReading(fan=name, status=status) for name, status in said.items())


def pools(first: str = "active", second: str = "working", shares: int | None = 100) -> tuple[PoolReading, ...]:
    return (
        PoolReading(slot="0", status=first, is_fee=False, url="a.invalid:1", shares_accepted=shares),
        PoolReading(slot="1", status=second, is_fee=False, url="b.invalid:1", shares_accepted=5),
        PoolReading(slot="2", status="active", is_fee=True, url="fee", shares_accepted=9),
    )


def reading(**over: Any) -> dict[str, Any]:
    """One poll's reading but for its time; ``configuration`` is what was read along."""
    usual = {"reachable": True, "state": "mining", "boards": boards(), "fans": fans(), "pools": pools()}
    return usual | over


def silent(failure: str = "deadline") -> dict[str, Any]:
    return {"reachable": False, "state": "unreachable", "failure": failure}


SETTINGS: dict[str, Any] = {
    "firmware_version": "Vnish 1.2.6", "mac": "00163e000001", "overclock_profile": "3000 W", "power_limit_w": 3000,
    "frequency_mhz": 600.0, "pool_url": "a.invalid:1", "pool_user": "account.rig",
}  # fmt: skip


def told(polls: Sequence[dict[str, Any]], *, every_s: int = POLL_S, first_uptime_s: int = DAY_S) -> list[MinerEvent]:
    """All events of successive polls; uptime rises by itself where a poll does not say otherwise."""
    glimpse: Glimpse | None = None
    events: list[MinerEvent] = []
    for number, poll in enumerate(polls):
        time = 1_800_000_000 + number * every_s
        own = dict(poll)
        read = own.pop("configuration", None)
        if own["reachable"]:
            own.setdefault("uptime_s", first_uptime_s + number * every_s)
        record = MinerTelemetry(time=time, miner=MINER, **own)
        configuration = read and MinerConfiguration(
            time=time, miner=MINER, ip_address="192.0.2.1", driver="vnish-rest", **read
        )
        seen, glimpse = events_between(glimpse, record, configuration)
        assert all(event.time == time for event in seen)
        glimpse = msgspec.json.decode(msgspec.json.encode(glimpse), type=Glimpse)  # as it survives a restart
        events += seen
    return events


def brief(events: Sequence[MinerEvent]) -> list[tuple[str, str, str | None, str | None]]:
    return [(event.kind, event.subject, event.old, event.new) for event in events]


def set_to(**over: Any) -> dict[str, Any]:
    return reading(configuration=SETTINGS | over)


CALM = reading()
EVENTS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str | None, str | None]]]] = {
    "uptime fell": (
        [CALM, reading(uptime_s=30), reading(uptime_s=90)],
        [("started", "miner", "86400 s", "30 s")],
    ),
    "back from silence, and started meanwhile": (
        [reading(uptime_s=60), silent(), silent(), *[silent()] * 6, reading(uptime_s=200), reading(uptime_s=260)],
        [
            ("unreachable", "miner", None, None),
            ("started", "miner", "60 s", "200 s"),
            ("reachable", "miner", None, None),
        ],
    ),
    "back from silence without a start": (
        [CALM, silent(), silent(), silent(), CALM, CALM],
        [("unreachable", "miner", None, None), ("reachable", "miner", None, None)],
    ),
    "firmware": (
        [set_to(), set_to(firmware_version="Vnish 1.3.4")],
        [("firmware_changed", "firmware_version", "Vnish 1.2.6", "Vnish 1.3.4")],
    ),
    "another device": (
        [set_to(), set_to(mac="00163e000002")],
        [("identity_changed", "mac", "00163e000001", "00163e000002")],
    ),
    "preset and power limit": (
        [set_to(), set_to(overclock_profile="3400 W", power_limit_w=3400)],
        [
            ("configuration_changed", "overclock_profile", "3000 W", "3400 W"),
            ("configuration_changed", "power_limit_w", "3000", "3400"),
        ],
    ),
    "frequency that somebody set": (
        [set_to(power_limit_w=None), set_to(power_limit_w=None, frequency_mhz=650.0)],
        [("configuration_changed", "frequency_mhz", "600", "650")],
    ),
    "frequency that drifts is told in the end": (
        [set_to(power_limit_w=None, frequency_mhz=600.0 + 4 * step) for step in range(5)],
        [("configuration_changed", "frequency_mhz", "600", "616")],
    ),
    "pool and its user": (
        [set_to(), set_to(pool_url="c.invalid:1", pool_user="account.other")],
        [
            ("configuration_changed", "pool_url", "a.invalid:1", "c.invalid:1"),
            ("configuration_changed", "pool_user", "account.rig", "account.other"),
        ],
    ),
    "a setting is compared with its last known value": (
        [set_to(), set_to(overclock_profile=None), CALM, set_to(overclock_profile="2800 W")],
        [("configuration_changed", "overclock_profile", "3000 W", "2800 W")],
    ),
    "two boards in one slot, both back": (
        [
            CALM,
            *[reading(state="degraded", boards=boards(b0="failure", b2="disconnected"))] * 3,
            CALM,
            CALM,
        ],
        [
            ("board_lost", "board 0", "mining", "failure"),
            ("board_lost", "board 2", "mining", "disconnected"),
            ("board_back", "board 0", "failure", "mining"),
            ("board_back", "board 2", "disconnected", "mining"),
        ],
    ),
    "a board leaves the list": (
        [CALM, *[reading(state="degraded", boards=boards(b1="gone"))] * 3],
        [("board_lost", "board 1", "mining", "not listed")],
    ),
    "a board is lost once, whatever word it is given": (
        [CALM, *[reading(boards=boards(b1="failure"))] * 2, *[reading(boards=boards(b1="disconnected"))] * 2],
        [("board_lost", "board 1", "mining", "failure")],
    ),
    "a fan": (
        [CALM, *[reading(state="degraded", fans=fans(f1="lost"))] * 2, CALM, CALM],
        [("fan_lost", "fan 1", "ok", "lost"), ("fan_back", "fan 1", "lost", "ok")],
    ),
    "pool in use": (
        [CALM, *[reading(pools=pools("offline", "active"))] * 3],
        [("pool_switched", "pool", "a.invalid:1", "b.invalid:1")],
    ),
    "counters without a start": (
        [CALM, reading(pools=pools(shares=3)), reading(pools=pools(shares=4))],
        [("counters_reset", "shares", "100", "3")],
    ),
    "totals of a miner that lists no pools": (
        [reading(pools=(), shares_accepted=100), reading(pools=(), shares_accepted=3)],
        [("counters_reset", "shares", "100", "3")],
    ),
    "failed and at work again": (
        [CALM, *[reading(state="failed")] * 2, *[reading(state="starting")] * 2, CALM],
        [("state_changed", "state", "working", "failed"), ("state_changed", "state", "failed", "working")],
    ),
    "paused": (
        [CALM, *[reading(state="paused")] * 3],
        [("state_changed", "state", "working", "paused")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("polls", "expected"), EVENTS.values(), ids=EVENTS)
def test_what_is_told(polls: list[dict[str, Any]], expected: list[Any]) -> None:
    assert brief(told(polls)) == expected


MISSING = {
    "reachable": True, "state": "mining", "uptime_s": None, "boards": (), "fans": (), "pools": (),
    "configuration": dict.fromkeys(SETTINGS),
}  # fmt: skip
NOTHING: dict[str, list[dict[str, Any]]] = {
    "the first reading, whatever it says": [reading(state="failed", boards=boards(b0="failure"))] * 3,
    "the same again": [set_to()] * 5,
    "one poll without an answer": [CALM, silent(), CALM, CALM],
    "polls that alternate": [CALM, silent()] * 6,
    "a board that alternates": [CALM, reading(boards=boards(b0="failure"))] * 6,
    "a state that alternates": [CALM, reading(state="paused")] * 6,
    "all of it missing, and back": [set_to(), MISSING, MISSING, MISSING, set_to(), set_to()],
    "boards missing where the answer was mended": [
        CALM,
        *[reading(boards=boards(b1="gone"), quality_flags="no_info,repaired")] * 3,
        *[reading(boards=boards(b1="gone"), quality_flags="unreadable:miner.chains")] * 3,
    ],
    "boards that are not up yet": [CALM, *[reading(state="starting", boards=boards(b1="gone", b2="initializing"))] * 3],
    "fans of a paused miner": [reading(state="paused"), *[reading(state="paused", fans=fans(f0="lost"))] * 3],
    "a board that the user switched off": [CALM, *[reading(boards=boards(b1="disabled"))] * 3],
    "uptime rounded down to a minute": [reading(uptime_s=(5_000 + 60 * n) // 60 * 60) for n in range(9)],
    "a pool list that lost a pool": [CALM, reading(pools=pools()[::2]), reading(pools=pools()[::2]), CALM],
    "the maker's pool in use": [CALM, *[reading(pools=pools("working", "working"))] * 3],
    "a measured clock that wavers": [set_to(power_limit_w=None, frequency_mhz=600.0 + 5 * (n % 2)) for n in range(6)],
    "a clock that the firmware tunes": [set_to(frequency_mhz=600.0 + 50 * n) for n in range(4)],
    "states of a miner at work": [CALM, reading(state="degraded"), reading(state="degraded"), reading(state="tuning")],
}  # fmt: skip


@pytest.mark.parametrize("polls", NOTHING.values(), ids=NOTHING)
def test_what_is_no_event(polls: list[dict[str, Any]]) -> None:
    assert brief(told(polls)) == []


def test_a_start_explains_its_counters() -> None:
    polls = [CALM, reading(uptime_s=30, state="starting", pools=()), reading(uptime_s=90, pools=pools(shares=0))]
    assert [event.kind for event in told(polls)] == ["started"]


def test_the_same_slot_again_tells_nothing_and_changes_nothing() -> None:
    first = MinerTelemetry(time=60, miner=MINER, uptime_s=DAY_S, **CALM)
    _, glimpse = events_between(None, first, None)
    fallen = MinerTelemetry(time=120, miner=MINER, uptime_s=5, **CALM)
    events, after = events_between(glimpse, fallen, None)
    assert [event.kind for event in events] == ["started"]
    assert events_between(after, fallen, None) == ((), after)


def test_a_clock_set_back_deafens_nobody() -> None:
    _, glimpse = events_between(None, MinerTelemetry(time=7_200, miner=MINER, uptime_s=DAY_S, **CALM), None)
    events, glimpse = events_between(glimpse, MinerTelemetry(time=60, miner=MINER, uptime_s=DAY_S + 60, **CALM), None)
    assert events == ()
    events, _ = events_between(glimpse, MinerTelemetry(time=120, miner=MINER, uptime_s=9, **CALM), None)
    assert [event.kind for event in events] == ["started"]


def test_messages_name_the_miner_and_what_changed() -> None:
    polls = [set_to(), silent("refused"), silent("refused"), silent("refused"), set_to(power_limit_w=3400), CALM]
    assert [event.message for event in told(polls)] == [
        "miner_01 does not answer (refused)",
        "miner_01 has another power_limit_w: 3000 → 3400",
        "miner_01 answers again after 180 s of silence",
    ]


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        (["started"], True),
        (["board_lost", "firmware_changed"], True),
        (["reachable", "board_lost"], False),
        ([], False),
    ],
)
def test_after_which_events_the_configuration_is_read(kinds: list[str], wanted: bool) -> None:
    events = [
        MinerEvent(time=60, miner=MINER, kind=kind, subject="miner", severity="info", message=kind) for kind in kinds
    ]
    assert wants_configuration(events) is wanted


def test_events_of_one_slot_are_rows_of_their_own() -> None:
    polls = [CALM, *[reading(boards=boards(b0="failure", b1="failure", b2="failure"))] * 2]
    (frame,) = event_frames(told(polls))
    tags = zip(*(frame.columns[tag] for tag in MINER_EVENT.tag_names), frame.times, strict=True)
    assert len(set(tags)) == len(frame) == 3
    assert frame.columns["old"] == ["mining"] * 3
    assert event_frames([]) == []


statuses = st.sampled_from(["mining", "failure", "disconnected", "gone", "initializing"])
polls = st.one_of(
    st.builds(silent, st.sampled_from(["deadline", "refused"])),
    st.builds(
        reading,
        state=st.sampled_from(["mining", "degraded", "starting", "tuning", "paused", "stopped", "failed"]),
        boards=st.builds(boards, b0=statuses, b1=statuses, b2=statuses),
        fans=st.builds(fans, f0=st.sampled_from(["ok", "lost", "unknown"])),
        pools=st.builds(
            pools,
            st.sampled_from(["active", "working", "offline"]),
            st.sampled_from(["active", "working"]),
            st.none() | st.integers(0, 200),
        ),
        uptime_s=st.none() | st.integers(0, 10**6),
        configuration=st.none()
        | st.fixed_dictionaries(
            {name: st.sampled_from([None, value, type(value)()]) for name, value in SETTINGS.items()}
        ),
    ),
)


@settings(max_examples=50)
@given(st.lists(polls, max_size=8))
def test_whatever_comes_keys_are_unique_and_kinds_declared(sequence: list[dict[str, Any]]) -> None:
    events = told(sequence)
    keys = [(event.time, event.kind, event.subject) for event in events]
    assert len(set(keys)) == len(keys)
    assert {event.kind for event in events} <= set(EVENT_KINDS)
    assert {event.severity for event in events} <= set(EVENT_SEVERITIES)
    assert all(event.old != event.new for event in events if event.old is not None and event.kind != "started")
    event_frames(events)


@settings(max_examples=50)
@given(st.lists(polls, max_size=5))
def test_a_stretch_polled_again_and_again_comes_to_rest(sequence: list[dict[str, Any]]) -> None:
    """What stays as it is for three polls tells nothing any more."""
    rest = reading(configuration=SETTINGS)
    settled = told([*sequence, *[rest] * 3, *[rest] * 3])
    last = [event.time for event in settled if event.kind != "started"]
    assert not last or max(last) < 1_800_000_000 + (len(sequence) + 3) * POLL_S
