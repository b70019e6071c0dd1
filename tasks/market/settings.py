"""Section ``market_data`` of data_collection_config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from storage.configuration import ApiKey, PollingInterval, Section, WebAddress
from tasks.market.coin_id import CoinId
from tasks.market.network.settings import NetworkSettings


class CoinGeckoIntervals(Section):
    """Seconds between requests."""

    simple_price: PollingInterval = 300
    """Seconds between requests of /simple/price."""
    market_data: PollingInterval = 900
    """Seconds between requests of /coins/markets."""
    historical: PollingInterval = 3600
    """Seconds between looks at the history of each coin. It has a new daily close once a day; only then, and until that
    came, /coins/{id}/market_chart is asked, for a whole year."""


class CoinGeckoSettings(Section):
    """CoinGecko."""

    enabled: bool = True
    """Ask CoinGecko."""
    api_key: ApiKey | None = None
    """API key; without one CoinGecko is asked as anybody may, at 5 requests a minute."""
    plan: Literal["demo", "pro"] = "demo"
    """Plan that the key is of: address, rate and credits of a month follow from it."""
    credits_a_month: Annotated[int, Field(ge=1)] | None = None
    """Credits of the account in a calendar month, in the place of the plan's; without a key there is no limit."""
    coins: Annotated[tuple[CoinId, ...], Field(min_length=1)] = ("bitcoin", "ethereum", "litecoin", "dogecoin")
    """CoinGecko's ids of the coins to follow."""
    vs_currencies: Annotated[tuple[Literal["usd", "btc"], ...], Field(min_length=1)] = ("usd", "btc")
    """Currencies to price them in; USD is always among them. BTC is worked out of USD where it is not asked for."""
    base_url: WebAddress | None = None
    """Address in the place of the plan's."""
    ca_file: Path | None = None
    """Certificates to trust in the place of the system's."""
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
    api_key: ApiKey | None = Field(default=None, validate_default=True)
    """API key; needed where enabled."""
    tier: Literal["free", "basic", "hobbyist", "startup", "standard", "professional", "enterprise"] = "free"
    """Plan of the account, which says how many credits a month it has."""
    credits_a_month: Annotated[int, Field(ge=1)] | None = None
    """Credits of the account in a calendar month, in the place of the plan's."""
    coins: Annotated[tuple[CoinId, ...], Field(min_length=1)] | None = None
    """Lodeline's ids of the coins to keep; those of market_data.coingecko where not set."""
    limit: Annotated[int, Field(ge=1, le=5000)] = 200
    """How many coins are listed, by market capitalisation; a credit for each 200 begun."""
    base_url: WebAddress | None = None
    """Address in the place of CoinMarketCap's own."""
    ca_file: Path | None = None
    """Certificates to trust in the place of the system's."""
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
        if self.coingecko is not None:
            return self.coingecko.coins
        if self.coinmarketcap is not None:
            return self.coinmarketcap.coins or CoinGeckoSettings().coins
        return ()
