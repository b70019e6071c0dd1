"""Holes after an outage of the collector: found exactly, filled truly, and nothing that is stored is replaced.

The farm is polled by the real fleet, spooled, and delivered into the embedded store; its truth says what is right.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployments.farm import Farm, Fault
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.delivery import Delivery
from storage.downsample.run import roll_up
from storage.frame import build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.records.miner import Miner
from storage.spool.lane import Lane, LaneReader
from tasks.miners.backfill import Filled, fill, nearest, rows, step
from tasks.miners.driver import HistoryPoint
from tasks.miners.fleet import Fleet
from tasks.miners.gaps import Gap, find_gaps, missing_slots, outages
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tests.farm.clock import NOON, Clock
from tests.progress.heard import heard

EVERY_S = 60
START = int(NOON) - 7_200
OUTAGE = (START + 600, START + 2_400)
"""Last tick before, first after."""

LOST = list(range(OUTAGE[0] + EVERY_S, OUTAGE[1], EVERY_S))
LIMITS = FleetSettings()
TELEMETRY = MEASUREMENTS["miner_telemetry"]

HASHRATE = 2.0**-15
"""Relative tolerance: the firmware sends single floats, storage keeps 16 bits."""
ROUNDED = 0.51
"""Tolerance of temperatures in degrees and of the fan drive in percent, which the firmware sends whole."""


@dataclass
class Site:
    """A farm, its collector on disk, and the store."""

    root: Path
    farm: Farm
    clock: Clock
    miners: list[MinerSettings]

    @property
    def store(self) -> EmbeddedStore:
        return EmbeddedStore(self.root / "lake")

    async def collect(self, slots: Sequence[int], *, host: str = "host") -> None:
        """Poll, spool and deliver."""
        fleet = Fleet(self.miners, LIMITS)
        with Lane.open(self.root / "spool", "miners", cap_bytes=2**26) as lane:
            recorder = Recorder(
                lane, self.root / "spool" / "miners", Journal(self.root / "state", "miners"),
                host=host, store="embedded", sinks=["lake"], run_id="run",
            )  # fmt: skip
            for slot in slots:
                self.clock.now = float(slot)
                recorder.record(Slot(slot), await fleet.tick(slot))
        await fleet.aclose()
        self.deliver()

    def deliver(self) -> None:
        delivery = Delivery(self.root / "spool", [LakeSink(self.root / "lake", "host")], "host")
        assert delivery.flush(60)
        delivery.close()

    def gaps(self, **over: Any) -> list[Gap]:
        asked: dict[str, Any] = {
            "host": "host",
            "lane": "miners",
            "start": START,
            "stop": int(self.clock.now) + 1,
        } | over
        store = self.store
        try:
            return find_gaps(store, self.miners, LIMITS, **asked)
        finally:
            store.close()

    async def fill(self, gaps: Sequence[Gap]) -> dict[str, Filled]:
        store = self.store
        try:
            with Lane.open(self.root / "spool", "backfill", cap_bytes=2**26) as lane:
                done = await fill(gaps, self.miners, store=store, lane=lane, run_id="run", clock=self.clock)
        finally:
            store.close()
        return {one.miner_id: one for one in done}

    def rows(self, miner_id: str) -> dict[int, dict[str, Any]]:
        store = self.store
        table = store.read(TELEMETRY, Tier.RAW, START, START + 7_200, where={"miner_id": miner_id})
        store.close()
        return {int(row["time"].timestamp()): row for row in table.to_pylist()}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Four miners, polled for ten minutes, not polled for half an hour, and polled again."""
    clock = Clock(float(START))
    async with Farm(4, port=0, clock=clock) as farm:
        usual = {"polling_interval_seconds": EVERY_S, "adaptive": False}
        miners = [MinerSettings.model_validate(each | usual) for each in farm.configuration()["miners"]]
        yield Site(tmp_path, farm, clock, miners)


async def outage(site: Site) -> None:
    await site.collect(range(START, OUTAGE[0] + 1, EVERY_S))
    await site.collect(range(OUTAGE[1], OUTAGE[1] + 301, EVERY_S))


def rest(site: Site) -> list[str]:
    return [miner.id for miner in site.miners if miner.driver == "vnish-rest"]


