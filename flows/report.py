"""The report of the day, or week, that is over."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.fleet import fleet_of
from tasks.reports.steps import report_step, reports_in_words


@flow(name="report")
async def report(config: str | None = None) -> State[None]:
    """Write what is due. Killed or run twice it changes nothing; for a day and a half later data makes it anew.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("report", config)
    told = settings.collection
    fleet = fleet_of(told.miners, told.electricity, told.economics)
    return Completed(message=reports_in_words(await report_step(settings.storage, fleet, told.reports, told.alerts)))
