from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.declaration import MEASUREMENTS, Type
from storage.errors import FrameError
from storage.frame import Frame, build_frame
from storage.line_protocol import FieldColumn, encode, encode_columns, tag_value
from tests.influx.lines import Line, parse_line, split_lines

T = 1795478400

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
nasty_text = st.one_of(text, st.text(st.sampled_from(",= \"\\\n\r\t'null#:ä"), max_size=6))
values = {
    Type.FLOAT: st.floats(),
    Type.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Type.BOOLEAN: st.booleans(),
    Type.STRING: nasty_text,
}


@st.composite
def frames(draw) -> Frame:
    """Frames as the spool may hold them: any declared measurement, any holes, NaN and infinities too."""
    declared = MEASUREMENTS[draw(st.sampled_from(sorted(MEASUREMENTS)))]
    rows = draw(st.integers(0, 5))
    columns: dict[str, list[Any]] = {}
    for tag in declared.tag_names:
        columns[tag] = draw(st.lists(st.none() | nasty_text, min_size=rows, max_size=rows))
    for field in declared.fields:
        if draw(st.booleans()):
            one = values[field.type] if draw(st.booleans()) else st.none() | values[field.type]
            columns[field.name] = draw(st.lists(one, min_size=rows, max_size=rows))
    times = draw(st.lists(st.integers(0, 2**33), min_size=rows, max_size=rows))
    return Frame(declared.name, times, columns)


def expected(frame: Frame) -> list[Line]:
    """What must come out, worked out row by row."""
    lines = []
    for row, time in enumerate(frame.times):
        tags, fields = {}, {}
        for name, column in frame.columns.items():
            value = column[row]
            if name in frame.declared.tag_names:
                cleaned = "".join(" " if letter in "\n\r\t\0" else letter for letter in value or "")
                while cleaned.endswith("\\"):
                    cleaned = cleaned[:-1]
                if cleaned:
                    tags[name] = cleaned
            elif value is not None and not (isinstance(value, float) and not math.isfinite(value)):
                fields[name] = value
        if fields:
            lines.append(Line(frame.measurement, tags, fields, time))
    return lines


@given(frames())
def test_an_independent_parser_reads_what_was_encoded(frame: Frame) -> None:
    lines = [line.decode() for line in encode(frame)]
    assert [parse_line(line) for line in lines] == expected(frame)
    assert len(split_lines("\n".join(lines))) == len(lines)


@given(frames())
def test_types_are_those_declared(frame: Frame) -> None:
    kinds = {Type.FLOAT: float, Type.INTEGER: int, Type.BOOLEAN: bool, Type.STRING: str}
    for line in encode(frame):
        for name, value in parse_line(line.decode()).fields.items():
            assert type(value) is kinds[frame.declared.field_by_name[name].type]


def test_tags_are_sorted_and_the_line_is_exactly_this() -> None:
    frame = build_frame(
        "miner_board",
        [T],
        {
            "site": ["hall 1"],
            "board": ["0"],
            "miner_id": ["a,b=c"],
            "model": [""],
            "status": ['say "x\\y"'],
            "hashrate_hs": [1.5e13],
            "hardware_errors": [3],
        },
    )
    assert encode(frame) == [
        b'miner_board,board=0,miner_id=a\\,b\\=c,site=hall\\ 1 status="say \\"x\\\\y\\"",hardware_errors=3i,'
        b"hashrate_hs=15000000000000.0 1795478400"
    ]


NUMBERS = [
    ("difficulty", np.float64(1.5), "1.5"),
    ("difficulty", 1, "1.0"),
    ("difficulty", -0.0, "-0.0"),
    ("difficulty", 1e22, "1e22"),
    ("difficulty", float("1e400"), None),
    ("difficulty", math.nan, None),
    ("difficulty", -math.inf, None),
    ("difficulty", None, None),
    ("shares_accepted", np.int64(3), "3i"),
    ("shares_accepted", 4.0, "4i"),
    ("shares_accepted", -(2**63), "-9223372036854775808i"),
    ("is_fee", np.bool_(True), "true"),
    ("is_fee", False, "false"),
]


@pytest.mark.parametrize(("name", "value", "written"), NUMBERS)
def test_numbers_as_they_are_written(name: str, value: object, written: str | None) -> None:
    frame = build_frame("miner_pool", [T], {"miner_id": ["a"], "slot": ["0"], name: [value], "url": ["u"]})  # type: ignore[list-item]
    fields = {'url="u"', f"{name}={written}"} if written else {'url="u"'}
    key, rest = encode(frame)[0].decode().split(" ", 1)
    assert (key, set(rest.removesuffix(f" {T}").split(","))) == ("miner_pool,miner_id=a,slot=0", fields)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "3", True, 1.5])
def test_an_integer_that_is_none_is_an_error_and_not_a_line(value: object) -> None:
    with pytest.raises(FrameError, match=r"miner_pool\.shares_accepted row 0"):
        build_frame("miner_pool", [T], {"shares_accepted": [value]})  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("value", "kept"),
    [("end\\", "end"), ("end\\\\", "end"), ("a\nb", "a b"), ("a\\\n", "a\\ "), ("\\", ""), ("a\\b", "a\\b")],
)
def test_what_a_tag_cannot_hold_is_replaced(value: str, kept: str) -> None:
    assert tag_value(value) == kept
    (line,) = encode_columns("m", [T], {"k": [value]}, [("v", Type.INTEGER, [1])])
    assert parse_line(line.decode()).tags == ({"k": kept} if kept else {})


def test_rows_without_a_field_have_no_line() -> None:
    lines = encode_columns(
        "m",
        [1, 2, 3],
        {"k": ["a", "b", "c"]},
        [("v", Type.FLOAT, [1.0, None, math.nan]), ("w", Type.STRING, [None] * 3)],
    )
    assert lines == [b"m,k=a v=1.0 1"]
    only_nan: list[FieldColumn] = [("v", Type.FLOAT, [1.0, math.nan]), ("w", Type.FLOAT, [math.inf, math.nan])]
    assert encode_columns("m", [1, 2], {}, only_nan) == [b"m v=1.0 1"]
    assert encode_columns("m", [1], {"k": ["a"]}, []) == []
    assert encode_columns("m", [], {}, [("v", Type.FLOAT, [])]) == []


def test_a_column_of_another_version_is_named() -> None:
    with pytest.raises(KeyError, match="no_such_field"):
        encode(Frame("miner_fan", [T], {"no_such_field": [1]}))


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_a_frame_in_parts_has_the_same_lines(most: int) -> None:
    rows = 7
    columns: dict[str, list[Any]] = {
        "miner_id": [f"m{n}" for n in range(rows)],
        "speed_rpm": [None if n % 2 else n for n in range(rows)],
        "status": ["ok"] * rows,
    }
    frame = build_frame("miner_fan", list(range(rows)), columns)
    parts = list(frame.parts(most))
    assert max(map(len, parts)) <= most
    lines = [parse_line(line.decode()) for part in parts for line in encode(part)]
    assert lines == [parse_line(line.decode()) for line in encode(frame)]  # fields may change their places