async def test_a_hole_is_found_exactly(site: Site) -> None:
    await outage(site)
    gaps = site.gaps()
    assert {gap.miner_id: list(gap.slots) for gap in gaps} == {miner.id: LOST for miner in site.miners}
    truth = site.farm.truth(gaps[0].miner_id)
    assert gaps[0].nominal_hs == pytest.approx(truth.hashrate_nominal_hs, rel=1e-3)
    assert site.gaps(host="another") == []
    assert site.gaps(lane="pools") == []
    assert [gap.slots for gap in site.gaps(start=LOST[3], stop=LOST[5])] == [tuple(LOST[3:5])] * 4
    assert site.gaps(start=OUTAGE[1]) == []


async def test_a_pause_by_hand_is_no_hole(site: Site) -> None:
    """Paused from the third lost slot on, to before the last one: two are lost before it, and one after."""
    await outage(site)
    paused, forced = site.miners[0].id, site.miners[1].id
    columns: dict[str, Any] = {
        "miner_id": [paused, forced] * 2,
        "kind": ["override_began"] * 2 + ["override_ended"] * 2,
        "subject": ["miner"] * 4,
        "severity": ["info"] * 4,
        "new": ["paused by hand until 04:00 by ana: fan", "maintenance by hand until 04:00 by ana: fan", None, None],
    }
    store = site.store
    store.write([build_frame("miner_event", [LOST[2]] * 2 + [LOST[-1]] * 2, columns)])
    store.close()
    slots = {gap.miner_id: list(gap.slots) for gap in site.gaps()}
    assert slots.pop(paused) == [*LOST[:2], LOST[-1]]
    assert slots == {miner.id: LOST for miner in site.miners[1:]}, "a miner that was forced to a state is asked"


async def test_before_the_first_row_after_it_nothing_is_a_hole(site: Site) -> None:
    await site.collect(range(START, OUTAGE[0] + 1, EVERY_S))
    site.clock.now = float(OUTAGE[1])
    assert site.gaps() == []


async def test_an_outage_of_a_miner_is_no_hole(site: Site) -> None:
    site.farm.inject(site.miners[0].id, Fault(kind="dead", start=START + 300, end=START + 1_500))
    await site.collect(range(START, START + 2_000, EVERY_S))
    assert site.gaps() == []


async def test_holes_are_filled_with_the_truth(site: Site) -> None:
    await outage(site)
    with heard() as told:
        done = await site.fill(site.gaps())
    assert told[-1] == (1.0, "miners")
    site.deliver()
    assert rest(site)
    assert len(rest(site)) < len(site.miners)
    for miner in site.miners:
        stored = site.rows(miner.id)
        if miner.driver != "vnish-rest":
            assert done[miner.id] == Filled(miner.id, len(LOST), 0, f"driver {miner.driver} reads no history")
            assert not set(stored) & set(LOST)
            continue
        assert done[miner.id] == Filled(miner.id, len(LOST), len(LOST), None)
        for slot in LOST:
            row, truth = stored[slot], site.farm.truth(miner.id, slot)
            assert row["hashrate_hs"] == pytest.approx(truth.hashrate_hs, rel=HASHRATE)
            assert row["power_w"] == truth.power_w
            assert row["efficiency_j_th"] == pytest.approx(truth.power_w / truth.hashrate_hs * 1e12, rel=2 * HASHRATE)
            assert row["chip_temp_max_c"] == pytest.approx(truth.chip_temp_max_c, abs=ROUNDED)
            assert row["pcb_temp_max_c"] == pytest.approx(truth.pcb_temp_max_c, abs=ROUNDED)
            assert row["fan_duty_percent"] == pytest.approx(truth.fan_duty_percent, abs=ROUNDED)
            assert (row["quality"], row["quality_flags"]) == (0.5, "backfilled")
            assert (row["model"], row["site"]) == (miner.model, miner.site)
            known = {name for name in TELEMETRY.field_by_name if row[name] is not None}
            assert known == {
                "hashrate_hs", "power_w", "efficiency_j_th", "chip_temp_max_c", "pcb_temp_max_c", "fan_duty_percent",
                "quality", "quality_flags",
            }  # fmt: skip


async def test_a_miner_is_read_with_the_driver_that_was_detected(site: Site) -> None:
    await outage(site)
    name = rest(site)[0]
    gaps = [gap for gap in site.gaps() if gap.miner_id == name]
    unknown = [each.model_copy(update={"driver": "auto"}) for each in site.miners]
    store = site.store
    with Lane.open(site.root / "spool", "backfill", cap_bytes=2**26) as lane:
        for detected, filled in (({}, 0), ({name: "vnish-rest"}, len(LOST))):
            (done,) = await fill(
                gaps, unknown, store=store, lane=lane, run_id="run", clock=site.clock, detected=detected
            )
            assert done.filled == filled
    store.close()


