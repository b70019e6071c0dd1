"""The acts: what a miner is sent, in which order, and every way it can fail as an outcome in words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from deployments.farm.farm import Farm, variants
from tasks.miners.driver import PresetChoice
from tasks.miners.settings import MinerSettings
from tasks.overrides.file import OverrideFile
from tasks.responses.acting import CannotDo, Hands, _lower
from tasks.responses.response import Act, Mode, Phase, Response
from tests.miners.device import Script, answer, closed_port, device, hang, pages
from tests.miners.payloads import rest

T = 1_800_000_000
PRESETS = [
    {"name": "disabled", "pretty": "Disabled", "status": "untuned", "modded_psu_required": False},
    {"name": "2480", "pretty": "2480 watt ~ 80 TH", "status": "tuned", "modded_psu_required": False},
    {"name": "2830", "pretty": "2830 watt ~ 88 TH", "status": "untuned", "modded_psu_required": False},
    {"name": "3250", "pretty": "3250 watt ~ 96 TH", "status": "tuned", "modded_psu_required": False},
]
OFFERS = "/api/v1/autotune/presets"
IN_USE = "/api/v1/perf-summary"


def miner(port: int, **over: Any) -> MinerSettings:
    usual = {"id": "m1", "ip": "127.0.0.1", "port": port, "model": "S19", "password": "let-me-in"}
    return MinerSettings.model_validate(usual | over)


def response(act: Act, subject: str = "m1") -> Response:
    return Response(
        id="r1", name="cool", act=act, mode=Mode.ON, rule="cooling_failing", alert_id="a", subject=subject, site="",
        phase=Phase.PLANNED, planned=float(T), plan="lower",
    )  # fmt: skip


def said(over: dict[str, Any] | None = None, *, presets: object = PRESETS, current: str = "3250") -> Script:
    perf = {"current_preset": {"name": current, "pretty": f"{current} watt", "status": "tuned"}}
    more = {
        OFFERS: presets, IN_USE: perf, "/api/v1/settings": {"restart_required": True, "reboot_required": False},
        "/api/v1/mining/restart": answer(b""),
    }  # fmt: skip
    return pages(rest() | more | (over or {}))


async def planned(hands: Hands, act: Act = Act.CHANGE_PRESET) -> str:
    return (await hands.plan(act, "m1", hours=4, slot=T)).words


async def failure(hands: Hands, act: Act = Act.CHANGE_PRESET) -> str:
    try:
        plan = await hands.plan(act, "m1", hours=4, slot=T)
        await hands.do(response(act), plan, hours=4, now=T)
    except CannotDo as error:
        return str(error)
    pytest.fail("it could be done")


async def test_a_preset_is_saved_and_the_mining_restarted_where_it_takes_that(tmp_path: Path) -> None:
    for restart in (True, False):
        saved = {"restart_required": restart, "reboot_required": False}
        async with device(said({"/api/v1/settings": saved})) as box:
            hands = Hands({"m1": miner(box.port)}, tmp_path)
            plan = await hands.plan(Act.CHANGE_PRESET, "m1", hours=4, slot=T)
            assert plan.words == "preset 3250 watt ~ 96 TH to 2830 watt ~ 88 TH, to which it has to tune itself first"
            assert plan.settings_before["preset"] == "3250"
            asked = len(box.requests)
            assert await hands.do(response(Act.CHANGE_PRESET), plan, hours=4, now=T) == "the miner took it"
            sent = [(one.method, one.path) for one in box.requests[asked:]]
            assert sent == [("POST", "/api/v1/settings")] + [("POST", "/api/v1/mining/restart")] * restart
            assert json.loads(box.requests[asked].body) == {"miner": {"overclock": {"preset": "2830"}}}


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (said({OFFERS: answer(b"", 401), "/api/v1/unlock": answer(b"{}", 403)}), "the password is wrong"),
        (said({OFFERS: answer(b"", 429)}), "http_status: /autotune/presets answered 429"),
        (said({OFFERS: answer(b"<html>")}), "not_json: "),
        (said(presets={"presets": []}), "schema: /autotune/presets: expected a JSON array, got dict"),
        (said(current="disabled"), "it works by none of its presets"),
        (said(current="2480"), "preset 2480 watt ~ 80 TH is its lowest"),
        (said({"/api/v1/settings": answer(b'{"err": "busy"}', 409)}), "http_status: /settings answered 409"),
        (said({"/api/v1/settings": answer(b"", 401), "/api/v1/unlock": answer(b"{}", 429)}), "too many attempts"),
        (
            said({"/api/v1/settings": {"reboot_required": True}}),
            "preset 2830 is saved, and holds only after a reboot",
        ),
        (
            said({"/api/v1/mining/restart": answer(b"", 500)}),
            "http_status: preset 2830 is saved, and the mining was not restarted: /mining/restart answered 500",
        ),
        (hang, "no answer within 0.3 s; whether it was done is not known"),
    ],
)
async def test_whatever_goes_wrong_is_told(tmp_path: Path, script: Script, told: str) -> None:
    async with device(script) as box:
        found = await failure(Hands({"m1": miner(box.port)}, tmp_path, seconds=0.3 if script is hang else 20.0))
    assert told in found
    assert "let-me-in" not in found


async def test_a_miner_that_is_gone_or_has_no_credential(tmp_path: Path) -> None:
    assert (await failure(Hands({"m1": miner(closed_port())}, tmp_path))).startswith("refused: ")
    async with device(said({OFFERS: answer(b"", 401)})) as box:
        found = await failure(Hands({"m1": miner(box.port, password=None)}, tmp_path))
    assert found == "auth: /autotune/presets asks for a credential; set password or api_key of this miner"


@pytest.mark.parametrize("driver", ["vnish-cgi", "antminer-stock", "antminer-legacy", "cgminer-socket"])
@pytest.mark.parametrize("act", [Act.CHANGE_PRESET, Act.RESTART_MINING])
async def test_drivers_that_only_read_say_so_and_send_nothing(tmp_path: Path, driver: str, act: Act) -> None:
    async with device(said()) as box:
        found = await failure(Hands({"m1": miner(box.port, driver=driver, username="root")}, tmp_path), act)
        assert found == f"driver {driver} only reads: it cannot restart mining or change presets"
        assert not box.requests


async def test_driver_auto_acts_as_what_it_was_found_to_be(tmp_path: Path) -> None:
    async with device(said()) as box:
        found = {"m1": miner(box.port, driver="auto")}
        assert (await planned(Hands(found, tmp_path, detected=lambda _: "vnish-rest"))).startswith("preset 3250")
        told = await failure(Hands(found, tmp_path, detected=lambda _: "cgminer-socket"))
        assert told == "driver cgminer-socket only reads: it cannot restart mining or change presets"


async def test_driver_auto_that_was_never_found_is_found_first() -> None:
    async with Farm(2, port=0, mix=variants(["vnish-rest"])) as farm:
        entry = farm.configuration()["miners"][0] | {"driver": "auto"}
        hands = Hands({entry["id"]: MinerSettings.model_validate(entry)}, Path("unused"))
        plan = await hands.plan(Act.CHANGE_PRESET, entry["id"], hours=4, slot=T)
    assert plan.preset is not None


async def test_acts_that_are_overrides_hold_for_their_time(tmp_path: Path) -> None:
    found = {"m1": miner(80, driver="auto"), "m2": miner(80, id="m2")}
    hands = Hands(found, tmp_path)
    for act, subject in ((Act.REDETECT, "m1"), (Act.PAUSE_SOURCE, "coingecko"), (Act.SHED_LOW_PRIORITY, "edge-1")):
        plan = await hands.plan(act, subject, hours=4, slot=T)
        assert (await hands.do(response(act, subject), plan, hours=4, now=T)).startswith("override ")
    held = [(one.kind, one.target, one.subject, one.until - T, one.by) for one in OverrideFile(tmp_path).read()]
    assert held == [
        ("redetect", "miner", "m1", 900, "response r1"),
        ("pause", "source", "coingecko", 14_400, "response r1"),
        ("shed", "host", "edge-1", 14_400, "response r1"),
    ]
    with pytest.raises(CannotDo, match="configured to be vnish-rest: there is nothing to detect"):
        await hands.plan(Act.REDETECT, "m2", hours=4, slot=T)


def test_the_next_lower_preset_is_one_that_the_power_supply_can_do() -> None:
    def choice(power_w: int | None, **over: Any) -> PresetChoice:
        usual = {"in_use": False, "tuned": True, "needs_other_psu": False}
        return PresetChoice(name=str(power_w), label=f"{power_w} W", power_w=power_w, **usual | over)

    offered = [choice(2150), choice(2480), choice(2830, needs_other_psu=True), choice(3250, in_use=True), choice(None)]
    assert _lower(offered).preset == "2480"
    with pytest.raises(CannotDo, match="3250 W is its lowest"):
        _lower([choice(3250, in_use=True), choice(3600)])
    with pytest.raises(CannotDo, match="by none of its presets"):
        _lower([choice(2150), choice(None, in_use=True)])


async def test_many_at_once_do_not_wait_for_one_that_hangs(tmp_path: Path) -> None:
    async with device(said()) as sound, device(hang) as hanging:
        hands = Hands({"m1": miner(sound.port), "m2": miner(hanging.port, id="m2")}, tmp_path, seconds=1.0)
        first = asyncio.create_task(hands.plan(Act.CHANGE_PRESET, "m2", hours=4, slot=T))
        assert (await planned(hands)).startswith("preset 3250")
        assert not first.done()
        with pytest.raises(CannotDo):
            await first
