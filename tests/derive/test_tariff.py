"""What a kWh costs: times of use in the tariff's own zone, on days of 23, 24 and 25 hours. Worked out by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from storage.errors import ConfigurationError
from tasks.collection_settings import load_collection_settings
from tasks.derive.settings import ElectricitySettings
from tasks.derive.tariff import usd_per_kwh

BERLIN: dict[str, Any] = {
    "time_zone": "Europe/Berlin",
    "usd_per_kwh": 0.06,
    "periods": [{"from_local": "22:00", "to_local": "06:00", "usd_per_kwh": 0.04}],
}


def electricity(*tariffs: dict[str, Any]) -> ElectricitySettings:
    return ElectricitySettings.model_validate({"tariffs": list(tariffs)})


def local_day(zone: str, date: str) -> range:
    """Starts of the hours of a day of ``zone``."""
    day = dt.date.fromisoformat(date)
    edges = (dt.datetime.combine(one, dt.time(), ZoneInfo(zone)) for one in (day, day + dt.timedelta(days=1)))
    first, end = (int(edge.timestamp()) for edge in edges)
    return range(first, end, 3_600)


@pytest.mark.parametrize(
    ("date", "hours", "usd"),
    [
        # of 1 kW all day: 16 hours by day at 0.06 = 0.96, and by night at 0.04
        ("2026-06-10", 24, 1.28),  # 8 hours of night
        ("2026-03-29", 23, 1.24),  # clocks go forward at 2: 7 hours of night
        ("2026-10-25", 25, 1.32),  # clocks go back at 3: 9 hours of night
    ],
)
def test_a_kilowatt_for_a_local_day(date: str, hours: int, usd: float):
    day = local_day("Europe/Berlin", date)
    assert len(day) == hours
    assert usd_per_kwh(electricity(BERLIN), "hall", day).sum() == pytest.approx(usd, abs=1e-12)


def at(zone: str, when: str) -> int:
    return int(dt.datetime.fromisoformat(when).replace(tzinfo=ZoneInfo(zone)).timestamp())


WEEKEND = {
    "usd_per_kwh": 0.10,
    "periods": [{"days": ["sat"], "from_local": "20:00", "to_local": "04:00", "usd_per_kwh": 0.02}],
}


@pytest.mark.parametrize(
    ("tariffs", "site", "hour", "usd"),
    [
        # 2026-06-13 is a Saturday: what begins on it lasts into Sunday morning
        ([WEEKEND], "", at("UTC", "2026-06-13T19:00"), 0.10),
        ([WEEKEND], "", at("UTC", "2026-06-13T20:00"), 0.02),
        ([WEEKEND], "", at("UTC", "2026-06-14T03:00"), 0.02),
        ([WEEKEND], "", at("UTC", "2026-06-14T04:00"), 0.10),
        ([WEEKEND], "", at("UTC", "2026-06-14T20:00"), 0.10),
        # Kathmandu is 5:45 ahead: its 22:00 is 16:15 UTC, so an hour of UTC has one dear quarter and three cheap ones
        ([BERLIN | {"time_zone": "Asia/Kathmandu"}], "", at("UTC", "2026-06-10T16:00"), 0.045),
        # a tariff that names the site goes before one for all others
        ([{"usd_per_kwh": 0.07}, {"sites": ["hall"], "usd_per_kwh": 0.05}], "hall", 0, 0.05),
        ([{"usd_per_kwh": 0.07}, {"sites": ["hall"], "usd_per_kwh": 0.05}], "yard", 0, 0.07),
        # the newest that has begun, by the local day
        (
            [{"usd_per_kwh": 0.07}, {"since": "2026-06-10", "usd_per_kwh": 0.08}],
            "",
            at("UTC", "2026-06-09T23:00"),
            0.07,
        ),
        (
            [{"usd_per_kwh": 0.07}, {"since": "2026-06-10", "usd_per_kwh": 0.08}],
            "",
            at("UTC", "2026-06-10T00:00"),
            0.08,
        ),
        # power that is free is not power without a price
        ([{"usd_per_kwh": 0.0}], "", 0, 0.0),
        ([{"sites": ["hall"], "usd_per_kwh": 0.05}], "yard", 0, np.nan),
        ([{"since": "2026-06-10", "usd_per_kwh": 0.05}], "", 0, np.nan),
        ([], "hall", 0, np.nan),
    ],
)
def test_price_of_an_hour(tariffs: list[dict[str, Any]], site: str, hour: int, usd: float):
    assert usd_per_kwh(electricity(*tariffs), site, [hour])[0] == pytest.approx(usd, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{tariffs: [{usd_per_kwh: 0.1, time_zone: Europe/Atlantis}]}", "electricity.tariffs[0].time_zone"),
        ("{tariffs: [{usd_per_kwh: 0.1, currency: EUR}]}", "electricity.tariffs[0].currency"),
        ("{tariffs: [{usd_per_kwh: -0.1}]}", "electricity.tariffs[0].usd_per_kwh"),
        ("{tariffs: [{usd_per_kwh: 0.1}, {usd_per_kwh: 0.2}]}", "items 0 and 1 are both for every other site"),
        (
            "{tariffs: [{usd_per_kwh: 0.1, periods: [{from_local: '7:10', to_local: '9:00', usd_per_kwh: 0}]}]}",
            "quarters of an hour",
        ),
    ],
)
def test_a_wrong_tariff_is_refused_by_its_place(tmp_path, text: str, told: str):
    file = tmp_path / "data_collection_config.yaml"
    file.write_text(f"electricity: {text}\n")
    with pytest.raises(ConfigurationError, match=told.replace("[", r"\[").replace("]", r"\]")):
        load_collection_settings(file, {}, lambda name: None)
