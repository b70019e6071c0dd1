"""What a kWh costs in each hour: tariffs by site and time of use, in their own time zone, clock changes included. Pure.

Hours are those of UTC. A period that begins or ends within one (zones are off by whole quarters of an hour) counts for
its quarters. A local day has 23 or 25 hours where clocks change; each of them is priced by what the clock showed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from tasks.derive.settings import WEEKDAYS, ElectricitySettings, PricePeriod, Tariff, minute_of_day

Floats = npt.NDArray[np.float64]

HOUR_S = 3_600
_QUARTER_S = 900
_DAY_MIN = 24 * 60


def usd_per_kwh(electricity: ElectricitySettings, site: str, hours: Sequence[int]) -> Floats:
    """Mean price of each hour (Unix seconds of its start) at ``site``; NaN where no tariff holds."""
    return np.array([_price_of_hour(electricity, site, int(hour)) for hour in hours], dtype=np.float64)


def tariff_at(electricity: ElectricitySettings, site: str, moment: int) -> Tariff | None:
    """The tariff that holds at ``site``: the newest that has begun; one that names the site goes before the others."""
    named = [tariff for tariff in electricity.tariffs if site in tariff.sites]
    others = [tariff for tariff in electricity.tariffs if not tariff.sites]
    for tariffs in (named, others):
        begun = [tariff for tariff in tariffs if _has_begun(tariff, moment)]
        if begun:
            return max(begun, key=lambda tariff: tariff.since or dt.date.min)
    return None


def price_at(tariff: Tariff, moment: int) -> float:
    """USD per kWh at ``moment`` (Unix seconds)."""
    local = dt.datetime.fromtimestamp(moment, _zone(tariff.time_zone))
    minute, weekday = local.hour * 60 + local.minute, local.weekday()
    return next((one.usd_per_kwh for one in tariff.periods if _holds(one, weekday, minute)), tariff.usd_per_kwh)


@lru_cache(maxsize=100_000)
def _price_of_hour(electricity: ElectricitySettings, site: str, hour: int) -> float:
    prices = []
    for moment in range(hour, hour + HOUR_S, _QUARTER_S):
        tariff = tariff_at(electricity, site, moment)
        if tariff is None:
            return float("nan")
        prices.append(price_at(tariff, moment))
    return prices[0] if len(set(prices)) == 1 else sum(prices) / len(prices)


def _holds(period: PricePeriod, weekday: int, minute: int) -> bool:
    """Whether ``minute`` of ``weekday`` (0: Monday) lies in ``period``, which may run over midnight."""
    first, end = minute_of_day(period.from_local), minute_of_day(period.to_local)
    if WEEKDAYS[weekday] in period.days and first <= minute < (end if end > first else _DAY_MIN):
        return True
    return end <= first and WEEKDAYS[weekday - 1] in period.days and minute < end


def _has_begun(tariff: Tariff, moment: int) -> bool:
    if tariff.since is None:
        return True
    return dt.datetime.fromtimestamp(moment, _zone(tariff.time_zone)).date() >= tariff.since


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
