"""The market of the page against what world.py lets sources tell."""

from pathlib import Path

import pytest

from deployments.page.answer import Answer
from deployments.page.configured import Configured
from deployments.page.market import Market, read_market
from deployments.page.market_view import body, price_in_words, signed, told
from tasks.collection_settings import CollectionSettings
from tests.page import world

NOW = 1_795_478_400 + 1_200
CONFIGURED = Configured.of(CollectionSettings.model_validate(world.settings()))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    store = world.stored(tmp_path_factory.mktemp("market"), world.market(NOW))
    found = read_market(store, CONFIGURED, NOW)
    store.close()
    return found


def test_the_price_that_counts_with_source_age_and_change(market: Market) -> None:
    bitcoin, litecoin, dogecoin = market.coins
    assert bitcoin.price is not None
    assert (bitcoin.price.price_usd, bitcoin.price.source, bitcoin.told) == (100_000.0, "coingecko", NOW - 90)
    assert (bitcoin.change_24h, litecoin.change_24h, dogecoin.change_24h) == (2.54, -1.26, None)
    assert dogecoin.price is not None
    assert dogecoin.price.flags == {"stale"}


def test_what_mining_is_worth_is_in_the_unit_of_its_algorithm(market: Market) -> None:
    said = body(market, Answer(market, NOW))
    assert ">0.05 USD per TH/s<" in said
    assert ">50 sat per TH/s<" in said  # 5e-7 BTC
    assert ">0.06 USD per GH/s<" in said  # 60 USD per TH/s and day
    assert "litecoin + dogecoin" in said


def test_what_the_card_says(market: Market) -> None:
    said = body(market, Answer(market, NOW))
    assert ">100,000<" in said
    assert 'class="up" title="coingecko">+2.5%<' in said
    assert 'class="down" title="coingecko">−1.3%<' in said  # noqa: RUF001
    assert 'title="from 365 daily closes of coingecko up to 2026-11-23">72.3 overbought<' in said
    assert ">95,123<" in said
    assert "coingecko (stale), " in said
    assert 'title="no daily close in a week">–<' in said  # noqa: RUF001
    assert "Not known: no daily close in a week of LTC, DOGE; nobody told the change of DOGE" in said
    assert "closes up to 2026-11-23" in told(market)


def test_nothing_told_is_no_price_of_zero(tmp_path: Path) -> None:
    store = world.stored(tmp_path)
    found = read_market(store, CONFIGURED, NOW)
    assert [(coin.price, coin.change_24h, coin.indicator) for coin in found.coins] == [(None, None, None)] * 3
    said = body(found, Answer(found, NOW))
    assert "nobody in a day" in said
    assert "Not known: flow derive-market" in said
    nobody = read_market(store, Configured(), NOW)
    store.close()
    assert "No coin is followed" in body(nobody, Answer(nobody, NOW))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.31415, "0.31415"), (None, "–"), (101.25, "101.25"), (0.0, "0"), (9_999.5, "9,999.50")],  # noqa: RUF001
)
def test_prices(value: float | None, text: str) -> None:
    assert price_in_words(value) == text


def test_a_change_has_its_sign() -> None:
    assert (signed(1.26), signed(-1.26), signed(0.0)) == ("+1.3%", "−1.3%", "+0.0%")  # noqa: RUF001
