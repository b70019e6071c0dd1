"""The tick over real sockets, scripted: one bad miner costs only itself, and its answers are kept without secrets."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from tasks.miners.fleet import Fleet
from tasks.miners.report import MinerStanding
from tasks.miners.settings import FleetSettings
from tests.miners.device import Script, SilentPort, answer, closed_port, device, drip, hang, pages
from tests.miners.payloads import SLOT, rest, stats, summary
from tests.miners.told import QUICK, miner, rows

STORED = 2.0**-16
"""Relative error of what is stored (storage/precision.py)."""


BAD: dict[str, tuple[Script, str]] = {
    "hangs": (hang, "deadline"),
    "drips": (drip(answer(summary())), "deadline"),
    "500": (pages({}), "http_status"),
    "HTML": (pages(dict.fromkeys(rest(), answer(b"<html>login</html>"))), "not_json"),
    "cut JSON": (pages(rest(summary=answer(json.dumps(summary()).encode()[:-99]))), "truncated"),
    "too large": (pages(rest(summary=answer(b"x" * 4_300_000))), "too_large"),
    "wrong password": (pages(dict.fromkeys(rest(), answer(b"", 401))), "auth"),
    "another's JSON": (pages({path: [] for path in rest()}), "schema"),
}  # fmt: skip


async def test_bad_miners_cost_only_themselves() -> None:
    healthy = pages(rest())
    async with AsyncExitStack() as stack:
        boxes = [await stack.enter_async_context(device(healthy)) for _ in range(3)]
        bad = {name: await stack.enter_async_context(device(script)) for name, (script, _) in BAD.items()}
        silent = SilentPort()
        stack.callback(silent.close)
        ports = {f"good{i}": box.port for i, box in enumerate(boxes)}
        ports |= {name.replace(" ", "_").replace("'", ""): box.port for name, box in bad.items()}
        ports |= {"refuses": closed_port(), "silent": silent.port}
        miners = [miner(1, id=name, ip="127.0.0.1", port=port) for name, port in ports.items()]
        fleet = Fleet(miners, QUICK, random=Random(1))

        first = await fleet.tick(SLOT)
        expected = {name.replace(" ", "_").replace("'", ""): kind for name, (_, kind) in BAD.items()}
        expected |= {"refuses": "refused", "silent": "connect_timeout"}
        got = rows(first)
        assert {name: row["failure"] for name, row in got.items() if row["failure"]} == expected
        for name in expected:
            row = {key: value for key, value in got[name].items() if value is not None}
            assert row.pop("poll_ms") > 0
            assert row == {"miner_id": name, "model": "S19", "time": SLOT, "reachable": False, "state": "unreachable",
                           "failure": expected[name], "quality": 0.0}, "nulls and why"  # fmt: skip
        for name in ("good0", "good1", "good2"):
            assert got[name]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
            assert (got[name]["state"], got[name]["reachable"]) == ("mining", True)
        assert (first.polled, first.failed, first.skipped, first.configurations) == (13, 10, 0, 3)
        assert sum(first.failed_by_reason.values()) == 10
        assert set(rows(first, "miner_board")) == {"good0", "good1", "good2"}
        assert rows(first, "miner_configuration")["good0"]["firmware_version"] == "Vnish 1.2.7"

        await fleet.tick(SLOT + 60)
        third = await fleet.tick(SLOT + 120)  # the bad ones are in the second lane now
        assert {name for name, row in rows(third).items() if row["reachable"]} == {"good0", "good1", "good2"}
        standings = {standing.miner_id: standing for standing in third.standings}
        assert standings["hangs"] == MinerStanding(
            miner_id="hangs", last_polled=SLOT + 120, last_success=None, failures_in_a_row=3, failure="deadline",
            driver="vnish-rest", interval_s=60, next_poll=SLOT + 180,
        )  # fmt: skip
        assert (standings["good0"].failures_in_a_row, standings["good0"].last_success) == (0, SLOT + 120)
        assert third.points == sum(len(frame) for frame in third.frames)
        await fleet.aclose()


async def test_a_miner_that_comes_back_is_read_again_and_its_failure_forgotten() -> None:
    """Schnitzel/hass-miner#538: a miner without power kept its last hashrate for two hours."""
    broken = asyncio.Event()
    sound = pages(rest())

    async def script(exchange: Any) -> None:
        if broken.is_set():
            exchange.writer.transport.abort()
        else:
            await sound(exchange)

    async with device(script) as box:
        fleet = Fleet([miner(1, ip="127.0.0.1", port=box.port)], QUICK)
        assert rows(await fleet.tick(SLOT))["m1"]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
        broken.set()
        for slot in (SLOT + 60, SLOT + 120, SLOT + 180):
            row = rows(await fleet.tick(slot))["m1"]
            assert (row["state"], row.get("hashrate_hs"), row["failure"]) == ("unreachable", None, "truncated")
        broken.clear()
        outcome = await fleet.tick(SLOT + 240)
        assert rows(outcome)["m1"]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
        assert outcome.standings[0].failures_in_a_row == 0
        await fleet.aclose()


async def test_counters_that_start_again_are_stored_as_they_are() -> None:
    """Canaan-Creative/Avalon-Management-System#5: nothing is subtracted here, so nothing can get negative."""
    answers = rest()
    async with device(pages(answers)) as box:
        fleet = Fleet([miner(1, ip="127.0.0.1", port=box.port)], QUICK)
        assert rows(await fleet.tick(SLOT))["m1"]["shares_accepted"] == 120
        answers |= rest(summary={"miner": stats(pools=[], hw_errors=0)})
        row = rows(await fleet.tick(SLOT + 60))["m1"]
        assert (row["hardware_errors"], row.get("shares_accepted"), row["state"]) == (0, None, "mining")
        await fleet.aclose()


@pytest.mark.parametrize("keep", ["every", "off"])
async def test_answers_are_kept_without_secrets_and_for_failed_polls_too(keep: Any) -> None:
    async with device(pages(rest())) as sound, device(hang) as hanging:
        miners = [
            miner(1, ip="127.0.0.1", port=sound.port, password="S21 Pro"),  # it stands in the answers
            miner(2, ip="127.0.0.1", port=hanging.port),
        ]
        settings = FleetSettings(connect_timeout_s=0.5, request_deadline_s=0.5, miner_deadline_s=0.6, retries=0)
        fleet = Fleet(miners, settings, payloads=keep)
        outcome = await fleet.tick(SLOT)
        frames = [frame for frame in outcome.frames if frame.measurement == "raw_payload"]
        assert rows(outcome)["m1"]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
        assert rows(outcome)["m2"]["failure"] == "deadline"
        if keep == "off":
            assert frames == []
        else:
            (frame,) = frames
            kept = list(zip(*(frame.columns[name] for name in ("miner_id", "path", "status", "failure")), strict=True))
            assert ("m1", "/api/v1/summary", 200, None) in kept
            assert ("m2", "/api/v1/info", None, "deadline") in kept
            bodies = "".join(str(body) for body in frame.columns["body"])
            assert "Vnish" in bodies
            assert "S21 Pro" not in bodies
        again = await fleet.tick(SLOT + 60)
        assert sum(frame.measurement == "raw_payload" for frame in again.frames) == (keep == "every")
        await fleet.aclose()
