"""prefect.yaml on a real server: registered twice it is there once, and what an operator paused stays paused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.prefect.plan import Schedule, read_plan
from storage.errors import TryAgain
from tests.flows.planned import SNAPSHOT


@pytest.mark.prefect
async def test_deployed_twice_is_deployed_once(api):
    from prefect.client.orchestration import get_client

    from deployments.prefect.deploy import register

    async def on_server() -> dict[str, Any]:
        async with get_client() as client:
            queues = await client.read_work_queues(work_pool_name="lodeline")
            deployments = await client.read_deployments()
            automations = await client.read_automations()
            pool = await client.read_work_pool("lodeline")
        return {
            "pool": (pool.id, pool.concurrency_limit),
            "queues": {queue.name: (queue.id, queue.priority, queue.concurrency_limit) for queue in queues},
            "deployments": {
                found.name: (
                    found.id, found.entrypoint, found.work_queue_name, found.job_variables, found.parameters,
                    found.global_concurrency_limit and found.global_concurrency_limit.limit, found.concurrency_options,
                    [(s.id, s.slug, s.schedule.model_dump(), s.active) for s in found.schedules],
                )
                for found in deployments
            },
            "automations": sorted((found.name, str(found.id), found.enabled) for found in automations),
        }  # fmt: skip

    first = await register(read_plan())
    before = await on_server()
    assert await register(read_plan()) == first
    assert await on_server() == before
    assert before["queues"].keys() == {"critical", "standard", "batch", "default"}
    assert before["queues"]["standard"][1:] == (5, 2)
    assert before["deployments"].keys() == SNAPSHOT.keys()
    assert len(before["automations"]) == 11


@pytest.mark.prefect
async def test_a_pause_outlives_a_deploy_and_an_old_schedule_does_not(api):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    from deployments.prefect.deploy import register

    registered = await register(read_plan())
    deployment = registered.deployments["downsample/downsample"]
    async with get_client() as client:
        schedule = (await client.read_deployment_schedules(deployment))[0]
        await client.update_deployment_schedule(deployment, schedule.id, active=False)
        await client.create_deployment_schedules(
            deployment, [DeploymentScheduleCreate(schedule=CronSchedule(cron="0 0 * * *"), slug="earlier")]
        )
        automation = registered.automations["Runs that fell silent have crashed"]
        await client.pause_automation(automation)
        await register(read_plan())
        assert [(s.slug, s.active) for s in await client.read_deployment_schedules(deployment)] == [
            ("quarter-hourly", False)
        ]
        found = await client.read_automation(automation)
        assert found is not None
        assert not found.enabled
        await client.update_deployment_schedule(deployment, schedule.id, active=True)
        await client.resume_automation(automation)


async def test_no_server_is_said():
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from deployments.prefect.deploy import register

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(TryAgain, match="no Prefect server answers at"),
    ):
        await register(read_plan())


@pytest.mark.prefect
async def test_a_schedule_in_a_zone_runs_once_a_day_when_clocks_are_changed(api):
    """Field case 27: the server makes runs ahead, over and over. In Berlin there are two 02:30 on 2026-10-25, and none
    on 2027-03-28."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    at = Schedule(slug="nightly", cron="30 2 * * *", timezone="Europe/Berlin").schedule
    async with get_client() as client:
        made = await client.create_deployment(
            await client.create_flow_from_name("zones"),
            "zones",
            schedules=[DeploymentScheduleCreate(schedule=at, slug="nightly", active=True)],
        )
        try:
            for start, stop in (("2026-10-24", "2026-10-27"), ("2027-03-27", "2027-03-30")) * 2:
                asked: dict[str, Any] = {"start_time": f"{start}T00:00:00Z", "end_time": f"{stop}T00:00:00Z"}
                asked |= {"min_runs": 3, "max_runs": 9}
                await client.request("POST", "/deployments/{id}/schedule", path_params={"id": made}, json=asked)
            of_it = DeploymentFilter(id=DeploymentFilterId(any_=[made]))
            runs = await client.read_flow_runs(deployment_filter=of_it, limit=200)
        finally:
            await client.delete_deployment(made)
    starts = sorted(f"{run.expected_start_time:%Y-%m-%d %H:%M}" for run in runs if run.expected_start_time)
    assert [one for one in starts if one < "2026-10-28" or "2027-03-27" <= one < "2027-03-31"] == [
        "2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30",
        "2027-03-27 01:30", "2027-03-28 01:30", "2027-03-29 00:30",
    ]  # fmt: skip


@pytest.mark.prefect
async def test_when_there_is_room_for_one_the_most_urgent_queue_is_served(api):
    """By the server alone, as a worker asks it: of each queue a run is due, and those of ``batch`` are the oldest."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolUpdate
    from prefect.states import Scheduled

    from deployments.prefect.deploy import register

    plan = read_plan()
    of_its_own = plan.pool.model_copy(update={"name": "priorities"})
    few = {"advise": 3, "forecast": 2, "downsample": 1, "watch-alerts": 0}
    deployments = [
        one.model_copy(
            update={
                "name": f"{one.name}-priorities",
                "schedules": [],
                "triggers": [],
                "work_pool": one.work_pool.model_copy(update={"name": "priorities"}),
            }
        )
        for one in plan.deployments
        if one.name in few
    ]
    plan = plan.model_copy(
        update={"definitions": plan.definitions.model_copy(update={"pool": of_its_own}), "deployments": deployments}
    )
    registered = await register(plan)
    async with get_client() as client:

        async def served(room: int) -> list[str]:
            await client.update_work_pool("priorities", WorkPoolUpdate(concurrency_limit=room))
            found = await client.get_scheduled_flow_runs_for_work_pool("priorities")
            return [names[str(one.flow_run.deployment_id)] for one in found]

        names = {str(made): name.split("/")[0] for name, made in registered.deployments.items()}
        try:
            for made in registered.deployments.values():
                due = datetime.now(UTC) - timedelta(minutes=1 + few[names[str(made)]])
                await client.create_flow_run_from_deployment(made, state=Scheduled(scheduled_time=due))
            assert await served(1) == ["watch-alerts"]
            assert await served(2) == ["watch-alerts", "downsample"]
            assert await served(9) == ["watch-alerts", "downsample", "advise"], "of batch one at a time, the oldest"
        finally:
            for made in registered.deployments.values():
                await client.delete_deployment(made)
            await client.delete_work_pool("priorities")
