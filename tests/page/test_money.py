"""Money of the page against sums done by hand; see world.py.

At 08:20 UTC the hours up to 06:00 are derived: 38 of 40 miners made 0.30 USD in each, 68.40 USD in six hours; of
yesterday 24 hours are, 273.60 USD.
"""

from pathlib import Path

import pytest

from deployments.page.answer import Answer
from deployments.page.configured import Configured
from deployments.page.money import Credited, Money, read_money
from deployments.page.money_view import body, usd
from tasks.collection_settings import CollectionSettings
from tests.page import world

MIDNIGHT = 1_795_478_400 // 86_400 * 86_400
STOP = MIDNIGHT + 8 * 3_600
NOW = STOP + 1_200.0


def configured(**more: object) -> Configured:
    return Configured.of(CollectionSettings.model_validate(world.settings() | more))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("money")
    parts = [world.money(STOP), world.summary(STOP), world.forecasts(STOP), world.reconciled(STOP)]
    world.stored(where, parts).close()
    return where


def read(folder: Path, **more: object) -> Money:
    store = world.stored(folder)
    found = read_money(store, configured(**more), NOW)
    store.close()
    return found


def test_today_and_yesterday_are_the_sums_of_their_hours(folder: Path) -> None:
    found = read(folder)
    assert found.today is not None
    assert found.yesterday is not None
    assert (found.today["profit"], found.today["hours_known"], found.today["hours"]) == (pytest.approx(68.4), 228, 240)
    assert (found.today["revenue"], found.today["electricity_cost"]) == (pytest.approx(136.8), pytest.approx(68.4))
    assert (found.yesterday["profit"], found.yesterday["hours_known"]) == (pytest.approx(273.6), 912)
    assert {row["of"]: row["profit"] for row in found.sites} == {
        "hall-1": pytest.approx(6 * 19 * 0.3), "hall-2": pytest.approx(6 * 19 * 0.3),
    }  # fmt: skip
    assert (found.known_until, found.begun, found.zone) == (STOP - 2 * 3_600, MIDNIGHT, "UTC")


def test_today_begins_where_the_reports_day_does(folder: Path) -> None:
    found = read(folder, reports={"timezone": "Europe/Berlin"})  # an hour earlier, in November
    assert found.begun == MIDNIGHT - 3_600
    assert found.today is not None
    assert found.today["profit"] == pytest.approx(7 * 38 * 0.3)
    assert read(folder, reports={"timezone": "Asia/Kolkata"}).zone == "UTC"  # begins at half past: hours do not fit


def test_credited_is_of_the_newest_settlement_day_and_null_where_a_coin_lacks_its_price(folder: Path) -> None:
    f2, ltc = read(folder).credited
    assert f2 == Credited("f2", "2026-11-23", "UTC", 400.0, 388.0, "bitcoin: fee 2.5 %")
    assert f2.ratio == pytest.approx(0.97)
    assert (ltc.predicted_usd, ltc.credited_usd, ltc.ratio, ltc.reason) == (None, None, None, "dogecoin: no price")


def test_what_the_card_says(folder: Path) -> None:
    said = body(read(folder), Answer(None, NOW))
    assert ">68.40 USD<" in said
    assert "today so far, 228 of 240 hours of miners known" in said
    assert "revenue 136.80 USD, power 68.40 USD for 684 kWh, fees 4.56 USD" in said
    assert "In the newest hour the profit of some miners is not known: lodeline profit --by miner" in said
    assert "forecast of revenue 547.20 USD (520.00 USD to 574.00 USD) for 24 h, by seasonal_naive" in said
    assert ">97.0%<" in said
    assert "Not known of ltc: dogecoin: no price" in said


def test_nothing_derived_is_a_dash_with_its_reason_and_never_zero(tmp_path: Path) -> None:
    store = world.stored(tmp_path)
    said = body(read_money(store, configured(electricity={}), NOW), Answer(None, NOW))
    store.close()
    assert 'data-testid="profit">–<' in said  # noqa: RUF001
    assert "No hour of today is derived yet: flow derive-metrics does it at minute 34" in said
    assert "Without a tariff (section electricity) cost and profit are not known" in said
    assert "yesterday is not derived" in said
    assert "0.00" not in said


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0.00 USD"), (-1234.5, "−1,234.50 USD")])  # noqa: RUF001
def test_dollars(value: float | None, text: str) -> None:
    assert usd(value) == text
