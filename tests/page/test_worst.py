"""The worst miners, from the fleet of world.py as it stands now."""

from deployments.page.model import Condition, Fleet, RosterEntry, build_fleet
from deployments.page.worst import worst
from deployments.page.worst_view import body
from tests.page import world
from tests.page.fleet_rows import TH, mining
from tests.page.test_model import rows

T = 1_795_478_400


def fleet(*, nominal: bool = True) -> Fleet:
    expected = {name: world.nominal(name) for name in world.MINERS} if nominal else {}
    roster = [RosterEntry(name, world.model(name), world.site(name), 300) for name in world.MINERS]
    return build_fleet(rows(*world.telemetry(T)), [], roster, [], expected, now=T + 20, assumed_interval_s=300)


def test_the_worst_by_the_share_that_is_lost() -> None:
    found = worst(fleet(), {"s04": "heat"})
    # out of reach first (100 %), then a board (a third), then 3 %; of one share who lacks more goes first
    assert [(one.line.miner_id, round(one.share, 3)) for one in found[:6]] == [
        ("s01", 1.0), ("l01", 1.0), ("s02", 0.333), ("l02", 0.333), ("s04", 0.03), ("s05", 0.03),
    ]  # fmt: skip
    assert len(found) == 10
    assert [one.reason for one in found[:6]] == [
        "deadline",
        "deadline",
        "2 of 3 boards mine; 1 error reported",
        "2 of 3 boards mine; 1 error reported",
        "mostly heat in the newest hour derived",
        "no reason known",
    ]


def test_who_is_paused_on_purpose_is_not_bad_and_is_said_to_be_left_out() -> None:
    found = fleet()
    assert not {"s03", "l03"} & {one.line.miner_id for one in worst(found, {}, shown=40)}
    assert "Not among them: 2 paused" in body(found, worst(found, {}))


def test_nobody_knows_what_a_miner_out_of_reach_should_make() -> None:
    found = fleet(nominal=False)
    assert "s01" not in {one.line.miner_id for one in worst(found, {}, shown=40)}
    assert "Not among them: 2 paused, 2 of which it is not known what to expect" in body(found, [])


def test_a_fleet_that_does_well() -> None:
    roster = [RosterEntry("a1", "", "", 60)]
    well = build_fleet(rows(mining(T, "a1", 101 * TH, 3000)), [], roster, [], {}, now=T, assumed_interval_s=60)
    assert well.lines[0].condition is Condition.MINING
    assert "No miner is below what is expected of it" in body(well, worst(well, {}))


def test_of_miners_that_were_never_polled_nothing_is_known_to_be_lost() -> None:
    nobody = build_fleet([], [], [RosterEntry("a1", "", "", 60)], [], {}, now=T, assumed_interval_s=60)
    assert "Nothing is known to be lost" in body(nobody, worst(nobody, {}))
