"""The product's own drivers poll the farm and come to its truth, value by value, and to the failure it foretells."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from deployments.farm import ALL_VARIANTS, Farm, Fault
from storage.records.miner import MinerTelemetry
from tasks.miners.driver import PollFailure
from tasks.miners.drivers import DRIVERS
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for
from tasks.normalize.judging import judge
from tests.farm.clock import NOON, Clock

SAID_AS = {
    "vnish-rest": {"paused": "stopped"},  # one word for both
    "antminer-stock": {"tuning": "mining"},  # no word for it
    "antminer-legacy": {"tuning": "mining", "paused": "stopped"},
    "cgminer-socket": {"tuning": "mining", "paused": "stopped"},
}
"""Words of the truth that a dialect cannot say."""

FAULTS = (
    None,
    Fault(kind="board_lost", board=1, start=NOON - 60),
    Fault(kind="fan_lost", fan=1, start=NOON - 60),
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
    async with Farm(len(ALL_VARIANTS), port=0, clock=Clock(), mix=ALL_VARIANTS) as farm:
        yield farm


class Polled:
    """One miner and the session that polls it: once while all is well, so that it knows what there is."""

    def __init__(self, configured: dict[str, Any]) -> None:
        self.target = MinerSettings(**configured).target()
        self.transport = transport_for(httpx.URL(self.target.base_url), connect_timeout_s=1.0, deadline_s=0.4)
        self.session = DRIVERS[configured["driver"]].session(self.target, self.transport)

    async def telemetry(self) -> MinerTelemetry:
        return await self.session.telemetry(int(NOON))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind if fault else "whole")
async def test_a_poll_is_the_truth(farm, fault):
    miners = [Polled(configured) for configured in farm.configuration()["miners"]]
    await asyncio.gather(*(miner.telemetry() for miner in miners))
    for identity in farm.miners:
        if fault is not None:
            farm.inject(identity.miner_id, fault)
    polls = await asyncio.gather(*(miner.telemetry() for miner in miners), return_exceptions=True)
    await asyncio.gather(*(miner.transport.aclose() for miner in miners))
    for identity, record in zip(farm.miners, polls, strict=True):
        truth = farm.truth(identity.miner_id)
        if truth.failure is not None:
            assert isinstance(record, PollFailure)
            assert record.kind == truth.failure
            continue
        if isinstance(record, BaseException):
            raise record
        variant = identity.variant
        rest = variant.dialect == "vnish-rest"
        assert record.state == SAID_AS.get(variant.dialect, {}).get(truth.state, truth.state) or (
            variant.is_vnish and record.state == truth.state
        )
        assert record.uptime_s == pytest.approx(truth.uptime_s, abs=60 if rest else 0)
        if rest and fault == Fault(kind="reboot", start=NOON - 1, boot_s=20):
            assert record.hashrate_hs is None  # the summary is null
            continue
        if truth.unit_switched and variant.dialect == "cgminer-socket" and variant.is_vnish:
            # Nothing in its answers says so, but it cannot be; what is stored is judged.
            judged = judge(record).record
            assert (judged.hashrate_hs, judged.quality_flags) == (None, "unit_suspect")
            continue
        assert record.hashrate_hs == pytest.approx(truth.hashrate_hs, rel=1e-5)
        assert record.power_w == (truth.power_w if variant.is_vnish else None)
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
            if board.lost:
                assert (read.chip_temp_c, read.hashrate_hs or 0.0) == (None, 0.0)
                assert read.status in ("failure", "disconnected")
            else:
                assert read.hashrate_hs == pytest.approx(board.hashrate_hs, rel=1e-4)
        for fan, said in zip(truth.fans, record.fans, strict=True):
            assert (said.speed_rpm, said.status) == (fan.speed_rpm, "ok" if fan.running else "lost")
        assert sum(pool.is_fee or False for pool in record.pools) == (
            variant.is_vnish and variant.dialect != "vnish-cgi"
        )
