"""Who is told what and when; what is muted; and that a crowd of alerts is one message."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.muting import Silence, is_open, muted
from tasks.alerts.rule import Level, fingerprint
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings, ChannelSettings, MaintenanceSettings
from tasks.alerts.telling import SEPARATE, Due, Reason, Told, due, worded

T = 1_800_000_000.0
HOUR = 3_600.0


def alert(rule: str = "fan_lost", entity: str = "m1", **fields: Any) -> Alert:
    given = {
        "id": fingerprint(rule, entity), "rule": rule, "subject": entity, "entity": entity, "site": "north", "rack": "",
        "within": "", "level": RULES[rule].level, "phase": Phase.FIRING, "since": T, "seen": T, "message": "is wrong",
        "fired": T,
    }  # fmt: skip
    return Alert(**{**given, **fields})


def channel(**fields: Any) -> ChannelSettings:
    return ChannelSettings(**{"name": "ops", "url": SecretStr("json://127.0.0.1"), **fields})


SETTINGS = AlertSettings()


def reasons(
    one: Alert, way: ChannelSettings, *, now: float = T, told: Told | None = None, quiet: bool = False
) -> list[Reason]:
    found = due(way, SETTINGS, [one], {one.id: "maintenance"} if quiet else {}, {one.id: told} if told else {}, now=now)
    return [each.reason for each in found]


def was_told(one: Alert, **fields: Any) -> Told:
    given = {"alert": one.id, "channel": "ops", "fired": one.fired, "at": T, "level": one.level}
    return Told(**{**given, **fields})


ONE = alert()
OVER = alert(phase=Phase.RESOLVED, resolved=T + 60)


@pytest.mark.parametrize(
    ("one", "way", "now", "told", "expected"),
    [
        (ONE, channel(), T, None, [Reason.NEW]),
        (ONE, channel(), T + 60, was_told(ONE), []),
        (ONE, channel(), T + 4 * HOUR, was_told(ONE), [Reason.AGAIN]),
        (alert(acknowledged=T), channel(), T + 4 * HOUR, was_told(ONE), []),
        (alert(fired=T + HOUR), channel(), T + HOUR, was_told(ONE), [Reason.NEW]),  # another spell
        (ONE, channel(), T, was_told(ONE, level=Level.WARNING), [Reason.WORSE]),
        (ONE, channel(levels=("warning",)), T, None, []),
        (ONE, channel(sites=("south",)), T, None, []),
        (ONE, channel(sites=("north",)), T, None, [Reason.NEW]),
        (alert(site=""), channel(sites=("south",)), T, None, [Reason.NEW]),
        (alert(phase=Phase.PENDING, fired=None), channel(), T, None, []),
        (OVER, channel(), T + 60, was_told(ONE), [Reason.OVER]),
        (OVER, channel(), T + 60, None, []),  # never told that it began
        (OVER, channel(), T + 60, was_told(ONE, over=True), []),
        (OVER, channel(resolved=False), T + 60, was_told(ONE), []),
        (alert(flapping=True), channel(), T, was_told(ONE), [Reason.FLAPPING]),
        (alert(flapping=True, fired=T + 60), channel(), T + 60, was_told(ONE, flapping=True), []),
        (alert(flapping=True, phase=Phase.RESOLVED), channel(), T + 60, was_told(ONE), []),  # not before it is steady
        (ONE, channel(step=1), T + 14 * 60, None, []),
        (ONE, channel(step=1), T + 15 * 60, None, [Reason.UNACKNOWLEDGED]),
        (ONE, channel(step=2), T + 15 * 60, None, []),
        (ONE, channel(step=2), T + HOUR, None, [Reason.UNACKNOWLEDGED]),
        (alert(acknowledged=T), channel(step=1), T + HOUR, None, []),
        (alert("hashrate_low"), channel(step=1), T + HOUR, None, []),  # only critical ones escalate
    ],
)
def test_who_is_told_when(
    one: Alert, way: ChannelSettings, now: float, told: Told | None, expected: list[Reason]
) -> None:
    assert reasons(one, way, now=now, told=told) == expected


def test_what_is_muted_is_told_when_the_mute_ends_and_it_still_fires() -> None:
    assert reasons(ONE, channel(), quiet=True) == []
    assert reasons(ONE, channel(), now=T + HOUR) == [Reason.NEW]


def test_one_message_a_rule_and_site_names_its_alerts() -> None:
    found = [Due(alert(entity=f"m{number}"), Reason.NEW) for number in range(25)]
    (message,) = worded("ops", found, RULES, at_most=30)
    assert message.title == "[critical] fan_lost: 25 at north"
    assert message.body.count("is wrong") == 20
    assert "and 5 more" in message.body
    assert RULES["fan_lost"].remedy in message.body
    assert message.body.endswith("\ndocs/alerts.md#fan_lost")
    assert len(message.alerts) == 25


def test_too_many_kinds_come_as_one_message_and_without_room_not_at_all() -> None:
    names = [name for name in RULES if not name.startswith("many_")][: SEPARATE + 1]
    found = [Due(alert(name), Reason.NEW) for name in names]
    (message,) = worded("ops", found, RULES, at_most=30)
    assert message.title.endswith(f"{len(names)} alerts of {len(names)} kinds")
    assert len(worded("ops", found[:2], RULES, at_most=30)) == 2
    assert len(worded("ops", found[:2], RULES, at_most=1)) == 1
    assert worded("ops", found, RULES, at_most=0) == []


def test_where_each_is_an_incident_of_its_own_as_many_are_told_as_there_is_room_for() -> None:
    found = [Due(alert(entity=f"m{number}"), Reason.NEW) for number in range(5)]
    messages = worded("duty", found, RULES, at_most=3, apart=True)
    assert [message.alerts for message in messages] == [(one.alert.id,) for one in found[:3]]


def mutes(
    *alerts: Alert, silences: tuple[Silence, ...] = (), windows: tuple[MaintenanceSettings, ...] = ()
) -> set[str]:
    found = muted({one.id: one for one in alerts}, RULES, silences=silences, maintenance=windows, now=T)
    return {one.subject for one in alerts if one.id in found}


def test_an_effect_is_muted_by_its_cause() -> None:
    low = alert("hashrate_low", "m1")
    assert mutes(low) == set()
    lost = alert("board_lost", "m1", subject="cause")
    assert mutes(low, lost) == {"m1"}
    assert mutes(low, alert("board_lost", "m2", subject="other")) == set()
    pending = alert("board_lost", "m1", subject="cause", phase=Phase.PENDING, fired=None)
    assert mutes(low, pending) == {"m1"}
    assert mutes(low, alert("board_lost", "m1", subject="cause", phase=Phase.RESOLVED)) == set()


def test_a_cause_in_the_pipeline_mutes_wherever_the_effect_is() -> None:
    assert mutes(alert("miner_stale", "m1"), alert("store_away", "lane miners")) == {"m1"}


def test_a_crowd_mutes_its_miners_and_not_those_of_another_site_or_rack() -> None:
    here, there = alert("miner_unreachable", "m1"), alert("miner_unreachable", "m2", site="south")
    site = alert("many_miner_unreachable", "site north")
    assert mutes(here, there, site) == {"m1"}
    rack = alert("many_miner_unreachable", "site north, rack_1", rack="rack_1")
    assert mutes(alert("miner_unreachable", "m3", rack="rack_1"), here, rack) == {"m3"}
    hot = alert("chip_too_hot", "m4")
    assert mutes(hot, site) == {"m4"}, "of a site that is away nobody knows that it is hot"


def test_a_worker_is_muted_by_its_pool() -> None:
    worker = alert("worker_offline", "acc.m1", within="ltcpool")
    assert mutes(worker, alert("pool_away", "ltcpool")) == {"acc.m1"}
    assert mutes(worker, alert("pool_away", "other")) == set()


@pytest.mark.parametrize(
    ("fields", "silenced"),
    [
        ({"rule": "fan_*"}, True),
        ({"entity": "m1"}, True),
        ({"site": "n*"}, True),
        ({"rule": "board_lost"}, False),
        ({"rule": "fan_lost", "site": "south"}, False),
        ({"rule": "fan_lost", "until": T}, False),
        ({"rule": "fan_lost", "made": T + 1}, False),
    ],
)
def test_a_silence_is_for_what_fits_until_it_ends(fields: dict[str, Any], silenced: bool) -> None:
    silence = Silence(**{"id": "a", "by": "ana", "made": T - 1, "until": T + 1, **fields})
    assert mutes(alert(), silences=(silence,)) == ({"m1"} if silenced else set())


# 2026-11-29 is a Sunday; 03:00 in Berlin is 02:00 UTC.
@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("2026-11-29T01:59:59Z", False),
        ("2026-11-29T02:00:00Z", True),
        ("2026-11-29T03:29:59Z", True),
        ("2026-11-29T03:30:00Z", False),
        ("2026-11-30T02:30:00Z", False),
        ("2026-06-28T01:30:00Z", True),  # summer time
        ("2026-06-28T00:30:00Z", False),
    ],
)
def test_a_window_opens_by_the_clock_of_its_zone(text: str, inside: bool) -> None:
    from datetime import datetime

    window = MaintenanceSettings(name="sunday", start="0 3 * * 0", minutes=90, timezone="Europe/Berlin")
    now = datetime.fromisoformat(text).timestamp()
    assert is_open(window, now) == inside


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        # 2026-10-25, clocks in Berlin go from 03:00 back to 02:00 at 01:00 UTC: it opens at the first 02:30, and once
        ("2026-10-25T00:29:59Z", False),
        ("2026-10-25T00:30:00Z", True),
        ("2026-10-25T01:10:00Z", True),  # 02:10 for the second time
        ("2026-10-25T01:29:59Z", True),
        ("2026-10-25T01:30:00Z", False),  # 02:30 for the second time
        # 2026-03-29, from 02:00 on to 03:00 at 01:00 UTC: there is no 02:30, and it opens right after
        ("2026-03-29T00:59:59Z", False),
        ("2026-03-29T01:00:00Z", True),
        ("2026-03-29T01:59:59Z", True),
        ("2026-03-29T02:00:00Z", False),
    ],
)
def test_a_window_opens_once_a_day_when_clocks_are_changed(text: str, inside: bool) -> None:
    from datetime import datetime

    window = MaintenanceSettings(name="night", start="30 2 * * *", minutes=60, timezone="Europe/Berlin")
    assert is_open(window, datetime.fromisoformat(text).timestamp()) == inside


def test_a_window_may_be_once() -> None:
    from datetime import UTC, datetime

    window = MaintenanceSettings(name="move", on=datetime.fromtimestamp(T, UTC), minutes=1, entity="m1")
    assert [is_open(window, T + offset) for offset in (-1, 0, 59, 60)] == [False, True, True, False]
    assert mutes(alert(), alert(entity="m2"), windows=(window,)) == {"m1"}
