"""Broken answers: mended where nothing is invented, and losing only the field that is wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.miners.decode import MOST_ITEMS, Items, decode
from tasks.miners.driver import PollFailure
from tasks.miners.repair import Unmendable, mend


class Part(msgspec.Struct):
    id: int | None = None
    rate: float | None = None


class Whole(msgspec.Struct):
    name: str | None = None
    rate: float | None = None
    parts: Annotated[list[Part], Items] | None = None
    inner: Part | None = None


MENDED: dict[str, tuple[bytes, Any]] = {
    # tsileo/pycgminer#4, getminera/minera#194: no comma between objects, a NUL at the end, counters as padded strings
    "comma missing between objects": (
        b'{"STATS":[{"Type":"Antminer X"}{"STATS":0,"GHS 5s":"15679.6","Accepted":"  5.0000"}],"id":1}\x00',
        {"STATS": [{"Type": "Antminer X"}, {"STATS": 0, "GHS 5s": "15679.6", "Accepted": "  5.0000"}], "id": 1},
    ),
    "the same signs inside a string": (b'{"pass":"a}{b,}","x":[1,]}', {"pass": "a}{b,}", "x": [1]}),
    "comma missing before a key": (b'{"a":{"b":1}"c":2}', {"a": {"b": 1}, "c": 2}),
    "comma too many": (b'{"a":[,1,,2,],}', {"a": [1, 2]}),
    "no number": (b'{"a":nan,"b":-inf,"c":NaN,"d":-Infinity,"e":"nan"}', dict(a=None, b=None, c=None, d=None, e="nan")),
    "line end in a string": (b'{"a":"x\ny\x01"}', {"a": "x\ny\x01"}),
    "escaped apostrophe": (rb'{"a":"it\'s"}', {"a": "it's"}),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
    "not UTF-8": (b'{"a":"\xff"}', {"a": "\ufffd"}),
    "escaped quote and backslash": (rb'{"a":"\\\"}{","b":1,}', {"a": '\\"}{', "b": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", MENDED)
def test_mended(case: str) -> None:
    sent, expected = MENDED[case]
    assert mend(sent) == expected


@pytest.mark.parametrize(
    ("sent", "truncated"),
    [
        (b'{"a":1', True),
        (b'{"a":"x', True),
        (b'{"a":"x\\', True),
        (b'{"a":[1,2', True),
        (b"[", True),
        (b"", False),
        (b"\x00", False),
        (b"<!DOCTYPE html><html>{", False),
        (b"Not found", False),
        (b'{"a" 1}', False),
        (b'{"a":1}}', False),
        (b"[" * 5_000 + b"]" * 5_000, False),
        (b'{"a":' + b"9" * 5_000 + b"}", False),
        (b'{"a":nan' + b" " * 70_000 + b"}", False),
    ],
)
def test_not_mended(sent: bytes, truncated: bool) -> None:
    with pytest.raises(Unmendable) as caught:
        mend(sent)
    assert caught.value.truncated is truncated


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
       .filter(lambda value: isinstance(value, dict | list)))  # fmt: skip
def test_sound_json_is_left_as_it_is(value: Any) -> None:
    text = json.dumps(value, allow_nan=True)
    if "Infinity" not in text:
        assert mend(text.encode()) == value


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), min_size=1), st.data())
def test_the_beginning_of_json_is_never_taken_for_the_whole(value: dict[str, Any], data: st.DataObject) -> None:
    sent = json.dumps(value).encode()
    cut = data.draw(st.integers(1, len(sent) - 1))
    with pytest.raises(Unmendable) as caught:
        mend(sent[:cut])
    assert caught.value.truncated


LENIENT: dict[str, tuple[Any, Whole, set[str]]] = {
    "sound": ({"name": "a", "rate": 1}, Whole("a", 1.0), set()),
    "numbers as text": ({"rate": "173870.94", "parts": [{"id": "1"}]}, Whole(None, 173870.94, [Part(1)]), set()),
    "unknown keys": ({"other": 1, "rate": 2}, Whole(rate=2.0), set()),
    "empty text for a number": ({"name": "a", "rate": ""}, Whole("a"), {"unreadable:rate"}),
    "a number for a name": ({"name": 5, "rate": 1}, Whole(None, 1.0), {"unreadable:name"}),
    "one part of many": (
        {"parts": [{"id": 1, "rate": "N/A"}, {"id": 2, "rate": 2}]},
        Whole(parts=[Part(1), Part(2, 2.0)]),
        {"unreadable:parts.rate"},
    ),
    "a part that is none": ({"parts": [5, {"id": 2}]}, Whole(parts=[Part(2)]), {"unreadable:parts"}),
    "no list": ({"parts": {"id": 2}, "rate": 1}, Whole(None, 1.0), {"unreadable:parts"}),
    "no object": ({"inner": [], "rate": 1}, Whole(None, 1.0), {"unreadable:inner"}),
    "a number too large": ({"rate": 10**400, "name": "a"}, Whole("a"), {"unreadable:rate"}),
    "a list too long": (
        {"parts": [{"id": i} for i in range(1_000)]},
        Whole(parts=[Part(i) for i in range(MOST_ITEMS)]),
        {"unreadable:parts[]"},
    ),
}


@pytest.mark.parametrize("case", LENIENT)
def test_a_wrong_field_costs_that_field(case: str) -> None:
    sent, expected, flagged = LENIENT[case]
    flags: set[str] = set()
    assert decode(json.dumps(sent).encode(), Whole, flags, "/x") == expected
    assert {flag for flag in flags if flag != "repaired"} == flagged


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"null", "schema"), (b"[]", "schema"), (b"5", "schema"), (b'"text"', "schema"),
        (b"", "not_json"), (b"<html></html>", "not_json"), (b'{"rate": 1', "truncated"), (b'{"rate" 1}', "not_json"),
        (b"[" * 100_000, "not_json"),
    ],
)  # fmt: skip
def test_what_is_no_answer(sent: bytes, kind: str) -> None:
    with pytest.raises(PollFailure) as failure:
        decode(sent, Whole, set(), "/x")
    assert failure.value.kind == kind


@given(st.binary() | st.text().map(str.encode))
def test_bytes_give_a_struct_or_a_failure(sent: bytes) -> None:
    with suppress(PollFailure):
        decode(sent, Whole, set(), "/x")
