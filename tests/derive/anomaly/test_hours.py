"""Judging whole hours: days of the simulated farm as matrices, and the same through a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from storage.arrow_schema import answer_schema
from storage.declaration import MEASUREMENTS, Tier
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.anomaly.hourly import AnomalyReport, score_hours
from tasks.derive.anomaly.hours import Hours, judged_hours, trend
from tasks.derive.anomaly.latest import latest
from tasks.derive.anomaly.readings import HASHRATE, POWER, SHARES, TEMPERATURE

HOUR_S = 3_600
NOON = 1_800_000_000 // 86_400 * 86_400 + 12 * HOUR_S
MINERS = 8
NAN = float("nan")


def hours(number: int = 200, miners: int = MINERS) -> Hours:
    """Miners of one kind: 98% of what the preset promises, 60 degrees with ten more in the afternoon, and noise."""
    dice = np.random.default_rng(4)
    shape = (miners, number)
    day = 10 * np.sin(2 * np.pi * np.arange(number) / 24)
    return Hours(
        values=np.stack(
            [
                0.98 + dice.normal(0, 0.003, shape),
                60 + day + dice.normal(0, 0.5, shape) + np.arange(miners)[:, None] / 4,
                0.99 + dice.normal(0, 0.003, shape),
            ]
        ),
        reference=np.ones((2, miners)),
        working=np.ones(shape, dtype=bool),
        boards_lost=np.zeros(shape),
        fans=np.full(shape, 4.0),
        other_pool=np.zeros(shape, dtype=bool),
        accepted=np.full(shape, 400.0),
        refused=np.full(shape, 2.0),
        still=np.zeros(shape, dtype=np.int64),
        unit_wrong=np.zeros(shape, dtype=bool),
        group=np.zeros(shape, dtype=np.int64),
    )


def newest(of: Hours) -> Any:
    """The judgement of the last hour."""
    return next(judged for _, judged in judged_hours(of, of.working.shape[1] - 1))


def test_hours_as_ever_are_no_anomaly() -> None:
    judged = newest(hours())
    assert judged.overall.max() < 0.5
    assert {judged.reasons(miner) for miner in range(MINERS)} == {""}


@pytest.mark.parametrize(
    ("name", "change", "signal", "words"),
    [
        ("values", (HASHRATE, 0.98 * 2 / 3), HASHRATE, "hashrate: -33."),
        ("values", (TEMPERATURE, 95.0), TEMPERATURE, "degrees against its peers"),
        ("values", (POWER, 1.5), POWER, "power: +5"),
        ("boards_lost", 1.0, HASHRATE, "hashrate: 1 boards lost"),
        ("fans", 3.0, TEMPERATURE, "temperature: 3 of 4 fans turn"),
        ("other_pool", True, SHARES, "shares: mines at another pool"),
        ("still", 12, HASHRATE, "hashrate: the same to the last digit"),
        ("unit_wrong", True, HASHRATE, "its unit seems to have changed"),
        ("refused", 60.0, SHARES, "60 of 460 refused, usually 0.5%"),
        ("accepted", 0.0, SHARES, "shares: none accepted for an hour"),
    ],
)
def test_what_is_odd_has_its_score_and_its_reason(name: str, change: Any, signal: int, words: str) -> None:
    of = hours()
    array = getattr(of, name)
    if name == "values":
        array[change[0], 2, -1] = change[1]
    else:
        array[2, -1] = change
    judged = newest(of)
    assert judged.scores[signal, 2] >= 0.8
    assert judged.overall[2] >= judged.scores[signal, 2]
    assert words in judged.reasons(2)
    assert np.delete(judged.overall, 2).max() < 0.5, "nobody else is odd"


def test_a_value_that_is_not_believed_is_not_tested_further() -> None:
    of = hours()
    of.values[HASHRATE, 2, -1], of.still[2, -1] = 0.3, 12
    assert newest(of).reasons(2) == "hashrate: the same to the last digit for 10 readings or more"


def test_heat_of_the_room_is_nobodys_and_heat_of_all_is() -> None:
    of = hours()
    of.values[TEMPERATURE, :, -1] += 4  # at the hottest hour of the day
    assert newest(of).scores[TEMPERATURE].max() < 0.5
    of.values[TEMPERATURE, :, -1] += 20  # beyond what a hot day does
    assert newest(of).scores[TEMPERATURE].min() >= 0.8


def test_without_peers_the_hour_of_the_day_is_what_is_usual() -> None:
    of = hours(miners=2)  # one peer each is none
    assert newest(of).scores[TEMPERATURE].max() < 0.5
    afternoon = of.working.shape[1] - 1
    usual = of.values[TEMPERATURE, 0, afternoon]
    of.values[TEMPERATURE, 0, afternoon] = usual + 12 if usual < 60 else usual - 12  # within the range of the day
    assert newest(of).scores[TEMPERATURE, 0] >= 0.8


def test_a_repeat_is_no_news_and_what_goes_on_is() -> None:
    of = hours()
    of.values[HASHRATE, 2, -30:-25] *= 0.6
    of.values[HASHRATE, 2, -1] *= 0.75
    once = newest(of)
    assert "itself" not in once.reasons(2), "it was lower yesterday, and was back"
    of = hours()
    of.values[HASHRATE, 2, -5:] *= 0.75
    assert "itself" in newest(of).reasons(2), "it is not back yet"


def test_too_little_and_not_meant_to_hash_give_null_with_the_reason() -> None:
    young = newest(hours(20, miners=3))
    assert np.isnan(young.scores[[HASHRATE, TEMPERATURE, POWER]]).all()
    of = hours()
    of.working[3, -1] = False
    judged = newest(of)
    assert np.isnan(judged.overall[3])
    assert np.isnan(judged.scores[:, 3]).all()
    assert judged.reasons(3).startswith("not judged: it is unreachable, does not mine or started")


def test_a_percent_a_day_is_a_trend_within_five_days_and_a_lost_board_is_none() -> None:
    of = hours(3 * 168)
    at = np.arange(3 * 168)
    began = 360
    of.values[HASHRATE, 1] *= 1 - np.maximum(at - began, 0) / 24 / 100
    of.values[HASHRATE, 2, began : began + 30] *= 2 / 3  # for 30 hours
    room = np.median(of.values[HASHRATE], axis=0)[None].repeat(MINERS, axis=0)
    sums = trend(of.values[HASHRATE], room, began + 5 * 24)
    assert sums[1] >= 5
    assert np.delete(sums, 1).max() < 1
    assert (trend(of.values[HASHRATE], room, began) < 5).all()
    assert np.isnan(trend(of.values[HASHRATE], room, 200)).all(), "33 hours before the week are too few"
    told = next(judged for number, judged in judged_hours(of, began + 5 * 24) if number == began + 5 * 24)
    assert "lost slowly over days" in told.reasons(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "lake")
    yield store
    store.close()


def put(store: EmbeddedStore, of: Hours, stop: int) -> None:
    """Hourly rows of ``m0`` and so on that end at ``stop``."""
    declared = MEASUREMENTS["miner_telemetry"]
    schema = answer_schema(declared, Tier.HOURLY)
    miners, number = of.working.shape
    count = miners * number
    rates = (100e12 * of.values[HASHRATE]).ravel()
    given: dict[str, Any] = {
        "miner_id": np.repeat([f"m{row}" for row in range(miners)], number),
        "model": ["S19"] * count,
        "site": ["north"] * count,
        "hashrate_hs_integral": rates * HOUR_S,
        "hashrate_hs_seconds": [HOUR_S] * count,
        "hashrate_hs_min": np.where(of.still.ravel() > 0, rates, rates * 0.99),
        "hashrate_hs_max": rates,
        "hashrate_hs_count": [60] * count,
        "hashrate_nominal_hs_last": [100e12] * count,
        "chip_temp_max_c_mean": of.values[TEMPERATURE].ravel(),
        "power_w_mean": 3000 * of.values[POWER].ravel(),
        "power_limit_w_last": [3000] * count,
        "boards_mining_mean": 3 - of.boards_lost.ravel(),
        "boards_expected_mean": [3.0] * count,
        "fans_running_mean": of.fans.ravel(),
        "shares_accepted_inc": of.accepted.ravel().astype(int),
        "shares_rejected_inc": of.refused.ravel().astype(int),
        "state_mining_seconds": np.where(of.working.ravel(), HOUR_S, 0),
        "quality_flags_last": np.where(of.unit_wrong.ravel(), "unit_suspect", ""),
    }
    columns = {name: pa.nulls(count, schema.field(name).type) for name in schema.names}
    times = np.tile(stop - (number - np.arange(number)) * HOUR_S, miners)
    columns["time"] = pa.array(times, pa.int64()).cast(pa.timestamp("s")).cast(schema.field("time").type)
    for name, values in given.items():
        columns[name] = pa.array(values).cast(schema.field(name).type)
    store.replace(
        declared, Tier.HOURLY, stop - number * HOUR_S, stop, pa.table([columns[n] for n in schema.names], schema=schema)
    )


def test_through_a_store_and_again(store: EmbeddedStore) -> None:
    of = hours(180)
    of.values[HASHRATE, 1, -1] *= 2 / 3
    of.boards_lost[2, -1] = 1.0
    of.still[3, -1] = 5
    of.unit_wrong[4, -1] = True
    of.working[5, -1] = False
    put(store, of, NOON)
    switched = {"miner_id": ["m6"], "kind": ["pool_switched"], "subject": ["pool"], "old": ["a"], "new": ["b"]}
    store.write([build_frame("miner_event", [NOON - 100], {**switched, "model": ["S19"], "site": ["north"]})])
    miners = [f"m{row}" for row in range(MINERS)] + ["never-heard"]
    report = score_hours(store, miners, NOON + 24 * 60)
    assert (report.hours, report.anomalous) == (48, 5)
    assert report.rows == 48 * MINERS
    rows = {row["miner_id"]: row for row in latest(store, NOON + 1440, None, everyone=True).to_pylist()}
    assert rows.keys() == set(miners[:-1])
    assert rows["m1"]["hashrate"] >= 0.8
    assert rows["m1"]["reasons"].startswith("hashrate: -33.")
    assert rows["m2"]["reasons"].startswith("hashrate: 1 boards lost")
    assert "last digit" in rows["m3"]["reasons"]
    assert "its unit" in rows["m4"]["reasons"]
    assert (rows["m5"]["overall"], rows["m5"]["anomalous"]) == (None, None)
    assert "another pool" in rows["m6"]["reasons"]
    assert (rows["m7"]["anomalous"], rows["m7"]["reasons"]) == (False, "")
    odd = latest(store, NOON + 1440, None, everyone=False)["miner_id"].to_pylist()
    assert sorted(odd) == ["m1", "m2", "m3", "m4", "m6"]
    assert score_hours(store, miners, NOON + 30 * 60) == AnomalyReport(6, 0, 5), "nothing is written again"


def test_late_data_of_the_last_hours_is_judged_again_and_an_hour_later_one_more(store: EmbeddedStore) -> None:
    of = hours(180)
    put(store, of, NOON)
    miners = [f"m{row}" for row in range(MINERS)]
    score_hours(store, miners, NOON + 60)
    late = replace(of, boards_lost=of.boards_lost.copy())
    late.boards_lost[0, -2] = 1.0
    put(store, late, NOON)
    again = score_hours(store, miners, NOON + 60)
    assert again == AnomalyReport(6, 1, 1)
    put(store, hours(181), NOON + HOUR_S)
    assert score_hours(store, miners, NOON + HOUR_S + 60).rows >= MINERS


def test_hours_off_by_hand_are_not_judged_and_no_part_of_what_is_usual(store: EmbeddedStore) -> None:
    """m1 is in maintenance in the last 14 hours but one, without a fan and with one board of three; m2 is paused until
    50 minutes past the hour before the last, so that the last is its first. m3 is said to have failed."""
    of = hours(180)
    of.fans[1, -15:-1], of.boards_lost[1, -15:-1], of.values[HASHRATE, 1, -15:-1] = 3.0, 2.0, 0.3
    for row in (2, 3):
        of.boards_lost[row, -1] = 1.0
    of.boards_lost[1, -1] = 1.0
    put(store, of, NOON)
    hand = " by hand until 04:00 UTC by ana: fan swap"
    told = [
        (NOON - 15 * HOUR_S, "m1", f"maintenance{hand}"), (NOON - HOUR_S - 1_200, "m1", None),
        (NOON - 5 * HOUR_S, "m2", f"paused{hand}"), (NOON - HOUR_S - 600, "m2", None),
        (NOON - 5 * HOUR_S, "m3", f"failed{hand}"), (NOON - HOUR_S - 600, "m3", None),
    ]  # fmt: skip
    columns: dict[str, Any] = {
        "miner_id": [name for _, name, _ in told], "new": [new for *_, new in told],
        "kind": ["override_began" if new else "override_ended" for *_, new in told],
        "subject": ["miner"] * 6, "severity": ["info"] * 6,
    }  # fmt: skip
    store.write([build_frame("miner_event", [at for at, *_ in told], columns)])
    score_hours(store, [f"m{row}" for row in range(MINERS)], NOON + 24 * 60)
    table = store.read(MEASUREMENTS["anomaly_score"], Tier.RAW, NOON - 15 * HOUR_S, NOON)
    odd = {(row["miner_id"], (int(row["time"].timestamp()) - NOON) // HOUR_S): row for row in table.to_pylist()}
    for hour in range(-15, -1):
        assert odd["m1", hour]["overall"] is None
        assert odd["m1", hour]["reasons"].endswith("or is off by hand")
    # what was taken out for work is not how it usually is; 20 minutes after the end it has settled
    assert "1 boards lost" in odd["m1", -1]["reasons"]
    # ten minutes before the hour it was still paused: in the first five of it it settles
    assert odd["m2", -1]["overall"] is None
    assert "1 boards lost" in odd["m3", -1]["reasons"]
    assert score_hours(store, [f"m{row}" for row in range(MINERS)], NOON + 24 * 60).rows == 0


def test_nothing_stored_is_nothing_judged(store: EmbeddedStore) -> None:
    assert score_hours(store, ["m1"], NOON).rows == 0
    assert latest(store, NOON, None, everyone=True).num_rows == 0
