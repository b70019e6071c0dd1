"""However long an export is, it holds a few of its stretches at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.arrow_schema import ANSWER_TIME, integers
from tasks.exports.asked import Asked, Column, Exported, Stretch
from tasks.exports.settings import Format
from tasks.exports.writing import write_export

ROWS, STRETCHES = 2_000, 60
COLUMNS = [Column("time", ANSWER_TIME, "", "time"), *(Column(f"f{n}", pa.float64(), "W", "power") for n in range(9))]


def stretches() -> Iterator[Stretch]:
    for number in range(STRETCHES):
        times = integers(np.arange(ROWS) + number * ROWS).cast(pa.timestamp("s")).cast(ANSWER_TIME)
        values = np.arange(ROWS, dtype=np.float64)
        rows = pa.table([times, *(pa.array(values + n) for n in range(9))], names=[one.name for one in COLUMNS])
        yield Stretch((number + 1) * ROWS, rows, [])


@pytest.mark.parametrize("how", list(Format))
def test_memory_does_not_grow_with_the_whole(tmp_path: Path, how: Format) -> None:
    export = Exported(Asked(what="x", start=0, stop=ROWS * STRETCHES), "x", COLUMNS, stretches)
    before, held = pa.total_allocated_bytes(), []
    file = tmp_path / f"x.{how}"
    done = write_export(export, file, how, made_by="test", told=lambda _: held.append(pa.total_allocated_bytes()))
    assert done.rows == ROWS * STRETCHES
    one = ROWS * 8 * len(COLUMNS)
    assert len(held) == STRETCHES
    assert max(held) - before < 4 * one, "of 60 stretches"
    if how is Format.PARQUET:
        assert pq.read_metadata(file).num_rows == done.rows
