"""Driver cgminer-socket: what the socket API says as README.md of its room has it, and what a miner takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records.miner import Miner, MinerTelemetry
from tasks.miners.cgminer_socket import CgminerSocket
from tasks.miners.cgminer_socket.session import CgminerSocketSession
from tasks.miners.driver import PollFailure, Target
from tests.miners.antminer_payloads import (
    REFUSED,
    joined,
    said,
    socket,
    socket_body,
    socket_pool,
    socket_pools,
    socket_stats,
    socket_summary,
)
from tests.miners.payloads import SLOT, Answers
from tests.miners.test_hostile_answers import anything, check

JOINED = "/stats+summary+pools"
DAY = 86_400


def session(transport: Answers, model: str = "ANTMINER_S19") -> CgminerSocketSession:
    target = Target(Miner("m", model, ""), "192.0.2.1", "cgminer://192.0.2.1:4028")
    return CgminerSocket().session(target, transport)


async def poll(model: str = "ANTMINER_S19", **over: Any) -> MinerTelemetry:
    return await session(Answers(socket(**over)), model).telemetry(SLOT)


async def test_every_value_of_a_stock_miner() -> None:
    record = await poll()
    assert (record.state, record.quality_flags, record.power_w) == ("mining", None, None)
    assert (record.hashrate_hs, record.hashrate_average_hs, record.hashrate_nominal_hs) == (93e12, 93.5e12, 96e12)
    assert (record.uptime_s, record.hardware_errors, record.frequency_mhz) == (93_600, 60, 545.0)
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (120, 3, 1), "the user's pools"
    assert (record.work_accepted_d1, record.last_share_age_s) == (6_553_600.0, 9.0)
    assert (record.boards_mining, record.boards_expected, record.fans_running) == (3, 3, 2)
    assert (record.chip_temp_max_c, record.pcb_temp_max_c, record.error_count) == (68.0, 53.0, None)
    assert [(b.board, b.status, b.hashrate_hs, b.chip_temp_c, b.chips_bad) for b in record.boards] == [
        ("1", "mining", 31_001e9, 66.0, 1),
        ("2", "mining", 31_002e9, 67.0, 1),
        ("3", "mining", 31_003e9, 68.0, 1),
    ]
    assert [(f.fan, f.status, f.speed_rpm) for f in record.fans] == [("1", "ok", 5_880), ("2", "ok", 5_940)]
    assert [(p.slot, p.status, p.is_fee, p.difficulty) for p in record.pools] == [
        ("0", "active", False, 65_536.0),
        ("1", "working", False, None),
        ("2", "active", True, 65_536.0),
    ]


VNISH: dict[str, Any] = {
    "state": "mining", "rate_unit": None, "fan_pwm": 90, "chain_acn4": None, "chain_rate4": None, "chain_acs4": None,
    **{f"{name}{n}": value for n in (1, 2, 3) for name, value in (
        ("chain_consumption", 861), ("chain_vol", 13_000), ("chain_state", "mining"), ("chain_fault", ""),
        ("chain_rateideal", 32_000.0), ("freq_avg", 495.0),
    )},
}  # fmt: skip


async def test_what_vnish_tells_besides() -> None:
    record = await poll(
        stats=socket_stats("Antminer S19 (Vnish 1.2.7)", **VNISH), summary=socket_summary(**{"Fee Percent": 2.8})
    )
    assert (record.state, record.power_w, record.voltage_v, record.fan_duty_percent) == ("mining", 2_583, 13.0, 90.0)
    assert record.efficiency_j_th == pytest.approx(2_583 / 93)
    assert (record.devfee_percent, record.error_count, record.frequency_mhz) == (2.8, 0, 495.0)
    assert [board.power_w for board in record.boards] == [861] * 3
    lost = VNISH | {"chain_state2": "failure", "chain_fault2": "no chips", "chain_rate2": 0}
    record = await poll(stats=socket_stats(**lost))
    assert (record.state, record.boards_mining, record.boards_expected) == ("degraded", 2, 3)
    assert [(e.code, e.severity, e.message) for e in record.errors] == [("board_2_failure", "warning", "no chips")]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("auto-tuning", "tuning"),
        ("initializing", "starting"),
        ("stopped", "stopped"),
        ("failure", "failed"),
        (7, "mining"),
    ],
)
async def test_words_for_the_state(word: Any, state: str) -> None:
    record = await poll(stats=socket_stats(**VNISH | {"state": word}))
    assert record.state == state
    assert (record.quality_flags == "state_unknown") == (word == 7)


@pytest.mark.parametrize(
    ("kind", "unit", "model", "said_ghs", "expected"),
    [
        ("Antminer L3+", None, "ANTMINER_S19", 504.2, 504.2e6),
        (None, None, "ANTMINER_L7", "9529.4", 9.5294e9),
        ("Antminer S19", None, "ANTMINER_L7", 95_000, 95e12),
        ("Antminer L7 (Vnish 1.2.7)", None, "x", 9_529.4, 9.5294e9),
        ("Antminer L7", "MH", "x", 9_529.4, 9.5294e9),
        ("something", "GH", "x", 95_000, 95e12),
        ("something", None, "x", 95_000, None),
    ],
)
async def test_ghs_is_never_taken_at_its_word(
    kind: str | None, unit: str | None, model: str, said_ghs: Any, expected: float | None
) -> None:
    """bitmaintech/bmminer#11, anselal/antminer-monitor#22."""
    figures = {"GHS 5s": said_ghs, "GHS av": said_ghs}
    record = await poll(model, stats=socket_stats(kind, rate_unit=unit, **figures), summary=socket_summary(**figures))
    assert record.hashrate_hs == pytest.approx(expected)
    assert record.quality_flags == ("unit_unknown" if expected is None else None)


