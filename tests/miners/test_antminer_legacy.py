"""Driver antminer-legacy: CGI of the S9 era as README.md of its room has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.miner import Miner, MinerTelemetry
from tasks.miners.antminer_legacy import AntminerLegacy
from tasks.miners.antminer_legacy.parse import elapsed_s, figure
from tasks.miners.antminer_legacy.session import AntminerLegacySession
from tasks.miners.driver import PollFailure, Target
from tests.miners.antminer_payloads import BEHIND_FREQ, legacy, legacy_status, system_info
from tests.miners.payloads import SLOT, Answers


def session(transport: Answers, model: str = "ANTMINER_S9") -> AntminerLegacySession:
    return AntminerLegacy().session(Target(Miner("m", model, ""), "192.0.2.1", "http://192.0.2.1"), transport)


async def poll(model: str = "ANTMINER_S9", **over: Any) -> MinerTelemetry:
    return await session(Answers(legacy(**over)), model).telemetry(SLOT)


async def test_every_value() -> None:
    record = await poll()
    assert (record.state, record.quality_flags, record.power_w) == ("mining", None, None)
    assert record.hashrate_hs == pytest.approx(13.5006e12)
    assert record.hashrate_average_hs == pytest.approx(13.45025e12)
    assert (record.uptime_s, record.hardware_errors) == (93_600, 6)
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (121, 3, 1)
    assert (record.work_accepted_d1, record.last_share_age_s) == (6_553_600.0, 9.0)
    assert (record.boards_mining, record.boards_expected, record.fans_running) == (3, 3, 2)
    assert (record.chip_temp_max_c, record.pcb_temp_max_c, record.error_count) == (77.0, 62.0, None)
    assert record.frequency_mhz == pytest.approx((650 + 643.19 + 650) / 3)
    boards = [(b.board, b.status, b.hashrate_hs, b.pcb_temp_c, b.chip_temp_c, b.chips_bad) for b in record.boards]
    assert boards == [
        ("6", "mining", 4_506.5e9, 60.0, 75.0, 1),
        ("7", "mining", 4_507.5e9, 61.0, 76.0, 1),
        ("8", "mining", 4_508.5e9, 62.0, 77.0, 1),
    ], "what the row says goes before what stands behind freq"
    assert [(f.fan, f.status, f.speed_rpm) for f in record.fans] == [("3", "ok", 4_080), ("6", "ok", 4_560)]


async def test_boards_that_are_told_behind_freq_only() -> None:
    record = await poll(get_miner_status=legacy_status(devs=[{"freq": BEHIND_FREQ}]))
    assert [(board.board, board.hashrate_hs) for board in record.boards] == [
        ("6", 4_500.1e9),
        ("7", 4_490.2e9),
        ("8", 4_510.3e9),
    ]


async def test_a_boards_own_clock_goes_before_the_machines() -> None:
    freq = "300,freq1=460,temp1=60,temp2=61,chain_acn2=63,chain_rate2=4400"
    devs = [{"index": n, "chain_acn": "63", "rate": "4500", "freq": freq} for n in ("1", "2")]
    record = await poll(get_miner_status=legacy_status(devs=devs))
    assert [(board.frequency_mhz, board.pcb_temp_c) for board in record.boards] == [(460.0, 60.0), (300.0, 61.0)]


@pytest.mark.parametrize(
    ("minertype", "model", "expected", "flags"),
    [
        ("Antminer S9", "ANTMINER_L3+", 504.2e9, None),
        ("Antminer L3+", "ANTMINER_S9", 504.2e6, None),
        (None, "ANTMINER_L3+", 504.2e6, None),
        ("N/A", "ANTMINER_S9", 504.2e9, None),
        (None, "no such machine", None, "unit_unknown"),
    ],
)
async def test_what_ghs_means_is_told_by_the_model(
    minertype: str | None, model: str, expected: float | None, flags: str | None
) -> None:
    """bitmaintech/bmminer#11: an L3+ says GHS and means MH/s."""
    status = legacy_status(summary={"ghs5s": "504.2", "elapsed": "93600"}, devs=[])
    record = await poll(model, get_miner_status=status, get_system_info=system_info(minertype=minertype))
    assert record.hashrate_hs == pytest.approx(expected)
    assert record.quality_flags == flags


