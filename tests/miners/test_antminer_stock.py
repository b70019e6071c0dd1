"""Driver antminer-stock: the stock CGI as README.md of its room has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storage.records.miner import MinerTelemetry, telemetry_frames
from tasks.miners.antminer_stock import AntminerStock
from tasks.miners.antminer_stock.session import AntminerStockSession
from tasks.miners.driver import PollFailure
from tests.miners.antminer_payloads import (
    settings,
    stock,
    stock_chain,
    stock_pool,
    stock_pools,
    stock_stats,
    stock_summary,
    system_info,
)
from tests.miners.payloads import MINER, PASSWORD, SLOT, Answers, target


def session(transport: Answers) -> AntminerStockSession:
    return AntminerStock().session(target(username="root", password=PASSWORD), transport)


async def poll(**over: Any) -> MinerTelemetry:
    return await session(Answers(stock(**over))).telemetry(SLOT)


async def test_every_value() -> None:
    record = await poll()
    assert (record.time, record.miner, record.reachable, record.state) == (SLOT, MINER, True, "mining")
    assert (record.hashrate_hs, record.hashrate_average_hs, record.hashrate_nominal_hs) == (93e12, 93.5e12, 96e12)
    assert (record.power_w, record.efficiency_j_th, record.voltage_v, record.fan_duty_percent) == (None,) * 4
    assert (record.chip_temp_avg_c, record.chip_temp_max_c, record.pcb_temp_max_c) == (66.0, 67.0, 52.0)
    assert (record.frequency_mhz, record.uptime_s, record.hardware_errors) == (501.0, 93_600, 40)
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (120, 6, 2)
    assert (record.work_accepted_d1, record.last_share_age_s, record.devfee_percent) == (13_107_200.0, 9.0, None)
    assert (record.boards_mining, record.boards_expected, record.fans_running, record.error_count) == (3, 3, 2, 0)
    assert record.quality_flags is None
    assert [
        (b.board, b.status, b.hashrate_hs, b.pcb_temp_c, b.chip_temp_c, b.hardware_errors) for b in record.boards
    ] == [
        ("0", "mining", 31e12, 50.0, 65.0, 10),
        ("1", "mining", 31e12, 51.0, 66.0, 11),
        ("2", "mining", 31e12, 52.0, 67.0, 12),
    ]
    assert [(f.fan, f.status, f.speed_rpm) for f in record.fans] == [("0", "ok", 5_880), ("1", "ok", 5_940)]
    assert [(p.slot, p.status, p.is_fee, p.difficulty, p.last_share_age_s) for p in record.pools] == [
        ("0", "active", False, 65_536.0, 9.0),
        ("1", "working", False, None, None),
        ("2", "offline", False, 65_536.0, None),
    ]
    assert record.pools[0].url == "stratum+tcp://pool.invalid:3333", "no password of the pool"


async def test_configuration() -> None:
    opened = session(Answers(stock()))
    await opened.telemetry(SLOT)
    record = await opened.configuration(SLOT)
    assert (record.driver, record.ip_address, record.model_reported) == ("antminer-stock", "192.0.2.1", "Antminer S19")
    assert (record.firmware_version, record.mac) == ("Tue Jan 13 12:00:00 CST 2026", "02005e10000a")
    assert (record.serial, record.algorithm, record.overclock_profile) == ("SN1", "sha256d", None)
    assert (record.frequency_mhz, record.voltage_v, record.power_limit_w) == (545.0, 13.6, None)
    assert (record.pool_url, record.pool_user) == ("stratum+tcp://pool.invalid:3333", "account.rig")
    assert record.pool_status == "active"
    assert "S3cret" not in repr(record)


@pytest.mark.parametrize("missing", [404, b"null", b"<html>", b'{"pools":'])
async def test_a_missing_secondary_answer_costs_its_fields_only(missing: Any) -> None:
    """Schnitzel/hass-miner#557: a null configuration, and no sensor at all although the hashrate was there."""
    record = await poll(get_miner_conf=missing, get_system_info=missing, summary=missing, pools=missing)
    assert (record.hashrate_hs, record.state, record.hardware_errors) == (93e12, "mining", 33)
    assert (record.shares_accepted, record.error_count) == (None, None)
    assert record.quality_flags == "no_pools,no_summary"
    opened = session(Answers(stock(get_miner_conf=missing)))
    assert (await opened.configuration(SLOT)).model_reported == "Antminer S19"
    opened = session(Answers(stock(get_system_info=missing)))
    record_of_settings = await opened.configuration(SLOT)
    assert (record_of_settings.model_reported, record_of_settings.frequency_mhz) == (None, 545.0)
    with pytest.raises(PollFailure):
        await session(Answers(stock(get_system_info=missing, get_miner_conf=missing))).configuration(SLOT)


