"""The farm of the bench, all miners and times at once, says what the farm that answers HTTP says of single instants."""

from __future__ import annotations

import pytest

from deployments.farm.farm import Farm
from deployments.farm.faults import Fault
from tests.bench.farm_days import FarmDays, Trouble

NOON = 1_772_366_400


@pytest.mark.parametrize("kind", ["", "board_lost", "fan_lost", "overheating", "paused"])
def test_as_the_farm(kind: str) -> None:
    farm = Farm(9, seed=5, port=1, clock=lambda: NOON, restart_days=None)
    times = [NOON + 3600 * step for step in range(4)]
    troubles = []
    if kind:
        part = {"board_lost": {"board": 1}, "fan_lost": {"fan": 0}}.get(kind, {})
        for number, one in enumerate(farm.miners):
            farm.inject(one.miner_id, Fault(kind=kind, start=NOON, end=NOON + 7000, **part))  # type: ignore[arg-type]
            troubles.append(Trouble(number, kind, NOON, NOON + 7000))
    days = FarmDays(9, 5).over(times, troubles)
    for number, one in enumerate(farm.miners):
        for place, at in enumerate(times):
            truth = farm.truth(one.miner_id, at)
            assert days.hashrate_hs[number, place] == pytest.approx(truth.hashrate_hs)
            assert days.power_w[number, place] == truth.power_w
            assert days.boards_mining[number, place] == sum(board.mining for board in truth.boards)
            assert days.fans[number, place] == sum(fan.running for fan in truth.fans)
            if truth.state != "paused":
                assert days.chip_c[number, place] == pytest.approx(truth.chip_temp_max_c)
