"""Deployments of sites: what each has of its own, and that changing the sites leaves nothing of the old ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deployments.prefect.plan import Deployment, Plan, read_plan
from storage.records.events import MinerEvent
from storage.records.miner import Miner
from tests.prefect_server import PrefectServer

SITES = ["north", "Hall A"]
HERE = {"collect-miners", "fill-gaps", "read-configuration", "guard-disk"}


def named(plan: Plan, name: str) -> Deployment:
    (found,) = (one for one in plan.deployments if one.name == name)
    return found


def labels(match: Any) -> dict[str, Any]:
    found: dict[str, Any] = match.root
    return found


def test_without_sites_the_plan_stays_as_it_is():
    assert read_plan().at_sites([]) == read_plan()


def test_each_site_has_a_queue_that_is_served_first_and_never_waits_for_another():
    plan = read_plan().at_sites(SITES)
    assert {queue.name: (queue.priority, queue.concurrency_limit) for queue in plan.definitions.queues} == {
        "site-north": (1, None), "site-hall-a": (1, None),
        "critical": (1, None), "standard": (5, 2), "batch": (10, 1),
    }  # fmt: skip
    assert plan.site_queues == ["site-north", "site-hall-a"]
    # Two shifts at a hand-over, gaps, configuration and disk: five runs of each site may be there at once.
    assert plan.pool.concurrency_limit == 8 + 2 * 5


def test_what_needs_the_miners_runs_at_each_site_and_the_rest_in_one_place():
    plan = read_plan().at_sites(SITES)
    queues = {one.name: one.work_pool.work_queue_name for one in plan.deployments}
    assert {name for name, queue in queues.items() if queue == "site-hall-a"} == {f"{one}-hall-a" for one in HERE}
    elsewhere = {one.name for one in read_plan().deployments} - HERE | {"guard-disk"}
    assert {name for name, queue in queues.items() if not queue.startswith("site-")} == elsewhere
    assert named(plan, "collect-miners-hall-a").parameters == {"site": "Hall A"}
    assert named(plan, "guard-disk-hall-a").parameters == {}


def test_the_events_of_a_site_start_what_is_at_that_site():
    plan = read_plan().at_sites(SITES)
    crash, failure = named(plan, "collect-miners-north").triggers
    assert crash.name == "collect-miners-north starts again after a crash"
    assert failure.schedule_after.total_seconds() == 60
    assert labels(crash.match_related)["prefect.resource.name"] == "collect-miners-north"
    (gap,) = named(plan, "fill-gaps-hall-a").triggers
    assert labels(gap.match) == {"prefect.resource.id": "lodeline.collector.*", "lodeline.lane": "miners-hall-a"}
    (changed,) = named(plan, "read-configuration-hall-a").triggers
    assert labels(changed.match) == {"prefect.resource.id": "lodeline.miner.*", "lodeline.site": "hall-a"}
    assert changed.parameters == {"miner_id": "{{ event.payload.miner_id }}"}


def test_events_carry_the_labels_that_sites_listen_to(monkeypatch: pytest.MonkeyPatch):
    from prefect.events.schemas.events import Event, Resource, ResourceSpecification
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.miners import steps

    emitted: list[dict[str, Any]] = []
    monkeypatch.setattr(steps, "emit_event", lambda **event: emitted.append(event))
    happened = MinerEvent(
        time=60, miner=Miner("m1", "S19", "Hall A"), kind="started", subject="miner", severity="warning",
        message="m1 started anew",
    )  # fmt: skip
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        steps.tell([happened])
    event = Event(event=emitted[0]["event"], resource=Resource(emitted[0]["resource"]))
    plan = read_plan().at_sites(SITES)
    heard = {
        name: ResourceSpecification(labels(named(plan, name).triggers[0].match)).matches(event.resource)
        for name in ("read-configuration-hall-a", "read-configuration-north")
    }
    assert heard == {"read-configuration-hall-a": True, "read-configuration-north": False}


async def on_server() -> dict[str, Any]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        return {
            "queues": {queue.name for queue in await client.read_work_queues(work_pool_name="lodeline")},
            "deployments": {one.name: one.parameters for one in await client.read_deployments()},
            "automations": {one.name for one in await client.read_automations()},
            "limit": (await client.read_work_pool("lodeline")).concurrency_limit,
        }


@pytest.mark.prefect
async def test_sites_that_come_and_go(api: PrefectServer):
    from deployments.prefect.deploy import register

    await register(read_plan())
    before = await on_server()
    try:
        registered = await register(read_plan().at_sites(SITES))
        two = await on_server()
        assert set(registered.removed) == {f"deployment {name}" for name in HERE - {"guard-disk"}}
        assert two["queues"] - before["queues"] == {"site-north", "site-hall-a"}
        assert two["limit"] == 18
        assert two["deployments"]["collect-miners-north"] == {"site": "north"}
        assert not {"collect-miners", "fill-gaps", "read-configuration"} & two["deployments"].keys()
        assert {name for name in two["automations"] if name.startswith("collect-miners")} == {
            f"collect-miners-{slug} starts again {when}"
            for slug in ("north", "hall-a")
            for when in ("after a crash", "a minute after a failure")
        }
        assert (await register(read_plan().at_sites(SITES))).removed == []
        assert await on_server() == two

        one = await register(read_plan().at_sites(["north"]))
        assert set(one.removed) == {f"deployment {name}-hall-a" for name in HERE} | {"queue site-hall-a"}
    finally:
        await register(read_plan())
    assert await on_server() == before


@pytest.mark.prefect
def test_deploy_says_what_to_start_where(api: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from deployments.command import app

    miners = [{"id": "m1", "ip": "10.0.0.1", "model": "S19", "site": "north"}]
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"sites": ["north"], "miners": miners}))
    for name in ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")  # the command sets them for its process
    asked = ["deploy", "--api-url", api.url, "--config", str(tmp_path)]
    try:
        said = CliRunner().invoke(app, asked)
        assert said.exit_code == 0, said.output
        assert "Start at the site: prefect worker start --pool lodeline --work-queue site-north\n" in said.output
        assert "--work-queue critical --work-queue standard --work-queue batch\n" in said.output
    finally:
        back = CliRunner().invoke(app, [*asked, "--one-host", "--json"])
    told = json.loads(back.output.splitlines()[-1])
    assert "collect-miners/collect-miners" in told["deployments"]
    assert "queue site-north" in told["removed"]
