"""A budget as rows of ``pipeline_disk`` and ``pipeline_volume``."""

from __future__ import annotations

from storage.declaration.pipeline import PIPELINE_DISK, PIPELINE_VOLUME
from storage.disk_budget.budget import Budget
from storage.frame import Frame, build_frame


def rows_of(budget: Budget, host: str, now: int) -> list[Frame]:
    """One row for each item and each volume, at ``now`` (Unix seconds)."""
    items, volumes = budget.items, budget.volumes
    return [
        build_frame(
            PIPELINE_DISK.name,
            [now] * len(items),
            {
                "host": [host] * len(items),
                "place": [item.place for item in items],
                "of": [item.of for item in items],
                "tier": [item.tier or None for item in items],
                "size": [item.stock.bytes for item in items],
                "growth": [item.stock.growth.bytes_per_day for item in items],
                "days_until_full": [item.alone.days for item in items],
            },
        ),
        build_frame(
            PIPELINE_VOLUME.name,
            [now] * len(volumes),
            {
                "host": [host] * len(volumes),
                "volume": [one.volume.path for one in volumes],
                "total": [one.volume.total for one in volumes],
                "free": [one.volume.free for one in volumes],
                "days_until_full": [one.forecast.days for one in volumes],
                "actions": [",".join(one.actions) or None for one in volumes],
            },
        ),
    ]
