"""The three configuration files and the ``LODELINE_...`` variables, composed and checked together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from storage import retention_settings
from storage.configuration import Name, Resolver, Section, WebAddress, usual_resolver
from storage.configuration.folder import files_in
from storage.configuration.section import nearest
from storage.configuration.variables import variable_names
from storage.errors import ConfigurationError
from storage.loopback import is_loopback
from storage.retention_settings import RetentionSettings, load_retention_settings
from storage.settings import PREFIX, StorageSettings, load_storage_settings
from tasks import collection_settings
from tasks.abacus import settings as abacus_settings
from tasks.abacus.settings import AbacusSettings, load_abacus_settings
from tasks.collection_settings import CollectionSettings, load_collection_settings


class PageSettings(Section):
    """The live page."""

    host: Name = "127.0.0.1"
    """Address that it listens on. Any other than loopback needs a password."""
    port: int = Field(default=8642, ge=1, le=65_535)
    """Port that it listens on."""
    password: SecretStr | None = Field(default=None, validate_default=True)
    """Password that it asks for; none on loopback."""

    @field_validator("password")
    @classmethod
    def _locked_where_others_reach_it(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        host = info.data.get("host")
        if host is not None and not is_loopback(host) and not (password and password.get_secret_value().strip()):
            raise ValueError(f"must be set, for host {host} can be reached from elsewhere")
        return password


class PrefectSettings(Section):
    """The Prefect server."""

    api_url: WebAddress | None = None
    """API of a server that runs already, e.g. http://prefect:4200/api; without it ``lodeline up`` starts one."""
    port: int = Field(default=4200, ge=1, le=65_535)
    """Port of the server that ``lodeline up`` starts."""


class HostSettings(StorageSettings):
    """What a host is told by variables alone: where data lives, and what is served where."""

    page: PageSettings = PageSettings()
    prefect: PrefectSettings = PrefectSettings()


FILES = (collection_settings.FILE_NAME, retention_settings.FILE_NAME, abacus_settings.FILE_NAME)

MODELS: dict[str, type[Section]] = {
    PREFIX: HostSettings,
    collection_settings.PREFIX: CollectionSettings,
    retention_settings.PREFIX: RetentionSettings,
    abacus_settings.PREFIX: AbacusSettings,
}
"""Prefix of variables to the model they set."""

FURTHER_VARIABLES = {
    "LODELINE_CONFIG": "Folder of the configuration files, where --config does not say it.",
    "LODELINE_SECRETS_DIR": "Folder of secrets: one file per name, its content is the value.",
    "LODELINE_GRAFANA_DASHBOARDS": "Read by Grafana: folder of the provisioned dashboards.",
    "LODELINE_GRAFANA_MAIL_TO": "Read by Grafana, where its notification is Lodeline's: addresses, separated by `;`.",
    "LODELINE_GRAFANA_WEBHOOK_URL": "Read by Grafana, where its notification is Lodeline's: gets critical alerts.",
    "LODELINE_GRAFANA_INFLUX_URL": "Read by Grafana: address of InfluxDB as Grafana's server reaches it.",
    "LODELINE_GRAFANA_INFLUX_USER": "Read by Grafana: user name for InfluxDB.",
    "LODELINE_GRAFANA_INFLUX_TOKEN": "Read by Grafana: token or password for InfluxDB.",
    "LODELINE_BENCH_*": "Bench only: sizes of what is measured.",
    "LODELINE_KILL_SEED": "Tests only: repeats the kills of an earlier run.",
    "LODELINE_REQUIRE_SERVICES": "Tests only: with 1 a test fails, not skips, when its server is not installed.",
    "LODELINE_WRITE_SCREENSHOTS": "Tests only: with 1 the pictures in docs/images are made anew.",
}
"""Variables (or patterns of them) that are no key of a model, with their meaning; any other is a fault."""


@dataclass(frozen=True)
class Settings:
    """All of it. ``folder`` is the folder of files, None without one; ``abacus`` is None where it is off."""

    folder: Path | None
    files: tuple[Path, ...]
    host: HostSettings
    collection: CollectionSettings
    retention: RetentionSettings
    abacus: AbacusSettings | None

    def summary(self) -> dict[str, Any]:
        """What an operator wants to see at a glance; holds no secret. ``sources``: pools that are asked, by their ids,
        then providers of prices and networks."""
        from tasks.market.sources import market_rates  # not everything that reads settings asks a market

        pools = self.collection.pool_ids - self.collection.closed_pool_ids
        return {
            "environment": self.collection.general.environment,
            "files": [str(file) for file in self.files],
            "miners": len(self.collection.miners),
            "sources": [*sorted(pools), *sorted(market_rates(self.collection.market_data))],
            "abacus": self.abacus is not None,
            "influx": self.host.influx.url if self.host.influx else None,
            "lake": self.host.lake_address if self.host.lake.enabled else None,
            "data_directory": str(self.host.data_directory),
        }


Loaded = TypeVar("Loaded")


def load_settings(folder: Path | None, environ: Mapping[str, str] = os.environ, *further_secrets: Resolver) -> Settings:
    """Read the files of ``folder`` that are there and the variables of ``environ``.

    ``${NAME}`` comes from ``environ``, else from the folder LODELINE_SECRETS_DIR, else from ``further_secrets``
    (flows.secret_blocks has Prefect's).

    Raises:
        ConfigurationError: all faults of all files and variables.
    """
    faults = unknown_variables(environ)

    def told(read: Callable[[], Loaded]) -> Loaded | None:
        try:
            return read()
        except ConfigurationError as error:
            faults.extend(error.faults)
            return None

    resolve = told(lambda: usual_resolver(environ, *further_secrets))
    files = told(lambda: files_in(folder, FILES))
    if resolve is None or files is None:
        raise ConfigurationError(faults)
    collection_file, retention_file, abacus_file = (files[name] for name in FILES)
    collection = told(lambda: load_collection_settings(collection_file, environ, resolve))
    retention = told(lambda: load_retention_settings(retention_file, environ, resolve))
    abacus = told(lambda: load_abacus_settings(abacus_file, environ, resolve))
    host = told(
        lambda: load_storage_settings(
            HostSettings,
            environ,
            resolve,
            data_directory=collection.general.data_directory if collection else None,
            storage_base_path=retention.general.storage_base_path if retention else None,
        )
    )
    if faults or collection is None or retention is None or host is None:
        raise ConfigurationError(faults)
    present = tuple(file for file in files.values() if file is not None)
    return Settings(folder, present, host, collection, retention, abacus)


def known_variables() -> list[str]:
    """Names of all variables that Lodeline reads, some of them with a ``*`` at the end."""
    return [*(name for prefix, model in MODELS.items() for name in variable_names(model, prefix)), *FURTHER_VARIABLES]


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A fault for each ``LODELINE_...`` variable that nothing reads."""
    known = known_variables()
    faults = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and not any(fnmatchcase(name, pattern) for pattern in known):
            meant = nearest(name.lower(), [other.lower() for other in known])
            hint = f"did you mean {meant.upper()}?" if meant else "docs/configuration.md lists them"
            faults.append(f"{name}: unknown variable; {hint}")
    return faults