async def test_cgminers_own_mhs() -> None:
    summary = said("SUMMARY", {"Elapsed": 100, "MHS 5s": "14000.5", "MHS av": 14_000.0, "Accepted": 7, "Rejected": 0})
    record = await poll(stats=said("STATS", {"ID": "POOL0", "Elapsed": 5, "fan1": 9}), summary=summary, pools=REFUSED)
    assert (record.hashrate_hs, record.uptime_s, record.shares_accepted) == (14_000.5e6, 100, 7)
    assert (record.boards_mining, record.fans_running, record.state) == (None, None, "mining")


async def test_broken_json_is_mended_outside_of_strings() -> None:
    """tsileo/pycgminer#4: no comma between two objects, a NUL at the end, counters as padded text."""
    head = json.dumps({"Type": "Antminer S19", "pass": 'a}{b","c'})
    broken = f'{{"STATS":[{head}{json.dumps(socket_body())}],"id":1}}\x00'.encode()
    record = await poll(stats=broken, pools=REFUSED)
    assert (record.hashrate_hs, record.boards_mining, record.quality_flags) == (93e12, 3, "repaired")
    assert record.shares_accepted == 5


@pytest.mark.parametrize(
    ("failing", "answer", "flags"),
    [
        ("pools", b'{"BYE","id":1}', "no_pools"),
        ("stats", b'{"BYE","id":1}', "no_stats"),
        ("summary", b"", "no_summary"),
        ("summary", b"null", "no_summary"),
        ("pools", REFUSED, None),
    ],
)
async def test_one_command_that_fails_costs_its_fields(failing: str, answer: Any, flags: str | None) -> None:
    """sgminer-dev/sgminer#197, UpstreamData/pyasic#50."""
    record = await poll(**{failing: answer})
    assert (record.hashrate_hs, record.state, record.quality_flags) == (93e12, "mining", flags)
    assert (record.shares_accepted is None) == (failing == "nothing")


async def test_joined_commands_where_they_are_taken() -> None:
    transport = Answers({JOINED: joined(stats=socket_stats(), summary=socket_summary(), pools=socket_pools())})
    opened = session(transport)
    for i in range(2):
        assert (await opened.telemetry(SLOT + i)).shares_accepted == 120
    assert transport.paths == [JOINED] * 2


async def test_what_a_joined_answer_lacks_is_asked_alone() -> None:
    transport = Answers(socket() | {JOINED: joined(stats=socket_stats(), pools=REFUSED)})
    record = await session(transport).telemetry(SLOT)
    assert transport.paths == [JOINED, "/summary", "/pools"]
    assert (record.hashrate_hs, record.shares_accepted) == (93e12, 120)


