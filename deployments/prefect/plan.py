"""prefect.yaml as Lodeline reads it. What is not known here is refused: nothing in the file is silently left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.errors import ConfigurationError
from storage.retention_settings import RetentionSettings
from tasks.abacus.settings import AbacusSettings

PLAN_FILE = Path(__file__).parents[2] / "prefect.yaml"

ARCHIVE = "archive"
"""The deployment whose schedule users say in data_retention_config.yaml."""

EXPORT = "export-features"
"""The deployment whose schedule users say in abacus_integration_config.yaml."""

STREAM, STREAM_CRON = "stream-features", "1-59/5 * * * *"
"""The deployment that has a schedule where real_time of abacus_integration_config.yaml is on, and that schedule."""

PREDICT, PREDICT_CRON = "fetch-predictions", "8,23,38,53 * * * *"
"""The deployment that has a schedule where abacus_integration_config.yaml has predictions, and that schedule."""

RETRAIN, RETRAIN_CRON = "retrain-models", "45 4 * * *"
"""The deployment that has a schedule where that file has retraining: daily, after the drift of the day was measured."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pool(_Part):
    """The work pool."""

    name: str
    type: Literal["process"]
    concurrency_limit: int | None = None


class Queue(_Part):
    """A work queue; lower ``priority`` is served first."""

    name: str
    priority: int = Field(ge=1)
    concurrency_limit: int | None = Field(default=None, ge=1)


class Limit(_Part):
    """How many runs of one deployment may be active."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["CANCEL_NEW", "ENQUEUE"]
    grace_period_seconds: int | None = None

    @property
    def options(self) -> ConcurrencyOptions:
        """What the server wants to know beside the number."""
        return ConcurrencyOptions.model_validate(self.model_dump(exclude={"limit"}))


class Schedule(_Part):
    """When runs start by themselves. The slug is what a later version of the schedule is known by."""

    slug: str
    cron: str
    timezone: str

    @property
    def schedule(self) -> CronSchedule:
        """The schedule as the server takes it."""
        return CronSchedule(cron=self.cron, timezone=self.timezone)


class Place(_Part):
    """Where a deployment's runs are queued."""

    name: str
    work_queue_name: str
    job_variables: dict[str, Any] = {}


class Deployment(_Part):
    """One deployment. ``entrypoint`` is ``module.function``; triggers run the deployment itself."""

    name: str
    description: str
    entrypoint: str
    tags: list[str] = []
    parameters: dict[str, Any] = {}
    work_pool: Place
    concurrency_limit: Limit | None = None
    schedules: list[Schedule] = []
    triggers: list[DeploymentEventTrigger] = []


class Definitions(_Part):
    """The part of ``definitions`` that is registered; its other keys are anchors of the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pool: Pool
    queues: list[Queue]


class Plan(_Part):
    """All of prefect.yaml."""

    name: str
    prefect_version: str = Field(alias="prefect-version")
    pull: list[Any] = Field(max_length=0)
    definitions: Definitions
    deployments: list[Deployment]

    @property
    def pool(self) -> Pool:
        """The work pool of all deployments."""
        return self.definitions.pool

    def scheduled(self, retention: RetentionSettings, abacus: AbacusSettings | None = None) -> Plan:
        """The plan with what a user's configuration says of when runs start: the archive's schedule and time zone, and
        that of the export to Abacus.AI, which is in UTC; its stream, predictions and retraining, where there are.
        """
        weekly = Schedule(slug="weekly", cron=retention.archiving.schedule, timezone=retention.general.timezone)
        said = {ARCHIVE: [weekly]}
        if abacus is not None:
            said[EXPORT] = [Schedule(slug="six-hourly", cron=abacus.batch_processing.schedule, timezone="UTC")]
            if abacus.real_time.enabled:
                said[STREAM] = [Schedule(slug="five-minutely", cron=STREAM_CRON, timezone="UTC")]
            if abacus.retraining:
                said[RETRAIN] = [Schedule(slug="daily", cron=RETRAIN_CRON, timezone="UTC")]
            if abacus.predictions:
                said[PREDICT] = [Schedule(slug="quarter-hourly", cron=PREDICT_CRON, timezone="UTC")]
        deployments = [
            deployment.model_copy(update={"schedules": said.get(deployment.name, deployment.schedules)})
            for deployment in self.deployments
        ]
        return self.model_copy(update={"deployments": deployments})


def read_plan(path: Path = PLAN_FILE) -> Plan:
    """Read and check prefect.yaml.

    Raises:
        ConfigurationError: it is missing, no YAML, or holds something unknown or wrong; one line per fault.
    """
    try:
        plan = Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}; name the file with --file"]) from error
    except yaml.YAMLError as error:
        raise ConfigurationError([f"{path}: not YAML: {' '.join(str(error).split())}"]) from error
    except ValidationError as error:
        raise ConfigurationError(
            [f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        ) from error
    faults = _stray_places(plan, path)
    if faults:
        raise ConfigurationError(faults)
    return plan


def _stray_places(plan: Plan, path: Path) -> list[str]:
    queues = {queue.name for queue in plan.definitions.queues}
    return [
        f"{path}: deployment {deployment.name}: {place.name}/{place.work_queue_name} is not in definitions"
        for deployment in plan.deployments
        if (place := deployment.work_pool).name != plan.pool.name or place.work_queue_name not in queues
    ]
