"""Section market_data: the template's form is enough, and what goes beyond it is checked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.market.settings import MarketSettings
from tasks.pools.settings import PoolSettings
from tests.market.accounts import CMC_KEY, COINS, KEY

TEMPLATE: dict[str, Any] = {
    "coingecko": {
        "enabled": True,
        "coins": list(COINS),
        "vs_currencies": ["usd", "btc"],
        "polling_intervals": {"simple_price": 300, "market_data": 900, "historical": 3600},
    },
    "coinmarketcap": {
        "enabled": True,
        "api_key": CMC_KEY,
        "tier": "free",
        "polling_intervals": {"listings": 900, "global_metrics": 3600},
    },
}


def test_the_form_of_the_template_loads_and_asks_without_a_key_of_coingecko() -> None:
    settings = MarketSettings.model_validate(TEMPLATE)
    assert settings.coingecko is not None
    assert settings.coingecko.api_key is None
    assert settings.coingecko.coins == COINS
    assert CMC_KEY not in repr(settings)


@pytest.mark.parametrize(
    ("section", "more", "where"),
    [
        ("coingecko", {"vs_currencies": ["eur"]}, "vs_currencies"),
        ("coingecko", {"vs_currencies": []}, "vs_currencies"),
        ("coingecko", {"coins": []}, "coins"),
        ("coingecko", {"coins": ["BTC"]}, "coins"),
        ("coingecko", {"plan": "gold"}, "plan"),
        ("coingecko", {"credits_a_month": 0}, "credits_a_month"),
        ("coingecko", {"api_key": KEY, "base_url": "ftp://x"}, "base_url"),
        ("coinmarketcap", {"api_key": None}, "api_key"),
        ("coinmarketcap", {"limit": 5_001}, "limit"),
        ("coinmarketcap", {"limit": 0}, "limit"),
        ("coinmarketcap", {"tier": "gold"}, "tier"),
    ],
)
def test_a_fault_is_told_with_its_place_and_without_the_keys(section: str, more: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MarketSettings.model_validate({**TEMPLATE, section: {**TEMPLATE[section], **more}})
    assert where in str(caught.value)
    assert CMC_KEY not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("BTC", "'BTC' is the symbol of Bitcoin; its id is bitcoin"),
        ("doge", "'doge' is the symbol of Dogecoin; its id is dogecoin"),
        ("Some Coin", "'Some Coin' is no id of a coin"),
    ],
)
def test_who_writes_a_symbol_is_told_the_id(written: str, said: str) -> None:
    """CoinGecko leaves out what it does not know without a word: prices would be missing, and nobody would say why."""
    for section in ({"coingecko": {"coins": [written]}}, {"network": {"coins": [written]}}):
        with pytest.raises(ValidationError, match=said):
            MarketSettings.model_validate(section)
    with pytest.raises(ValidationError, match="its id is bitcoin" if written == "BTC" else "is no coin"):
        PoolSettings.model_validate({"id": "v", "kind": "viabtc", "api_key": "k", "coins": [written]})


def test_an_id_that_lodeline_does_not_know_is_followed_all_the_same() -> None:
    assert MarketSettings.model_validate({"network": {"coins": ["dash", "some-coin_2.0"]}}).watched_coins == (
        "dash", "some-coin_2.0",
    )  # fmt: skip