@pytest.mark.parametrize(
    "refusal", [REFUSED, b"", b'{"BYE","id":1}', said("", letter="E", code=0, msg="Invalid command")]
)
async def test_a_refusal_is_remembered_for_a_day(refusal: Any) -> None:
    transport = Answers(socket(pools=REFUSED) | {JOINED: refusal})
    opened = session(transport)
    for slot in (SLOT, SLOT + 60, SLOT + DAY):
        assert (await opened.telemetry(slot)).hashrate_hs == 93e12
    assert transport.paths == [
        JOINED, "/stats", "/summary", "/pools", "/stats", "/summary", JOINED, "/stats", "/summary", "/pools",
    ]  # fmt: skip


async def test_a_miner_that_refuses_all_while_it_starts_is_asked_again() -> None:
    transport = Answers(dict.fromkeys(socket(), REFUSED))
    opened = session(transport)
    with pytest.raises(PollFailure, match="Invalid command") as failure:
        await opened.telemetry(SLOT)
    assert failure.value.kind == "schema"
    transport.answers |= socket()
    assert (await opened.telemetry(SLOT + 60)).shares_accepted == 120


async def test_access_denied_is_a_matter_of_access() -> None:
    denied = said("", letter="E", code=45, msg="Access denied to 'stats' command")
    with pytest.raises(PollFailure) as failure:
        await session(Answers(dict.fromkeys(socket(), denied))).telemetry(SLOT)
    assert failure.value.kind == "auth"


async def test_configuration() -> None:
    opened = session(Answers(socket()))
    await opened.telemetry(SLOT)
    record = await opened.configuration(SLOT)
    assert (record.driver, record.model_reported, record.firmware_version) == (
        "cgminer-socket",
        "Antminer S19",
        "49.0.1.3",
    )
    assert (record.algorithm, record.frequency_mhz, record.pool_user) == ("sha256d", 545.0, "account.rig")
    vnish = Answers(socket(version=REFUSED, stats=socket_stats("Antminer S21 Pro (Vnish 1.2.7)", **VNISH)))
    record = await session(vnish).configuration(SLOT)
    assert (record.model_reported, record.firmware_version) == ("Antminer S21 Pro", "Vnish 1.2.7")


async def test_a_fan_that_turned_once_and_stands_still_is_lost() -> None:
    eight: dict[str, Any] = {f"fan{n}": 0 for n in range(1, 9)} | {"fan_num": 2}
    transport = Answers(socket(stats=socket_stats(**eight | {"fan3": 4_000, "fan6": 4_100})))
    opened = session(transport)
    assert [fan.fan for fan in (await opened.telemetry(SLOT)).fans] == ["3", "6"]
    transport.answers |= socket(stats=socket_stats(**eight | {"fan3": 4_000}))
    record = await opened.telemetry(SLOT + 60)
    assert [(fan.fan, fan.status) for fan in record.fans] == [("3", "ok"), ("6", "lost")]
    assert record.state == "degraded"


async def test_a_fan_left_out_of_the_list_is_not_called_lost() -> None:
    transport = Answers(socket())
    opened = session(transport)
    await opened.telemetry(SLOT)
    stats = socket_stats()
    del stats["STATS"][1]["fan1"]
    transport.answers |= {"/stats": stats}
    record = await opened.telemetry(SLOT + 60)
    found = [(fan.fan, fan.status, fan.speed_rpm) for fan in record.fans]
    assert found == [("1", "unknown", None), ("2", "ok", 5_940)]
    assert (record.state, record.fans_running) == ("mining", 1)