async def test_what_is_filled_is_rolled_up_again(site: Site) -> None:
    await outage(site)
    store = site.store
    now = int(NOON)

    def hashrates() -> dict[str, tuple[int, int]]:
        roll_up(store, now)
        hour = START // 3_600 * 3_600
        table = store.read(TELEMETRY, Tier.HOURLY, hour, hour + 1)
        return {row["miner_id"]: (row["hashrate_hs_count"], row["shares_accepted_inc"]) for row in table.to_pylist()}

    before = hashrates()
    await site.fill(site.gaps())
    site.deliver()
    after = hashrates()
    store.close()
    for miner in site.miners:
        more = len(LOST) if miner.driver == "vnish-rest" else 0
        assert after[miner.id] == (before[miner.id][0] + more, before[miner.id][1])


async def test_filled_twice_is_filled_once(site: Site) -> None:
    await outage(site)
    gaps = site.gaps()
    await site.fill(gaps)
    await site.fill(gaps)  # not delivered yet
    assert LaneReader(site.root / "spool" / "backfill").points_accepted == len(rest(site)) * len(LOST)
    site.deliver()
    once = {name: site.rows(name) for name in rest(site)}
    assert {gap.miner_id for gap in site.gaps()} == {miner.id for miner in site.miners} - set(rest(site))
    done = await site.fill(gaps)
    assert {done[name].filled for name in rest(site)} == {0}
    site.deliver()
    assert {name: site.rows(name) for name in rest(site)} == once


async def test_nothing_that_is_stored_is_replaced(site: Site) -> None:
    await outage(site)
    gaps = site.gaps()
    another = LOST[7]
    await site.collect([another], host="another")  # what another host polled comes in after the holes were found
    site.clock.now = float(OUTAGE[1] + 300)
    polled = {miner.id: site.rows(miner.id)[another] for miner in site.miners}
    done = await site.fill(gaps)
    site.deliver()
    for name in rest(site):
        assert done[name].filled == len(LOST) - 1
        assert site.rows(name)[another] == polled[name]
        assert set(LOST) <= set(site.rows(name))


async def test_a_miner_that_was_off_is_filled_only_where_it_ran(site: Site) -> None:
    off = rest(site)[0]
    begin, end = LOST[5], LOST[20]
    site.farm.inject(off, Fault(kind="dead", start=float(begin), end=float(end)))
    await outage(site)
    done = await site.fill(site.gaps())
    site.deliver()
    assert done[off].filled == len(LOST) - 16
    assert done[off].reason == "the miner remembers nothing of the others"
    missing = set(LOST) - set(site.rows(off))
    assert missing == set(range(begin, end + 1, EVERY_S))  # at the end it boots, and measures nothing yet


async def test_miners_that_give_no_history_cost_only_themselves(site: Site) -> None:
    bad = rest(site)[0]
    await outage(site)
    site.farm.inject(bad, Fault(kind="http_500"))
    done = await site.fill(site.gaps())
    assert done[bad].filled == 0
    assert str(done[bad].reason).startswith("no history: http_status")
    assert all(done[name].filled == len(LOST) for name in rest(site)[1:])


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
async def test_a_history_by_a_wrong_clock_is_refused(site: Site, off_s: int) -> None:
    await outage(site)
    gaps = site.gaps()
    own = site.clock.now

    def ours() -> float:
        return own

    site.clock.now += off_s
    store = site.store
    with Lane.open(site.root / "spool", "backfill", cap_bytes=2**26) as lane:
        done = await fill(gaps, site.miners, store=store, lane=lane, run_id="run", clock=ours)
    store.close()
    for one in done:
        assert one.filled == 0
        if one.miner_id in rest(site):
            assert "its clock is wrong" in str(one.reason) or "remembers nothing" in str(one.reason)


@pytest.mark.parametrize(
    ("ticks", "found"),
    [
        ([], []),
        ([0, 60, 120], []),
        ([0, 60, 180], []),  # one missed, and no more than two intervals
        ([0, 60, 240, 300], [(60, 240)]),
        ([0, 600, 1_200], [(0, 600), (600, 1_200)]),
    ],
)
def test_outages(ticks: list[int], found: list[tuple[int, int]]) -> None:
    assert outages(ticks, 120) == found


