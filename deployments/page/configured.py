"""What the configuration says that the page needs beside the roster; without one it is all unknown."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.collection_settings import CollectionSettings
from tasks.derive.fleet import Fleet as Economy
from tasks.derive.fleet import fleet_of
from tasks.derive.source_quality.sources import Intervals, intervals_of
from tasks.pools.configured import pool_names

USUAL_ENVIRONMENT = "production"
"""Label of an installation that needs none."""


@dataclass(frozen=True)
class Configured:
    """``economy``: miners, tariffs, coins mined; ``zone``: of days of money; ``channels``: names of those that alerts
    are told on; ``environment``: label of the installation; ``intervals``: how often each source should tell
    something."""

    economy: Economy = field(default_factory=Economy)
    pool_ids: tuple[str, ...] = ()
    coin_ids: tuple[str, ...] = ()
    zone: str = "UTC"
    channels: tuple[str, ...] = ()
    environment: str = USUAL_ENVIRONMENT
    intervals: Intervals = field(default_factory=dict)

    @classmethod
    def of(cls, settings: CollectionSettings) -> Configured:
        """What ``settings`` say."""
        return cls(
            fleet_of(settings.miners, settings.electricity, settings.economics),
            tuple(pool.id for pool in pool_names(settings)),
            settings.market_data.watched_coins,
            settings.reports.timezone,
            tuple(channel.name for channel in settings.alerts.channels),
            settings.general.environment,
            intervals_of(settings),
        )
