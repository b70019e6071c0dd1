"""Recorded stock Antminers, an ElphaPex DG and VNish's socket, where the recordings are at hand.

Numbers are read off the recordings by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.records.miner import Miner
from tasks.miners.driver import Target
from tasks.miners.drivers import DRIVERS
from tasks.normalize.judging import judge
from tests.miners.payloads import SLOT, Answers

RECORDINGS = Path(__file__).parents[3] / "shared" / "fixtures"

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recorded payloads are not part of the project; compared only where they are"
)


def session(driver: str, folder: str, model: str) -> Any:
    by_socket = driver == "cgminer-socket"
    form = "/{}" if by_socket else "/cgi-bin/{}.cgi"
    transport = Answers({form.format(f.stem): f.read_bytes() for f in (RECORDINGS / folder).glob("*.json")})
    url = "cgminer://192.0.2.1:4028" if by_socket else "http://192.0.2.1"
    return DRIVERS[driver].session(Target(Miner("miner_01", model, ""), "192.0.2.1", url), transport)


async def test_a_stock_s19_by_cgi() -> None:
    opened = session("antminer-stock", "antminer-stock-s19/web", "ANTMINER_S19")
    record = await opened.telemetry(SLOT)
    assert (record.state, record.quality_flags, record.uptime_s) == ("mining", "no_pools", 501_234), (
        "pools.cgi is not recorded"
    )
    assert (record.hashrate_hs, record.hashrate_average_hs, record.hashrate_nominal_hs) == (88.422e12, 87.9e12, 95e12)
    assert [board.hashrate_hs for board in record.boards] == [29.5e12, 29.6e12, 29.322e12]
    assert sum(board.hashrate_hs for board in record.boards) == record.hashrate_hs
    assert [(b.board, b.status, b.pcb_temp_c, b.chip_temp_c, b.hardware_errors) for b in record.boards] == [
        ("0", "mining", 47.0, 67.0, 4),
        ("1", "mining", 48.0, 68.0, 5),
        ("2", "mining", 49.0, 70.0, 3),
    ]
    assert (record.chip_temp_max_c, record.pcb_temp_max_c, record.frequency_mhz) == (70.0, 49.0, 675.0)
    assert [fan.speed_rpm for fan in record.fans] == [4080, 4380, 3750, 3690]
    assert (record.hardware_errors, record.error_count, record.power_w, record.efficiency_j_th) == (12, 0, None, None)
    judged = judge(record).record
    assert (judged.hashrate_hs, judged.quality_flags) == (88.422e12, "no_pools")
    settings = await opened.configuration(SLOT)
    assert (settings.model_reported, settings.firmware_version) == ("Antminer S19", "Fri Nov 17 17:37:21 CST 2023")
    assert (settings.mac, settings.serial, settings.algorithm) == ("02005e100001", None, "sha256d")
    assert (settings.frequency_mhz, settings.voltage_v, settings.overclock_profile) == (675.0, 14.0, None)
    assert (settings.pool_url, settings.pool_user) == ("stratum+tcp://pool.example.com:3333", "worker.001")


async def test_an_elphapex_dg_that_just_started() -> None:
    opened = session("antminer-stock", "elphapex-scrypt", "ELPHAPEX_DG_HOME1")
    record = await opened.telemetry(SLOT)
    assert (record.state, record.quality_flags, record.uptime_s) == ("starting", None, 0)
    assert (record.hashrate_hs, record.hashrate_nominal_hs) == (0.0, 3.00375e9), "MH/s"
    (board,) = record.boards
    assert (board.board, board.status, board.chip_temp_c, board.frequency_mhz) == ("3", "initializing", 25.687, None)
    assert (record.boards_mining, record.boards_expected, record.hardware_errors) == (0, 1, 0)
    assert [(fan.status, fan.speed_rpm) for fan in record.fans] == [("ok", 420), ("ok", 420), ("ok", 420), ("ok", 1020)]
    assert [(pool.status, pool.shares_accepted, pool.difficulty) for pool in record.pools] == [("offline", 0, None)] * 3
    assert record.errors == (), "a check without a word is none that failed"
    settings = await opened.configuration(SLOT)
    assert (settings.model_reported, settings.firmware_version) == ("DG-Home1", "DG-Home1_V1.0.5")
    assert (settings.algorithm, settings.serial) == ("scrypt", "13HY24B056N300037C11B")
    assert (settings.frequency_mhz, settings.voltage_v, settings.overclock_profile) == (1850.0, 14.7, "100")
    assert (settings.pool_url, settings.pool_status) == ("stratum+tcp://pool.invalid:3333", "offline")


async def test_a_stock_s19_by_socket_without_stats() -> None:
    opened = session("cgminer-socket", "antminer-stock-s19/rpc", "ANTMINER_S19")
    record = await opened.telemetry(SLOT)
    assert (record.state, record.quality_flags) == ("mining", "no_stats"), "stats is not recorded"
    assert (record.hashrate_hs, record.hashrate_average_hs, record.uptime_s) == (88.422e12, 87.9e12, 501_234)
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (120_000, 50, 3)
    assert (record.work_accepted_d1, record.last_share_age_s, record.hardware_errors) == (15e9, 5.0, 12)
    assert (record.boards_mining, record.fans_running, record.power_w) == (None, None, None)
    assert [(pool.status, pool.difficulty) for pool in record.pools] == [
        ("active", 131_072.0), ("offline", None), ("offline", None),
    ]  # fmt: skip
    settings = await opened.configuration(SLOT)
    assert (settings.model_reported, settings.firmware_version) == ("Antminer S19", "49.0.1.3")


async def test_a_stock_s19_pro_by_socket() -> None:
    opened = session("cgminer-socket", "antminer-stock-rpc", "ANTMINER_S19_PRO")
    record = await opened.telemetry(SLOT)
    assert (record.state, record.quality_flags, record.uptime_s) == ("mining", None, 50_474)
    assert record.hashrate_hs == pytest.approx(110.56689e12)
    assert record.hashrate_average_hs == pytest.approx(111.83485e12)
    assert record.hashrate_nominal_hs == 110e12
    assert [(b.board, b.status, b.pcb_temp_c, b.chip_temp_c, b.frequency_mhz, b.chips_bad) for b in record.boards] == [
        ("1", "mining", 73.0, 78.0, 525.0, 0),
        ("2", "mining", 66.0, 71.0, 525.0, 0),
        ("3", "mining", 64.0, 69.0, 525.0, 0),
    ], "the fourth slot has no board"
    assert sum(b.hashrate_hs for b in record.boards) == pytest.approx(record.hashrate_hs, rel=1e-6)
    assert sum(b.hardware_errors for b in record.boards) == record.hardware_errors == 562
    assert [(fan.fan, fan.speed_rpm) for fan in record.fans] == [("1", 6000), ("2", 5880), ("3", 5040), ("4", 5040)]
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (4057, 11, 1)
    assert (record.work_accepted_d1, record.last_share_age_s) == (1_305_083_904.0, 3.0)
    assert [pool.status for pool in record.pools] == ["active", "working", "working"]
    assert record.pools[0].difficulty == 524_288.0
    assert judge(record).record.quality_flags is None
    settings = await opened.configuration(SLOT)
    assert (settings.model_reported, settings.algorithm, settings.frequency_mhz) == (
        "Antminer S19 Pro",
        "sha256d",
        525.0,
    )


async def test_a_tuning_s21_pro_on_vnish_by_socket() -> None:
    opened = session("cgminer-socket", "vnish-1.2.7-s21pro/rpc", "ANTMINER_S21_PRO")
    record = await opened.telemetry(SLOT)
    assert (record.state, record.quality_flags, record.uptime_s) == ("tuning", None, 4423)
    assert record.hashrate_hs == pytest.approx(173.87094e12)
    assert (record.power_w, record.voltage_v, record.frequency_mhz, record.fan_duty_percent) == (
        2583,
        13.0,
        495.0,
        90.0,
    )
    assert record.efficiency_j_th == pytest.approx(2583 / 173.87094)
    assert (record.shares_accepted, record.shares_rejected) == (1599, 9), (
        "the summary's 1823 and 10 have the fee in them"
    )
    assert (record.work_accepted_d1, record.last_share_age_s, record.devfee_percent) == (159_888_384.0, 5.0, 2.812304)
    assert [(b.board, b.status, b.pcb_temp_c, b.chip_temp_c, b.power_w, b.hardware_errors) for b in record.boards] == [
        ("1", "mining", 50.0, 65.0, 861, 29),
        ("2", "mining", 49.0, 64.0, 861, 20),
        ("3", "mining", 49.0, 64.0, 861, 8),
    ]
    assert [(p.slot, p.status, p.is_fee, p.shares_accepted, p.difficulty) for p in record.pools] == [
        ("0", "active", False, 1599, 262_144.0),
        ("1", "working", False, 0, None),
        ("2", "active", True, 224, 16_384.0),
    ]
    assert judge(record).record.quality_flags is None
    settings = await opened.configuration(SLOT)
    assert (settings.model_reported, settings.firmware_version) == ("Antminer S21 Pro", "Vnish 1.2.7")
    assert settings.algorithm == "sha256d"
