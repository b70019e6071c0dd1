"""The fleet over the simulated farm: faults of some miners change no reading of the others."""

from __future__ import annotations

from typing import Any, get_args

from deployments.farm import Farm, Fault
from deployments.farm.faults import EXPECTED_FAILURE
from storage.declaration.miner import MINER_TELEMETRY
from tasks.miners.driver import FailureKind
from tasks.miners.fleet import Fleet
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.tick import TickOutcome
from tests.farm.clock import NOON, Clock

SETTINGS = FleetSettings(request_deadline_s=2.0, miner_deadline_s=2.5)
NEVER_THE_SAME = {"poll_ms"}


def readings(outcome: TickOutcome, measurement: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by their tags, without what the poll itself took."""
    (frame,) = [frame for frame in outcome.frames if frame.measurement == measurement]
    tags = [name for name in frame.declared.tag_names if name in frame.columns]
    return {
        tuple(frame.columns[tag][row] for tag in ("miner_id", *tags)): {
            name: column[row] for name, column in frame.columns.items() if name not in NEVER_THE_SAME
        }
        for row in range(len(frame))
    }


async def test_faults_of_some_change_nothing_for_the_others() -> None:
    async with Farm(40, port=0, clock=Clock()) as farm:
        miners = [MinerSettings.model_validate(each) for each in farm.configuration()["miners"]]
        slot = int(NOON)

        sound = Fleet(miners, SETTINGS)
        before = await sound.tick(slot)
        assert (before.polled, before.failed, before.configurations) == (40, 0, 40)
        await sound.aclose()

        hurt = {miner.id: kind for miner, kind in zip(miners[::5], EXPECTED_FAILURE, strict=False)}
        for miner_id, kind in hurt.items():
            farm.inject(miner_id, Fault(kind=kind, start=NOON - 1))
        fleet = Fleet(miners, SETTINGS)
        after = await fleet.tick(slot)
        assert after.failed == len(hurt) == len(EXPECTED_FAILURE)
        expected = [EXPECTED_FAILURE[kind] for kind in hurt.values()]
        assert after.failed_by_reason == {
            kind: expected.count(kind) for kind in get_args(FailureKind) if kind in expected
        }

        for measurement in ("miner_telemetry", "miner_board", "miner_fan", "miner_pool"):
            was, now = readings(before, measurement), readings(after, measurement)
            healthy = {key for key in was if key[0] not in hurt}
            assert {key: was[key] for key in healthy} == {
                key: {name: now[key].get(name) for name in was[key]} for key in healthy
            }
        for key, row in readings(after, "miner_telemetry").items():
            if key[0] in hurt:
                said = {name for name in MINER_TELEMETRY.field_by_name if row.get(name) is not None}
                assert said == {"reachable", "state", "failure", "quality"}

        farm.clear()
        healed = await fleet.tick(slot + 10)
        assert (healed.failed, {s.failures_in_a_row for s in healed.standings}) == (0, {0})
        await fleet.aclose()
