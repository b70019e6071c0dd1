"""Which alerts are answered: by tables, one limit after another. What a limit comes to is worked out beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.alerts.book import Look
from tasks.alerts.life_cycle import Alert
from tasks.alerts.life_cycle import Phase as AlertPhase
from tasks.alerts.rule import Level, fingerprint
from tasks.overrides.override import Kind, Override, Overrides, Target
from tasks.responses.deciding import Circumstances, decide, judged
from tasks.responses.response import Act, Mode, Phase, Response
from tasks.responses.settings import ResponseSettings

T = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC."""


def alert(miner: str = "m1", rule: str = "cooling_failing", site: str = "north", **over: Any) -> Alert:
    usual: dict[str, Any] = {
        "id": fingerprint(rule, miner), "subject": miner, "entity": miner, "rack": "", "within": "",
        "level": Level.CRITICAL, "phase": AlertPhase.FIRING, "since": T - 600, "fired": T - 480, "seen": T - 5,
        "message": "hot",
    }  # fmt: skip
    return Alert(rule=rule, site=site, **usual | over)


def settings(*actions: dict[str, Any], **over: Any) -> ResponseSettings:
    usual = {"name": "cool", "rule": "cooling_failing", "action": "change_preset"}
    return ResponseSettings.model_validate({"mode": "on", "actions": [usual | one for one in actions or ({},)], **over})


def earlier(subject: str = "m1", ago_s: float = 7_200, phase: Phase = Phase.HELPED, **over: Any) -> Response:
    usual: dict[str, Any] = {
        "id": f"{subject}-{ago_s:.0f}", "name": "cool", "act": Act.CHANGE_PRESET, "mode": Mode.ON,
        "rule": "cooling_failing", "alert_id": "x", "site": "north", "plan": "lower", "ended": T - ago_s,
        "judge_at": T - ago_s + 900,
    }  # fmt: skip
    return Response(subject=subject, phase=phase, planned=T - ago_s, **usual | over)


def known(
    *before: Response,
    by_hand: Iterable[Override] = (),
    size: int = 100,
    fresh: Iterable[str] | None = None,
    **over: Any,
) -> Circumstances:
    site_of = {f"m{number}": "north" for number in range(1, size + 1)}
    usual: dict[str, Any] = {
        "now": T, "look": Look(at=T - 5), "look_every_s": 60.0, "earlier": before, "by_hand": Overrides(tuple(by_hand)),
        "site_of": site_of, "site_sizes": {"north": size}, "fresh": frozenset(site_of if fresh is None else fresh),
    }  # fmt: skip
    return Circumstances(**usual | over)


def why_not(wanted: ResponseSettings, circumstances: Circumstances, one: Alert | None = None) -> str | None:
    one = one or alert()
    answered, held = decide(wanted, [one], circumstances)
    assert (len(answered) == 1) != (one.id in held), "every alert with an action is answered or held back"
    return held.get(one.id)


def override(kind: Kind, target: Target = Target.MINER, subject: str = "m1") -> Override:
    return Override(
        id="o", kind=kind, target=target, subject=subject, made=T - 60, until=T + 60, by="ana", why="fan",
        state="maintenance" if kind is Kind.FORCE else "",
    )  # fmt: skip


def test_what_fires_is_answered_once_a_look_the_worst_and_oldest_first() -> None:
    alerts = [
        alert("m1"),
        alert("m2", fired=T - 900),
        alert("m3", level=Level.WARNING, fired=T - 9_000),
        alert("m4", phase=AlertPhase.PENDING),
        alert("m5", phase=AlertPhase.RESOLVED),
        alert("m6", rule="fan_lost"),
    ]
    answered, held = decide(settings(at_once_per_site=10), alerts, known())
    assert [one.alert.entity for one in answered] == ["m2", "m1", "m3"]
    assert held == {}, "no action is for fan_lost: nothing to tell"


def test_the_first_action_that_fits_is_taken() -> None:
    two = settings({"name": "south", "sites": ["south"]}, {"name": "all", "action": "restart_mining"})
    ((one,), _) = decide(two, [alert()], known())
    assert one.action.name == "all"
    assert why_not(settings({"sites": ["south"]}), known()) == "no action is for site north"


