"""Driver vnish-rest against answers made here: every value worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from storage.declaration.miner import MINER_STATES
from storage.records.miner import MinerConfiguration, MinerTelemetry, telemetry_frames
from tasks.miners.driver import PollFailure, Target
from tasks.miners.vnish_rest import VnishRest
from tests.miners.payloads import (
    MINER,
    SLOT,
    Answers,
    chain,
    fan,
    info,
    perf,
    pool,
    rest,
    stats,
    summary,
    target,
)


async def poll(answers: dict[str, Any] | None = None, to: Target | None = None) -> MinerTelemetry:
    transport = Answers(answers if answers is not None else rest())
    return await VnishRest().session(to or target(), transport).telemetry(SLOT)


async def configured(answers: dict[str, Any] | None = None) -> MinerConfiguration:
    transport = Answers(answers if answers is not None else rest())
    return await VnishRest().session(target(), transport).configuration(SLOT)


async def test_every_value() -> None:
    record = await poll()
    assert (record.time, record.miner, record.reachable, record.state) == (SLOT, MINER, True, "mining")
    assert (record.failure, record.quality_flags) == (None, None)
    assert record.hashrate_hs == 93e12
    assert record.hashrate_average_hs == 93.5e12
    assert record.hashrate_nominal_hs == 96e12
    assert record.power_w == 3_000, "power_consumption, not power_usage"
    assert record.efficiency_j_th == pytest.approx(3_000 / 93), "computed, not power_efficiency"
    assert record.voltage_v == pytest.approx((13.1 + 13.2 + 13.3) / 3)
    assert record.frequency_mhz == 502.0
    assert (record.chip_temp_avg_c, record.chip_temp_max_c, record.pcb_temp_max_c) == (62.0, 63.0, 53.0)
    assert record.ambient_temp_c is None
    assert record.fan_duty_percent == 60.0
    assert record.power_limit_w == 3_000
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (120, 3, 1), "fee pool left out"
    assert record.work_accepted_d1 == 6_553_600.0
    assert record.last_share_age_s == 9.0, "of the user's pools"
    assert (record.hardware_errors, record.devfee_percent, record.uptime_s) == (60, 2.8, 183_840)
    assert (record.boards_mining, record.boards_expected, record.fans_running, record.error_count) == (3, 3, 2, 0)

    first = record.boards[0]
    assert [board.board for board in record.boards] == ["1", "2", "3"]
    assert (first.status, first.hashrate_hs, first.hashrate_nominal_hs) == ("mining", 31e12, 32e12)
    assert (first.pcb_temp_c, first.chip_temp_c, first.inlet_temp_c) == (51.0, 61.0, None)
    assert (first.frequency_mhz, first.voltage_v, first.power_w) == (501.0, 13.1, 1_000)
    assert (first.hardware_errors, first.chips_bad) == (10, 1)
    assert [(f.fan, f.status, f.speed_rpm, f.speed_percent) for f in record.fans] == [
        ("0", "ok", 3_000, 50.0),
        ("1", "ok", 4_500, 75.0),
    ]
    own, spare, fee = record.pools
    assert (own.slot, own.status, own.is_fee, own.url, own.user) == (
        "0", "active", False, "pool.invalid:3333", "account.rig",
    )  # fmt: skip
    assert (own.shares_accepted, own.work_accepted_d1, own.difficulty) == (100, 6_553_600.0, 65_536.0)
    assert (own.last_share_age_s, own.ping_ms) == (9.0, 20.0)
    assert (spare.status, spare.difficulty, spare.last_share_age_s, spare.ping_ms) == ("working", None, None, None)
    assert (fee.is_fee, fee.shares_accepted) == (True, 7_000)


async def test_configuration() -> None:
    record = await configured()
    assert (record.ip_address, record.driver, record.model_reported) == ("192.0.2.1", "vnish-rest", "Antminer S19")
    assert (record.firmware_version, record.algorithm) == ("Vnish 1.2.7", "sha256d")
    assert (record.mac, record.serial) == ("02005e1000aa", None)
    assert (record.overclock_profile, record.power_limit_w) == ("3000 watt ~ 96 TH", 3_000)
    assert record.frequency_mhz == 502.0
    assert record.voltage_v == pytest.approx(13.2)
    assert (record.pool_url, record.pool_user, record.pool_status) == ("pool.invalid:3333", "account.rig", "active")


async def test_without_a_preset_the_settings_tell_clock_and_voltage() -> None:
    answers = rest(perf_summary=perf("disabled", "Disabled", globals={"freq": 480, "volt": 12_800}))
    record = await configured(answers)
    assert (record.overclock_profile, record.power_limit_w) == ("Disabled", None)
    assert (record.frequency_mhz, record.voltage_v) == (480.0, 12.8)


SCRYPT = rest(
    info=info(algorithm="scrypt", hr_measure="MH/s", miner="Antminer L7"),
    summary=summary(
        hr_realtime=9_300.0, hr_nominal=9_500.0, hr_average=9_310.0, chains=[chain(1, hashrate_rt=3_100.0)]
    ),
    perf_summary=perf("3250", "3250 watt ~ 9500 MH"),
)


async def test_scrypt_is_in_megahashes() -> None:
    record = await poll(SCRYPT)
    assert (record.hashrate_hs, record.hashrate_nominal_hs) == (9.3e9, 9.5e9)
    assert (record.boards[0].hashrate_hs, record.power_limit_w) == (3.1e9, 3_250)
    assert record.efficiency_j_th == pytest.approx(3_000 / 0.0093)
    assert (await configured(SCRYPT)).algorithm == "scrypt"


@pytest.mark.parametrize(
    ("answers", "flag"),
    [
        (rest(info=info(hr_measure="N/A")), "unit_unknown"),
        (rest(info=info(hr_measure=None)), "unit_unknown"),
        (rest(info=500), "no_info,unit_unknown"),
        (rest(info=b"<html></html>"), "no_info,unit_unknown"),
        # the label of the preset says 96 TH; these say 96 PH and 96 GH
        (rest(summary=summary(hr_nominal=96e6, hr_realtime=93e6)), "unit_suspect"),
        (rest(info=info(hr_measure="MH/s")), "unit_suspect"),
    ],
)
async def test_no_hashrate_without_a_unit_that_can_be_trusted(answers: dict[str, Any], flag: str) -> None:
    record = await poll(answers)
    assert record.quality_flags == flag
    assert [record.hashrate_hs, record.hashrate_nominal_hs, record.hashrate_average_hs] == [None] * 3
    assert [board.hashrate_hs for board in record.boards] == [None] * 3
    assert record.efficiency_j_th is None
    assert (record.power_w, record.shares_accepted, record.state) == (3_000, 120, "mining"), "the rest is unharmed"


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("mining", "mining"), ("initializing", "starting"), ("starting", "starting"), ("restarting", "starting"),
        ("auto-tuning", "tuning"), ("shutting-down", "stopped"), ("stopped", "stopped"), ("paused", "paused"),
        ("failure", "failed"),
    ],
)  # fmt: skip
async def test_states(said: str, state: str) -> None:
    record = await poll(rest(summary=summary(miner_status={"miner_state": said})))
    assert record.state == state
    assert state in MINER_STATES


@pytest.mark.parametrize("status", [None, {"miner_state": "dancing"}, {}])
async def test_an_unknown_state_is_told_from_the_hashrate(status: Any) -> None:
    record = await poll(rest(summary=summary(miner_status=status)))
    assert (record.state, record.quality_flags) == ("mining", "state_unknown")
    record = await poll(rest(summary=summary(miner_status=status, hr_realtime=0.0)))
    assert record.state == "starting"


DEGRADED: dict[str, tuple[dict[str, Any], str]] = {
    "board failed": (stats(chains=[chain(1), chain(2), chain(3, status={"state": "failure"})]), "degraded"),
    "board disconnected": (stats(chains=[chain(1), chain(2, status={"state": "disconnected"})]), "degraded"),
    "board state unknown to us": (stats(chains=[chain(1), chain(2, status={"state": "new"})]), "degraded"),
    "board switched off by its owner": (stats(chains=[chain(1), chain(2, status={"state": "disabled"})]), "mining"),
    "fan lost": (stats(cooling={"fans": [fan(0), fan(1, status="lost", rpm=0)]}), "degraded"),
    "no fan under oil": (
        stats(cooling={"fans": [fan(0, status="lost")], "settings": {"mode": {"name": "immers"}}}),
        "mining",
    ),
    "below 75 percent": (stats(hr_realtime=71_900.0), "degraded"),
    "just above 75 percent": (stats(hr_realtime=72_100.0), "mining"),
    "throttled to 50 percent on purpose": (
        stats(hr_realtime=48_000.0, miner_status={"miner_state": "mining", "throttled": 50}),
        "mining",
    ),
    "slow while tuning is no fault": (
        stats(hr_realtime=1_000.0, miner_status={"miner_state": "auto-tuning"}),
        "tuning",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DEGRADED)
async def test_degraded(case: str) -> None:
    answer, state = DEGRADED[case]
    assert (await poll(rest(summary={"miner": answer}))).state == state


@pytest.mark.parametrize(
    ("mode", "status"), [("immers", "unknown"), ("immersion", "unknown"), ("auto", "lost"), ("manual", "lost")]
)
async def test_a_fan_that_was_taken_out_is_not_lost(mode: str, status: str) -> None:
    """``immers`` is the firmware's word (UpstreamData/pyasic writes and reads it): a tank has no fans to lose."""
    cooling = {"fans": [fan(0, status="lost", rpm=0)], "settings": {"mode": {"name": mode}}}
    record = await poll(rest(summary=summary(cooling=cooling)))
    assert ([each.status for each in record.fans], record.fans_running) == ([status], 0)


