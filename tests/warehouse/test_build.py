"""The warehouse follows its sources: built once, redone where they were, the same after a kill at any write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.lake.replacement import replace_rows
from storage.warehouse import books, members
from storage.warehouse import build as building
from storage.warehouse.books import stored_rows
from storage.warehouse.build import Surroundings, build
from storage.warehouse.keys import hours_as_keys, surrogate
from storage.warehouse.star import DIM_COIN, DIM_MINER, DIM_POOL, DIM_TIME, FACT_TELEMETRY_HOURLY, FACTS, STAR
from storage.warehouse.table import WarehouseTable
from tests.downsample.memory_store import MemoryStore
from tests.progress.heard import heard, rises
from tests.warehouse.seed import (
    DAY,
    END,
    HOUR,
    MINERS,
    PLACES,
    TOLD,
    UPDATE,
    T,
    built,
    deliver,
    farm,
    frame_of,
    seeded,
)  # fmt: skip

NOW = END + GRACE_S


def content(lake: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, sorted."""
    return {star.name: rows_of(lake, star) for star in STAR}


def rows_of(lake: Path, star: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = stored_rows(WarehouseTable(lake, star)).to_pylist()
    return sorted(rows, key=repr)


def versions(lake: Path) -> dict[str, int]:
    """Delta versions: a commit that changed nothing would show."""
    found = {}
    for star in STAR:
        snapshot = WarehouseTable(lake, star).snapshot(fresh=True)
        found[star.name] = -1 if snapshot is None else snapshot.version
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What the warehouse of the farm has to hold, however it comes about."""
    lake = tmp_path_factory.mktemp("lake")
    seeded(lake)
    return content(lake)


def test_a_fact_has_a_row_for_each_row_of_its_source(whole: dict[str, list[dict[str, Any]]]) -> None:
    counts = {name: len(rows) for name, rows in whole.items()}
    assert counts == {
        "dim_miner": 7, "dim_pool": 2, "dim_coin": 2, "dim_time": 30 * 24,
        "fact_telemetry_hourly": 6 * 5 * 24, "fact_pool_hourly": 3 * 5 * 24, "fact_market": 2 * 5 * 24,
        "fact_network": 2 * 5 * 24, "fact_profit_daily": 6 * 4, "fact_event": 12,
    }  # fmt: skip
    for fact in FACTS:
        identity = [(row["time"], *(row[name] for name in fact.identity)) for row in whole[fact.name]]
        assert len(set(identity)) == len(identity)


def test_every_key_of_a_fact_is_in_its_dimension(whole: dict[str, list[dict[str, Any]]]) -> None:
    keys = {
        f"{name}_key": {row[f"{name}_key"] for row in whole[f"dim_{name}"]}
        for name in ("miner", "pool", "coin", "time")
    }
    assert all(len(keys[key]) == len(whole[f"dim_{key[:-4]}"]) for key in keys)
    for fact in FACTS:
        for column in fact.columns:
            if column.name in keys:
                assert {row[column.name] for row in whole[fact.name]} <= keys[column.name], (fact.name, column.name)


def test_a_miner_has_a_version_for_each_stretch_in_which_nothing_changed(
    whole: dict[str, list[dict[str, Any]]],
) -> None:
    m1 = sorted((row for row in whole["dim_miner"] if row["miner_id"] == "m1"), key=lambda row: row["valid_from"])
    spans = [(row["valid_from"].timestamp(), row["valid_to"] and row["valid_to"].timestamp()) for row in m1]
    assert spans == [(T, UPDATE), (UPDATE, None)]
    assert [(row["firmware_version"], row["is_current"]) for row in m1] == [("1.2.6", False), ("1.3.0", True)]
    hours = [row for row in whole["fact_telemetry_hourly"] if row["miner_id"] == "m1"]
    assert {row["miner_key"] for row in hours if row["time"].timestamp() < UPDATE} == {m1[0]["miner_key"]}
    assert {row["miner_key"] for row in hours if row["time"].timestamp() >= UPDATE} == {m1[1]["miner_key"]}
    others = [row for row in whole["dim_miner"] if row["miner_id"] != "m1"]
    assert all(row["is_current"] and row["valid_to"] is None for row in others)
    assert {row["miner_id"]: row["location"] for row in whole["dim_miner"] if row["location"]} == PLACES


def test_the_local_hour_follows_the_zone(whole: dict[str, list[dict[str, Any]]]) -> None:
    hour = next(row for row in whole["dim_time"] if row["time_key"] == 2026112323)
    assert (hour["utc_date"], hour["hour"], hour["weekday"], hour["iso_week"]) == ("2026-11-23", 23, 1, 48)
    assert (hour["local_date"], hour["local_hour"], hour["utc_offset_minutes"]) == ("2026-11-24", 0, 60)


def test_building_again_changes_nothing(tmp_path: Path) -> None:
    with heard() as told:
        store, _ = seeded(tmp_path)
    assert rises(told, at_least=4)
    before, commits = content(tmp_path), versions(tmp_path)
    for now in (NOW, NOW, NOW + 2 * HOUR):
        built(store, tmp_path, now)
        assert versions(tmp_path) == commits
    assert content(tmp_path) == before


def test_day_by_day_gives_what_building_at_once_gives(tmp_path: Path, whole: dict[str, list[dict[str, Any]]]) -> None:
    store, rows = MemoryStore(), farm()
    for day in range(5):
        start, stop = T + day * DAY, T + (day + 1) * DAY
        frames = [
            frame_of(name, part)
            for name, all_of_it in rows.of.items()
            if (part := [row for row in all_of_it if start <= row["time"] < stop])
        ]
        deliver(store, frames)
        report = built(store, tmp_path, stop + GRACE_S, Surroundings(**{**vars_of(TOLD), "places": {}}))
        assert report.days["fact_telemetry_hourly"] <= 2  # the day, and the one before where a counter went on
    built(store, tmp_path)
    assert content(tmp_path) == whole


def vars_of(told: Surroundings) -> dict[str, Any]:
    return {name: getattr(told, name) for name in ("retention_days", "zone", "places", "coins")}


def test_rows_that_come_late_are_in_the_facts_after_the_next_build(
    tmp_path: Path, whole: dict[str, list[dict[str, Any]]]
) -> None:
    store, rows = MemoryStore(), farm()
    late = [
        row for row in rows.of["miner_telemetry"] if row["miner_id"] == "m2" and T + DAY <= row["time"] < T + 2 * DAY
    ]
    rows.of["miner_telemetry"] = [row for row in rows.of["miner_telemetry"] if row not in late]
    deliver(store, rows.frames())
    built(store, tmp_path)
    assert len(rows_of(tmp_path, FACT_TELEMETRY_HOURLY)) == len(whole["fact_telemetry_hourly"]) - 24
    deliver(store, [frame_of("miner_telemetry", late)])
    report = built(store, tmp_path)
    assert report.days["fact_telemetry_hourly"] <= 2  # the day, and the next where a counter went on
    assert content(tmp_path) == whole


class Killed(BaseException):
    """As if the process was gone."""


def test_killed_at_any_write_and_run_again_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, list[dict[str, Any]]]
) -> None:
    store = MemoryStore()
    deliver(store, farm().frames())
    roll_up(store, NOW)
    real = replace_rows
    left, kills = 0, 0

    def _act(table: Any, start: int, stop: int, rows: pa.Table) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        real(table, start, stop, rows)
        if left == 0 and kills % 2:
            raise Killed  # after the write

    for module in (building, books, members):
        monkeypatch.setattr(module, "replace_rows", _act)
    while True:
        left = kills // 2 + 1 if kills % 2 else kills // 2
        try:
            build(store, tmp_path, NOW, TOLD)
            break
        except Killed:
            kills += 1
    assert kills > 10
    assert content(tmp_path) == whole


def test_facts_go_with_the_retention_of_their_source_and_miners_stay(tmp_path: Path) -> None:
    """The last hour of the farm is 27 November 23:00; hours are kept for 30 days here, so until 27 December 23:00."""
    store, _ = seeded(tmp_path)
    before = rows_of(tmp_path, FACT_TELEMETRY_HOURLY)
    built(store, tmp_path, END + 30 * DAY - HOUR)
    assert rows_of(tmp_path, FACT_TELEMETRY_HOURLY) == before
    later = END + 30 * DAY
    assert built(store, tmp_path, later).files_expired > 0
    assert [rows_of(tmp_path, fact) for fact in FACTS] == [[]] * len(FACTS)
    state = content(tmp_path), versions(tmp_path)
    assert built(store, tmp_path, later).files_expired == 0
    assert (content(tmp_path), versions(tmp_path)) == state
    assert {row["miner_id"] for row in rows_of(tmp_path, DIM_MINER)} == {miner_id for miner_id, _, _ in MINERS}


def test_a_place_that_the_configuration_names_anew_begins_a_version_once(tmp_path: Path) -> None:
    store, _ = seeded(tmp_path)
    moved = Surroundings(**{**vars_of(TOLD), "places": {**PLACES, "m1": "rack 2"}})
    for now in (NOW + HOUR, NOW + 2 * HOUR, NOW + 5 * DAY):
        built(store, tmp_path, now, moved)
        m1 = [row for row in rows_of(tmp_path, DIM_MINER) if row["miner_id"] == "m1"]
        assert sorted((row["valid_from"].timestamp(), row["location"], row["firmware_version"]) for row in m1) == [
            (T, None, "1.2.6"),
            (UPDATE, "rack 1", "1.3.0"),
            (END + HOUR, "rack 2", "1.3.0"),
        ]


def test_a_store_that_has_nothing_gives_an_empty_warehouse(tmp_path: Path) -> None:
    report = built(MemoryStore(), tmp_path)
    assert report.rows == 0
    assert rows_of(tmp_path, DIM_POOL) == rows_of(tmp_path, DIM_COIN) == []
    assert len(rows_of(tmp_path, DIM_TIME)) == 30 * 24


def test_keys_depend_on_what_they_name_and_on_nothing_else() -> None:
    assert surrogate("m1", 1_795_392_000) == 4376560722250354131  # the same for ever: facts are joined by it
    assert surrogate("a", "b") != surrogate("ab")
    moments = [T, T + 23 * HOUR, 1_709_164_800 + 59, 0]
    keys = hours_as_keys(__import__("numpy").array(moments))
    assert keys.tolist() == [int(f"{dt.datetime.fromtimestamp(m, dt.UTC):%Y%m%d%H}") for m in moments]


def test_a_fact_is_declared_over_columns_that_its_source_has() -> None:
    for fact in FACTS:
        columns: Callable[[Any], Any] = fact.source.measurement.tag_names.__contains__
        assert fact.source.measurement is MEASUREMENTS[fact.source.measurement.name]
        assert fact.source.tier in (Tier.RAW, Tier.HOURLY)
        assert set(fact.identity) <= {column.name for column in fact.columns if columns(column.source)}
