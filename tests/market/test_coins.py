"""The table of coins leads from any source's name to one coin, and never to two."""

from __future__ import annotations

import pytest

from tasks.market.coins import COINS, by_name, by_symbol, merge_mined_with


@pytest.mark.parametrize("key", ["symbol", "name", "coinmarketcap"])
def test_no_two_coins_share_a_name(key: str) -> None:
    names = [getattr(coin, key) for coin in COINS.values() if getattr(coin, key) is not None]
    assert len(names) == len(set(names))


def test_parents_are_coins_of_the_same_algorithm() -> None:
    children = [coin for coin in COINS.values() if coin.parent is not None]
    assert children
    for coin in children:
        assert coin.parent is not None
        assert COINS[coin.parent].algorithm == coin.algorithm
        assert COINS[coin.parent].parent is None


@pytest.mark.parametrize(
    ("said", "coin_id"),
    [("LTC", "litecoin"), (" doge ", "dogecoin"), ("bch", "bitcoin-cash"), ("NOPE", None), ("", None)],
)
def test_a_symbol(said: str, coin_id: str | None) -> None:
    found = by_symbol(said)
    assert (found.id if found else None) == coin_id


def test_a_symbol_is_looked_up_among_the_coins_followed() -> None:
    assert by_symbol("LTC", among=["bitcoin"]) is None
    assert by_symbol("LTC", among=["litecoin"]) is COINS["litecoin"]


@pytest.mark.parametrize("said", ["Bitcoin-Cash", "bitcoin cash", "BITCOIN_CASH", "bitcoin-cash"])
def test_a_name_as_pools_write_it(said: str) -> None:
    found = by_name(said)
    assert found is not None
    assert found.id == "bitcoin-cash"


def test_what_is_mined_beside_litecoin() -> None:
    assert merge_mined_with("litecoin")[0].id == "dogecoin"
    assert merge_mined_with("dogecoin") == ()
