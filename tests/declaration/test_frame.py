"""Frames take what is declared, coerce what may be coerced, and name the row of what may not."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import FrameError
from storage.frame import Frame, build_frame
from storage.precision import rounded
from storage.records.miner import BoardReading, FanReading, Miner, MinerTelemetry, telemetry_frames

BOARD = {"miner_id": "a", "model": "S19", "site": "x", "board": "1"}


def board(**fields: Any) -> Frame:
    return build_frame("miner_board", [60], {name: [value] for name, value in (BOARD | fields).items()})


@pytest.mark.parametrize(
    ("field", "given_", "kept"),
    [
        ("hashrate_hs", 5, 5.0),
        ("hashrate_hs", 1.5, 1.5),
        ("power_w", 861.0, 861),
        ("power_w", 2**63 - 1, 2**63 - 1),
        ("status", "mining", "mining"),
    ],
)
def test_coerced(field: str, given_: object, kept: object) -> None:
    value = board(**{field: given_}).columns[field][0]
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e400])
def test_not_a_number_is_null(value: float) -> None:
    assert "hashrate_hs" not in board(hashrate_hs=value, status="mining").columns


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"power_w": 1.9}, r"miner_board\.power_w row 0: expected integer, got 1\.9"),
        ({"power_w": 2**63}, "expected integer"),
        ({"power_w": True}, "expected integer"),
        ({"hashrate_hs": "12"}, "expected float, got '12'"),
        ({"status": 5}, "expected string"),
        ({"colour": "red"}, r"miner_board\.colour is not declared"),
        ({"board": 1}, "a tag is a string"),
    ],
)
def test_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(FrameError, match=words):
        board(**fields)


def test_refused_shapes() -> None:
    with pytest.raises(FrameError, match="not declared"):
        build_frame("nonsense", [], {})
    with pytest.raises(FrameError, match="2 values for 1 times"):
        build_frame("miner_board", [60], {"power_w": [1, 2]})
    with pytest.raises(FrameError, match="whole seconds"):
        build_frame("miner_board", [60.5], {"power_w": [1]})  # type: ignore[list-item]


def test_rows_that_say_nothing_are_left_out() -> None:
    frame = build_frame("miner_board", [60, 120], {"board": ["1", "1"], "power_w": [None, 5]})
    assert frame.times == [120]
    assert frame.columns == {"board": ["1"], "power_w": [5]}


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_rounding_keeps_16_significant_bits(value: float) -> None:
    (short,) = rounded([value])
    assert short is not None
    assert abs(Fraction(short) - Fraction(value)) <= abs(Fraction(value)) / 2**16
    assert math.isfinite(short)
    assert rounded([short]) == [short]
    if abs(value) < 1.797e308:
        assert math.frexp(short)[0] * 2**16 == int(math.frexp(short)[0] * 2**16)


def test_rounding_keeps_nulls() -> None:
    assert rounded([None, 1.0]) == [None, 1.0]
    assert rounded([]) == []


def test_nested_lists_become_their_own_rows() -> None:
    def one(time: int) -> MinerTelemetry:
        return MinerTelemetry(
            time=time,
            miner=Miner("m1", "S19", "hall"),
            reachable=True,
            state="mining",
            boards=(BoardReading(board="1", power_w=861), BoardReading(board="2", power_w=862)),
            fans=(FanReading(fan="0", speed_rpm=5880), FanReading(fan="1")),
        )

    frames = {frame.measurement: frame for frame in telemetry_frames([one(60), one(120)])}
    assert frames["miner_telemetry"].times == [60, 120]
    assert frames["miner_board"].times == [60, 60, 120, 120]
    assert frames["miner_board"].columns["board"] == ["1", "2", "1", "2"]
    assert frames["miner_fan"].times == [60, 120], "a fan of which nothing is known has no row"
    assert "miner_pool" not in frames
