"""Sites: what their queues and lanes are called, which miners are theirs, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import ConfigurationError
from tasks.miners.collection import LANE
from tasks.miners.report import newest_reports
from tasks.miners.settings import MinerSettings
from tasks.miners.sites import faults_of, lane_of, miners_of, retire_lanes, slug_of
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal
from tests.health.test_exposition import report


def miner(number: int, site: str = "") -> MinerSettings:
    return MinerSettings.model_validate({"id": f"m{number}", "ip": f"10.0.0.{number}", "model": "S19", "site": site})


@pytest.mark.parametrize(
    ("site", "slug"),
    [("north", "north"), ("Hall A", "hall-a"), ("site_7/2", "site-7-2"), (" Süd ", "s-d"), ("***", "")],
)
def test_names_that_queues_and_folders_can_have(site: str, slug: str):
    assert slug_of(site) == slug


def test_a_lane_for_each_site():
    assert (lane_of(None), lane_of("Hall A")) == ("miners", "miners-hall-a")


def test_the_miners_of_a_site():
    fleet = [miner(1, "north"), miner(2, "south"), miner(3, "north")]
    assert [one.id for one in miners_of(fleet, "north")] == ["m1", "m3"]
    assert miners_of(fleet, None) == tuple(fleet)
    with pytest.raises(ConfigurationError, match=r"none is at site 'nort' .* name: north, south"):
        miners_of(fleet, "nort")


def test_without_sites_the_site_of_a_miner_is_a_label():
    assert faults_of([], [miner(1, "anywhere"), miner(2)]) == []


def test_many_miners_of_one_fault_are_counted():
    ((place, fault),) = faults_of(["north"], [miner(1, "north"), *(miner(n) for n in range(2, 252))])
    assert place == ("miners", 1, "site")
    assert fault == "no site of miners m2, m3, m4, m5, m6 and 245 more, so that nobody would poll there: one of north"


def test_lanes_that_nobody_is_to_tick_any_more_stand_still_no_more(tmp_path: Path):
    state, locks = tmp_path / "state", tmp_path / "locks"
    locks.mkdir()

    def left() -> set[str]:
        return {report.lane for report in newest_reports(state)[0].values()}

    lanes = {LANE, "miners-north", "miners-hall-a", "miners-gone", "pools"}
    for lane in lanes:
        keep(state, lane)
    retire_lanes(state, locks, "miners-north", ["north", "Hall A"])
    assert left() == {"miners-north", "miners-hall-a", "pools"}
    keep(state, LANE)
    retire_lanes(state, locks, LANE, ["north", "Hall A"])  # lodeline up: one host polls all of them
    assert left() == {LANE, "pools"}


async def test_a_lane_that_somebody_is_on_shift_for_is_left_alone(tmp_path: Path):
    state, locks = tmp_path / "state", tmp_path / "locks"
    locks.mkdir()
    keep(state, "miners-gone")
    async with Baton(locks, "miners-gone").held():
        retire_lanes(state, locks, "miners-north", ["north"])
    assert [report.lane for report in newest_reports(state)[0].values()] == ["miners-gone"]


def keep(state: Path, lane: str) -> None:
    Journal(state, lane).write(report(lane=lane))
