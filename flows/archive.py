"""The weekly archive: what is past its retention moves out of the lake, compressed, verified and catalogued."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from storage.opening import lake_location


@flow(name="archive")
async def archive(config: str | None = None) -> State[None]:
    """Move aged partitions of the lake to ``general.archive_base_path``. May be killed and run again at any time.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("archive", config)
    place = settings.retention.general.archive_base_path
    if place is None:
        return Completed(name="Skipped", message="general.archive_base_path is not set: nothing is archived")
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake")
    from tasks.archive.notice import in_words  # the lake's libraries are an extra
    from tasks.archive.steps import archive_step

    report = await archive_step(
        lake_location(settings.storage),
        place,
        settings.retention,
        data_directory=settings.storage.data_directory,
        host=settings.host,
    )
    return Completed(message=in_words(report))
