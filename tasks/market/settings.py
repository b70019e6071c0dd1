"""Section ``market_data`` of data_collection_config.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from storage.configuration import PollingInterval, Section
from tasks.market.network.settings import NetworkSettings

Coin = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
"""A provider's id of a coin or currency: lower case, e.g. ``bitcoin`` (not BTC)."""


class CoinGeckoIntervals(Section):
    """Seconds between requests."""

    simple_price: PollingInterval = 300
    """Seconds between requests of /simple/price."""
    market_data: PollingInterval = 900
    """Seconds between requests of /coins/markets."""
    historical: PollingInterval = 3600
    """Seconds between requests of /coins/{id}/market_chart."""


class CoinGeckoSettings(Section):
    """CoinGecko."""

    enabled: bool = True
    """Ask CoinGecko."""
    coins: tuple[Coin, ...] = ("bitcoin", "ethereum", "litecoin", "dogecoin")
    """CoinGecko's ids of the coins to follow."""
    vs_currencies: tuple[Coin, ...] = ("usd", "btc")
    """Currencies to price them in."""
    polling_intervals: CoinGeckoIntervals = CoinGeckoIntervals()


class CoinMarketCapIntervals(Section):
    """Seconds between requests."""

    listings: PollingInterval = 900
    """Seconds between requests of /cryptocurrency/listings/latest."""
    global_metrics: PollingInterval = 3600
    """Seconds between requests of /global-metrics/quotes/latest."""


class CoinMarketCapSettings(Section):
    """CoinMarketCap."""

    enabled: bool = True
    """Ask CoinMarketCap."""
    api_key: SecretStr | None = Field(default=None, validate_default=True)
    """API key; needed where enabled."""
    tier: Literal["free", "basic", "hobbyist", "startup", "standard", "professional", "enterprise"] = "free"
    """Plan of the account, which says how many credits a month it has."""
    polling_intervals: CoinMarketCapIntervals = CoinMarketCapIntervals()

    @field_validator("api_key")
    @classmethod
    def _key_where_enabled(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if key is None and info.data.get("enabled"):
            raise ValueError("is missing; set it, or enabled: false")
        return key


class MarketSettings(Section):
    """Sources of prices. One that is absent is not asked."""

    coingecko: CoinGeckoSettings | None = None
    coinmarketcap: CoinMarketCapSettings | None = None
    network: NetworkSettings = NetworkSettings()

    @property
    def watched_coins(self) -> tuple[str, ...]:
        """Lodeline's ids of the coins whose networks are watched and whose mining is valued."""
        if self.network.coins is not None:
            return self.network.coins
        return self.coingecko.coins if self.coingecko is not None else ()