async def test_a_sum_of_counters_is_told_whole_or_not_at_all() -> None:
    """Without the 100 of the first pool the sum would be 20, which falls, and 120 again at the next poll."""
    pools = [pool(0, accepted="n/a"), pool(1, accepted=20, rejected=0, diffa=0.0), pool(2, pool_type="DevFee")]
    record = await poll(rest(summary=summary(pools=pools)))
    assert (record.shares_accepted, record.shares_rejected, record.quality_flags) == (
        None, 3, "unreadable:miner.pools.accepted",
    )  # fmt: skip
    assert [each.shares_accepted for each in record.pools] == [None, 20, 100]


async def test_a_board_that_leaves_the_list_is_missed() -> None:
    transport = Answers(rest())
    session = VnishRest().session(target(), transport)
    await session.telemetry(SLOT)
    transport.answers |= rest(summary=summary(chains=[chain(1), chain(3)]))
    record = await session.telemetry(SLOT + 60)
    assert (record.state, record.boards_mining, record.boards_expected) == ("degraded", 2, 3)


async def test_errors() -> None:
    failed = {"miner_state": "failure", "failure_code": 17, "description": "PSU\nover temperature"}
    dead = chain(2, status={"state": "failure", "description": "eeprom"}, hashrate_rt=0.0)
    record = await poll(rest(summary=summary(miner_status=failed, chains=[chain(1), dead])))
    assert [(e.code, e.severity, e.message) for e in record.errors] == [
        ("17", "critical", "PSU over temperature"),
        ("board_2_failure", "warning", "eeprom"),
    ]
    assert (record.state, record.error_count, record.boards_mining) == ("failed", 2, 1)


