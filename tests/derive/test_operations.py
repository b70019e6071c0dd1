"""Operational metrics on the embedded store, from raw readings through the roll-up: once, again, killed, late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tasks.derive.operations import INPUTS, OperationalReport, derive_operational

HOUR_S, DAY_S = 3_600, 86_400
MIDNIGHT = 1_800_000_000 // DAY_S * DAY_S
TH = 1e12
MINERS = {"a": "Antminer S19", "b": "Antminer S19"}


class Counting(EmbeddedStore):
    """Counts what is written, and dies when told."""

    writes = 0
    dies_on = ""

    def write(self, frames: Sequence[Frame]) -> None:
        if self.dies_on and any(frame.measurement == self.dies_on for frame in frames):
            raise KeyboardInterrupt
        self.writes += 1
        super().write(frames)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    store = Counting(tmp_path / "lake")
    yield store
    store.close()


def readings(hour: int, minutes: Sequence[int], miner: str = "a", model: str = "S19", **fields: Any) -> list[Frame]:
    """Polls of one miner with three boards, of which number 2 failed where it makes less than 100 TH/s."""
    told: dict[str, Any] = {
        "reachable": True,
        "state": "mining",
        "hashrate_hs": 100 * TH,
        "power_w": 3_000,
        "boards_expected": 3,
    }
    told |= {"hashrate_nominal_hs": 99 * TH, "chip_temp_max_c": 70.0} | fields
    times = [hour + 60 * minute for minute in minutes]
    tags = {"miner_id": miner, "model": model, "site": "hall"}

    def frame(name: str, **columns: Any) -> Frame:
        return build_frame(name, times, {key: [value] * len(times) for key, value in (tags | columns).items()})

    failed = told["hashrate_hs"] is not None and told["hashrate_hs"] < 99 * TH
    boards = [
        frame("miner_board", board=str(number), status="failure" if failed and number == 2 else "mining")
        for number in range(3)
    ]
    pool = [frame("miner_pool", slot="0", status="active", is_fee=False)] if told["reachable"] else []
    return [frame("miner_telemetry", **told), *boards, *pool]


def arrive(store: EmbeddedStore, frames: Sequence[Frame], delivery: int = 1) -> None:
    """Store ``frames``, and note the hours that they touch."""
    store.write(frames)
    touched = sorted({(time // HOUR_S * HOUR_S, frame.measurement) for frame in frames for time in frame.times})
    columns: dict[str, Any] = {"host": ["h"] * len(touched), "measurement": [name for _, name in touched]}
    columns["touched_ns"] = [delivery] * len(touched)
    store.write([build_frame("window_touched", [hour for hour, _ in touched], columns)])


def derived(store: EmbeddedStore, now: int) -> OperationalReport:
    roll_up(store, now, measurements=INPUTS)
    return derive_operational(store, MINERS, now)


def rows(store: EmbeddedStore, period: str = "1h") -> dict[tuple[str, int], dict[str, Any]]:
    table = store.read(MEASUREMENTS["operational_metrics"], Tier.RAW, 0, 2**32, where={"time_period": period})
    return {
        (row["miner_id"], (int(row.pop("time").timestamp()) - MIDNIGHT) // HOUR_S): row for row in table.to_pylist()
    }


EVERY = range(0, 60, 5)
END = MIDNIGHT + 2 * HOUR_S + GRACE_S


def two_hours(store: EmbeddedStore) -> None:
    arrive(store, readings(MIDNIGHT, EVERY))
    arrive(store, readings(MIDNIGHT + HOUR_S, EVERY, hashrate_hs=66 * TH))


def test_hours_are_derived_once_and_a_silent_miner_says_so(store: Counting):
    two_hours(store)
    assert derived(store, END) == OperationalReport(rows=4, windows=2)
    found = rows(store)
    first = found["a", 0]
    assert first["power_efficiency_j_th"] == pytest.approx(30.0, rel=1e-4)
    assert (first["uptime_percentage"], first["coverage_percentage"]) == (100.0, 100.0)
    assert first["reason"] == "thermal_efficiency:air_assumed"
    # a board of three, a third of 99 TH/s
    assert found["a", 1]["lost_board_hs"] == pytest.approx(33 * TH, rel=1e-4)
    assert found["a", 1]["lost_unknown_hs"] == pytest.approx(0, abs=1e-4 * 33 * TH)
    assert (found["b", 0]["coverage_percentage"], found["b", 0]["reason"]) == (0.0, "no_readings")
    writes = store.writes
    assert derive_operational(store, MINERS, END) == OperationalReport()
    assert store.writes == writes


def test_a_run_killed_before_its_mark_leaves_what_a_whole_one_leaves(store: Counting, tmp_path: Path):
    two_hours(store)
    roll_up(store, END, measurements=INPUTS)
    store.dies_on = "window_rolled"
    with pytest.raises(KeyboardInterrupt):
        derive_operational(store, MINERS, END)
    killed = rows(store)
    store.dies_on = ""
    assert derive_operational(store, MINERS, END) == OperationalReport(rows=0, windows=2)
    assert rows(store) == killed


def test_an_hour_in_which_nobody_was_read_has_rows_that_say_so_until_its_readings_come(store: Counting):
    """Read from 00:00 to 01:00 and from 03:00 to 04:00; a miner that is configured no more in the first hour alone."""
    arrive(store, [*readings(MIDNIGHT, EVERY), *readings(MIDNIGHT, EVERY, "sold")])
    arrive(store, readings(MIDNIGHT + 3 * HOUR_S, EVERY))
    end = MIDNIGHT + 4 * HOUR_S + GRACE_S
    assert derived(store, end).windows == 4
    assert [hour for miner, hour in rows(store) if miner == "sold"] == [0]
    dark = {miner: rows(store)[miner, 2] for miner in MINERS}
    for row in dark.values():
        assert (row["coverage_percentage"], row["reason"]) == (0.0, "no_readings")
        assert {row[name] for name in ("uptime_percentage", "hashrate_expected_hs", "hashrate_lost_hs")} == {None}
    assert derived(store, end) == OperationalReport()
    arrive(store, readings(MIDNIGHT + 2 * HOUR_S, EVERY), delivery=2)
    derived(store, end)
    late = rows(store)["a", 2]
    assert (late["coverage_percentage"], late["uptime_percentage"]) == (100.0, 100.0)
    assert late["reason"] == "thermal_efficiency:air_assumed"
    assert rows(store)["b", 2]["reason"] == "no_readings"


def test_late_readings_change_their_hour_as_if_they_had_been_there(store: Counting, tmp_path: Path):
    arrive(store, readings(MIDNIGHT, EVERY))
    arrive(store, readings(MIDNIGHT + HOUR_S, range(0, 30, 5)))
    derived(store, END)
    # a reading stands for 20 minutes at most: 25 + 20 of 60
    assert rows(store)["a", 1]["coverage_percentage"] == pytest.approx(75.0)
    arrive(store, readings(MIDNIGHT + HOUR_S, range(30, 60, 5)), delivery=2)
    assert derived(store, END).rows == 1
    at_once = EmbeddedStore(tmp_path / "another")
    arrive(at_once, readings(MIDNIGHT, EVERY))
    arrive(at_once, readings(MIDNIGHT + HOUR_S, EVERY))
    derived(at_once, END)
    assert rows(store) == rows(at_once)
    at_once.close()


def test_a_miner_out_of_reach_lost_what_it_told_before_that_it_should_do(store: Counting):
    arrive(store, readings(MIDNIGHT, EVERY))
    gone: dict[str, Any] = {"reachable": False, "state": "unreachable", "hashrate_hs": None, "power_w": None}
    gone |= {"hashrate_nominal_hs": None, "chip_temp_max_c": None, "boards_expected": None}
    arrive(store, readings(MIDNIGHT + HOUR_S, EVERY, **gone)[:1])
    derived(store, END)
    row = rows(store)["a", 1]
    assert row["lost_unreachable_hs"] == pytest.approx(99 * TH, rel=1e-4)
    assert (row["uptime_percentage"], row["power_efficiency_j_th"]) == (0.0, None)


def test_a_day_is_derived_when_it_has_ended_and_again_when_one_of_its_hours_is(store: Counting):
    two_hours(store)
    assert derived(store, MIDNIGHT + DAY_S).windows == 23
    report = derive_operational(store, MINERS, MIDNIGHT + DAY_S + GRACE_S)
    assert report == OperationalReport(rows=4, windows=2), "the last hour, which is dark as most, and the day"
    day = rows(store, "1d")["a", 0]
    # 6,000 W / 166 TH/s
    assert day["power_efficiency_j_th"] == pytest.approx(6_000 / 166, rel=1e-3)
    assert day["coverage_percentage"] == pytest.approx(100 * 2 / 24, rel=0.2)
    arrive(store, readings(MIDNIGHT + 5 * HOUR_S, EVERY), delivery=2)
    derived(store, MIDNIGHT + DAY_S + GRACE_S)
    assert rows(store, "1d")["a", 0]["power_efficiency_j_th"] == pytest.approx(9_000 / 266, rel=1e-3)


def test_a_miner_that_is_given_another_site_within_the_hour_is_one_miner(store: Counting):
    """90 of 99 TH/s: what was read at 00:25 stands on for 20 minutes, in which the other series tells the same."""
    arrive(store, readings(MIDNIGHT, range(0, 30, 5), model="S19", hashrate_hs=90 * TH))
    arrive(store, readings(MIDNIGHT, range(30, 60, 5), model="S19 Pro", hashrate_hs=90 * TH), delivery=2)
    derived(store, MIDNIGHT + HOUR_S + GRACE_S)
    row = rows(store)["a", 0]
    assert row["power_efficiency_j_th"] == pytest.approx(3_000 / 90, rel=1e-4)
    assert (row["uptime_percentage"], row["coverage_percentage"]) == (100.0, 100.0)
    assert row["hashrate_lost_hs"] == pytest.approx(9 * TH, rel=1e-3)


def by_hand(store: Store, *told: tuple[int, str, str | None]) -> None:
    """Events of overrides as a shift tells them: seconds after midnight, miner, what holds from then on."""
    columns: dict[str, Any] = {
        "miner_id": [miner for _, miner, _ in told],
        "kind": ["override_ended" if new is None else "override_began" for _, _, new in told],
        "subject": ["miner"] * len(told),
        "severity": ["info"] * len(told),
        "new": [new and f"{new} by hand until 04:00 UTC by ana: fan swap" for _, _, new in told],
    }
    store.write([build_frame("miner_event", [MIDNIGHT + at for at, _, _ in told], columns)])


def test_a_pause_by_hand_is_planned_and_no_gap(store: Counting):
    """100 TH/s until 00:35, paused to 02:20: 1,500 s of the first hour, all of the second, 1,200 s of the third."""
    nominal: dict[str, Any] = {"hashrate_nominal_hs": 100 * TH}
    arrive(store, readings(MIDNIGHT, range(0, 35, 5), **nominal))
    arrive(store, readings(MIDNIGHT + 2 * HOUR_S, range(20, 60, 5), **nominal))
    by_hand(store, (35 * 60, "a", "paused"), (2 * HOUR_S + 20 * 60, "a", None))
    derived(store, MIDNIGHT + 3 * HOUR_S + GRACE_S)
    found = [rows(store)["a", hour] for hour in range(3)]
    for hour, paused_s in enumerate((1_500, 3_600, 1_200)):
        row = found[hour]
        assert row["coverage_percentage"] == 100.0, hour
        assert row["planned_off_percentage"] == pytest.approx(100 * paused_s / 3_600, rel=1e-4), hour
        assert row["lost_paused_hs"] == pytest.approx(100 * TH * paused_s / 3_600, rel=1e-4), hour
        assert row["hashrate_lost_hs"] == pytest.approx(row["lost_paused_hs"], rel=1e-4), hour
        assert row["lost_unreachable_hs"] == 0.0
        assert not {"gap", "no_readings"} & set(row["reason"].split(",")), hour
    assert [row["uptime_percentage"] for row in found] == [100.0, None, 100.0]
    assert [row["hashing_uptime_percentage"] for row in found] == [
        pytest.approx(100.0, rel=1e-3), None, pytest.approx(100.0, rel=1e-3),
    ]  # fmt: skip
    assert "uptime_percentage:planned_off" in found[1]["reason"]
    assert derive_operational(store, MINERS, MIDNIGHT + 3 * HOUR_S + GRACE_S) == OperationalReport()


def test_a_pause_that_is_told_late_changes_its_hours(store: Counting):
    arrive(store, readings(MIDNIGHT, range(0, 35, 5)))
    derived(store, END)
    # 30 + 20 of 60 minutes: the last reading stands
    assert rows(store)["a", 0]["coverage_percentage"] == pytest.approx(100 * 50 / 60)
    by_hand(store, (35 * 60, "a", "paused"))
    assert derived(store, END) == OperationalReport(rows=2, windows=2), "the hour, and the next one, which was dark"
    row = rows(store)["a", 0]
    assert (row["coverage_percentage"], row["planned_off_percentage"]) == (100.0, pytest.approx(100 * 25 / 60))


def test_a_miner_in_maintenance_that_does_not_answer_is_planned_to_be_off(store: Counting):
    """Both do not answer in the second half of the hour; a is in maintenance, b is only known to be broken."""
    gone: dict[str, Any] = {"reachable": False, "state": "unreachable", "hashrate_hs": None, "power_w": None}
    for miner in "ab":
        arrive(store, readings(MIDNIGHT, range(0, 30, 5), miner, hashrate_nominal_hs=100 * TH))
        arrive(store, readings(MIDNIGHT, range(30, 60, 5), miner, hashrate_nominal_hs=None, **gone)[:1], delivery=2)
    by_hand(store, (30 * 60, "a", "maintenance"), (30 * 60, "b", "failed"), (HOUR_S, "a", None), (HOUR_S, "b", None))
    derived(store, MIDNIGHT + HOUR_S + GRACE_S)
    a, b = rows(store)["a", 0], rows(store)["b", 0]
    assert (a["uptime_percentage"], a["planned_off_percentage"]) == (100.0, 50.0)
    assert (a["lost_paused_hs"], a["lost_unreachable_hs"]) == (pytest.approx(50 * TH, rel=1e-4), 0.0)
    assert (b["uptime_percentage"], b["planned_off_percentage"]) == (50.0, 0.0)
    assert (b["lost_paused_hs"], b["lost_unreachable_hs"]) == (0.0, pytest.approx(50 * TH, rel=1e-4))
