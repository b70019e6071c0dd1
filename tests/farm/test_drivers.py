"""The product's own drivers poll the farm and come to its truth, value by value, and to the failure it foretells."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from deployments.farm import DEFAULT_MIX, Farm, Fault
from storage.records.miner import MinerTelemetry
from tasks.miners.driver import PollFailure
from tasks.miners.drivers import DRIVERS
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for
from tests.farm.clock import NOON, Clock

FAULTS = (
    None,
    Fault(kind="board_lost", board=1, start=NOON - 60),
    Fault(kind="fan_lost", fan=2, start=NOON - 60),
    Fault(kind="paused", start=NOON - 60),
    Fault(kind="reboot", start=NOON - 1, boot_s=20),
    Fault(kind="reboot", start=NOON - 10, boot_s=20),
    Fault(kind="reboot", start=NOON - 600),
    Fault(kind="overheating", start=NOON - 60),
    Fault(kind="unit_switched", start=NOON - 60),
    Fault(kind="wrong_password", start=NOON - 60),
    Fault(kind="dead", start=NOON - 60),
    Fault(kind="hanging", start=NOON - 60),
    Fault(kind="slow_drip", start=NOON - 60),
    Fault(kind="http_500", start=NOON - 60),
    Fault(kind="html", start=NOON - 60),
    Fault(kind="truncated_json", start=NOON - 60),
)


@pytest.fixture
async def farm():
    async with Farm(len(DEFAULT_MIX), port=0, clock=Clock()) as farm:
        yield farm


async def poll(configured: dict[str, Any]) -> MinerTelemetry:
    target = MinerSettings(**configured).target()
    transport = transport_for(httpx.URL(target.base_url), connect_timeout_s=1.0, deadline_s=0.4)
    try:
        return await DRIVERS[configured["driver"]].session(target, transport).telemetry(int(NOON))
    finally:
        await transport.aclose()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind if fault else "whole")
async def test_a_poll_is_the_truth(farm, fault):
    miners = farm.configuration()["miners"]
    for configured in miners:
        if fault is not None:
            farm.inject(configured["id"], fault)
    polls = await asyncio.gather(*(poll(configured) for configured in miners), return_exceptions=True)
    for configured, record in zip(miners, polls, strict=True):
        truth = farm.truth(configured["id"])
        if truth.failure is not None:
            assert isinstance(record, PollFailure)
            assert record.kind == truth.failure
            continue
        if isinstance(record, BaseException):
            raise record
        rest = configured["driver"] == "vnish-rest"
        # VNish has one word for both.
        assert record.state == ("stopped" if rest and truth.state == "paused" else truth.state)
        assert record.uptime_s == pytest.approx(truth.uptime_s, abs=60 if rest else 0)
        if rest and fault == Fault(kind="reboot", start=NOON - 1, boot_s=20):
            assert record.hashrate_hs is None  # the summary is null
            continue
        assert record.hashrate_hs == pytest.approx(truth.hashrate_hs, rel=1e-5)
        assert record.power_w == truth.power_w
        assert record.power_limit_w in (truth.power_limit_w, None)
        assert record.hardware_errors in (truth.hardware_errors, None)
        if truth.state in ("mining", "degraded", "tuning"):
            assert record.chip_temp_max_c == pytest.approx(truth.chip_temp_max_c, abs=0.5)
        assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (
            truth.shares_accepted, truth.shares_rejected, truth.shares_stale,
        )  # fmt: skip
        if record.work_accepted_d1 is not None:
            assert record.work_accepted_d1 == truth.work_accepted_d1
        if truth.last_share_at is not None:
            assert record.last_share_age_s == pytest.approx(NOON - truth.last_share_at, abs=1)
        for board, read in zip(truth.boards, record.boards, strict=True):
            assert read.hashrate_hs == pytest.approx(board.hashrate_hs, rel=1e-4)
            if board.lost:
                assert read.chip_temp_c is None
        for fan, said in zip(truth.fans, record.fans, strict=True):
            assert (said.speed_rpm, said.status) == (fan.speed_rpm, "ok" if fan.running else "lost")
