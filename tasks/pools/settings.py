"""Section ``pools`` of data_collection_config.yaml: accounts at mining pools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from storage.configuration import ApiKey, Name, PollingInterval, Section, WebAddress
from tasks.market.coins import COINS, by_symbol

PoolKind = Literal["litecoinpool", "viabtc", "mining_dutch", "f2pool"]

_NEED_ACCOUNT: frozenset[str] = frozenset({"f2pool", "litecoinpool"})


class PoolIntervals(Section):
    """Seconds between requests. What a pool tells in one answer is asked at the shortest of its intervals."""

    workers: PollingInterval = 300
    """Seconds between requests of workers and their hashrates."""
    profitability: PollingInterval = 900
    """Seconds between requests of what the pool pays."""
    payouts: PollingInterval = 3600
    """Seconds between requests of what was credited and paid."""


class PoolSettings(Section):
    """One account at one pool."""

    id: Annotated[Name, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    """Your name for it: lower case, unique."""
    kind: PoolKind
    """Which pool."""
    state: Literal["live", "gone"] = "live"
    """``gone``: the pool has closed; it is not asked any more, and says so."""
    api_key: ApiKey | None = Field(default=None, validate_default=True)
    """The account's API key; needed where live."""
    account: Name | None = Field(default=None, validate_default=True)
    """User name at the pool: what stands before the first dot of a worker's name."""
    coins: tuple[Name, ...] = ("litecoin",)
    """Coins of the account, by Lodeline's ids; viabtc, mining_dutch and f2pool are asked for each of them."""
    base_url: WebAddress | None = None
    """Address in the place of the pool's own."""
    ca_file: Path | None = None
    """Certificates to trust in the place of the system's."""
    polling_intervals: PoolIntervals = PoolIntervals()

    @field_validator("id")
    @classmethod
    def _id_of_no_other_section(cls, name: str) -> str:
        if name == "prohashing":
            raise ValueError("is what the pool of section prohashing is called; take another")
        return name

    @field_validator("coins")
    @classmethod
    def _known_coins(cls, coins: tuple[str, ...]) -> tuple[str, ...]:
        for position, coin in enumerate(coins):
            if coin not in COINS:
                meant = by_symbol(coin)
                hint = f"its id is {meant.id}" if meant is not None else f"one of {', '.join(COINS)}"
                raise ValueError(f"{coin!r} is no coin that Lodeline knows; {hint}")
            if coin in coins[:position]:
                raise ValueError(f"{coin} is there twice")
        return coins

    @field_validator("api_key")
    @classmethod
    def _key_where_live(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if key is None and info.data.get("state") == "live":
            raise ValueError("is missing; set it, or state: gone")
        return key

    @field_validator("account")
    @classmethod
    def _account_where_needed(cls, account: str | None, info: ValidationInfo) -> str | None:
        if account is None and info.data.get("state") == "live" and info.data.get("kind") in _NEED_ACCOUNT:
            raise ValueError(f"is missing; {info.data.get('kind')} has it before the dot of every worker's name")
        return account
