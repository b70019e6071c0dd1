"""Upkeep: merge closed hours and days of the lake, delete what nobody reads any more, end the audit trail's year."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from storage.declaration import BUCKETS
from storage.opening import lake_location
from tasks.governance.steps import cut_trail_step


@flow(name="maintain-lake")
async def maintain_lake(config: str | None = None) -> State[None]:
    """Keep every table of the lake in shape. May be killed and run again; two at once are harmless.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("maintain_lake", config)
    days = settings.retention.bucket_days()
    await cut_trail_step(settings.storage.data_directory, settings.host, days["mining_audit"])
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake")
    from tasks.lake.steps import in_words, maintain_step  # the lake's libraries are an extra

    if settings.retention.general.archive_base_path is not None:  # flow archive takes out what it has verified
        days = {name: days[name] for name, bucket in BUCKETS.items() if not bucket.in_influx}
    report = await maintain_step(
        lake_location(settings.storage),
        settings.storage.data_directory,
        settings.host,
        days,
        settings.retention.bucket_tables(),
    )
    return Completed(message=in_words(report))
