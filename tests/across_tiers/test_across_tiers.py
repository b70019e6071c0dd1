"""One question over raw, hourly, daily and the archive gives one answer, whatever was rolled up, aged or moved."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.across_tiers import AcrossTiers, Answer, Piece, joined
from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tests.across_tiers.oracle import COLUMNS, Poll, windows_of
from tests.downsample.memory_store import MemoryStore
from tests.downsample.test_run import DAY, HOUR, ONLY, TELEMETRY, T, deliver, polls, random_polls

DAYS_KEPT = {name: bucket.retention_days for name, bucket in BUCKETS.items()}
HOURS = 50
END = T + HOURS * HOUR
EVERY = (300, HOUR, 6 * HOUR, DAY, 7 * DAY)


def reader(store: Store, now: int = END + GRACE_S, archive: MemoryStore | None = None, **days: int) -> AcrossTiers:
    return AcrossTiers(store, archive, DAYS_KEPT | days, now)


def answered(answer: Answer) -> dict[tuple[str, int], dict[str, Any]]:
    rows = answer.table.to_pylist()
    found = {(row["miner_id"], int(row["time"].timestamp())): {name: row[name] for name in COLUMNS} for row in rows}
    assert len(found) == len(rows), "a window is there twice"
    return found


def covers(pieces: Sequence[Piece], start: int, stop: int) -> None:
    """No hole, no overlap, all that was asked for."""
    assert pieces[0].start <= start
    assert pieces[-1].stop >= stop
    assert all(one.start < one.stop for one in pieces)
    assert all(one.stop == other.start for one, other in itertools.pairwise(pieces))


def alike(found: Mapping[Any, Mapping[str, Any]], wanted: Mapping[Any, Mapping[str, Any]]) -> None:
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        assert dict(found[key]) == near(row), key


def near(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: pytest.approx(value, rel=1e-12) if type(value) is float else value for name, value in row.items()}


def without(store: MemoryStore, tier: Tier, stop: int) -> None:
    """Retention: rows before ``stop`` go."""
    rows = store.rows[TELEMETRY.stored_name(tier)]
    for key in [key for key in rows if key[1] < stop]:
        del rows[key]


def moved(store: MemoryStore, archive: MemoryStore, tier: Tier, stop: int) -> None:
    rows = store.rows[TELEMETRY.stored_name(tier)]
    archive.rows[TELEMETRY.stored_name(tier)] |= {key: row for key, row in rows.items() if key[1] < stop}
    without(store, tier, stop)


def rolled(seed: int, until: int) -> tuple[MemoryStore, list[Poll]]:
    """A store with all polls, rolled up as far as ``until``."""
    store, rows = MemoryStore(), random_polls(seed)
    deliver(store, polls(rows))
    roll_up(store, until, measurements=ONLY)
    return store, rows


@pytest.mark.parametrize("every_s", EVERY)
@pytest.mark.parametrize("until", [T, T + 20 * HOUR + GRACE_S, T + 30 * HOUR + GRACE_S, END + GRACE_S])
def test_the_answer_does_not_depend_on_how_far_the_roll_up_came(every_s: int, until: int) -> None:
    store, rows = rolled(1, until)
    answer = reader(store).read(TELEMETRY, T, END, resolution_s=every_s, columns=COLUMNS)
    covers(answer.pieces, T, END)
    alike(answered(answer), windows_of(rows, every_s))


@pytest.mark.parametrize("every_s", EVERY)
def test_rows_that_came_late_are_in_the_answer_before_their_windows_are_redone(every_s: int) -> None:
    chance = random.Random(7)
    store, rows = MemoryStore(), random_polls(2)
    late = chance.sample(rows, 60)
    deliver(store, polls([row for row in rows if row not in late]))
    roll_up(store, END + GRACE_S, measurements=ONLY)
    deliver(store, polls(late))
    answer = reader(store).read(TELEMETRY, T, END, resolution_s=every_s, columns=COLUMNS)
    alike(answered(answer), windows_of(rows, every_s))
    if every_s == HOUR:
        assert {piece.tier for piece in answer.pieces} == {Tier.RAW, Tier.HOURLY}


def test_the_pieces_say_which_tier_it_was_and_why() -> None:
    store, _ = rolled(1, T + 30 * HOUR + GRACE_S)
    hours = reader(store).read(TELEMETRY, T, END, resolution_s=HOUR, columns=COLUMNS)
    assert [(piece.start, piece.stop, piece.tier, piece.place, piece.why) for piece in hours.pieces] == [
        (T, T + 30 * HOUR, Tier.HOURLY, "memory", "rolled up"),
        (T + 30 * HOUR, END, Tier.RAW, "memory", "not rolled up yet: worked out of raw"),
    ]
    days = reader(store).read(TELEMETRY, T, END, resolution_s=DAY, columns=COLUMNS)
    assert [(piece.start, piece.tier) for piece in days.pieces] == [
        (T, Tier.DAILY),
        (T + DAY, Tier.HOURLY),
        (T + 30 * HOUR, Tier.RAW),
        (END, Tier.HOURLY),
    ]
    minutes = reader(store).read(TELEMETRY, T, END)
    assert [(piece.tier, piece.rows) for piece in minutes.pieces] == [(Tier.RAW, minutes.table.num_rows)]


@pytest.mark.parametrize("every_s", [None, 300, HOUR, 6 * HOUR, DAY])
@pytest.mark.parametrize("tiers", [(Tier.RAW,), (Tier.RAW, Tier.HOURLY), (Tier.RAW, Tier.HOURLY, Tier.DAILY)])
def test_archived_and_active_data_answer_alike(every_s: int | None, tiers: tuple[Tier, ...]) -> None:
    store, _ = rolled(3, END + GRACE_S)
    archive = MemoryStore()
    source = reader(store, archive=archive, mining_raw=1, mining_hourly=1, mining_daily=1)
    before = source.read(TELEMETRY, T + 90, END - 90, resolution_s=every_s)
    for tier in tiers:
        moved(store, archive, tier, T + DAY)
    after = source.read(TELEMETRY, T + 90, END - 90, resolution_s=every_s)
    assert after.table.equals(before.table)
    assert {piece.place for piece in before.pieces} == {"memory"}
    if tiers[-1] in {piece.tier for piece in before.pieces if piece.start < T + DAY}:
        assert after.pieces[0].place == "archive"


def test_a_row_that_is_in_the_store_and_in_the_archive_is_there_once_and_what_came_later_counts() -> None:
    store, rows = rolled(4, END + GRACE_S)
    archive = MemoryStore()
    moved(store, archive, Tier.RAW, T + DAY)
    again = [("miner_0", rows[0][1], 7e13, None), rows[1]]
    deliver(store, polls(again))
    answer = reader(store, archive=archive).read(TELEMETRY, T, T + DAY, columns=["hashrate_hs"])
    kept = {(miner, time): rate for miner, time, rate, _ in rows if time < T + DAY}
    kept |= {(miner, time): rate for miner, time, rate, _ in again}
    found = {(row["miner_id"], int(row["time"].timestamp())): row["hashrate_hs"] for row in answer.table.to_pylist()}
    assert found == kept
    assert [piece.place for piece in answer.pieces] == ["memory and archive"]


def test_past_its_retention_a_day_is_answered_by_the_finest_tier_that_still_has_it() -> None:
    store, rows = rolled(5, END + GRACE_S)
    without(store, Tier.RAW, T + DAY)
    answer = reader(store, mining_raw=1).read(TELEMETRY, T + 1800, END, columns=["hashrate_hs", "state"])
    covers(answer.pieces, T + 1800, END)
    assert [(p.start, p.stop, p.tier, p.why) for p in answer.pieces] == [
        (T, T + DAY, Tier.HOURLY, "raw is kept 1 days"),
        (T + DAY, T + 2 * DAY, Tier.RAW, "past its retention, still there"),
        (T + 2 * DAY, END, Tier.RAW, "the finest that is kept"),
    ]
    wanted = {key: row for key, row in windows_of(rows, HOUR).items() if key[1] < T + DAY}
    found = {
        (row["miner_id"], int(row["time"].timestamp())): (row["hashrate_hs"], row["state"])
        for row in answer.table.to_pylist()
    }
    assert {key: row for key, row in found.items() if key[1] < T + DAY} == {
        key: (pytest.approx(row["hashrate_hs"], rel=1e-12), row["state"]) for key, row in wanted.items()
    }
    polled = {
        (miner, time): (rate, "mining" if rate is not None else "unreachable")
        for miner, time, rate, _ in rows
        if time >= T + DAY
    }
    assert {key: row for key, row in found.items() if key[1] >= T + DAY} == polled


@pytest.mark.parametrize("every_s", [None, 900, HOUR])
def test_where_hours_are_gone_too_days_are_given_as_they_are(every_s: int | None) -> None:
    store, rows = rolled(6, END + GRACE_S)
    for tier in (Tier.RAW, Tier.HOURLY):
        without(store, tier, T + DAY)
    source = reader(store, mining_raw=1, mining_hourly=1)
    answer = source.read(TELEMETRY, T + 3 * HOUR, END, resolution_s=every_s, columns=["hashrate_hs"])
    assert answer.pieces[0].start == T
    assert answer.pieces[0].tier is Tier.DAILY
    covers(answer.pieces, T + 3 * HOUR, END)
    first = [row for row in answer.table.to_pylist() if row["time"].timestamp() < T + DAY]
    wanted = windows_of(rows, DAY)
    assert {(row["miner_id"], T): pytest.approx(row["hashrate_hs"], rel=1e-12) for row in first} == {
        key: row["hashrate_hs"] for key, row in wanted.items() if key[1] == T
    }


def schemas(answers: Iterable[Answer]) -> set[str]:
    return {answer.table.schema.to_string() for answer in answers}


def test_columns_their_types_and_their_order_are_the_same_in_every_tier() -> None:
    store, _ = rolled(1, END + GRACE_S)
    source = reader(store)
    names = ["state", "power_w", "shares_accepted", "quality_flags", "reachable"]
    answers = [source.read(TELEMETRY, T, END, resolution_s=every, columns=names) for every in (None, *EVERY)]
    answers.append(source.read(TELEMETRY, T - 99 * DAY, T - 98 * DAY, columns=names))  # nothing there
    assert len(schemas(answers)) == 1
    schema = answers[0].table.schema
    assert schema.names == ["time", "miner_id", "model", "site", *names]
    assert [str(schema.field(name).type) for name in ("time", *names)] == [
        "timestamp[s, tz=UTC]",
        "string",
        "double",
        "int64",
        "string",
        "bool",
    ]


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(T - 2 * DAY, END + DAY),
    length=st.integers(1, 4 * DAY),
    every_s=st.sampled_from([None, 60, 900, HOUR, 4 * HOUR, DAY, 3 * DAY]),
    raw_days=st.integers(1, 4),
    hourly_days=st.integers(1, 4),
    until=st.sampled_from([T, T + 25 * HOUR + GRACE_S, END + GRACE_S]),
    rows_at_once=st.sampled_from([8, 100, 100_000]),
)
def test_no_hole_no_overlap_nothing_twice(
    start: int, length: int, every_s: int | None, raw_days: int, hourly_days: int, until: int, rows_at_once: int
) -> None:
    store, rows = _ROLLED[until]
    if until < END:  # what was not rolled up in time is still in its retention
        raw_days = hourly_days = 4
    source = reader(store, mining_raw=raw_days, mining_hourly=hourly_days)
    stop = start + length
    answer = source.read(TELEMETRY, start, stop, resolution_s=every_s, columns=["hashrate_hs"])
    covers(answer.pieces, start, stop)
    keys = [(row["miner_id"], int(row["time"].timestamp())) for row in answer.table.to_pylist()]
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)
    assert {miner for miner, _ in keys} >= {miner for miner, time, _, _ in rows if start <= time < stop}
    ends, parts = zip(
        *source.in_parts(
            TELEMETRY, start, stop, resolution_s=every_s, columns=["hashrate_hs"], rows_at_once=rows_at_once
        ),
        strict=True,
    )
    assert list(ends) == sorted(set(ends))
    pieces = joined([piece for part in parts for piece in part.pieces])
    covers(pieces, start, stop)
    assert (pieces[0].start, pieces[-1].stop) == (answer.pieces[0].start, answer.pieces[-1].stop)
    in_parts = [row for part in parts for row in part.table.to_pylist()]
    assert in_parts == sorted(in_parts, key=lambda row: (row["time"], row["miner_id"]))
    whole = sorted(answer.table.to_pylist(), key=lambda row: (row["time"], row["miner_id"]))
    assert in_parts == [near(row) for row in whole]


def test_a_long_answer_comes_in_parts_of_the_size_asked_for() -> None:
    """The first stretch is an hour, whatever that holds; the others follow what was found."""
    store, rows = rolled(1, T)
    miners = len({miner for miner, *_ in rows})
    sizes = [part.table.num_rows for _, part in reader(store).in_parts(TELEMETRY, T, END, rows_at_once=4 * miners)]
    assert sum(sizes) == len(rows)
    assert max(sizes[1:]) <= 8 * miners
    assert len(list(reader(store).in_parts(TELEMETRY, T, END))) < 10


_ROLLED = {until: rolled(8, until) for until in (T, T + 25 * HOUR + GRACE_S, END + GRACE_S)}


def test_a_measurement_that_is_never_rolled_up_can_be_asked_for_in_windows(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    try:
        times = [T, T + 1800, T + 5 * HOUR]
        columns: dict[str, Sequence[Value]] = {
            "miner_id": ["m"] * 3,
            "time_period": ["1h"] * 3,
            "revenue": [1.0, 3.0, 8.0],
        }
        store.write([build_frame("financial_metrics", times, columns)])
        answer = reader(store).read(
            MEASUREMENTS["financial_metrics"], T, T + DAY, resolution_s=HOUR, columns=["revenue", "revenue_sum"]
        )
    finally:
        store.close()
    assert [(row["time"].timestamp(), row["revenue"], row["revenue_sum"]) for row in answer.table.to_pylist()] == [
        (T, 2.0, 4.0),
        (T + 5 * HOUR, 8.0, 8.0),
    ]


def test_only_the_series_asked_for_are_read() -> None:
    store, rows = rolled(1, END + GRACE_S)
    miners = sorted({miner for miner, *_ in rows})[:2]
    answer = reader(store).read(TELEMETRY, T, END, resolution_s=HOUR, where={"miner_id": miners}, columns=COLUMNS)
    alike(answered(answer), windows_of([row for row in rows if row[0] in miners], HOUR))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"start": END, "stop": END}, "is not before"),
        ({"columns": ["hashrate"]}, "no column ['hashrate']"),
        ({"columns": ["hashrate_hs_max"]}, "needs a resolution"),
        ({"columns": []}, "no column"),
        ({"where": {"miner": "m"}}, "no tag ['miner']"),
        ({"resolution_s": 7 * HOUR}, "neither divide a day nor are whole days"),
        ({"resolution_s": 0}, "neither divide a day"),
    ],
)
def test_what_cannot_be_answered_is_told(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        reader(MemoryStore()).read(TELEMETRY, **({"start": T, "stop": END} | asked))


def test_the_embedded_store_answers_as_the_plain_one_does(tmp_path: Path) -> None:
    plain, rows = rolled(9, T + 30 * HOUR + GRACE_S)
    store = EmbeddedStore(tmp_path)
    try:
        deliver(store, polls(rows))
        roll_up(store, T + 30 * HOUR + GRACE_S, measurements=ONLY)
        for every_s in (None, *EVERY):
            names = COLUMNS if every_s else COLUMNS[:3]
            ours = reader(store).read(TELEMETRY, T, END, resolution_s=every_s, columns=names)
            theirs = reader(plain).read(TELEMETRY, T, END, resolution_s=every_s, columns=names)
            assert isinstance(ours.table, pa.Table)
            assert ours.table.schema == theirs.table.schema
            left, right = ours.table.to_pylist(), theirs.table.to_pylist()
            assert left == [near(row) for row in right]
    finally:
        store.close()
