"""data_collection_config.yaml: what is collected, each section from the room that uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import model_validator

from storage.configuration import Name, Resolver, Section, Unique, Within, load, refuse
from tasks.alerts.settings import AlertSettings
from tasks.derive.settings import EconomicsSettings, ElectricitySettings
from tasks.exports.settings import ExportSettings
from tasks.market.settings import MarketSettings
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.sites import faults_of
from tasks.pools.prohashing.reading import POOL_ID
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.settings import PoolSettings
from tasks.reports.settings import ReportSettings
from tasks.responses.response import Mode
from tasks.responses.settings import ResponseSettings
from tasks.sources.settings import SharingSettings

FILE_NAME = "data_collection_config.yaml"
PREFIX = "LODELINE_COLLECTION__"


class CollectionGeneralSettings(Section):
    """This installation."""

    environment: Name = "production"
    """Label of this installation; the page shows it where it is not production, `lodeline check` always."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Least severe message that is logged."""
    data_directory: Path | None = None
    """Folder of spool, state, lake and locks; LODELINE_DATA_DIRECTORY goes over it, ``var/lodeline`` without both."""


class CollectionSettings(Section):
    """The whole file. A source that is absent is not collected."""

    general: CollectionGeneralSettings = CollectionGeneralSettings()
    miners: Annotated[tuple[MinerSettings, ...], Unique(("id",)), Unique(("ip", "port"))] = ()
    """Miners to poll; an id, and an address with its port, may be there once."""
    sites: tuple[Name, ...] = ()
    """Sites with a collecting host of their own, as ``site`` of miners names them; see docs/scale-out.md. Without, one
    host polls all miners."""
    fleet: FleetSettings = FleetSettings()
    prohashing: ProhashingSettings | None = None
    pools: Annotated[tuple[PoolSettings, ...], Unique(("id",))] = ()
    """Accounts at further pools; an id may be there once."""
    market_data: MarketSettings = MarketSettings()
    sharing: SharingSettings = SharingSettings()
    electricity: ElectricitySettings = ElectricitySettings()
    economics: EconomicsSettings = EconomicsSettings()

    alerts: AlertSettings = AlertSettings()
    responses: ResponseSettings = ResponseSettings()
    reports: ReportSettings = ReportSettings()
    exports: Annotated[tuple[ExportSettings, ...], Unique(("name",))] = ()
    """Files that are written by themselves, one for each period; a name may be there once."""

    @property
    def pool_ids(self) -> frozenset[str]:
        """Ids of all pools, as rows of pools have them."""
        return frozenset({pool.id for pool in self.pools} | ({POOL_ID} if self.prohashing is not None else set()))

    @property
    def closed_pool_ids(self) -> frozenset[str]:
        """Ids of those that have closed, as is said here by ``state: gone``."""
        closed = {pool.id for pool in self.pools if pool.state == "gone"}
        gone = self.prohashing is not None and self.prohashing.state == "gone"
        return frozenset(closed | ({POOL_ID} if gone else set()))

    @model_validator(mode="after")
    def _sections_fit_each_other(self) -> CollectionSettings:
        refuse(
            (
                *self._miners_read_twice(),
                *faults_of(self.sites, self.miners),
                *self._pools_of_miners(),
                *self._answers_to_alerts(),
                *self._channels_of_reports(),
            )
        )
        return self

    def _miners_read_twice(self) -> Iterator[Within]:
        """By the port that is really asked, be it written or the usual one: a miner of two ids would count twice."""
        first: dict[tuple[str, int | None], str] = {}
        for at, miner in enumerate(self.miners):
            other = first.setdefault(miner.asked_at, miner.id)
            if other != miner.id:
                yield ("miners", at, "ip"), f"miner {other} is asked at {miner.ip} too, on the same port"

    def _pools_of_miners(self) -> Iterator[Within]:
        known = self.pool_ids
        there = f"expected one of {', '.join(sorted(known))}" if known else "none is configured (section pools)"
        for at, miner in enumerate(self.miners):
            if miner.pool is not None and miner.pool not in known:
                yield ("miners", at, "pool"), f"there is no pool {miner.pool!r}: {there}"

    def _answers_to_alerts(self) -> Iterator[Within]:
        mode = self.responses.mode
        if mode is not Mode.OFF and not self.alerts.enabled:
            yield ("responses", "mode"), f"expected off, found {mode}: alerts.enabled is false, so nobody would look"
        for path, told in self.responses.faults_under(self.alerts.rules_in_force()):
            yield ("responses", *path), told

    def _channels_of_reports(self) -> Iterator[Within]:
        there = {channel.name for channel in self.alerts.channels}
        known = f"expected one of {', '.join(sorted(there))}" if there else "none is configured"
        for at, name in enumerate(self.reports.tell):
            if name not in there:
                yield ("reports", "tell", at), f"there is no channel {name!r} in alerts.channels: {known}"


def load_collection_settings(file: Path | None, environ: Mapping[str, str], resolve: Resolver) -> CollectionSettings:
    """Read ``file``, or take the defaults: nothing is collected. Raises ConfigurationError with all its faults."""
    return load(CollectionSettings, file, resolve, prefix=PREFIX, environ=environ)
