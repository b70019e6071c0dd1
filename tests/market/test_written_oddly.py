"""Numbers that are not written as documented: read where there is one way to, else null, and never zero (case 22)."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.market.coingecko import markets_of, prices_of
from tasks.market.coinmarketcap import listings_of, total_of
from tasks.market.coins import COINS
from tests.market.accounts import SLOT

CASES: list[tuple[Any, float | None]] = [
    (622091455, 622091455.0),
    ("115.0", 115.0),
    (" 7 ", 7.0),
    ("$1,876,804,032", 1_876_804_032.0),
    ("1,250.5", 1_250.5),
    ("1.250,5", None),
    ("12,5", None),
    ("N/A", None),
    ("", None),
    ("nan", None),
    ("inf", None),
    (0, None),
    (-1, None),
    (True, None),
    (None, None),
    ([1], None),
    ({"usd": 1}, None),
    (10**400, None),
]


@pytest.mark.parametrize(("written", "right"), CASES)
def test_a_capitalisation(written: Any, right: float | None) -> None:
    (simple,) = prices_of({"litecoin": {"usd": 80.0, "usd_market_cap": written}}, ["litecoin"], SLOT)
    (market,) = markets_of([{"id": "litecoin", "current_price": 80.0, "market_cap": written}], ["litecoin"], SLOT)
    quote = {"USD": {"price": 80.0, "market_cap": written, "total_market_cap": written}}
    (listed,) = listings_of([{"id": 2, "symbol": "LTC", "quote": quote}], [COINS["litecoin"]], SLOT)
    total = total_of({"quote": quote}, SLOT)
    found = [one.market_cap_usd for one in (simple, market, listed, total)]
    assert found == [right] * 4


@pytest.mark.parametrize(("written", "right"), CASES)
def test_a_price_that_cannot_be_read_is_no_row(written: Any, right: float | None) -> None:
    rows = [
        *prices_of({"litecoin": {"usd": written}}, ["litecoin"], SLOT),
        *markets_of([{"id": "litecoin", "current_price": written}], ["litecoin"], SLOT),
        *listings_of(
            [{"id": 2, "symbol": "LTC", "quote": {"USD": {"price": written}}}], [COINS["litecoin"]], SLOT
        ),
    ]  # fmt: skip
    assert [row.price_usd for row in rows] == ([] if right is None else [right] * 3)


@pytest.mark.parametrize("said", [None, [], "x", {"USD": None}, {"USD": []}, {"EUR": {"price": 1}}])
def test_an_entry_of_another_shape_costs_that_entry(said: Any) -> None:
    good = {"id": 1, "symbol": "BTC", "quote": {"USD": {"price": 64_000}}}
    coins = [COINS["litecoin"], COINS["bitcoin"]]
    listed = [{"id": 2, "symbol": "LTC", "quote": said}, said, good]
    assert [row.coin_id for row in listings_of(listed, coins, SLOT)] == ["bitcoin"]
    assert [
        row.coin_id for row in prices_of({"litecoin": said, "bitcoin": {"usd": 1}}, ["litecoin", "bitcoin"], SLOT)
    ] == ["bitcoin"]


@pytest.mark.parametrize(
    ("written", "age"),
    [
        ("2027-01-15T07:59:00Z", 60.0),
        ("2027-01-15T07:59:00.000Z", 60.0),
        ("2027-01-15T07:59:00", 60.0),  # without a zone: UTC
        ("2027-01-15T08:59:00+01:00", 60.0),
        ("2027-01-15T08:00:05Z", 0.0),  # after the slot, before the answer
        ("2027-01-15T09:00:00Z", None),  # of the future: not known
        ("yesterday", None),
        (1_799_999_940, None),
        (None, None),
    ],
)
def test_an_age(written: Any, age: float | None) -> None:
    entry = {"id": "litecoin", "current_price": 1.0, "last_updated": written}
    assert markets_of([entry], ["litecoin"], SLOT)[0].age_s == age


@pytest.mark.parametrize(
    ("written", "age"), [(SLOT - 42, 42.0), (str(SLOT - 42), 42.0), (SLOT * 1000, None), (0, None), (None, None)]
)
def test_an_age_in_unix_seconds(written: Any, age: float | None) -> None:
    (row,) = prices_of({"litecoin": {"usd": 1.0, "last_updated_at": written}}, ["litecoin"], SLOT)
    assert row.age_s == age
