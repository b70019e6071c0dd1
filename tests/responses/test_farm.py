"""The fans of simulated miners slow down: what is done about it, to whom, once, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path

from deployments.farm.faults import Fault
from storage.audit.trail import Trail
from storage.declaration.event import RESPONSE_EVENT
from tasks.alerts.book import Book
from tasks.overrides.file import OverrideFile
from tasks.responses.book import ResponseBook
from tasks.responses.response import Phase
from tests.overrides.given import override
from tests.responses.stand import COOL, T, stand

S19, CGI, S19_HOTTER, LOCKED, BY_HAND = 0, 3, 6, 9, 4
"""Of seed 5: 3250 W and 101 degrees with slow fans, 91 one preset lower; vnish-cgi, which cannot act; 3600 W and
111 degrees, still 101 one preset lower; one whose password is not the configured one; one that somebody works on."""


async def test_slow_fans_lower_the_preset_once_and_it_is_told_what_came_of_it(tmp_path: Path) -> None:
    polled = (S19, CGI, BY_HAND, S19_HOTTER, LOCKED)
    anew = {"name": "anew", "rule": "fan_lost", "action": "restart_mining"}
    async with stand(tmp_path, polled, actions=[COOL, anew]) as farm:
        ids = {index: farm.farm.miners[index].miner_id for index in polled}
        for index in polled:
            slow = Fault(kind="fan_lost", fan=0) if index == CGI else Fault(kind="fans_slow", start=T - 3_600.0)
            farm.farm.inject(ids[index], slow)
        farm.farm.inject(ids[LOCKED], Fault(kind="wrong_password", start=T - 3_600.0))
        OverrideFile(tmp_path / "state").put(
            override(ids[BY_HAND], made=T - 60.0, until=T + 86_400.0, id="hand", why="new fans")
        )
        watts = {index: farm.farm.truth(ids[index]).power_limit_w for index in polled}
        await farm.minutes(4)
        phases = {index: farm.responses()[ids[index]].phase for index in polled if ids[index] in farm.responses()}
        assert phases == {
            S19: Phase.DONE, CGI: Phase.FAILED, S19_HOTTER: Phase.DONE, LOCKED: Phase.FAILED,
        }  # fmt: skip
        await farm.minutes(9)
        found = farm.responses()
        await farm.minutes(1)  # what was not judged to help is an alert of its own

        assert {index: farm.changes(index) for index in polled} == {
            S19: (1, 1), CGI: (0, 0), S19_HOTTER: (1, 1), LOCKED: (0, 0), BY_HAND: (0, 0),
        }  # fmt: skip
        truths = {index: farm.farm.truth(ids[index]) for index in polled}
        assert (watts[S19], truths[S19].power_limit_w) == (3250, 2830)
        assert (watts[S19_HOTTER], truths[S19_HOTTER].power_limit_w) == (3600, 3250)
        assert truths[S19].uptime_s > 3_600, "the miner stayed up"
        assert (truths[S19].chip_temp_max_c or 999) < 95 < (truths[S19_HOTTER].chip_temp_max_c or 0)

        assert found[ids[S19]].phase is Phase.HELPED
        assert found[ids[S19]].plan == "preset 3250 watt ~ 96 TH to 2830 watt ~ 88 TH"
        assert found[ids[S19_HOTTER]].phase is Phase.NO_HELP
        assert "cooling_failing goes on: hottest chip has" in found[ids[S19_HOTTER]].told
        assert (
            found[ids[CGI]].told == "not done: driver vnish-cgi only reads: it cannot restart mining or change presets"
        )
        assert "auth: /unlock answered 403: the password is wrong" in found[ids[LOCKED]].told

        book = ResponseBook.open(tmp_path / "state")
        evidence = book.evidence(found[ids[S19]].id)
        assert evidence is not None
        assert evidence["settings_before"]["preset"] == "3250"
        assert {one["name"] for one in evidence["settings_before"]["presets"]} >= {"2150", "2830", "3250"}
        assert evidence["alert"]["message"].startswith("hottest chip has 10")
        assert all(row["miner_id"] == ids[S19] for row in evidence["readings"])
        assert len(evidence["readings"]) >= 3
        assert len(evidence["miner_fan"]) == 4
        assert "farm-" not in json.dumps(evidence), "no password"
        book.close()

        alerts = Book.open(tmp_path / "state").alerts().values()
        wanting = {one.entity for one in alerts if one.rule == "response_wants_human" and one.firing}
        assert wanting == {ids[CGI], ids[S19_HOTTER], ids[LOCKED]}

        told = farm.store.newest(RESPONSE_EVENT, T).to_pylist()
        assert sorted(row["event"] for row in told if row["subject"] == ids[S19]) == ["done", "helped", "planned"]
        entries = [entry for entry in Trail.open(tmp_path, "edge-1").entries() if entry.detail]
        kinds = [entry.kind for entry in entries if (entry.detail or {}).get("subject") == ids[S19]]
        assert kinds == ["response_planned", "response_done", "response_judged"]


async def test_a_dry_run_says_what_it_would_do_and_touches_nothing(tmp_path: Path) -> None:
    async with stand(tmp_path, (S19,), mode="dry_run") as farm:
        one = farm.farm.miners[S19].miner_id
        farm.farm.inject(one, Fault(kind="fans_slow", start=T - 3_600.0))
        await farm.minutes(8)
        response = farm.responses()[one]
        assert (response.phase, response.plan) == (Phase.DRY_RUN, "preset 3250 watt ~ 96 TH to 2830 watt ~ 88 TH")
        assert farm.changes(S19) == (0, 0)
        book = ResponseBook.open(tmp_path / "state")
        assert book.evidence(response.id) is not None
        assert list(book.held_back().values()) == ["an earlier response is not judged yet"]
        book.close()
        assert not list(Trail.open(tmp_path, "edge-1").entries())


async def test_off_does_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    async with stand(tmp_path, (S19,), mode="off") as farm:
        farm.farm.inject(farm.farm.miners[S19].miner_id, Fault(kind="fans_slow", start=T - 3_600.0))
        await farm.minutes(4)
        assert farm.changes(S19) == (0, 0)
        assert not farm.responder.has_work
        assert sorted(path.name for path in (tmp_path / "state").glob("responses*")) == []


async def test_a_restart_of_mining_brings_a_board_back(tmp_path: Path) -> None:
    action = {"name": "again", "rule": "board_lost", "action": "restart_mining", "judge_after_minutes": 7}
    async with stand(tmp_path, (S19,), actions=[action]) as farm:
        one = farm.farm.miners[S19].miner_id
        farm.farm.inject(one, Fault(kind="board_lost", board=2, start=T - 3_600.0, until_restart=True))
        await farm.minutes(14)
        assert farm.changes(S19) == (0, 1)
        assert farm.responses()[one].phase is Phase.HELPED
        assert farm.farm.truth(one).state == "mining"


async def test_a_miner_that_no_longer_answers_when_it_is_told_is_an_outcome(tmp_path: Path) -> None:
    async with stand(tmp_path, (S19,), actions=[COOL | {"fires_for_minutes": 1}]) as farm:
        one = farm.farm.miners[S19].miner_id
        farm.farm.inject(one, Fault(kind="fans_slow", start=T - 3_600.0))
        await farm.minutes(3)
        await farm.poll_and_look()
        farm.farm.inject(one, "dead")  # after the look, before the answer
        await farm.minutes(0)
        import asyncio

        await asyncio.to_thread(farm.responder.respond, farm.now[0] + 5.0)
        response = farm.responses()[one]
        assert response.phase is Phase.FAILED
        assert response.told.startswith("not done: refused: GET /api/v1/autotune/presets")