@pytest.mark.parametrize(
    ("times", "found"),
    [
        pytest.param([0, 60, 600], [range(120, 600, 60)], id="hole"),
        pytest.param([0, 600], [range(120, 600, 60)], id="not due at the last tick"),
        pytest.param([60, 300, 600], [range(120, 300, 60), range(360, 600, 60)], id="split by a row"),
        pytest.param([60, 180, 300, 420, 600], [range(480, 600, 60)], id="stretches of two intervals are none"),
        pytest.param([60], [], id="none after"),
        pytest.param([600, 660], [], id="none before"),
        pytest.param([], [], id="never polled"),
        pytest.param([55, 605], [range(120, 600, 60)], id="rows off the grid"),
    ],
)
def test_missing_slots(times: list[int], found: list[range]) -> None:
    assert [list(slots) for slots in missing_slots(times, (60, 600), 60, 120)] == [list(slots) for slots in found]


def point(at: int, **over: Any) -> HistoryPoint:
    usual: dict[str, Any] = {
        "hashrate_hs": 100e12, "power_w": 3_000, "chip_temp_max_c": 70.0, "pcb_temp_max_c": 55.0,
        "fan_duty_percent": 40.0,
    }  # fmt: skip
    return HistoryPoint(time=at, **(usual | over))


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([120, 180, 240], {120: 120, 180: 180, 240: 240}),
        ([95, 130, 151], {120: 130, 180: 151}),  # the nearer of two
        ([0, 60, 300], {}),  # outside
        ([200], {180: 200}),
    ],
)
def test_points_are_stamped_with_slots(points: list[int], found: dict[int, int]) -> None:
    chosen = nearest((120, 180, 240), [point(at) for at in points], 60)
    assert {slot: chosen[slot].time for slot in chosen} == found


@pytest.mark.parametrize(
    ("every_s", "back_s", "asked"),
    [(60, 3_600, 60), (5, 3_600, 60), (300, 259_200, 300), (60, 259_200, 120), (60, 172_800, 60)],
)
def test_points_asked_for(every_s: int, back_s: int, asked: int) -> None:
    assert step(every_s, back_s) == asked


def test_a_hashrate_in_a_wrong_unit_is_null() -> None:
    frame = rows(Miner("m", "S19", "north"), {60: point(60), 120: point(120, hashrate_hs=100e15)}, 101e12)
    assert [value is None for value in frame.columns["hashrate_hs"]] == [False, True]
    assert [value is None for value in frame.columns["efficiency_j_th"]] == [False, True]
    assert frame.columns["power_w"] == [3_000, 3_000]
    assert frame.columns["quality"] == pytest.approx([0.5, 0.5 * 0.5 * 0.2 / 0.6], abs=1e-4)  # of 0.4 + 0.1 + 0.1
    assert frame.columns["quality_flags"] == ["backfilled", "backfilled,unit_suspect"]


@pytest.mark.parametrize(
    ("over", "lost", "word", "quality"),
    [
        ({"chip_temp_max_c": 200.0}, ["chip_temp_max_c"], "impossible:chip_temp_max_c", 0.5 * 0.8 * 0.5 / 0.6),
        ({"power_w": -5}, ["power_w", "efficiency_j_th"], "impossible:power_w", 0.5 * 0.8 * 0.5 / 0.6),
        ({"power_w": 9_000}, ["power_w", "efficiency_j_th"], "implausible:power_w", 0.5 * 0.7 * 0.5 / 0.6),
        ({"power_w": None}, ["power_w", "efficiency_j_th"], None, 0.5 * 0.5 / 0.6),
        ({"hashrate_hs": 0.0, "power_w": 20}, ["efficiency_j_th"], None, 0.5),  # it stood still then
    ],
)
def test_what_a_miner_remembers_is_judged_as_a_poll_is(
    over: dict[str, Any], lost: list[str], word: str | None, quality: float
) -> None:
    frame = rows(Miner("m", "ANTMINER_S19", "north"), {60: point(60, **over)}, 96e12)
    told = {name: values[0] for name, values in frame.columns.items() if values[0] is not None}
    assert set(lost) & set(told) == set()
    assert {"hashrate_hs", "pcb_temp_max_c", "fan_duty_percent"} <= set(told)
    assert told["quality_flags"] == ",".join(sorted(filter(None, ["backfilled", word])))
    assert told["quality"] == pytest.approx(quality, abs=1e-4)
