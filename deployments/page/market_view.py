"""The card of the market."""

from __future__ import annotations

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Card, away
from deployments.page.market import CoinLine, Market, Row
from deployments.page.markup import Html
from deployments.page.pools_view import gaps_of_a_day
from deployments.page.reading import PageReader
from storage.downsample.rollup import HOUR_S
from tasks import quantity
from tasks.market.coins import COINS

_TH = 1e12
OVERBOUGHT, OVERSOLD = 70.0, 30.0
"""Of the RSI, as its inventor reads it (Wilder, New Concepts in Technical Trading Systems, 1978)."""


class MarketCard:
    """Coins and what mining is worth."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._card = Card("Market", "market")

    def update(self) -> None:
        """Show what was read last."""
        answer = self._reader.background.market()
        if not self._card.is_news(answer):
            return
        if answer.value is None:
            self._card.show_unread(answer, "The market")
        else:
            self._card.show(told(answer.value), body(answer.value, answer))


def told(market: Market) -> Html:
    """How old the newest price is, and of which day the newest close."""
    newest = max((coin.told for coin in market.coins if coin.told is not None), default=None)
    days = [coin.indicator["time"] for coin in market.coins if coin.indicator is not None]
    closes = f"; closes up to {max(days):%Y-%m-%d}" if days else ""
    if newest is None:
        return markup.text(f"no price in a day{closes}")
    return markup.joined((markup.age(newest, "newest price "), markup.text(closes)))


def body(market: Market, answer: Answer[Market]) -> Html:
    """Prices and indicators, then the value of mining."""
    if not market.coins:
        return markup.empty("No coin is followed (section market_data) and none was told of in a day")
    columns = ("Coin", "Price, USD", "24 h", "RSI-14", "MA-50, USD", "MA-200, USD", "Told by")
    coins = markup.table("Prices and indicators", columns, [_coin(coin) for coin in market.coins], figures=columns[1:6])
    worth = markup.element("h3", markup.text("Mining is worth"))
    silent = gaps_of_a_day(market.gaps)
    return markup.joined((away(answer), coins, _lacking(market), worth, _values(market), silent))


def _lacking(market: Market) -> Html:
    names = [COINS[coin.coin_id].symbol if coin.coin_id in COINS else coin.coin_id for coin in market.coins]
    without = [name for name, coin in zip(names, market.coins, strict=True) if coin.indicator is None]
    unchanged = [name for name, coin in zip(names, market.coins, strict=True) if coin.change_24h is None]
    said = [f"no daily close in a week of {', '.join(without)}"] * bool(without)
    said += [f"nobody told the change of {', '.join(unchanged)}"] * bool(unchanged)
    return markup.note(markup.text(f"Not known: {'; '.join(said)}")) if said else markup.NOTHING


def _coin(coin: CoinLine) -> tuple[Html, ...]:
    known = COINS.get(coin.coin_id)
    name = markup.element("abbr", markup.text(known.symbol if known else coin.coin_id), title=coin.coin_id)
    row = coin.indicator or {}
    price = coin.price
    flags = sorted(price.flags) if price else []
    source = "nobody in a day" if price is None else price.source + (f" ({', '.join(flags)})" if flags else "")
    told_by = markup.text(source) if coin.told is None else markup.age(coin.told, f"{source}, ")
    change = quantity.DASH if coin.change_24h is None else signed(coin.change_24h)
    return (
        name,
        markup.text(price_in_words(price.price_usd if price else None)),
        markup.element("span", markup.text(change), class_=_direction(coin.change_24h), title=coin.change_of),
        markup.element("span", markup.text(_rsi(row.get("rsi_14"))), title=_closes(coin.indicator)),
        markup.element("span", markup.text(price_in_words(row.get("ma_50_usd"))), title=_closes(coin.indicator)),
        markup.element("span", markup.text(price_in_words(row.get("ma_200_usd"))), title=_closes(coin.indicator)),
        told_by,
    )


def _closes(indicator: Row | None) -> str:
    if indicator is None:
        return "no daily close in a week"
    return f"from {indicator['closes']} daily closes of {indicator['source']} up to {indicator['time']:%Y-%m-%d}"


def _rsi(value: float | None) -> str:
    if value is None:
        return quantity.DASH
    word = " overbought" if value >= OVERBOUGHT else " oversold" if value <= OVERSOLD else ""
    return f"{value:.1f}{word}"


def price_in_words(value: float | None) -> str:
    """Dollars with five figures, or all before the point."""
    if value is None:
        return quantity.DASH
    return f"{value:,.{0 if value >= 10_000 else 2}f}" if value >= 100 else f"{value:.5g}"


def signed(percent: float) -> str:
    """A change with its sign."""
    return f"{percent:+.1f}%".replace("-", "\N{MINUS SIGN}")


def _direction(change: float | None) -> str | None:
    return None if change is None or change == 0 else "up" if change > 0 else "down"


def _values(market: Market) -> Html:
    if not market.values:
        why = "Not known: flow derive-market works it out every hour, from prices and networks of the coins mined"
        return markup.empty(why)
    columns = ("Algorithm", "A day", "In BTC", "Coins", "Network from", "Hour ended")
    return markup.table(
        "What mining is worth", columns, [_value(row) for row in market.values], figures=(*columns[1:3], "Hour ended")
    )


def _value(row: Row) -> tuple[Html, ...]:
    divisor, unit = quantity.hashrate_scale(row["algorithm"])
    usd, btc = row["usd_th_day"], row["btc_th_day"]
    scale = divisor / _TH
    return (
        markup.text(quantity.algorithm_name(row["algorithm"])),
        markup.text(quantity.DASH if usd is None else f"{usd * scale:.4g} USD per {unit}"),
        markup.text(quantity.DASH if btc is None else f"{btc * scale * 1e8:,.4g} sat per {unit}"),
        markup.element("span", markup.text(row["coins"].replace("+", " + ")), title=row["by_coin"] or None),
        markup.text(row["source"] + (f" ({row['quality_flags']})" if row["quality_flags"] else "")),
        markup.age(row["time"].timestamp() + HOUR_S),
    )
