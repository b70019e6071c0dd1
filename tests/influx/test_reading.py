"""Answers of ``/query`` without a server: framing, truncation, errors at every level, types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.declaration import Type
from storage.errors import StoreError
from storage.influx.reading import Column, read_table

COLUMNS = [Column("v", Type.FLOAT), Column("s", Type.STRING)]


def series(tag: str, rows: list[list[Any]], **others: Any) -> dict[str, Any]:
    return {"name": "m", "tags": {"id": tag}, "columns": ["time", "v", "s"], "values": rows, **others}


def chunk(*all_series: dict[str, Any], partial: bool = False, **others: Any) -> bytes:
    result = {"statement_id": 0, "series": list(all_series), **others} | ({"partial": True} if partial else {})
    return json.dumps({"results": [result]}, separators=(",", ":")).encode()


NASTY = 'brace }{ "quoted" \\ }\n{"results":[]}{'
STREAM = [
    chunk(series("a", [[0, 1.5, "x"], [60, 100, NASTY]]), partial=True),
    chunk(series("a", [[120, None, "}{"]]), partial=True),
    chunk(series("b}{", [[0, -2.0, None]])),
]
ROWS = [("a", 0, 1.5, "x"), ("a", 60, 100.0, NASTY), ("a", 120, None, "}{"), ("b}{", 0, -2.0, None)]


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [(row["id"], int(row["time"].timestamp()), row["v"], row["s"]) for row in table.to_pylist()]


def cut(body: bytes, places: list[int]) -> Iterator[bytes]:
    bounds = [0, *sorted(places), len(body)]
    return (body[first:last] for first, last in pairwise(bounds))


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", b" \n \n"])
def test_framing_of_every_generation_split_at_every_byte(between) -> None:
    body = between.join(STREAM) + between
    for place in range(len(body)):
        assert rows(read_table(cut(body, [place]), ["id"], COLUMNS)) == ROWS


@given(st.lists(st.integers(0, 500), max_size=40), st.sampled_from([b"", b"\n"]))
def test_framing_split_anywhere(places, between) -> None:
    assert rows(read_table(cut(between.join(STREAM), places), ["id"], COLUMNS)) == ROWS


def test_a_stream_cut_anywhere_is_an_error_and_never_fewer_rows() -> None:
    for between in (b"", b"\n"):
        body = between.join(STREAM)
        for end in range(len(body)):
            with pytest.raises(StoreError):
                read_table([body[:end]], ["id"], COLUMNS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty body"),
        (b"json: error calling MarshalJSON for type models.Row: json: unsupported value: -Inf", "not its JSON"),
        (b'{"error":"error parsing query: found EOF"}', "found EOF"),
        (b'{"results":[{"statement_id":0,"error":"unsupported mean iterator type: *query.stringInterruptIterator"}]}',
         "unsupported mean iterator"),
        (STREAM[0] + b"\n" + b'{"results":[{"statement_id":0,"error":"engine is closed"}]}', "engine is closed"),
        (chunk(series("a", [[0, 1.0, "x"]], partial=True), partial=True), "before its last chunk"),
        (b'{"results":[{"series":[{"columns":["time","v"],"values":[]}]}]}', "columns"),
        (chunk(series("a", [[0, "1.0", "x"]])), "another type"),
        (chunk(series("a", [[0, True, "x"]])), "another type"),
        (chunk(series("a", [[None, 1.0, "x"]])), "another type"),
        (chunk(series("a", [[0, 1.0]])), "another type"),
        (b"<html>proxy</html>", "not its JSON"),
        (b"[]", "not its JSON"),
    ],
)  # fmt: skip
def test_whatever_is_not_the_answer_is_an_error(body, said) -> None:
    with pytest.raises(StoreError, match=said):
        read_table([body], ["id"], COLUMNS)


def test_no_data_is_a_typed_empty_table() -> None:
    table = read_table([b'{"results":[{"statement_id":0}]}\n'], ["id"], COLUMNS)
    assert table.num_rows == 0
    assert table.schema == pa.schema(
        [("time", pa.timestamp("s", tz="UTC")), ("id", pa.string()), ("v", pa.float64()), ("s", pa.string())]
    )


def test_types_are_those_declared_however_the_number_is_printed() -> None:
    values = b"[[0,100,9007199254740993,true],[1,1e22,null,false]]"
    body = b'{"results":[{"series":[{"columns":["time","f","i","b"],"values":' + values + b"}]}]}"
    table = read_table([body], [], [Column("f", Type.FLOAT), Column("i", Type.INTEGER), Column("b", Type.BOOLEAN)])
    assert table.to_pydict() == {
        "time": [datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(1, UTC)],
        "f": [100.0, 1e22],
        "i": [9007199254740993, None],
        "b": [True, False],
    }


def test_missing_tags_are_null_and_sorted_last() -> None:
    body = chunk(series("", [[0, 1.0, None]]), series("a", [[60, 2.0, None], [120, 3.0, None]]))
    assert rows(read_table([body], ["id"], COLUMNS)) == [
        ("a", 60, 2.0, None), ("a", 120, 3.0, None), (None, 0, 1.0, None),
    ]  # fmt: skip


def test_many_blocks_are_one_table(monkeypatch) -> None:
    monkeypatch.setattr("storage.influx.reading.ROWS_PER_BLOCK", 7)
    chunks = [
        chunk(series(f"{number:03}", [[t, float(t), None] for t in range(3)]), partial=True) for number in range(50)
    ]
    table = read_table([*chunks, chunk()], ["id"], COLUMNS)
    assert rows(table) == [(f"{number:03}", t, float(t), None) for number in range(50) for t in range(3)]
