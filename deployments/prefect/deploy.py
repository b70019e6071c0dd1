"""Registers prefect.yaml on a Prefect server that exists: pool, queues, limits, deployments, automations.

Every object is found by its name and brought to what the file says, so that a second run changes nothing and doubles
nothing. What an operator paused stays paused. Whatever else is on the server is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from deployments.prefect.environment import HEARTBEAT_S, SILENT_S
from deployments.prefect.plan import AT_SITES, ON_EACH_HOST, SITE_QUEUE, Deployment, Plan, Pool, Queue
from storage.errors import TryAgain
from tasks.sources.paces import Rate, limit_of

_PAGE = 200


@dataclass(slots=True)
class Registered:
    """Ids by name of all that a registration found or made."""

    pool: UUID
    queues: dict[str, UUID] = field(default_factory=dict)
    deployments: dict[str, UUID] = field(default_factory=dict)
    automations: dict[str, UUID] = field(default_factory=dict)
    limits: dict[str, UUID] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    """Deployments and queues that were there for sites, or for their lack, and are planned no more."""


async def register(plan: Plan, shared: Mapping[str, Rate] | None = None) -> Registered:
    """Register ``plan`` on the server of PREFECT_API_URL, and limits for the rates by source that hosts share.

    Raises:
        TryAgain: no server answers there, or it refuses.
    """
    async with get_client() as client:
        try:
            registered = Registered(await _pool(client, plan.pool))
            for queue in plan.definitions.queues:
                registered.queues[queue.name] = await _queue(client, plan.pool, queue)
            automations = [_zombies_crash()]
            for deployment in plan.deployments:
                flow: Flow[..., object] = load_flow_from_entrypoint(deployment.entrypoint)
                deployment_id = await _deployment(client, deployment, flow)
                registered.deployments[f"{flow.name}/{deployment.name}"] = deployment_id
                automations += _reruns(deployment, deployment_id)
            for source, rate in (shared or {}).items():
                registered.limits[limit_of(source)] = await _limit(client, limit_of(source), rate)
            registered.automations = await _automations(client, automations)
            registered.removed = await _remove_others(client, plan, registered)
        except httpx.TransportError as error:
            raise TryAgain(f"no Prefect server answers at {client.api_url}: {error}") from error
        except httpx.HTTPStatusError as error:
            status, request = error.response.status_code, error.request
            raise TryAgain(f"the Prefect server answered {status} to {request.method} {request.url}") from error
        return registered


async def _pool(client: PrefectClient, pool: Pool) -> UUID:
    try:
        made = await client.create_work_pool(
            WorkPoolCreate(name=pool.name, type=pool.type, concurrency_limit=pool.concurrency_limit)
        )
    except ObjectAlreadyExists:
        await client.update_work_pool(pool.name, WorkPoolUpdate(concurrency_limit=pool.concurrency_limit))
        made = await client.read_work_pool(pool.name)
    return made.id


async def _queue(client: PrefectClient, pool: Pool, queue: Queue) -> UUID:
    try:
        found = await client.read_work_queue_by_name(queue.name, work_pool_name=pool.name)
    except ObjectNotFound:
        found = await client.create_work_queue(queue.name, work_pool_name=pool.name)
    await client.update_work_queue(found.id, priority=queue.priority, concurrency_limit=queue.concurrency_limit)
    return found.id


async def _limit(client: PrefectClient, name: str, rate: Rate) -> UUID:
    """A limit whose slots come back by themselves: a token bucket of ``burst``, filled at the rate."""
    decay = rate.per_minute / 60
    try:
        found = await client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        return await client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=rate.burst, slot_decay_per_second=decay)
        )
    if (found.limit, found.slot_decay_per_second) != (rate.burst, decay):
        update = GlobalConcurrencyLimitUpdate(limit=rate.burst, slot_decay_per_second=decay)
        await client.update_global_concurrency_limit(name, update)
    return found.id


async def _deployment(client: PrefectClient, deployment: Deployment, flow: Flow[..., object]) -> UUID:
    limit = deployment.concurrency_limit
    place = deployment.work_pool
    try:
        deployment_id = (await client.read_deployment_by_name(f"{flow.name}/{deployment.name}")).id
    except ObjectNotFound:
        deployment_id = await client.create_deployment(
            await client.create_flow_from_name(flow.name),
            deployment.name,
            work_pool_name=place.name,
            work_queue_name=place.work_queue_name,
        )
    # Schedules are updated by slug: their ids, runs that wait and an operator's pause outlive a new version.
    update = DeploymentUpdate(
        description=deployment.description,
        entrypoint=deployment.entrypoint,
        tags=deployment.tags,
        parameters=deployment.parameters,
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
        work_pool_name=place.name,
        work_queue_name=place.work_queue_name,
        job_variables=place.job_variables,
        concurrency_limit=limit.limit if limit else None,
        concurrency_options=limit.options if limit else None,
        pull_steps=[],
        schedules=[
            DeploymentScheduleUpdate(slug=schedule.slug, schedule=schedule.schedule, parameters=schedule.parameters)
            for schedule in deployment.schedules
        ],
    )
    await client.update_deployment(deployment_id, update)
    planned = {schedule.slug for schedule in deployment.schedules}
    for schedule in await client.read_deployment_schedules(deployment_id):
        if schedule.slug not in planned:
            await client.delete_deployment_schedule(deployment_id, schedule.id)
    return deployment_id


def _reruns(deployment: Deployment, deployment_id: UUID) -> list[AutomationCore]:
    automations = []
    for trigger in deployment.triggers:
        bound = trigger.model_copy()
        bound.set_deployment_id(deployment_id)
        automations.append(bound.as_automation())
    return automations


async def _remove_others(client: PrefectClient, plan: Plan, registered: Registered) -> list[str]:
    """Remove queues and deployments, with their automations, of sites that are no more, or of all miners where there
    are sites now: their shifts would poll what another one polls. Deployments are known by pool and entrypoint; runs
    that they have are kept, and end by themselves.
    """
    entrypoints = {one.entrypoint for one in plan.deployments if one.name.startswith((*AT_SITES, *ON_EACH_HOST))}
    planned = set(registered.deployments.values())
    in_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[plan.pool.name]))
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(work_pool_filter=in_pool, limit=_PAGE, offset=len(found)):
        found += page
    removed = []
    for one in found:
        if one.entrypoint not in entrypoints or one.id in planned:
            continue
        for automation in await client.read_resource_related_automations(f"prefect.deployment.{one.id}"):
            if automation.name.startswith(f"{one.name} "):  # what others made for it is theirs
                await client.delete_automation(automation.id)
        await client.delete_deployment(one.id)
        removed.append(f"deployment {one.name}")
    for queue in await client.read_work_queues(work_pool_name=plan.pool.name, limit=_PAGE):
        if queue.name.startswith(SITE_QUEUE) and queue.name not in registered.queues:
            await client.delete_work_queue_by_id(queue.id)
            removed.append(f"queue {queue.name}")
    return removed


def _zombies_crash() -> AutomationCore:
    """A run whose host died tells nobody; its heartbeats stop. Crashed, its rerun trigger fires."""
    return AutomationCore(
        name="Runs that fell silent have crashed",
        description=f"Heartbeats come every {HEARTBEAT_S} s; none for {SILENT_S} s: host or process is gone.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_S),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=f"No heartbeat for {SILENT_S} s.")
        ],
    )


async def _automations(client: PrefectClient, wanted: Iterable[AutomationCore]) -> dict[str, UUID]:
    ids: dict[str, UUID] = {}
    for automation in wanted:
        found = await client.read_automations_by_name(automation.name)
        if found:
            ids[automation.name] = found[0].id
            # Built anew: an update must not name the owner, and a copy would.
            update = AutomationCore(
                name=automation.name,
                description=automation.description,
                enabled=found[0].enabled,
                trigger=automation.trigger,
                actions=automation.actions,
            )
            await client.update_automation(found[0].id, update)
        else:
            ids[automation.name] = await client.create_automation(automation)
    return ids
