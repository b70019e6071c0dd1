"""The weekly archive: what is past its retention moves out of the lake, compressed, verified and catalogued. Of a host
with InfluxDB alone it is copied before InfluxDB drops it."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="archive")
async def archive(config: str | None = None) -> State[None]:
    """Move what has aged to ``general.archive_base_path``. May be killed and run again at any time.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("archive", config)
    place = settings.retention.general.archive_base_path
    if place is None:
        return Completed(name="Skipped", message="general.archive_base_path is not set: nothing is archived")
    if not settings.storage.lake.enabled and settings.storage.influx is None:
        return Completed(name="Skipped", message="this host stores nothing")
    from tasks.archive.notice import in_words  # the lake's libraries are an extra
    from tasks.archive.steps import archive_step

    report = await archive_step(
        settings.storage,
        place,
        settings.retention,
        host=settings.host,
        channels=settings.collection.alerts.channels,
    )
    return Completed(message=in_words(report))
