"""data_collection_config.yaml: what is collected, each section from the room that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import model_validator

from storage.configuration import Name, Resolver, Section, Unique, load
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
    """Label of this installation."""
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
    def _reports_have_channels(self) -> CollectionSettings:
        there = {channel.name for channel in self.alerts.channels}
        for name in self.reports.tell:
            if name not in there:
                known = f"one of {', '.join(sorted(there))}" if there else "none is configured"
                raise ValueError(f"reports.tell names channel {name!r}, which is not in alerts.channels: {known}")
        return self

    @model_validator(mode="after")
    def _miners_of_sites(self) -> CollectionSettings:
        if faults := faults_of(self.sites, self.miners):
            raise ValueError("; ".join(faults))
        return self

    @model_validator(mode="after")
    def _responses_answer_rules(self) -> CollectionSettings:
        if self.responses.mode is not Mode.OFF and not self.alerts.enabled:
            raise ValueError(f"responses.mode is {self.responses.mode}, and alerts.enabled is false: nobody would look")
        self.responses.check_rules(self.alerts.rules_in_force())
        return self

    @model_validator(mode="after")
    def _pools_of_miners(self) -> CollectionSettings:
        known = self.pool_ids
        for miner in self.miners:
            if miner.pool is not None and miner.pool not in known:
                there = f"one of {', '.join(sorted(known))}" if known else "none is configured"
                raise ValueError(f"miner {miner.id} should mine at pool {miner.pool!r}, which is not there: {there}")
        return self


def load_collection_settings(file: Path | None, environ: Mapping[str, str], resolve: Resolver) -> CollectionSettings:
    """Read ``file``, or take the defaults: nothing is collected. Raises ConfigurationError with all its faults."""
    return load(CollectionSettings, file, resolve, prefix=PREFIX, environ=environ)
