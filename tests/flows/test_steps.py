"""Prefect's part of a tick, of secrets and of a cancel, against a real server."""

from __future__ import annotations

import time

import pytest

from tasks.miners.report import TickReport
from tasks.shift.shift import RunSeen
from tasks.shift.slots import Slot

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]


def report(slot: Slot) -> TickReport:
    return TickReport(
        lane="miners", host="h", slot=slot.time, finished=slot.time, polled=3, failed=1,
        failed_by_reason={"refused": 1}, points=9, points_accepted=9, points_stored=0, points_dead_lettered=0,
        points_shed=0, backlog=9, tick_s=0.25, loop_lag_ms=0.0, store="embedded", missed=slot.missed,
    )  # fmt: skip


async def states_of(name: str) -> list[tuple[str, str | None]]:
    """Type and message of the last state of all task runs of one name; what is on its way is waited for."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import TaskRunFilter

    async with get_client() as client:
        while True:
            runs = await client.read_task_runs(
                task_run_filter=TaskRunFilter.model_validate({"name": {"any_": [name]}}),
            )
            states = [run.state for run in runs if run.state is not None]
            if states and all(state.is_final() for state in states):
                return [(state.type.value, state.message) for state in states]


async def test_a_tick_is_one_task_run_that_says_what_it_did(api):
    from tasks.shift.steps import tick_step

    async def work(slot: Slot) -> TickReport:
        return report(slot)

    await tick_step("collect_tick", work, 60)(Slot(1_000_000_080, missed=2))
    assert await states_of("slot 1000000080") == [
        ("COMPLETED", "3 polled, 1 failed (refused 1), 9 points, backlog 9, 0.25 s, 2 slots missed before")
    ]


async def test_a_tick_is_tried_again_while_its_slot_lasts(api):
    from tasks.shift.steps import tick_step

    tries = 0

    async def work(slot: Slot) -> TickReport:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("disk away")
        return report(slot)

    now = int(time.time())
    await tick_step("collect_tick", work, 60)(Slot(now))
    assert tries == 3
    assert [state for state, _ in await states_of(f"slot {now}")] == ["COMPLETED"]


async def test_a_tick_whose_slot_is_over_is_not_tried_again_and_ends_no_shift(api, caplog):
    from tasks.shift.steps import tick_step

    tries = 0

    async def work(slot: Slot) -> TickReport:
        nonlocal tries
        tries += 1
        raise OSError("disk away")

    await tick_step("collect_tick", work, 60)(Slot(1_000_000_020))
    assert tries == 1
    assert "slot 1000000020 is lost" in caplog.text
    [(state, message)] = await states_of("slot 1000000020")
    assert state == "FAILED"
    assert "disk away" in str(message)


async def test_a_run_sees_that_it_was_cancelled_and_ends_as_such(api):
    from prefect import flow, runtime
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled, Cancelling

    from tasks.shift.steps import look_at_own_run

    seen = []

    @flow(name="looks")
    async def looks():
        seen.append(await look_at_own_run())
        async with get_client() as client:
            await client.set_flow_run_state(runtime.flow_run.id, Cancelling(), force=True)
        seen.append(await look_at_own_run())
        return Cancelled(message="cancelled")

    state = await looks(return_state=True)
    assert seen == [RunSeen.GOES_ON, RunSeen.CANCELLED]
    assert state.is_cancelled()


async def test_a_server_that_is_away_says_nothing(api, monkeypatch):
    from prefect import flow
    from prefect.client.orchestration import PrefectClient

    from tasks.shift import steps

    @flow(name="looks-in-vain")
    async def looks():
        monkeypatch.setattr(steps, "get_client", lambda: PrefectClient("http://127.0.0.1:9/api"))
        return await steps.look_at_own_run()

    assert await looks() is RunSeen.UNKNOWN


async def test_secrets_come_from_blocks(api):
    import asyncio

    from prefect.blocks.system import Secret
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
    from pydantic import SecretStr

    from flows.secret_blocks import from_secret_block
    from storage.errors import TryAgain

    await Secret(value=SecretStr("hunter2")).save("miner-password")
    assert await asyncio.to_thread(from_secret_block, "MINER_PASSWORD") == "hunter2"
    assert await asyncio.to_thread(from_secret_block, "NO_SUCH_NAME") is None

    def asked_in_vain() -> None:
        with (
            temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
            pytest.raises(TryAgain, match="miner-password: the Prefect server does not answer"),
        ):
            from_secret_block("MINER_PASSWORD")

    await asyncio.to_thread(asked_in_vain)