async def test_a_board_that_does_not_work_has_no_temperature_and_a_true_zero_hashrate() -> None:
    cold = {"min": 0, "max": 0}
    dead = chain(2, status={"state": "disconnected"}, hashrate_rt=0.0, chip_temp=cold, pcb_temp=cold, voltage=0)
    record = await poll(rest(summary=summary(chains=[chain(1), dead])))
    board = record.boards[1]
    assert (board.chip_temp_c, board.pcb_temp_c, board.hashrate_hs, board.voltage_v) == (None, None, 0.0, 0.0)
    assert (record.chip_temp_avg_c, record.voltage_v, record.frequency_mhz) == (61.0, 13.1, 501.0)


@pytest.mark.parametrize(
    ("status", "state", "errors"),
    [
        (404, "starting", 0),
        ({"miner_state": "stopped", "unlocked": True}, "stopped", 0),
        ({"miner_state": "failure", "failure_code": 3, "description": "no chains"}, "failed", 1),
    ],
)
async def test_a_mining_process_that_is_not_up_is_a_state(status: Any, state: str, errors: int) -> None:
    record = await poll(rest(summary={"miner": None}, status=status))
    assert (record.reachable, record.failure, record.state, record.uptime_s) == (True, None, state, 183_840)
    assert (record.hashrate_hs, record.power_w, record.boards, record.fans) == (None, None, (), ())
    assert record.error_count == len(record.errors) == errors
    assert (await configured(rest(summary={"miner": None}))).pool_url is None