@pytest.mark.parametrize(
    ("unit", "said", "expected", "flags"),
    [
        ("GH/s", 93_000.0, 93e12, None),
        ("MH/s", 9_529.45, 9.52945e9, None),
        ("H/s", "9.5e9", 9.5e9, None),
        (None, 93_000.0, None, "unit_unknown"),
        ("N/A", 93_000.0, None, "unit_unknown"),
    ],
)
async def test_units(unit: str | None, said: Any, expected: float | None, flags: str | None) -> None:
    record = await poll(stats=stock_stats(rate_unit=unit, rate_5s=said, rate_ideal=said))
    assert record.hashrate_hs == pytest.approx(expected)
    assert record.quality_flags == flags
    assert record.state == "mining", "it hashes, in whatever unit"


async def test_elphapex_sends_thousandths_of_a_degree_and_slots_it_never_had() -> None:
    chains = [
        stock_chain(0, temp_chip=["47125", "", "51000", "65535"], freq_avg=62_000),
        {"index": 1, "asic_num": 0, "rate_real": 0, "rate_ideal": 0, "sn": "", "temp_chip": ["", ""], "temp_pcb": [67]},
    ]
    record = await poll(stats=stock_stats(chain=chains, fan=["420", "0"]))
    (board,) = record.boards
    assert (board.chip_temp_c, board.frequency_mhz) == (51.0, None)
    assert (record.boards_expected, record.pcb_temp_max_c) == (1, 50.0)
    assert [(fan.status, fan.speed_rpm) for fan in record.fans] == [("ok", 420), ("lost", 0)]


LOST = {"asic_num": 0, "rate_real": 0.0, "rate_ideal": 0.0, "sn": "", "temp_chip": [0, 0], "temp_pcb": [0, 0]}
IDLE = [stock_chain(i, rate_real=0.0) for i in range(3)]
ASLEEP = settings(**{"bitmain-work-mode": "1"})
ERROR = {"type": "rate", "status": "e", "code": "J0:8", "msg": "hashrate is low"}


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ("mining", {}),
        ("degraded", {"stats": stock_stats(chain=[stock_chain(0), stock_chain(1), stock_chain(2, **LOST)])}),
        ("degraded", {"stats": stock_stats(chain=[stock_chain(0), stock_chain(1), stock_chain(2, rate_real=0)])}),
        ("degraded", {"stats": stock_stats(fan=[5_880, 0])}),
        ("degraded", {"stats": stock_stats(rate_5s=71_000.0)}),
        ("mining", {"stats": stock_stats(rate_5s=73_000.0)}),
        ("paused", {"stats": stock_stats(rate_5s=0, chain=IDLE), "get_miner_conf": ASLEEP}),
        ("paused", {"stats": stock_stats(rate_5s=0, elapsed=5), "get_miner_conf": {"fc-work-mode": 1}}),
        ("stopped", {"stats": stock_stats(rate_5s=0, chain=IDLE)}),
        ("stopped", {"stats": stock_stats(rate_5s=0, chain=IDLE), "get_miner_conf": 404}),
        ("starting", {"stats": stock_stats(rate_5s=0, chain=IDLE, elapsed=899)}),
        ("failed", {"stats": stock_stats(rate_5s=0, chain=IDLE), "summary": stock_summary(ERROR)}),
        ("failed", {"stats": stock_stats(rate_5s=0, elapsed=60, chain=[stock_chain(i, **LOST) for i in range(3)])}),
        ("starting", {"stats": stock_stats(rate_5s=None)}),
    ],
)
async def test_states(state: str, over: dict[str, Any]) -> None:
    assert (await poll(**over)).state == state


