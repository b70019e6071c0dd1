"""``lodeline deploy``: put prefect.yaml on a Prefect server."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption
from storage.errors import NeedsHuman


def deploy(
    api_url: Annotated[
        str | None,
        typer.Option("--api-url", help="API of the server, e.g. http://127.0.0.1:4200/api.", envvar="PREFECT_API_URL"),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Another prefect.yaml than the project's.", show_default=False)
    ] = None,
    one_host: Annotated[
        bool, typer.Option("--one-host", help="Collect all miners from one host, whatever sites there are.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register deployments, work pool, queues, limits and automations on a Prefect server. May be run again any time.

    The schedule of the archive is what archiving.schedule and general.timezone of data_retention_config.yaml say, that
    of the export to Abacus.AI what batch_processing.schedule of abacus_integration_config.yaml says, in UTC; each of
    exports of data_collection_config.yaml has one of its own. Where
    sharing.hosts of data_collection_config.yaml is more than 1, each pool and market that is asked has a limit, by
    which these hosts share its rate.

    Where it has sites, each has its own queue and its own deployments of what must run near the miners, in place of
    those for all miners, which are removed.

    Example: lodeline deploy --api-url http://127.0.0.1:4200/api
    """
    if not api_url:
        raise NeedsHuman("no Prefect server is named", remedy="Set PREFECT_API_URL or give --api-url")
    from deployments.prefect.environment import QUIET

    os.environ.update(QUIET, PREFECT_API_URL=api_url)  # before Prefect is imported: it reads them once
    from deployments.prefect.deploy import register
    from deployments.prefect.plan import PLAN_FILE, read_plan
    from deployments.settings import load_settings
    from tasks.rates import shared_rates

    settings = load_settings(config)
    plan = read_plan(file or PLAN_FILE).scheduled(settings.retention, settings.abacus, settings.collection.exports)
    if not one_host:
        plan = plan.at_sites(settings.collection.sites)
    registered = asyncio.run(register(plan, shared_rates(settings.collection)))
    if as_json:
        names = {"queues": registered.queues, "deployments": registered.deployments}
        ids = {kind: {name: str(made) for name, made in found.items()} for kind, found in names.items()}
        automations = {name: str(made) for name, made in registered.automations.items()}
        limits = {name: str(made) for name, made in registered.limits.items()}
        typer.echo(
            json.dumps(
                {
                    "pool": plan.pool.name,
                    **ids,
                    "automations": automations,
                    "limits": limits,
                    "removed": registered.removed,
                }
            )
        )
        return
    typer.echo(f"Work pool {plan.pool.name}: queues {', '.join(registered.queues)}")
    for name in registered.deployments:
        typer.echo(f"Deployment {name}")
    for name in registered.automations:
        typer.echo(f"Automation: {name}")
    for name in registered.limits:
        typer.echo(f"Limit {name}")
    for name in registered.removed:
        typer.echo(f"Removed {name}, which the plan has no more")
    start = f"prefect worker start --pool {plan.pool.name}"
    for queue in plan.site_queues:
        typer.echo(f"Start at the site: {start} --work-queue {queue}")
    if plan.site_queues:
        queues = " ".join(f"--work-queue {queue.name}" for queue in plan.central_queues)
        typer.echo(f"Start in one place: {start} {queues}")
    else:
        typer.echo(f"Start a worker with: {start}")
