"""From the simulated farm through drivers and embedded store to the page's numbers: they are the farm's truth."""

from pathlib import Path

import pytest

from deployments.farm.farm import Farm
from deployments.farm.faults import Fault
from deployments.page.history import SPANS
from deployments.page.model import MISSING, RosterEntry
from deployments.page.reading import PageReader
from deployments.settings import load_settings
from storage.lake.store import EmbeddedStore
from tasks.miners.fleet import Fleet

T = 1_795_478_400


async def test_the_pages_numbers_are_the_farms_truth(tmp_path: Path) -> None:
    now = [float(T)]
    async with Farm(12, port=0, seed=5, clock=lambda: now[0]) as farm:
        names = [identity.miner_id for identity in farm.miners]
        farm.inject(names[1], Fault(kind="dead", start=T + 60))
        farm.inject(names[4], Fault(kind="board_lost", board=1, start=T + 60))
        farm.inject(names[7], Fault(kind="paused", start=T + 60))
        farm.write_configuration(tmp_path, polling_interval_seconds=60)
        miners = [
            miner.model_copy(update={"adaptive": False})  # windows of the page as long as the slots below are apart
            for miner in load_settings(tmp_path, {}).collection.miners
        ]
        fleet, store = Fleet(miners), EmbeddedStore(tmp_path / "lake")
        for slot in range(T, T + 301, 60):
            now[0] = float(slot)
            farm.settle()
            store.write((await fleet.tick(slot)).frames)
        await fleet.aclose()
        truth = farm.fleet_truth()
    reader = PageReader(
        lambda: store, tmp_path / "state", [RosterEntry.of(miner) for miner in miners], clock=lambda: now[0] + 5
    )
    shown = (await reader.fleet()).value
    assert shown is not None
    assert len(shown.lines) == truth.miners
    assert len(shown.lines) - shown.missing == truth.answering == 11
    by_condition = {condition.value: len(lines) for condition, lines in shown.by_condition().items() if lines}
    assert by_condition == truth.by_state
    assert shown.power_w == pytest.approx(truth.power_w, rel=1e-3)  # firmwares give whole watts
    assert {total.algorithm: total.hashrate_hs for total in shown.totals if total.counted} == {
        algorithm: pytest.approx(hashrate, rel=1e-3) for algorithm, hashrate in truth.hashrate_hs.items()
    }
    (dead,) = [line for line in shown.lines if line.condition in MISSING]
    assert (dead.miner_id, dead.reason, dead.hashrate_hs) == (names[1], "refused", None)
    history = (await reader.history(SPANS["1h"])).value
    assert history is not None
    assert history.reporting[-5:] == (12, 11, 11, 11, 11)
    detail = (await reader.detail(names[4])).value
    assert detail is not None
    assert [part.state for part in detail.parts[0].rows].count("mining") == len(detail.parts[0].rows) - 1
    reader.close()
