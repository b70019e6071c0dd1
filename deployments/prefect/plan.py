"""prefect.yaml as Lodeline reads it. What is not known here is refused: nothing in the file is silently left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger, ResourceSpecification
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.errors import ConfigurationError
from storage.retention_settings import RetentionSettings
from tasks.abacus.settings import AbacusSettings
from tasks.exports.settings import ExportSettings
from tasks.miners.sites import lane_of, slug_of

PLAN_FILE = Path(__file__).parents[2] / "prefect.yaml"

ARCHIVE = "archive"
"""The deployment whose schedule users say in data_retention_config.yaml."""

EXPORT = "export-features"
"""The deployment whose schedule users say in abacus_integration_config.yaml."""

EXPORT_SERIES = "export-series"
"""The deployment that has a schedule for each of exports in data_collection_config.yaml."""

STREAM, STREAM_CRON = "stream-features", "1-59/5 * * * *"
"""The deployment that has a schedule where real_time of abacus_integration_config.yaml is on, and that schedule."""

MEASURE_EXPORT, MEASURE_EXPORT_CRON = "measure-export", "10,25,40,55 * * * *"
"""The deployment that has a schedule where abacus_integration_config.yaml has feature groups, and that schedule."""

PREDICT, PREDICT_CRON = "fetch-predictions", "8,23,38,53 * * * *"
"""The deployment that has a schedule where abacus_integration_config.yaml has predictions, and that schedule."""

MONITOR, MONITOR_CRON = "monitor-drift", "13,28,43,58 * * * *"
"""The deployment that has a schedule where that file has drift_monitors, and that schedule: most runs find nothing due.
"""

RETRAIN, RETRAIN_CRON = "retrain-models", "45 4 * * *"
"""The deployment that has a schedule where that file has retraining: daily, after the drift of the day was measured."""

AT_SITES = ("collect-miners", "fill-gaps", "read-configuration")
"""Deployments that must run where the miners can be reached. Where there are sites, each has its own in their place."""

ON_EACH_HOST = ("guard-disk",)
"""Deployments that each site has beside the one for the other queues: every host has a disk."""

_TAKE_SITE = ("collect-miners", "fill-gaps")
"""Those of them whose flow is told the site; the others look at what is there, or are told a miner."""

SITE_QUEUE = "site-"
"""What the queue of a site begins with."""

RUNS_OF_A_SITE = 5
"""Runs that a site may have at a time: two shifts at a hand-over, and one each of the others. The pool's limit grows by
so many per site, else a shift of one site would wait for those of another."""


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
    """When runs start by themselves, and with which parameters of their own. The slug is what a later version of the
    schedule is known by."""

    slug: str
    cron: str
    timezone: str
    parameters: dict[str, Any] = {}

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

    @property
    def site_queues(self) -> list[str]:
        """Names of the queues of sites."""
        return [queue.name for queue in self.definitions.queues if queue.name.startswith(SITE_QUEUE)]

    @property
    def central_queues(self) -> list[Queue]:
        """The other queues."""
        return [queue for queue in self.definitions.queues if not queue.name.startswith(SITE_QUEUE)]

    def at_sites(self, sites: Sequence[str]) -> Plan:
        """The plan with a queue and deployments for each of ``sites``; as it is where there are none.

        A queue of a site is served first, and its runs are limited by their deployments alone: a shift must never wait.
        """
        if not sites:
            return self
        deployments = []
        for deployment in self.deployments:
            if deployment.name not in AT_SITES:
                deployments.append(deployment)
            if deployment.name in (*AT_SITES, *ON_EACH_HOST):
                deployments += [_at(deployment, site) for site in sites]
        queues = [Queue(name=f"{SITE_QUEUE}{slug_of(site)}", priority=1) for site in sites]
        pool = self.pool
        if pool.concurrency_limit is not None:
            most = pool.concurrency_limit + RUNS_OF_A_SITE * len(sites)
            pool = pool.model_copy(update={"concurrency_limit": most})
        definitions = self.definitions.model_copy(update={"pool": pool, "queues": [*queues, *self.definitions.queues]})
        return self.model_copy(update={"definitions": definitions, "deployments": deployments})

    def scheduled(
        self,
        retention: RetentionSettings,
        abacus: AbacusSettings | None = None,
        exports: Sequence[ExportSettings] = (),
    ) -> Plan:
        """The plan with what a user's configuration says of when runs start: the archive's schedule and time zone, and
        that of the export to Abacus.AI, which is in UTC; how it is measured, its stream, predictions, monitors and
        retraining, where there are; and of each of ``exports``.
        """
        weekly = Schedule(slug="weekly", cron=retention.archiving.schedule, timezone=retention.general.timezone)
        said = {ARCHIVE: [weekly]}
        said[EXPORT_SERIES] = [
            Schedule(slug=one.name, cron=one.schedule, timezone=one.timezone, parameters={"name": one.name})
            for one in exports
        ]
        if abacus is not None:
            said[EXPORT] = [Schedule(slug="six-hourly", cron=abacus.batch_processing.schedule, timezone="UTC")]
            if abacus.feature_groups:
                said[MEASURE_EXPORT] = [Schedule(slug="quarter-hourly", cron=MEASURE_EXPORT_CRON, timezone="UTC")]
            if abacus.real_time.enabled:
                said[STREAM] = [Schedule(slug="five-minutely", cron=STREAM_CRON, timezone="UTC")]
            if abacus.drift_monitors:
                said[MONITOR] = [Schedule(slug="quarter-hourly", cron=MONITOR_CRON, timezone="UTC")]
            if abacus.retraining:
                said[RETRAIN] = [Schedule(slug="daily", cron=RETRAIN_CRON, timezone="UTC")]
            if abacus.predictions:
                said[PREDICT] = [Schedule(slug="quarter-hourly", cron=PREDICT_CRON, timezone="UTC")]
        deployments = [
            deployment.model_copy(update={"schedules": said.get(deployment.name, deployment.schedules)})
            for deployment in self.deployments
        ]
        return self.model_copy(update={"deployments": deployments})


def _at(deployment: Deployment, site: str) -> Deployment:
    """``deployment`` for the miners, or the host, of ``site``; its triggers listen to that site alone."""
    slug = slug_of(site)
    name = f"{deployment.name}-{slug}"
    parameters = {**deployment.parameters, "site": site} if deployment.name in _TAKE_SITE else deployment.parameters
    return deployment.model_copy(
        update={
            "name": name,
            "description": f"{deployment.description} At site {site}.",
            "parameters": parameters,
            "work_pool": deployment.work_pool.model_copy(update={"work_queue_name": f"{SITE_QUEUE}{slug}"}),
            "triggers": [_heard_at(trigger, deployment.name, name, site) for trigger in deployment.triggers],
        }
    )


def _heard_at(trigger: DeploymentEventTrigger, old: str, new: str, site: str) -> DeploymentEventTrigger:
    """``trigger`` of deployment ``old`` for that of ``site``, ``new``: events of runs are those of its own, of miners
    and of collectors those of the site (tasks/miners/steps.py tells it)."""

    def narrowed(match: Any) -> ResourceSpecification:
        labels = dict(getattr(match, "root", match))
        if labels.get("prefect.resource.name") == old:
            labels["prefect.resource.name"] = new
        if labels.get("prefect.resource.id") == "lodeline.miner.*":
            labels["lodeline.site"] = slug_of(site)
        if labels.get("prefect.resource.id") == "lodeline.collector.*":
            labels["lodeline.lane"] = lane_of(site)
        return ResourceSpecification(labels)

    return trigger.model_copy(
        update={
            "name": (trigger.name or new).replace(old, new, 1),
            "match": narrowed(trigger.match),
            "match_related": narrowed(trigger.match_related),
        }
    )


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
