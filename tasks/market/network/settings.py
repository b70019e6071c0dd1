"""Section ``market_data.network`` of data_collection_config.yaml: explorers of the networks of coins."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from storage.configuration import ApiKey, PollingInterval, Section, WebAddress
from tasks.market.coin_id import CoinId


class ExplorerSettings(Section):
    """One explorer. Their limits are not published: ask seldom."""

    enabled: bool = True
    """Ask it."""
    base_url: WebAddress | None = None
    """Address in the place of the explorer's own."""
    ca_file: Path | None = None
    """Certificates to trust in the place of the system's."""
    polling_interval: PollingInterval = 900
    """Seconds between requests."""


class MinerstatSettings(ExplorerSettings):
    """minerstat, which takes a key of a paid plan."""

    api_key: ApiKey | None = Field(default=None, validate_default=True)
    """API key; needed where enabled."""

    @field_validator("api_key")
    @classmethod
    def _key_where_enabled(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if key is None and info.data.get("enabled"):
            raise ValueError("is missing; set it, or enabled: false")
        return key


class NetworkSettings(Section):
    """Explorers. Those without a key are asked for the coins that the configuration follows, unless switched off."""

    enabled: bool = True
    """Ask explorers; without this section those that need no key are asked."""
    coins: tuple[CoinId, ...] | None = None
    """Lodeline's ids of the coins to watch and value; where not set, those whose prices are asked for."""
    mempool_space: ExplorerSettings = ExplorerSettings()
    """mempool.space, for Bitcoin."""
    blockchain_info: ExplorerSettings = ExplorerSettings()
    """blockchain.info, for Bitcoin."""
    whattomine: ExplorerSettings = ExplorerSettings()
    """WhatToMine, for coins that ASICs mine."""
    litesolo: ExplorerSettings = ExplorerSettings()
    """litesolo.org, for Litecoin and Dogecoin."""
    minerstat: MinerstatSettings | None = None
    """minerstat; not asked where absent."""
