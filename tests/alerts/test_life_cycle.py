"""The life of an alert against a naive reading of its rules, look by look, and through restarts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.alerts.life_cycle import FLAP_CHANGES, Alert, Change, Event, Phase, acknowledge, advance
from tasks.alerts.rule import About, Finding, Found, Level, Rule

T0 = 1_800_000_000.0
EVERY_S = 60.0
FORGIVEN = 4
"""Looks: three usual ones and a minute."""
WRONG, RIGHT, UNKNOWN, NOT_ASKED = "wrong", "right", "unknown", "not asked"


def rule(for_s: int = 120, keep_s: int = 120, level: Level = Level.WARNING) -> Rule:
    def find(_facts: object, _limit: float | None) -> Found:
        raise AssertionError("the life cycle asks no rule")

    return Rule("hot", level, About.MINER, "It is hot.", "Cool it.", find, for_s=for_s, keep_s=keep_s)


def found(truth: str, level: Level | None = None) -> dict[str, Found]:
    if truth == NOT_ASKED:
        return {}
    findings = (Finding(subject="m1", entity="m1", message="is hot", level=level),) if truth == WRONG else ()
    return {"hot": Found(findings, frozenset({"m1"}) if truth == UNKNOWN else frozenset())}


class Life:
    """One rule and one miner, look after look."""

    def __init__(self, asked: Rule) -> None:
        self.rules = {asked.name: asked}
        self.alerts: dict[str, Alert] = {}
        self.changes: list[Change] = []
        self.now = T0 - EVERY_S
        self.last: float | None = None

    def look(self, truth: str, *, after_s: float = EVERY_S, level: Level | None = None) -> None:
        self.now += after_s
        self.alerts, changes = advance(
            self.alerts, found(truth, level), self.rules, now=self.now, last_look=self.last, usual_s=EVERY_S
        )
        self.changes += changes
        self.last = self.now

    @property
    def alert(self) -> Alert:
        (alert,) = self.alerts.values()
        return alert

    def acknowledged(self) -> bool:
        return self.alert.acknowledged is not None

    @property
    def events(self) -> list[Event]:
        return [change.event for change in self.changes]


def _began(truths: Sequence[str]) -> int | None:
    """The look since which it is wrong at the last one, as far as anybody knows: of four looks in a row and no more
    nothing need be known."""
    if not truths or truths[-1] != WRONG:
        return None
    began, unknown = len(truths) - 1, 0
    for look in range(began, -1, -1):
        if truths[look] == RIGHT:
            break
        unknown = 0 if truths[look] == WRONG else unknown + 1
        if unknown > FORGIVEN:
            break
        began = look if truths[look] == WRONG else began
    return began


def naive(truths: Sequence[str], for_s: float, keep_s: float) -> list[tuple[int, str]]:
    """When it fires and is resolved, by what the words say: looks are EVERY_S apart and none is left out."""
    told, firing = [], False
    for look, truth in enumerate(truths):
        spell = _began(truths[: look + 1])
        if not firing and spell is not None and (look - spell) * EVERY_S >= for_s:
            firing = True
            told.append((look, "fired"))
        elif firing and truth == RIGHT:
            last_wrong = max(before for before in range(look) if truths[before] == WRONG)
            if (look - last_wrong) * EVERY_S >= keep_s:
                firing = False
                told.append((look, "resolved"))
    return told


@given(
    st.lists(st.sampled_from([WRONG, WRONG, RIGHT, UNKNOWN, NOT_ASKED]), max_size=40),
    st.sampled_from([0, 60, 90, 300]),
    st.sampled_from([0, 60, 150, 300]),
    st.sets(st.integers(0, 39)),
)
def test_it_fires_and_is_resolved_as_the_words_say(
    truths: list[str], for_s: int, keep_s: int, restarts: set[int]
) -> None:
    life = Life(rule(for_s, keep_s))
    for look, truth in enumerate(truths):
        if look in restarts:  # whatever is held went through the book
            life.alerts = msgspec.json.decode(msgspec.json.encode(life.alerts), type=dict[str, Alert])
        life.look(truth)
    told = [
        (round((change.at - T0) / EVERY_S), str(change.event))
        for change in life.changes
        if change.event in {Event.FIRED, Event.RESOLVED}
    ]
    assert told == naive(truths, for_s, keep_s)


def test_a_hole_between_looks_begins_what_is_pending_anew_and_keeps_what_fires() -> None:
    life = Life(rule(for_s=300))
    life.look(WRONG)
    life.look(WRONG, after_s=3_600)
    assert life.alert.phase is Phase.PENDING, "nobody knows that it was hot for this hour"
    for _ in range(5):
        life.look(WRONG)
    assert life.events == [Event.FIRED]
    life.look(WRONG, after_s=3_600)
    assert life.alert.firing
    assert life.events == [Event.FIRED]


def test_a_clock_set_back_neither_fires_nor_resolves_by_itself() -> None:
    life = Life(rule(for_s=120, keep_s=120))
    life.look(WRONG)
    life.look(WRONG, after_s=-7_200)
    assert life.events == []
    for _ in range(2):
        life.look(WRONG)
    assert life.events == [Event.FIRED]
    life.look(RIGHT, after_s=-7_200)
    assert life.alert.firing


def test_what_cannot_be_known_stays_as_it_is_however_long() -> None:
    life = Life(rule(for_s=0))
    life.look(WRONG)
    for _ in range(100):
        life.look(UNKNOWN)
    assert life.alert.firing
    life.look(RIGHT)
    assert life.events == [Event.FIRED, Event.RESOLVED]


def test_an_acknowledgement_expires_and_ends_when_it_gets_worse() -> None:
    life = Life(rule(for_s=0))
    life.look(WRONG)
    known, change = acknowledge(life.alert, by="ana", now=life.now, hours=1)
    assert (change.event, change.by) == (Event.ACKNOWLEDGED, "ana")
    life.alerts[known.id] = known
    life.look(WRONG)
    assert life.alert.acknowledged_by == "ana"
    life.look(WRONG, level=Level.CRITICAL)
    assert not life.acknowledged()
    assert life.events[-1:] == [Event.RAISED]
    life.alerts[known.id] = acknowledge(life.alert, by="ana", now=life.now, hours=1)[0]
    for _ in range(59):
        life.look(WRONG, level=Level.CRITICAL)
    assert life.acknowledged()
    life.look(WRONG, level=Level.CRITICAL)
    assert not life.acknowledged()
    assert life.events[-1:] == [Event.ACKNOWLEDGEMENT_EXPIRED]


def test_what_comes_and_goes_is_one_thing_until_it_is_steady() -> None:
    life = Life(rule(for_s=0, keep_s=0))
    for _ in range(FLAP_CHANGES // 2):
        life.look(WRONG)
        life.look(RIGHT)
    assert life.events.count(Event.FLAPPING) == 1
    for _ in range(3):
        life.look(WRONG)
        life.look(RIGHT)
    assert life.events.count(Event.FLAPPING) == 1, "it flaps on, and that is no news"
    for _ in range(31):
        life.look(RIGHT)
    assert life.events[-1] is Event.STEADY
    assert not life.alert.flapping


def test_a_rule_that_is_taken_away_resolves_its_alerts() -> None:
    life = Life(rule(for_s=0))
    life.look(WRONG)
    life.rules = {}
    life.look(NOT_ASKED)
    assert life.events == [Event.FIRED, Event.RESOLVED]


def test_a_resolved_alert_is_forgotten_after_a_day() -> None:
    life = Life(rule(for_s=0, keep_s=0))
    life.look(WRONG)
    life.look(RIGHT)
    life.look(RIGHT, after_s=86_399)
    assert life.alert.phase is Phase.RESOLVED
    life.look(RIGHT, after_s=1)
    assert not life.alerts


@pytest.mark.parametrize("for_s", [0, 60])
def test_the_identity_is_of_rule_and_subject_alone(for_s: int) -> None:
    one, two = Life(rule(for_s)), Life(rule(for_s))
    one.look(WRONG)
    two.look(WRONG, after_s=7_777)
    assert one.alert.id == two.alert.id
