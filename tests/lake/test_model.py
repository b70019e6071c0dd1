"""What the store answers equals a few lines of plain Python, over random writes with duplicates, nulls and merging."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.declaration import Tier
from storage.frame import Frame, build_frame
from storage.lake.compaction import compact
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, NOON

FIELDS = ("status", "speed_rpm", "speed_percent")
MIDNIGHT = 1_793_577_600

rows = st.tuples(
    st.sampled_from([NOON, NOON + 60, NOON + 3599, NOON + 3600, MIDNIGHT - 1, MIDNIGHT]),
    st.sampled_from(["a", "b", "é"]),
    st.sampled_from(["0", None]),
    st.sampled_from(["ok", "lost", None]),
    st.sampled_from([0, 1, -(2**62), None]),
    st.sampled_from([0.5, -1.0, 1e300, float("nan"), None]),
)
steps = st.lists(st.one_of(st.lists(rows, min_size=1, max_size=6), st.just("merge")), min_size=1, max_size=7)

Key = tuple[str, str, str, int]  # tags in order, null as "", then time


def model_of(written: list[Any]) -> dict[Key, list[Any]]:
    """Newest value of each field that is not null, per key; a row without any value is no row."""
    merged: dict[Key, list[Any]] = {}
    for step in written:
        for time, miner, fan, *given_values in step if step != "merge" else []:
            values = [None if value != value else value for value in given_values]  # NaN is missing
            if any(value is not None for value in values):
                row = merged.setdefault((fan or "", miner, "", time), [None, None, None])
                row[:] = [old if new is None else new for old, new in zip(row, values, strict=True)]
    return dict(sorted(merged.items()))


def frame_of(step: list[Any]) -> Frame:
    times, miners, fans, *fields = zip(*step, strict=True)
    columns = dict(zip(("miner_id", "fan", *FIELDS), (miners, fans, *fields), strict=True))
    return build_frame("miner_fan", list(times), columns)


def answered(table: Any) -> list[tuple[Key, list[Any]]]:
    return [
        (
            (row["fan"] or "", row["miner_id"], row["model"] or "", int(row["time"].timestamp())),
            [row[name] for name in FIELDS],
        )
        for row in table.to_pylist()
    ]


@settings(max_examples=15, deadline=None)
@given(steps)
def test_read_newest_and_windows_equal_a_plain_model(written):
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(Path(folder))
        table = LakeTable(Path(folder), FAN, Tier.RAW)
        for step in written:
            if step == "merge":
                compact(table, NOON + 4000 * 86400)
            else:
                store.write([frame_of(step)])
        expected = model_of(written)
        assert answered(store.read(FAN, Tier.RAW, 0, NOON * 2)) == list(expected.items())

        inside = [(key, row) for key, row in expected.items() if NOON <= key[3] < NOON + 3600 and key[1] != "b"]
        given_where = store.read(FAN, Tier.RAW, NOON, NOON + 3600, where={"miner_id": ["a", "é"]})
        assert answered(given_where) == inside

        newest = {key[:3]: (key, row) for key, row in expected.items() if key[3] >= NOON + 60}
        assert answered(store.newest(FAN, NOON + 60)) == list(newest.values())

        start = NOON - NOON % 86400
        asked = store.windows(FAN, start, start + 2 * 86400, 3600, aggregates={"speed_rpm": "count"}, by=["miner_id"])
        counts: dict[tuple[str, int], int] = {}
        for key, row in expected.items():
            slot = (key[1], key[3] - key[3] % 3600)
            counts[slot] = counts.get(slot, 0) + (row[1] is not None)
        assert [
            (row["miner_id"], int(row["time"].timestamp()), row["speed_rpm_count"]) for row in asked.to_pylist()
        ] == [(*slot, count) for slot, count in sorted(counts.items())]
        store.close()
