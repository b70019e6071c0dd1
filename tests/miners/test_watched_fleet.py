"""A fleet whose readings are looked at: what is odd is an event, is polled faster, and ends; nothing of it is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.derive.anomaly.stream import Watch
from tasks.miners.memory import MemoryFile
from tests.miners.payloads import SLOT
from tests.miners.told import Told, fleet_of, miner, rows


async def test_an_anomaly_is_an_event_is_polled_faster_and_ends(tmp_path: Path) -> None:
    lost = range(SLOT - SLOT % 300 + 1_200, SLOT - SLOT % 300 + 3_600)
    told = Told(lambda name, slot: {"fans_running": 3 if name == "m1" and slot in lost else 4})
    miners = [miner(number, polling_interval_seconds=300, adaptive=True) for number in (1, 2)]
    watch = Watch([one.target().miner for one in miners])
    fleet = fleet_of(told, miners, watch=watch)
    events: list[tuple[str, str, str]] = []
    intervals: dict[int, int] = {}
    scores = 0
    for slot in range(lost.start - 1_200, lost.stop + 3_600, 60):
        outcome = await fleet.tick(slot)
        stored = rows(outcome, "miner_event").values()
        events += [(row["kind"], row["miner_id"], row["severity"]) for row in stored]
        assert [row["kind"] for row in stored] == [event.kind for event in outcome.events]
        scores += len(rows(outcome, "anomaly_score"))
        intervals[slot] = fleet.memories[0].telemetry.interval_s
        if slot == lost.stop - 60:
            memory = fleet.memories[0]
            assert memory.anomaly == "temperature: 3 of 4 fans turn"
            assert memory.events[-1].message == "m1 is odd: temperature: 3 of 4 fans turn"
            # a restart that kept the watch goes on; one that lost it does not call the miner anomalous for ever
            file = MemoryFile(tmp_path, "miners")
            file.write(outcome.memories)
            for kept, says in ((watch, memory.anomaly), (Watch([]), None), (None, None)):
                again = fleet_of(told, miners, remembered=file.read(), watch=kept)
                assert again.memories[0].anomaly == says
    assert events == [("anomaly_began", "m1", "warning"), ("anomaly_ended", "m1", "info")]
    assert scores > 30
    assert intervals[lost.start] == 300
    began = next(slot for slot, interval in intervals.items() if interval == 60)
    assert began == lost.start + 600, "the third odd poll, at 300 s each"
    assert intervals[lost.start + 1_200] == 60
    assert intervals[lost.stop + 3_000] >= 300
    asked = [slot for name, slot in told.asked if name == "m2"]
    assert set(np.diff(asked)) == {300}, "nobody else is asked more often"


async def test_a_detector_that_fails_costs_no_reading(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Watch):
        def look(self, slot: int, records: Any, off: Any = ()) -> Any:
            raise ZeroDivisionError

    outcome = await fleet_of(Told(), [miner(1)], watch=Broken([])).tick(SLOT)
    assert rows(outcome)["m1"]["power_w"] == 1
    assert "could not be looked at for anomalies" in caplog.text
