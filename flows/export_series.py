"""Files of series that the configuration wants, each once its period is over."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.fleet import fleet_of


@flow(name="export-series")
async def export_series(name: str | None = None, config: str | None = None) -> State[None]:
    """Write the files that are due. Killed or run twice it changes nothing; late, it makes what was missed.

    Args:
        name: of one export; all of them by default.
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("export_series", config)
    told = settings.collection
    exports = [one for one in told.exports if name in (None, one.name)]
    if not exports:
        which = "no export" if name is None else f"no export {name}"
        return Completed(name="Skipped", message=f"{which} is configured")
    from tasks.exports.steps import export_step, exports_in_words  # Arrow is an extra

    made = await export_step(
        settings.storage,
        exports,
        fleet_of(told.miners, told.electricity, told.economics),
        archive=settings.retention.general.archive_base_path,
        retention_days=settings.retention.bucket_days(),
    )
    return Completed(message=exports_in_words(made))
