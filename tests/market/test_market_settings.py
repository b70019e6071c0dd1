"""Section market_data: the template's form is enough, and what goes beyond it is checked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.market.settings import MarketSettings
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
