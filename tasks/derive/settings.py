"""Sections ``electricity`` and ``economics`` of data_collection_config.yaml: prices of power and more.

All of it is optional. What is not told is not guessed: without a tariff for a site the cost there is null.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from storage.configuration import Name, Section, TimeZoneName, Unique
from tasks.market.coins import COINS

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_QUARTERS = re.compile(r"([01]\d|2[0-3]):(00|15|30|45)|24:00")


def _is_time_of_day(text: str) -> str:
    if not _QUARTERS.fullmatch(text):
        raise ValueError("expected a time of day in quarters of an hour, in quotes, e.g. '07:00'; '24:00' ends a day")
    return text


def minute_of_day(text: str) -> int:
    """``07:15`` as minutes after midnight."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


TimeOfDay = Annotated[str, AfterValidator(_is_time_of_day)]
Price = Annotated[float, Field(ge=0, le=100)]
Percent = Annotated[float, Field(ge=0, lt=100)]
Money = Annotated[float, Field(ge=0, le=1e9)]


class PricePeriod(Section):
    """A stretch of the week with a price of its own."""

    days: tuple[Weekday, ...] = WEEKDAYS
    """Days on which it begins."""
    from_local: TimeOfDay
    """Time of day in the tariff's zone at which it begins, e.g. '07:00'."""
    to_local: TimeOfDay
    """Time of day at which it ends; one that is not later than from_local is of the next day."""
    usd_per_kwh: Price
    """Price in it, USD per kWh."""


class Tariff(Section):
    """What power costs at some sites."""

    sites: tuple[str, ...] = ()
    """Sites that it holds for; none: every site that no other tariff names."""
    time_zone: TimeZoneName = "UTC"
    """Zone of its times of day, with the changes of its clocks."""
    currency: Literal["USD"] = "USD"
    """Currency of its prices. Others are refused: no rate of exchange is kept beside the prices of coins."""
    usd_per_kwh: Price
    """Price outside all periods, USD per kWh."""
    periods: tuple[PricePeriod, ...] = ()
    """Times of use with another price; of two that overlap the first counts."""
    since: dt.date | None = None
    """First local day that it holds for; of several tariffs of one site the newest that has begun counts."""


class ElectricitySettings(Section):
    """What power costs."""

    tariffs: tuple[Tariff, ...] = ()
    """Tariffs; without one for its site, cost and profit of a miner are null."""

    @field_validator("tariffs")
    @classmethod
    def _one_a_time(cls, tariffs: tuple[Tariff, ...]) -> tuple[Tariff, ...]:
        seen: dict[tuple[str | None, dt.date | None], int] = {}
        for position, tariff in enumerate(tariffs):
            for site in tariff.sites or (None,):
                first = seen.setdefault((site, tariff.since), position)
                if first != position:
                    where = "every other site" if site is None else f"site {site!r}"
                    raise ValueError(f"items {first} and {position} are both for {where} since the same day")
        return tariffs


class PoolFee(Section):
    """What one pool keeps."""

    pool: Name
    """Id of the pool in section pools, or ``prohashing``."""
    fee_percent: Percent
    """Part of the reward that it keeps, percent."""
    since: dt.date | None = None
    """First day of UTC that it holds for; of several fees of one pool the newest that has begun counts."""


class ModelEconomics(Section):
    """Money of the miners of one model; what a miner says of itself goes over it."""

    model: Name
    """Model as in section miners."""
    purchase_price_usd: Money | None = None
    """Price of one."""
    devfee_percent: Percent | None = None
    """Hash power that mines for the firmware's maker, where the miner does not tell it."""


class EconomicsSettings(Section):
    """What revenue, profit and return are worked out with, beside prices and power."""

    models: Annotated[tuple[ModelEconomics, ...], Unique(("model",))] = ()
    """Prices by model."""
    pool_fees: tuple[PoolFee, ...] = ()
    """Fees by pool."""
    pool_fee_percent: Percent | None = None
    """Fee of any other pool; where it is not told none is taken off, and the rows say ``pool_fee_unknown``."""
    devfee_percent: Percent = 0.0
    """Devfee of miners that do not tell it and are not listed with their own; stock firmware has none."""
    other_cost_usd_per_day: Money = 0.0
    """Cost of one miner per day beside electricity: hosting, staff, repairs."""
    coins: tuple[Name, ...] = ("bitcoin", "litecoin")
    """Coins that are mined, one for each algorithm, by Lodeline's ids; those merge-mined with them come with them."""

    @field_validator("coins")
    @classmethod
    def _one_for_each_algorithm(cls, coins: tuple[str, ...]) -> tuple[str, ...]:
        by_algorithm: dict[str, str] = {}
        for coin_id in coins:
            coin = COINS.get(coin_id)
            if coin is None or coin.algorithm is None or coin.parent is not None:
                fitting = ", ".join(c.id for c in COINS.values() if c.algorithm and not c.parent)
                raise ValueError(f"{coin_id!r} is no coin that is mined by itself; one of {fitting}")
            if by_algorithm.setdefault(coin.algorithm, coin_id) != coin_id:
                raise ValueError(f"{by_algorithm[coin.algorithm]} and {coin_id} are both mined by {coin.algorithm}")
        return coins

    def coin_of(self, algorithm: str) -> str | None:
        """The coin that ``algorithm`` mines."""
        return next((coin_id for coin_id in self.coins if COINS[coin_id].algorithm == algorithm), None)

    @field_validator("pool_fees")
    @classmethod
    def _one_fee_a_time(cls, fees: tuple[PoolFee, ...]) -> tuple[PoolFee, ...]:
        first: dict[tuple[str, dt.date | None], int] = {}
        for position, fee in enumerate(fees):
            held = first.setdefault((fee.pool, fee.since), position)
            if held != position:
                raise ValueError(f"items {held} and {position} are both for pool {fee.pool!r} since the same day")
        return fees

    def fee_percent_of(self, pool: str | None, day: dt.date) -> float | None:
        """What ``pool`` keeps on a day of UTC; None where nobody told."""
        begun = [fee for fee in self.pool_fees if fee.pool == pool and (fee.since or dt.date.min) <= day]
        newest = max(begun, key=lambda fee: fee.since or dt.date.min, default=None)
        return self.pool_fee_percent if newest is None else newest.fee_percent