@pytest.mark.parametrize(
    ("summary_answer", "kind"),
    [
        (500, "http_status"), (404, "http_status"), (403, "auth"), (401, "auth"), ({}, "schema"), (b"null", "schema"),
        ({"miner": 5}, "schema"), (b"<html><body>Login</body></html>", "not_json"), (b"", "not_json"),
        (json.dumps(summary()).encode()[:-200], "truncated"),
        (httpx.ReadTimeout("x"), "deadline"), (httpx.RemoteProtocolError("x"), "truncated"),
        (httpx.ConnectTimeout("x"), "connect_timeout"), (httpx.ConnectError("x"), "unreachable"),
    ],
)  # fmt: skip
async def test_failures_have_a_kind(summary_answer: Any, kind: str) -> None:
    with pytest.raises(PollFailure) as failure:
        await poll(rest(summary=summary_answer))
    assert failure.value.kind == kind


# Schnitzel/hass-miner#557: one null, and no data at all
@pytest.mark.parametrize("perf_answer", [b"null", 404, 500, b"<html>", {"current_preset": None}, {"current_preset": 5}])
async def test_without_a_preset_the_rest_is_stored(perf_answer: Any) -> None:
    record = await poll(rest(perf_summary=perf_answer))
    assert (record.hashrate_hs, record.power_limit_w, record.state) == (93e12, None, "mining")
    configuration = await configured(rest(perf_summary=perf_answer))
    assert (configuration.firmware_version, configuration.overclock_profile) == ("Vnish 1.2.7", None)


async def test_a_wrong_field_costs_that_field_and_is_named() -> None:
    chains = [chain(1, voltage="N/A"), chain(2), chain(3, hashrate_rt=[])]
    record = await poll(rest(summary=summary(power_consumption="", chains=chains, hw_errors="-")))
    assert record.quality_flags is not None
    assert record.quality_flags.split(",") == [
        "unreadable:miner.chains.hashrate_rt",
        "unreadable:miner.chains.voltage",
        "unreadable:miner.hw_errors",
        "unreadable:miner.power_consumption",
    ]
    assert (record.power_w, record.hardware_errors, record.hashrate_hs) == (None, None, 93e12)
    assert [board.voltage_v for board in record.boards] == [None, 13.2, 13.3]
    assert [board.hashrate_hs for board in record.boards] == [31e12, 31e12, None]


async def test_broken_json_is_mended_and_flagged() -> None:
    sent = json.dumps(summary()).encode().replace(b'"hr_average": 93500.0', b'"hr_average": nan') + b"\x00"
    record = await poll(rest(summary=sent))
    assert (record.hashrate_hs, record.hashrate_average_hs, record.quality_flags) == (93e12, None, "repaired")


async def test_numbers_that_identify_are_used_once() -> None:
    """Two rows of one series at one time would overwrite each other in the store."""
    chains = [chain(1), chain(1, hashrate_rt=1.0), chain(10**9), chain(0, id=None)]
    record = await poll(rest(summary=summary(chains=chains)))
    assert [board.board for board in record.boards] == ["1", "2", "3"]
    assert (record.boards[0].hashrate_hs, record.quality_flags) == (31e12, "duplicate_board")


async def test_a_minimal_answer() -> None:
    record = await poll(rest(info={}, summary={"miner": {}}, perf_summary={}))
    assert (record.state, record.hashrate_hs, record.boards, record.boards_mining) == ("starting", None, (), None)
    assert record.shares_accepted is None, "missing is not zero"
    assert telemetry_frames([record])


async def test_when_what_is_asked() -> None:
    transport = Answers(rest())
    session = VnishRest().session(target(), transport)
    asked = []
    for slot in (SLOT, SLOT + 60, SLOT + 599, SLOT + 600, SLOT + 660):
        if slot == SLOT + 660:  # the state changed
            transport.answers |= rest(summary=summary(miner_status={"miner_state": "stopped"}))
        transport.requests.clear()
        await session.telemetry(slot)
        asked.append(transport.paths)
    both = ["/info", "/summary"]
    assert asked == [[*both, "/perf-summary"], both, both, [*both, "/perf-summary"], [*both, "/perf-summary"]]

    transport.requests.clear()
    await session.configuration(SLOT + 660)
    assert transport.paths == [], "this slot's answers are used again"
    await session.telemetry(SLOT + 720)
    transport.requests.clear()
    await session.configuration(SLOT + 720)
    assert transport.paths == ["/perf-summary"]


def test_pool_rows_hold_no_password() -> None:
    assert "pass" not in pool(0)