@pytest.mark.parametrize(
    ("circumstances", "changed", "why"),
    [
        (known(), {}, None),
        (known(look=Look(at=T - 121)), {"seen": T - 121}, "the last look was 2 min ago"),
        (known(look=Look(at=T - 119)), {"seen": T - 119}, None),
        (known(), {"seen": T - 65}, "it was not seen at the last look: whether it still is so is not known"),
        (known(look=Look(at=T - 5, muted={alert().id: "maintenance filters"})), {}, "muted: maintenance filters"),
        (known(), {"acknowledged": T - 60, "acknowledged_by": "ana"}, "ana has acknowledged it"),
        (known(fresh=["m2"]), {}, "its newest reading is not fresh"),
        (known(store_trouble="refused"), {}, "the store does not answer: refused"),
        (known(site_of={}), {}, "no miner m1 is configured"),
        (known(by_hand=[override(Kind.PAUSE)]), {}, "paused by hand until"),
        (known(by_hand=[override(Kind.FORCE)]), {}, "maintenance by hand until"),
        (known(by_hand=[override(Kind.PAUSE, subject="m2")]), {}, None),
        (known(by_hand=[override(Kind.SHED, Target.HOST, "edge")]), {}, None),
        # limits of one miner
        (known(earlier(ago_s=3_599)), {}, "cool: the last response to it was 60 min ago"),
        (known(earlier(ago_s=3_601)), {}, "cool: 1 of 1 a day are done"),
        (known(earlier(ago_s=3_601, name="other")), {}, None),
        (known(earlier(ago_s=86_399)), {}, "cool: 1 of 1 a day are done"),
        (known(earlier(ago_s=86_401)), {}, None),
        (known(earlier(ago_s=7_200, phase=Phase.FAILED)), {}, "cool: 1 of 1 a day are done"),
        (known(earlier(ago_s=86_401, phase=Phase.DONE)), {}, "an earlier response is not judged yet"),
        (known(earlier(ago_s=86_401, phase=Phase.DONE, judge_at=None)), {}, None),
        (known(earlier(ago_s=86_401, phase=Phase.UNCLEAR)), {}, "an earlier response is unclear"),
        (known(earlier(ago_s=86_401, phase=Phase.UNCLEAR, settled_by="ana")), {}, None),
        (known(earlier(ago_s=7_200, mode=Mode.DRY_RUN, phase=Phase.DRY_RUN)), {}, None),  # nothing was done then
        # limits of the site
        (known(earlier("m2", 60, Phase.DONE)), {}, "1 at once at this site are not judged yet"),
        (known(earlier("m2", 60, Phase.DONE, site="south")), {}, None),
        (known(*(earlier(f"m{n}", 7_200) for n in range(2, 11))), {}, None),  # the tenth of 100, share 0.1
        (known(*(earlier(f"m{n}", 7_200) for n in range(2, 12))), {}, "10 miners of this site were touched"),
        (known(*(earlier(f"m{n}", 86_500) for n in range(2, 12))), {}, None),
        (known(earlier("m2"), size=15), {}, "1 miners of this site were touched within a day, 1 is the most"),
        (known(size=3), {}, None),  # one at least
    ],
)
def test_limits_and_what_forbids_it(circumstances: Circumstances, changed: dict[str, Any], why: str | None) -> None:
    told = why_not(settings(), circumstances, alert(**changed))
    assert (told is None) == (why is None), told
    if told is not None and why is not None:
        assert told.startswith(why), told


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ({"fires_for_minutes": 8}, None),  # it fires since 480 s
        ({"fires_for_minutes": 8.1}, "cool: it fires for 8 min only"),
        ({"from_hour": 8, "to_hour": 9}, None),
        ({"from_hour": 9}, "cool: only from 9 to 24 h UTC"),
        ({"to_hour": 8}, "cool: only from 0 to 8 h UTC"),
        ({"from_hour": 22, "to_hour": 9}, None),  # over midnight
        ({"from_hour": 22, "to_hour": 8}, "cool: only from 22 to 8 h UTC"),
        ({"from_hour": 9, "timezone": "Europe/Berlin"}, None),  # 09:00 there
    ],
)
def test_time_of_day_and_how_long_it_fires(action: dict[str, Any], why: str | None) -> None:
    assert why_not(settings(action), known()) == why


def test_two_of_one_site_in_one_look_count_for_each_other() -> None:
    answered, held = decide(settings(), [alert("m1"), alert("m2")], known())
    assert len(answered) == 1
    assert list(held.values()) == ["1 at once at this site are not judged yet"]
    answered, held = decide(
        settings(at_once_per_site=9, fleet_share=0.02), [alert(f"m{n}") for n in range(1, 6)], known()
    )
    assert len(answered) == 2, "2 % of 100"
    assert set(held.values()) == {"2 miners of this site were touched within a day, 2 is the most"}


@given(
    firing=some.lists(some.integers(1, 40), unique=True, max_size=40),
    before=some.lists(some.tuples(some.integers(1, 40), some.floats(0, 90_000)), max_size=12),
    share=some.floats(0.01, 0.5),
    at_once=some.integers(1, 8),
)
def test_never_more_than_the_limits_whatever_fires(
    firing: list[int], before: list[tuple[int, float]], share: float, at_once: int
) -> None:
    done = [
        earlier(f"m{number}", ago, Phase.DONE if ago < 900 else Phase.HELPED, id=str(index))
        for index, (number, ago) in enumerate(before)
    ]
    alerts = [alert(f"m{number}") for number in firing]
    answered, held = decide(settings(at_once_per_site=at_once, fleet_share=share), alerts, known(*done, size=40))
    new = {one.alert.entity for one in answered}
    assert len(new) == len(answered)
    assert len(answered) + len(held) == len(alerts)
    open_now = sum(one.is_open for one in done)
    assert len(new) <= max(0, at_once - open_now)
    of_day = {one.subject for one in done if T - one.planned < 86_400}
    if new:
        assert len(of_day | new) <= max(1, int(share * 40))
        assert not new & of_day, "one a day"


DONE = earlier(ago_s=900, phase=Phase.DONE, judge_at=T, keep_s=300, alert_id=alert().id)


@pytest.mark.parametrize(
    ("response", "now", "there", "phase"),
    [
        (DONE, T - 1, alert(), None),
        (DONE, T, alert(), Phase.NO_HELP),
        (DONE, T, None, Phase.HELPED),
        (DONE, T, alert(phase=AlertPhase.RESOLVED), Phase.HELPED),
        (DONE, T, alert(seen=T - 200), None),  # over, or not to be seen: it is waited for
        (DONE, T + 2_099, alert(seen=T - 200), None),
        (DONE, T + 2_100, alert(seen=T - 200), Phase.NOT_KNOWN),  # keep 300 s and half an hour
        (msgspec.structs.replace(DONE, judge_at=None), T + 9_999, None, None),
        (msgspec.structs.replace(DONE, phase=Phase.FAILED), T, None, None),
    ],
)
def test_what_came_of_it(response: Response, now: float, there: Alert | None, phase: Phase | None) -> None:
    found = judged(response, there, Look(at=max(T - 5, now - 5) if there and there.seen < T - 5 else T - 5), now)
    assert (None if found is None else found[0]) == phase
