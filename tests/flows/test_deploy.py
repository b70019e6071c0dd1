"""What prefect.yaml registers: the whole of it as a snapshot, and faults in it."""

from __future__ import annotations

import pytest
import yaml

from deployments.prefect.plan import PLAN_FILE, read_plan
from storage.errors import ConfigurationError
from tests.flows.planned import SNAPSHOT


def test_all_deployments():
    assert {
        deployment.name: {
            "entrypoint": deployment.entrypoint,
            "queue": deployment.work_pool.work_queue_name,
            "limit": (limit.limit, limit.collision_strategy) if (limit := deployment.concurrency_limit) else None,
            "schedules": {schedule.slug: (schedule.cron, schedule.timezone) for schedule in deployment.schedules},
            "reruns": {
                event: trigger.schedule_after.total_seconds()
                for trigger in deployment.triggers
                for event in trigger.expect
            },
        }
        for deployment in read_plan().deployments
    } == SNAPSHOT


def test_pool_and_queues():
    plan = read_plan()
    assert (plan.pool.name, plan.pool.type, plan.pool.concurrency_limit) == ("lodeline", "process", 8)
    assert {queue.name: (queue.priority, queue.concurrency_limit) for queue in plan.definitions.queues} == {
        "critical": (1, None),
        "standard": (5, 2),
        "batch": (10, 1),
    }


@pytest.mark.parametrize("deployment", read_plan().deployments, ids=lambda deployment: deployment.name)
def test_every_deployment_keeps_the_rules(deployment):
    assert deployment.work_pool.job_variables == {"stream_output": False}
    assert deployment.description
    if "shift" in deployment.tags:
        assert deployment.concurrency_limit is None  # its lease would kill the shift
        assert deployment.triggers
    else:
        assert deployment.concurrency_limit is not None


def test_prefect_itself_reads_the_file():
    from prefect.cli.deploy._models import PrefectYamlModel

    read = PrefectYamlModel.model_validate(yaml.safe_load(PLAN_FILE.read_text()))
    assert [deployment.name for deployment in read.deployments] == list(SNAPSHOT)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("entrypoint:", "entry_point:", "deployments.0.entrypoint: Field required", id="unknown key"),
        pytest.param("work_queue_name: batch", "work_queue_name: bulk", "lodeline/bulk is not in", id="stray queue"),
        pytest.param("limit: 1", "limit: none", "concurrency_limit.limit: Input should be", id="wrong type"),
        pytest.param("pull: []", "pull: [", "not YAML", id="no YAML"),
    ],
)
def test_faults_are_said(tmp_path, old, new, said):
    text = PLAN_FILE.read_text()
    assert old in text
    file = tmp_path / "prefect.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(ConfigurationError, match=said.replace(".", r"\.")):
        read_plan(file)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_plan(tmp_path / "prefect.yaml")