@pytest.mark.parametrize(
    ("said_of_it", "chip", "pcb"),
    [
        ({"temp_in_chip_1": "48", "temp_out_chip_1": "64", "temp_in_pcb_1": 41, "temp_out_pcb_1": "53"}, 64.0, 53.0),
        ({"temp_in_chip_1": "69", "temp_out_chip_1": "64"}, 69.0, None),  # the outlet is not always the hotter end
        ({"temp_in_chip_1": "0", "temp_out_chip_1": "", "temp2_1": 61, "temp1": 44}, 61.0, 44.0),
        ({"temp_chip1": "0-0-0-0", "temp_out_chip_1": "64"}, 64.0, None),
        ({"temp_chip1": "60-66", "temp_out_chip_1": "90", "temp2_1": 91}, 66.0, None),
        ({"temp_in_chip_1": None, "temp_out_chip_1": [], "temp_out_pcb_1": "-5"}, None, -5.0),
        ({}, None, None),
    ],
)
async def test_each_way_to_tell_temperatures(said_of_it: dict[str, Any], chip: float | None, pcb: float | None) -> None:
    body = {name: value for name, value in socket_body().items() if not name.startswith(("temp_pcb", "temp_chip"))}
    board = (await poll(stats=said("STATS", {"Type": "Antminer S19"}, body | said_of_it))).boards[0]
    assert (board.chip_temp_c, board.pcb_temp_c) == (chip, pcb)


async def test_an_average_is_never_taken_for_the_hashrate_now() -> None:
    stats = socket_stats(**{"GHS 5s": None})
    record = await poll(stats=stats, summary=socket_summary(**{"GHS 5s": None}))
    assert (record.hashrate_hs, record.hashrate_average_hs, record.quality_flags) == (None, 93.5e12, "state_unknown")


async def test_a_fan_that_stands_still_at_the_first_poll_is_lost_too() -> None:
    record = await poll(stats=socket_stats(fan2=0))
    assert [(fan.fan, fan.status) for fan in record.fans] == [("1", "ok"), ("2", "lost")]


async def test_a_board_that_had_chips_once_is_missed() -> None:
    transport = Answers(socket())
    opened = session(transport)
    await opened.telemetry(SLOT)
    transport.answers |= socket(stats=socket_stats(chain_acn2=0, chain_rate2=""))
    record = await opened.telemetry(SLOT + 60)
    assert [(board.board, board.status, board.hashrate_hs) for board in record.boards] == [
        ("1", "mining", 31_001e9), ("2", "disconnected", 0.0), ("3", "mining", 31_003e9),
    ]  # fmt: skip
    assert (record.state, record.boards_expected) == ("degraded", 3)


async def test_boards_of_a_mended_answer_are_not_remembered() -> None:
    broken = json.dumps(socket_stats(chain_acn9=76, chain_rate9=1)).replace("}, {", "}{").encode()
    transport = Answers(socket(stats=broken))
    opened = session(transport)
    assert (await opened.telemetry(SLOT)).boards_expected == 4
    transport.answers |= socket()
    record = await opened.telemetry(SLOT + 60)
    assert (record.state, record.boards_expected) == ("mining", 3)


async def test_the_summary_has_the_makers_shares_where_there_is_a_fee() -> None:
    record = await poll(pools=REFUSED, summary=socket_summary(**{"Fee Percent": 2.8}))
    assert (record.shares_accepted, record.devfee_percent) == (None, 2.8)
    assert (await poll(pools=REFUSED)).shares_accepted == 5


@pytest.mark.parametrize(
    ("at", "age"),
    [(1_799_999_993, 7.0), ("1799999993", 7.0), (0, None), ("0", None), (1_800_000_001, None), ("", None)],
)
async def test_the_last_share_by_the_miners_own_clock(at: Any, age: float | None) -> None:
    record = await poll(pools=said("POOLS", socket_pool(0, **{"Last Share Time": at})))
    assert record.last_share_age_s == age


SPLIT = ("temp_in_chip_1", "temp_out_chip_1", "temp_in_pcb_1", "temp_out_pcb_1")


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(socket_body() | VNISH | dict.fromkeys(SPLIT))), anything),
    anything,
    st.booleans(),
)
def test_any_value_under_a_known_name(values: dict[str, Any], row: Any, in_joined: bool) -> None:
    stats = socket_stats(**values)
    stats["STATS"].append(row)
    replies = {
        "stats": stats,
        "summary": socket_summary(),
        "pools": said("POOLS", row if isinstance(row, dict) else {}),
    }
    answers = socket(**replies) | ({JOINED: joined(**replies)} if in_joined else {})
    records: list[MinerTelemetry] = []

    async def run() -> None:
        try:
            records.append(await session(Answers(answers)).telemetry(SLOT))
        except PollFailure:
            return

    with pytest.raises(StopIteration):
        run().send(None)
    check(records)