async def test_the_model_is_asked_once_and_its_absence_costs_little() -> None:
    transport = Answers(legacy())
    opened = session(transport)
    await opened.telemetry(SLOT)
    await opened.telemetry(SLOT + 60)
    assert [path.rpartition("/")[2] for path in transport.paths] == [
        "get_miner_status.cgi", "get_system_info.cgi", "get_miner_status.cgi",
    ]  # fmt: skip
    record = await poll(get_system_info=404)
    assert record.hashrate_hs == pytest.approx(13.5006e12)
    assert record.quality_flags == "no_get_system_info"


async def test_a_board_and_a_fan_that_are_lost() -> None:
    transport = Answers(legacy())
    opened = session(transport)
    await opened.telemetry(SLOT)
    freq = ",".join(pair for pair in BEHIND_FREQ.split(",") if "7=" not in pair).replace("fan6=4560", "fan6=0")
    devs = [{"index": n, "chain_acn": "63", "rate": "4500", "freq": freq} for n in ("6", "8")]
    transport.answers |= legacy(get_miner_status=legacy_status(devs=devs))
    record = await opened.telemetry(SLOT + 60)
    assert (record.state, record.boards_mining, record.boards_expected) == ("degraded", 2, 3)
    assert [(board.board, board.status) for board in record.boards] == [
        ("6", "mining"), ("7", "disconnected"), ("8", "mining"),
    ]  # fmt: skip
    assert [(fan.fan, fan.status) for fan in record.fans] == [("3", "ok"), ("6", "lost")]


@pytest.mark.parametrize(("elapsed", "state"), [("60", "starting"), ("5h", "stopped"), ("", "stopped")])
async def test_states_without_a_hashrate(elapsed: str, state: str) -> None:
    devs = [{"index": "6", "chain_acn": "63", "rate": "0.00"}]
    assert (
        await poll(get_miner_status=legacy_status(summary={"ghs5s": "0", "elapsed": elapsed}, devs=devs))
    ).state == state


async def test_configuration() -> None:
    opened = session(Answers(legacy()))
    await opened.telemetry(SLOT)
    record = await opened.configuration(SLOT)
    assert (record.driver, record.model_reported, record.algorithm) == ("antminer-legacy", "Antminer S9", "sha256d")
    assert (record.frequency_mhz, record.voltage_v, record.mac) == (650.0, 8.9, "02005e10000a")
    assert (record.pool_url, record.pool_status) == ("stratum+tcp://pool.invalid:3333", "active")
    assert "S3cret" not in repr(record)


@pytest.mark.parametrize("answer", [{}, {"summary": None}, [], 404, b"Socket connect failed: Connection refused"])
async def test_no_reading(answer: Any) -> None:
    with pytest.raises(PollFailure):
        await poll(get_miner_status=answer)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("112", 112), (112, 112), ("1d2h3m4s", 93_784), ("3m4s", 184), ("1d 2h", 93_600), ("", None), ("soon", None),
        ("1:55", None), (None, None), ("5s3m", None),
    ],
)  # fmt: skip
def test_elapsed(said: Any, seconds: int | None) -> None:
    assert elapsed_s(said) == seconds


@given(st.floats(0, 1e9).map(lambda value: round(value, 2)))
def test_thousands_separators_change_nothing(value: float) -> None:
    assert figure(f"{value:,.2f}") == figure(f"{value:.2f}") == value


@pytest.mark.parametrize("said", ["1,2", "12,34.5", "1,234,5", ",123", "1,234,", ""])
def test_what_is_no_number_with_separators(said: str) -> None:
    assert figure(said) is None
