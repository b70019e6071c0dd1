"""What prefect.yaml registers: the whole of it as a snapshot, faults in it, and twice on a real server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deployments.prefect.plan import PLAN_FILE, Plan, read_plan
from storage.errors import ConfigurationError, TryAgain
from tasks.abacus.settings import load_abacus_settings

SNAPSHOT = {
    "collect-miners": {
        "entrypoint": "flows.collect_miners.collect_miners",
        "queue": "critical",
        "limit": None,
        "schedules": {"hourly": ("7 * * * *", "UTC")},
        "reruns": {"prefect.flow-run.Crashed": 0, "prefect.flow-run.Failed": 60},
    },
    "collect-pools": {
        "entrypoint": "flows.collect_pools.collect_pools",
        "queue": "critical",
        "limit": None,
        "schedules": {"hourly": ("17 * * * *", "UTC")},
        "reruns": {"prefect.flow-run.Crashed": 0, "prefect.flow-run.Failed": 60},
    },
    "collect-market": {
        "entrypoint": "flows.collect_market.collect_market",
        "queue": "critical",
        "limit": None,
        "schedules": {"hourly": ("47 * * * *", "UTC")},
        "reruns": {"prefect.flow-run.Crashed": 0, "prefect.flow-run.Failed": 60},
    },
    "watch-alerts": {
        "entrypoint": "flows.watch_alerts.watch_alerts",
        "queue": "critical",
        "limit": None,
        "schedules": {"hourly": ("57 * * * *", "UTC")},
        "reruns": {"prefect.flow-run.Crashed": 0, "prefect.flow-run.Failed": 60},
    },
    "downsample": {
        "entrypoint": "flows.downsample.downsample",
        "queue": "standard",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"quarter-hourly": ("3,18,33,48 * * * *", "UTC")},
        "reruns": {},
    },
    "derive-market": {
        "entrypoint": "flows.derive_market.derive_market",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("22 * * * *", "UTC")},
        "reruns": {},
    },
    "forecast": {
        "entrypoint": "flows.forecast.forecast",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("28 * * * *", "UTC")},
        "reruns": {},
    },
    "derive-anomalies": {
        "entrypoint": "flows.derive_anomalies.derive_anomalies",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("24 * * * *", "UTC")},
        "reruns": {},
    },
    "derive-pools": {
        "entrypoint": "flows.derive_pools.derive_pools",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("32 * * * *", "UTC")},
        "reruns": {},
    },
    "derive-metrics": {
        "entrypoint": "flows.derive_metrics.derive_metrics",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("34 * * * *", "UTC")},
        "reruns": {},
    },
    "advise": {
        "entrypoint": "flows.advise.advise",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("39 * * * *", "UTC")},
        "reruns": {},
    },
    "derive-quality": {
        "entrypoint": "flows.derive_quality.derive_quality",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("43 * * * *", "UTC")},
        "reruns": {},
    },
    "report": {
        "entrypoint": "flows.report.report",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("44 * * * *", "UTC")},
        "reruns": {},
    },
    "export-series": {
        "entrypoint": "flows.export_series.export_series",
        "queue": "batch",
        "limit": (1, "ENQUEUE"),
        "schedules": {},
        "reruns": {},
    },
    "build-warehouse": {
        "entrypoint": "flows.build_warehouse.build_warehouse",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("37 * * * *", "UTC")},
        "reruns": {},
    },
    "publish-features": {
        "entrypoint": "flows.publish_features.publish_features",
        "queue": "standard",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"quarter-hourly": ("5,20,35,50 * * * *", "UTC")},
        "reruns": {},
    },
    "measure-drift": {
        "entrypoint": "flows.measure_drift.measure_drift",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"daily": ("25 4 * * *", "UTC")},
        "reruns": {},
    },
    "export-features": {
        "entrypoint": "flows.export_features.export_features",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"six-hourly": ("54 */6 * * *", "UTC")},
        "reruns": {},
    },
    "measure-export": {
        "entrypoint": "flows.measure_export.measure_export",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {},
        "reruns": {},
    },
    "stream-features": {
        "entrypoint": "flows.stream_features.stream_features",
        "queue": "standard",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {},
        "reruns": {},
    },
    "fetch-predictions": {
        "entrypoint": "flows.fetch_predictions.fetch_predictions",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {},
        "reruns": {},
    },
    "monitor-drift": {
        "entrypoint": "flows.monitor_drift.monitor_drift",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {},
        "reruns": {},
    },
    "retrain-models": {
        "entrypoint": "flows.retrain_models.retrain_models",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {},
        "reruns": {},
    },
    "maintain-lake": {
        "entrypoint": "flows.maintain_lake.maintain_lake",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("27 * * * *", "UTC")},
        "reruns": {},
    },
    "check-lake": {
        "entrypoint": "flows.check_lake.check_lake",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"daily": ("12 2 * * *", "UTC")},
        "reruns": {},
    },
    "archive": {
        "entrypoint": "flows.archive.archive",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"weekly": ("0 0 * * 0", "UTC")},
        "reruns": {},
    },
    "guard-disk": {
        "entrypoint": "flows.guard_disk.guard_disk",
        "queue": "batch",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("52 * * * *", "UTC")},
        "reruns": {},
    },
    "fill-gaps": {
        "entrypoint": "flows.fill_gaps.fill_gaps",
        "queue": "standard",
        "limit": (1, "CANCEL_NEW"),
        "schedules": {"hourly": ("41 * * * *", "UTC")},
        "reruns": {"lodeline.collector.resumed": 180},
    },
    "read-configuration": {
        "entrypoint": "flows.read_configuration.read_configuration",
        "queue": "batch",
        "limit": (1, "ENQUEUE"),
        "schedules": {},
        "reruns": {"lodeline.miner.started": 0, "lodeline.miner.firmware_changed": 0},
    },
}


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


def test_the_archive_runs_when_the_configuration_says():
    from storage.retention_settings import load_retention_settings

    said = {
        "LODELINE_RETENTION__ARCHIVING__SCHEDULE": "30 2 * * 6",
        "LODELINE_RETENTION__GENERAL__TIMEZONE": "Europe/Berlin",
    }
    plan = read_plan().scheduled(load_retention_settings(None, said, lambda name: None))
    (archive,) = (deployment for deployment in plan.deployments if deployment.name == "archive")
    (schedule,) = archive.schedules
    assert (schedule.slug, schedule.cron, schedule.timezone) == ("weekly", "30 2 * * 6", "Europe/Berlin")
    assert [other for other in plan.deployments if other.name != "archive"] == [
        other for other in read_plan().deployments if other.name != "archive"
    ]


def test_the_export_runs_when_the_configuration_says():
    from storage.retention_settings import RetentionSettings

    abacus = load_abacus_settings(None, {
        "LODELINE_ABACUS__GENERAL__PROJECT_ID": "mining", "LODELINE_ABACUS__GENERAL__API_KEY": "a-key",
        "LODELINE_ABACUS__BATCH_PROCESSING__SCHEDULE": "0 */6 * * *",
    }, lambda name: None)  # fmt: skip
    assert abacus is not None
    plan = read_plan().scheduled(RetentionSettings(), abacus)
    (export,) = (deployment for deployment in plan.deployments if deployment.name == "export-features")
    (schedule,) = export.schedules
    assert (schedule.slug, schedule.cron, schedule.timezone) == ("six-hourly", "0 */6 * * *", "UTC")
    assert _schedules(plan, "measure-export") == []  # there is no group to measure
    one = {"name": "market_data", "entity_id_column": "coin.id", "features": [{"name": "price_usd", "type": "FLOAT"}]}
    grouped = type(abacus).model_validate(abacus.model_dump() | {"feature_groups": [one]})
    assert _schedules(read_plan().scheduled(RetentionSettings(), grouped), "measure-export") == ["10,25,40,55 * * * *"]
    (stream,) = (deployment for deployment in plan.deployments if deployment.name == "stream-features")
    assert [schedule.cron for schedule in stream.schedules] == ["1-59/5 * * * *"]
    off = abacus.model_copy(update={"real_time": abacus.real_time.model_copy(update={"enabled": False})})
    (still,) = (d for d in read_plan().scheduled(RetentionSettings(), off).deployments if d.name == "stream-features")
    assert still.schedules == []
    one = {
        "name": "ahead", "deployment_id": "d", "feature_group": "market_data", "feature": "price_usd",
        "value_column": "price",
    }  # fmt: skip
    again = {"name": "again", "model_id": "m", "every_days": 30}
    asked = type(abacus).model_validate(
        abacus.model_dump()
        | {"predictions": [one], "retraining": [again], "drift_monitors": [{"feature_group": "market_data"}]}
    )
    assert _schedules(plan, "monitor-drift") == []
    assert _schedules(read_plan().scheduled(RetentionSettings(), asked), "monitor-drift") == ["13,28,43,58 * * * *"]
    (fetch,) = (
        d for d in read_plan().scheduled(RetentionSettings(), asked).deployments if d.name == "fetch-predictions"
    )
    assert [schedule.cron for schedule in fetch.schedules] == ["8,23,38,53 * * * *"]
    (train,) = (d for d in read_plan().scheduled(RetentionSettings(), asked).deployments if d.name == "retrain-models")
    assert [schedule.cron for schedule in train.schedules] == ["45 4 * * *"]


def test_each_export_of_a_series_has_its_schedule():
    from storage.retention_settings import RetentionSettings
    from tasks.exports.settings import ExportSettings

    exports = [
        ExportSettings(name="power", what="miner_telemetry", schedule="10 2 * * *", timezone="Europe/Berlin"),
        ExportSettings(name="months", what="series", window="month"),
    ]
    plan = read_plan().scheduled(RetentionSettings(), exports=exports)
    (found,) = (deployment for deployment in plan.deployments if deployment.name == "export-series")
    assert [(one.slug, one.cron, one.timezone, one.parameters) for one in found.schedules] == [
        ("power", "10 2 * * *", "Europe/Berlin", {"name": "power"}),
        ("months", "35 1 * * *", "UTC", {"name": "months"}),
    ]


def _schedules(plan: Plan, name: str) -> list[str]:
    (found,) = (deployment for deployment in plan.deployments if deployment.name == name)
    return [schedule.cron for schedule in found.schedules]


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


def test_no_two_schedules_start_in_the_same_minute():
    minutes = [
        minute
        for deployment in read_plan().deployments
        for schedule in deployment.schedules
        for minute in schedule.cron.split()[0].split(",")
    ]
    assert len(set(minutes)) == len(minutes)


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
