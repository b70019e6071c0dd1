"""What judging makes of single readings: a wrong value is null and has a reason, a right one stays as it was read."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.declaration import MEASUREMENTS, Kind, Type
from storage.records.miner import Miner, MinerTelemetry, telemetry_frames
from tasks.normalize.judging import History, judge
from tasks.normalize.limits import BOARD_LIMITS, FAN_LIMITS, MINER_LIMITS, POOL_LIMITS
from tests.normalize.records import SLOT, board, fan, histories, pool, records, sound


def judged(**over: Any) -> MinerTelemetry:
    return judge(sound(**over)).record


def read(record: MinerTelemetry, path: str) -> Any:
    """``power_w``, or ``boards.power_w`` of the first board."""
    part, _, name = path.rpartition(".")
    return getattr(getattr(record, part)[0] if part else record, name)


def test_a_sound_record_keeps_every_value() -> None:
    record = sound()
    assert judge(record).record == msgspec.structs.replace(record, quality=1.0)


@pytest.mark.parametrize("state", ["mining", "degraded", "starting", "tuning", "paused", "stopped", "failed"])
def test_what_is_zero_stays_zero(state: str) -> None:
    """A miner paused on purpose hashes 0; that is a reading and no gap."""
    record = sound(
        state=state, hashrate_hs=0.0, power_w=30, efficiency_j_th=None, boards=(board(1, hashrate_hs=0.0, power_w=10),)
    )
    assert judge(record).record == msgspec.structs.replace(record, quality=1.0)


def test_an_unreachable_miner_has_no_quality_and_its_reason_stays() -> None:
    record = MinerTelemetry(
        time=SLOT, miner=Miner("m", "ANTMINER_S19", ""), reachable=False, state="unreachable", failure="refused"
    )
    found = judge(record, History(time=5, noticed="x"))
    assert found.record == msgspec.structs.replace(record, quality=0.0)
    assert found.history == History(time=5, noticed="x")


IMPOSSIBLE = [
    ("hashrate_hs", -1.0),
    ("hashrate_hs", math.nan),
    ("hashrate_average_hs", math.inf),
    ("power_w", -3),
    ("voltage_v", -0.1),
    ("ambient_temp_c", 200.0),
    ("chip_temp_max_c", 200.0),
    ("chip_temp_avg_c", -60.0),
    ("fan_duty_percent", 101.0),
    ("frequency_mhz", 62_000.0),
    ("shares_accepted", -1),
    ("work_accepted_d1", math.nan),
    ("uptime_s", 10**12),
    ("boards_mining", -1),
    ("devfee_percent", math.nan),
    ("boards.chip_temp_c", 255.0),
    ("boards.voltage_v", 13_200.0),
    ("boards.hardware_errors", -1),
    ("fans.speed_rpm", 65_535),
    ("fans.speed_percent", -1.0),
    ("pools.shares_stale", -7),
    ("pools.ping_ms", math.inf),
    ("pools.difficulty", -1.0),
]


@pytest.mark.parametrize(("path", "value"), IMPOSSIBLE)
def test_what_is_impossible_is_dropped_alone(path: str, value: float) -> None:
    part, _, name = path.rpartition(".")
    first = {"boards": board, "fans": fan, "pools": pool}.get(part)
    changes: dict[str, Any] = {part: (first(1, **{name: value}),)} if first else {name: value}
    if part == "boards":
        changes |= {"hashrate_hs": 31e12, "efficiency_j_th": 3_150 / 31}  # what that one board makes
    found = judged(**changes)
    assert read(found, path) is None
    assert found.quality_flags == f"impossible:{path}"
    assert found.quality is not None
    assert 0 < found.quality < 1
    # nothing but this and what is worked out of it has changed
    kept = msgspec.structs.asdict(judged(**(changes | ({part: (first(1),)} if first else {name: read(sound(), path)}))))
    follows = {"efficiency_j_th", "chip_temp_avg_c", "voltage_v", "fan_duty_percent", "shares_stale"}
    for key, was in kept.items():
        if key not in {part or name, "quality", "quality_flags"} | follows:
            assert getattr(found, key) == was, key


def test_what_is_worked_out_of_a_dropped_value_is_dropped_with_it() -> None:
    found = judged(power_w=-1)
    assert (found.power_w, found.efficiency_j_th, found.hashrate_hs) == (None, None, 93e12)
    found = judged(boards=(board(1, chip_temp_c=255.0), board(2), board(3)), chip_temp_avg_c=(255 + 62 + 62) / 3)
    assert (found.chip_temp_avg_c, found.boards[1].chip_temp_c) == (None, 62.0)


@pytest.mark.parametrize(
    ("measurement", "limits"),
    [
        ("miner_telemetry", MINER_LIMITS),
        ("miner_board", BOARD_LIMITS),
        ("miner_fan", FAN_LIMITS),
        ("miner_pool", POOL_LIMITS),
    ],
)
def test_every_number_has_limits(measurement: str, limits: dict[str, tuple[float, float]]) -> None:
    numbers = {
        field.name
        for field in MEASUREMENTS[measurement].fields
        if field.type in (Type.FLOAT, Type.INTEGER) and field.kind in (Kind.GAUGE, Kind.COUNTER)
    }
    assert set(limits) == numbers - {"quality"}
    assert all(low < high for low, high in limits.values())


NOMINAL_GONE = {"hashrate_nominal_hs": None}


@pytest.mark.parametrize(
    ("over", "flags", "hashrate_hs"),
    [
        ({}, None, 93e12),
        # GH/s taken for TH/s: a thousand times the nameplate, boards and preset too
        (
            {"hashrate_hs": 93e15, "hashrate_average_hs": 93e15, "hashrate_nominal_hs": 96e15}
            | {"boards": tuple(board(i, hashrate_hs=31e15, hashrate_nominal_hs=32e15) for i in (1, 2, 3))},
            "unit_suspect",
            None,
        ),
        # and the other way round
        (
            {"hashrate_hs": 93e9, "hashrate_average_hs": 93e9, "hashrate_nominal_hs": 96e9}
            | {"boards": tuple(board(i, hashrate_hs=31e9, hashrate_nominal_hs=32e9) for i in (1, 2, 3))},
            "unit_suspect",
            None,
        ),
        ({"hashrate_hs": 93e15, "boards": ()}, "unit_suspect", None),
        ({"hashrate_hs": 93e9, "hashrate_average_hs": None, "boards": ()} | NOMINAL_GONE, "unit_suspect", None),
        # just started, a miner hashes little: that is no unit
        ({"hashrate_hs": 93e9, "hashrate_average_hs": None, "boards": (), "uptime_s": 60} | NOMINAL_GONE, None, 93e9),
        ({"hashrate_hs": 93e9, "boards": ()}, None, 93e9),
        ({"hashrate_hs": 230e12, "boards": ()}, "implausible:hashrate_hs", None),
        # an S21 called S19: everything agrees but the label, so the readings stay
        (
            {"hashrate_hs": 215e12, "hashrate_average_hs": 214e12, "hashrate_nominal_hs": 218e12, "power_w": 3_250}
            | {"boards": tuple(board(i, hashrate_hs=72e12, hashrate_nominal_hs=73e12) for i in (1, 2, 3))},
            "model_suspect",
            215e12,
        ),
    ],
)
def test_hashrates_against_the_nameplate(over: dict[str, Any], flags: str | None, hashrate_hs: float | None) -> None:
    found = judged(efficiency_j_th=None, **({"power_w": None} | over))
    assert (found.quality_flags, found.hashrate_hs) == (flags, hashrate_hs)


def test_a_wrong_unit_costs_all_hashrates_of_the_poll_and_nothing_else() -> None:
    found = judged(
        hashrate_hs=93e9, hashrate_average_hs=93e9, hashrate_nominal_hs=96e9, boards=(board(1, hashrate_hs=31e9),)
    )
    assert (found.hashrate_hs, found.hashrate_average_hs, found.hashrate_nominal_hs) == (None, None, None)
    assert (found.boards[0].hashrate_hs, found.boards[0].hashrate_nominal_hs) == (None, None)
    assert (found.efficiency_j_th, found.power_w, found.boards[0].chip_temp_c) == (None, 3_150, 62.0)


@pytest.mark.parametrize(
    ("over", "flags", "power_w"),
    [
        ({"power_w": 7_000}, "implausible:power_w", None),
        ({"power_w": 3}, "implausible:power_w", None),  # kilowatts
        ({"power_w": 0}, "implausible:power_w", None),  # a firmware without a meter
        ({"power_w": 2_150, "hashrate_hs": 72e12, "boards": ()}, None, 2_150),
        ({"power_w": 30, "hashrate_hs": 0.0, "boards": ()}, None, 30),
        ({"power_limit_w": 70_000}, "implausible:power_limit_w", 3_150),
        ({"boards": (board(1, power_w=9_000, hashrate_hs=93e12),)}, "implausible:boards.power_w", 3_150),
    ],
)
def test_power_against_the_nameplate(over: dict[str, Any], flags: str | None, power_w: int | None) -> None:
    found = judged(efficiency_j_th=None, **over)
    assert (found.quality_flags, found.power_w) == (flags, power_w)


def three(rate: float | None, **over: Any) -> tuple[Any, ...]:
    return tuple(board(i, hashrate_hs=rate, **over) for i in (1, 2, 3))


@pytest.mark.parametrize(
    ("over", "flags", "of_board"),
    [
        ({"boards": three(29e12)}, None, 29e12),
        ({"boards": three(20e12)}, "conflicting:hashrate_hs", 20e12),
        ({"boards": three(0.0)}, "conflicting:hashrate_hs", 0.0),
        ({"boards": three(31e9)}, "unit_suspect", None),
        ({"boards": (board(1, hashrate_hs=None), board(2), board(3))}, None, None),  # one that works and says nothing
        ({"boards": (board(1, hashrate_hs=None, status="failure"), board(2)), "hashrate_hs": 31e12}, None, None),
        ({"boards": three(20e12), "state": "starting"}, None, 20e12),
        ({"boards": ()}, None, None),
    ],
)  # fmt: skip
def test_boards_against_their_total(over: dict[str, Any], flags: str | None, of_board: float | None) -> None:
    found = judged(**({"efficiency_j_th": None} | over))
    assert found.quality_flags == flags
    assert found.hashrate_hs == over.get("hashrate_hs", 93e12)
    if found.boards:
        assert found.boards[0].hashrate_hs == of_board


@pytest.mark.parametrize(("said", "conflicts"), [(33.9, False), (0.0339, True), (None, False), (15.0, True)])
def test_efficiency_is_power_by_hashrate_whatever_is_said(said: float | None, conflicts: bool) -> None:
    found = judged(efficiency_j_th=said)
    assert found.quality_flags == ("conflicting:efficiency_j_th" if conflicts else None)
    assert found.efficiency_j_th == pytest.approx(3_150 / 93)


def test_an_unknown_model_has_its_row_and_is_noticed_once() -> None:
    first = judge(sound("HAMSTER_9000"))
    assert (first.record.hashrate_hs, first.record.quality, first.record.quality_flags) == (93e12, 1.0, None)
    assert len(first.notices) == 1
    assert "HAMSTER_9000" in first.notices[0]
    again = judge(sound("HAMSTER_9000", time=SLOT + 60, uptime_s=183_900), first.history)
    assert again.notices == ()
    renamed = judge(sound("HAMSTER_9001", time=SLOT + 120, uptime_s=183_960), again.history)
    assert len(renamed.notices) == 1
    # what its own preset says still holds its unit
    assert judge(sound("HAMSTER_9000", hashrate_hs=93e15, boards=())).record.quality_flags == "unit_suspect"


def test_flags_of_the_driver_stay() -> None:
    found = judged(power_w=-1, quality_flags="unreadable:miner.pools,repaired")
    assert found.quality_flags == "impossible:power_w,repaired,unreadable:miner.pools"


@given(records(), histories())
def test_no_record_raises_and_every_judged_one_can_be_stored(record: MinerTelemetry, history: History | None) -> None:
    found = judge(record, history)
    assert found.record.quality is not None
    assert 0.0 <= found.record.quality <= 1.0
    assert found.record.miner == record.miner
    parts = {part: list(getattr(found.record, part))[:1] for part in ("boards", "fans", "pools")}
    telemetry_frames([msgspec.structs.replace(found.record, **{name: tuple(part) for name, part in parts.items()})])
    for name, (low, high) in MINER_LIMITS.items():
        value = getattr(found.record, name)
        if record.reachable and value is not None:
            assert low <= value <= high
    # the history survives a restart
    assert msgspec.json.decode(msgspec.json.encode(found.history), type=History) == found.history


@given(records(), histories())
def test_judging_twice_is_judging_once(record: MinerTelemetry, history: History | None) -> None:
    once = judge(record, history).record
    assert judge(once, history).record == once


@given(records(st.sampled_from(["ANTMINER_S19", "ANTMINER_L7", "HAMSTER_9000"])), histories())
def test_a_value_is_kept_or_null(record: MinerTelemetry, history: History | None) -> None:
    """Nothing is replaced by a guess; the efficiency alone is worked out."""
    found = judge(record, history).record
    for name in set(MINER_LIMITS) - {"efficiency_j_th"}:
        assert getattr(found, name) in (None, getattr(record, name)), name
    for part, limits in (("boards", BOARD_LIMITS), ("fans", FAN_LIMITS), ("pools", POOL_LIMITS)):
        for was, now in zip(getattr(record, part), getattr(found, part), strict=True):
            assert all(getattr(now, name) in (None, getattr(was, name)) for name in limits)


@given(records())
def test_what_has_no_flag_has_lost_nothing(record: MinerTelemetry) -> None:
    found = judge(msgspec.structs.replace(record, quality_flags=None)).record
    if record.reachable and found.quality_flags is None:
        ours = {"quality": found.quality, "quality_flags": None, "efficiency_j_th": found.efficiency_j_th}
        assert found == msgspec.structs.replace(record, **ours)