async def test_a_sleeping_miner_is_zero_and_not_unknown() -> None:
    record = await poll(stats=stock_stats(rate_5s=0, chain=IDLE, fan=[0, 0]), get_miner_conf=ASLEEP)
    assert (record.hashrate_hs, record.boards_mining) == (0.0, 0)
    assert [board.status for board in record.boards] == ["stopped"] * 3
    assert [fan.status for fan in record.fans] == ["unknown"] * 2, "nobody needs them to turn"


async def test_a_board_that_leaves_the_list_is_missed() -> None:
    transport = Answers(stock())
    opened = session(transport)
    assert (await opened.telemetry(SLOT)).state == "mining"
    transport.answers |= stock(stats=stock_stats(chain=[stock_chain(0), stock_chain(1)]))
    record = await opened.telemetry(SLOT + 60)
    assert (record.state, record.boards_mining, record.boards_expected) == ("degraded", 2, 3)


async def test_boards_of_a_mended_answer_are_not_remembered() -> None:
    broken = json.dumps(stock_stats(chain=[stock_chain(i) for i in range(4)])).replace("}, {", "}{").encode()
    transport = Answers(stock(stats=broken))
    opened = session(transport)
    assert (await opened.telemetry(SLOT)).quality_flags == "repaired"
    transport.answers |= stock()
    record = await opened.telemetry(SLOT + 60)
    assert (record.state, record.boards_expected) == ("mining", 3)


async def test_zero_degrees_are_no_reading() -> None:
    record = await poll(stats=stock_stats(chain=[stock_chain(0, temp_chip=[0, "0", ""], temp_pcb=[])]))
    assert (record.boards[0].chip_temp_c, record.boards[0].pcb_temp_c, record.chip_temp_max_c) == (None, None, None)


async def test_errors_are_the_checks_that_failed() -> None:
    checks = (ERROR, {"type": "fans", "status": "w", "code": 0, "msg": "slow"}, ERROR, {"type": "temp", "status": "s"})
    record = await poll(summary=stock_summary(*checks))
    assert [(e.code, e.severity, e.message) for e in record.errors] == [
        ("rate_J0:8", "critical", "hashrate is low"),
        ("fans", "warning", "slow"),
    ]
    assert (record.error_count, record.quality_flags) == (2, "duplicate_error")


async def test_the_pool_in_use_is_the_first_that_is_alive() -> None:
    pools = stock_pools(stock_pool(0, status="Dead"), stock_pool(1, priority=2), stock_pool(2, priority=1))
    record = await poll(pools=pools)
    assert [pool.status for pool in record.pools] == ["offline", "working", "active"]


async def test_the_settings_are_asked_only_while_nothing_is_hashed() -> None:
    transport = Answers(stock())
    await session(transport).telemetry(SLOT)
    assert transport.paths == ["/cgi-bin/stats.cgi", "/cgi-bin/summary.cgi", "/cgi-bin/pools.cgi"]


async def test_a_wrong_field_costs_itself() -> None:
    chains = [stock_chain(0, rate_real="fast"), stock_chain(1), stock_chain(2)]
    record = await poll(stats=stock_stats(chain=chains, elapsed={}))
    assert (record.uptime_s, record.hashrate_hs) == (None, 93e12)
    assert (record.boards[0].hashrate_hs, record.boards[0].status) == (None, "unknown")
    assert record.quality_flags == "unreadable:STATS.chain.rate_real,unreadable:STATS.elapsed"
    telemetry_frames([record])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (401, "auth"),
        (403, "auth"),
        (500, "http_status"),
        (b"<html>", "not_json"),
        ({"STATS": []}, "schema"),
        ({}, "schema"),
    ],
)
async def test_without_stats_there_is_no_reading(answer: Any, kind: str) -> None:
    with pytest.raises(PollFailure) as failure:
        await poll(stats=answer)
    assert failure.value.kind == kind


async def test_a_reported_algorithm_goes_before_the_model() -> None:
    opened = session(Answers(stock(get_system_info=system_info(Algorithm="Scrypt", minertype="DG-Home1"))))
    assert (await opened.configuration(SLOT)).algorithm == "scrypt"
