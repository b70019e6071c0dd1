"""The card of money."""

from __future__ import annotations

from typing import Any

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Card, away
from deployments.page.markup import Html
from deployments.page.money import Credited, Money, Row
from deployments.page.reading import PageReader
from tasks import quantity


class MoneyCard:
    """Profit today and yesterday, the forecast, and predicted against credited."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._card = Card("Profit", "money")

    def update(self) -> None:
        """Show the newest hour that is derived."""
        answer = self._reader.background.money()
        if not self._card.is_news(answer):
            return
        if answer.value is None:
            self._card.show_unread(answer, "Money")
        else:
            self._card.show(told(answer.value), body(answer.value, answer))


def told(money: Money) -> Html:
    """Which days these are and how old the newest hour is."""
    zone = markup.text(f"days of {money.zone}, derived every hour")
    if money.known_until is None:
        return zone
    return markup.joined((zone, markup.age(money.known_until, "; the newest ended ")))


def body(money: Money, answer: Answer[Money]) -> Html:
    """All of it."""
    parts = [away(answer), _days(money)]
    if money.sites:
        parts.append(_sites(money))
    parts += [_forecast(money.forecast), _credited(money)]
    return markup.joined(parts)


def usd(value: float | None) -> str:
    """Dollars with cents."""
    return quantity.DASH if value is None else f"{value:,.2f} USD".replace("-", "\N{MINUS SIGN}")


def _days(money: Money) -> Html:
    today = money.today
    big = markup.element("p", markup.text(usd(today["profit"] if today else None)), class_="big", data_testid="profit")
    if today is None:
        why = "No hour of today is derived yet: flow derive-metrics does it at minute 34"
    else:
        why = _of_hours(today)
    said = [markup.note(markup.text(f"today so far, {why}" if today else why))]
    if today is not None:
        said.append(
            markup.note(
                markup.text(
                    f"revenue {usd(today['revenue'])}, power {usd(today['electricity_cost'])} for "
                    f"{quantity.number(today['energy_kwh'], 'kWh')}, fees {usd(today['fees'])}"
                )
            )
        )
        if today["break_even_usd_kwh"] is not None:
            said.append(markup.note(markup.text(f"breaks even at {today['break_even_usd_kwh']:.4f} USD/kWh")))
    if today is None or today["profit"] is None or today["hours_known"] < today["hours"]:
        said.append(_lacks(money))
    yesterday = money.yesterday
    line = f"yesterday {usd(yesterday['profit'])}, {_of_hours(yesterday)}" if yesterday else "yesterday is not derived"
    return markup.joined((big, *said, markup.note(markup.text(line), mark="profit-yesterday")))


def _lacks(money: Money) -> Html:
    if not money.tariffs:
        return markup.note(markup.text("Without a tariff (section electricity) cost and profit are not known"))
    lacks = [_LACKS.get(word, word.replace("_", " ")) for word in money.reason.split(",")] if money.reason else []
    return markup.note(markup.text(f"In the newest hour {' and '.join(lacks)}")) if lacks else markup.NOTHING


_LACKS = {
    "profit:no_miner_known": "the profit of no miner is known",
    "profit:miners_missing": "the profit of some miners is not known: lodeline profit --by miner",
}
"""What a row of a group can lack, in words (tasks/derive/financial.py)."""


def _of_hours(row: Row) -> str:
    known, hours = row["hours_known"], row["hours"]
    return "all hours of all miners" if known == hours else f"{known:,} of {hours:,} hours of miners known"


def _sites(money: Money) -> Html:
    rows = [
        (
            markup.text(row["of"] or "no site"),
            markup.text(usd(row["revenue"])),
            markup.text(usd(row["cost"])),
            markup.text(usd(row["profit"])),
        )
        for row in money.sites
    ]
    columns = ("Site", "Revenue", "Cost", "Profit")
    return markup.table("Money of today by site", columns, rows, figures=columns[1:])


def _forecast(row: Row | None) -> Html:
    if row is None:
        return markup.note(markup.text("No forecast of revenue yet: flow forecast makes it every hour"))
    if row["value"] is None:
        return markup.note(markup.text(f"revenue of the next 24 h: not known, {row['reason']}"))
    span = f" ({usd(row['low'])} to {usd(row['high'])})" if row["low"] is not None else ""
    made = _moment(row["from"])
    words = f"forecast of revenue {usd(row['value'])}{span} for 24 h, by {row['model']}, from "
    return markup.note(markup.text(words), markup.age(made), mark="forecast")


def _credited(money: Money) -> Html:
    title = markup.element("h3", markup.text("Predicted against credited"))
    if not money.credited:
        why = "No settlement day is reconciled: it must be over, and a pool must have told something of it"
        return markup.joined((title, markup.empty(why)))
    columns = ("Pool", "Day", "Predicted", "Credited", "Ratio")
    table = markup.table(
        "Predicted against credited, newest settlement day of each pool",
        columns,
        [_pool(one) for one in money.credited],
        figures=columns[2:],
    )
    lacking = [one for one in money.credited if one.ratio is None]
    why = "; ".join(f"{one.pool_id}: {one.reason or 'nothing was credited or predicted'}" for one in lacking)
    return markup.joined((title, table, markup.note(markup.text(f"Not known of {why}")) if lacking else markup.NOTHING))


def _pool(one: Credited) -> tuple[Html, ...]:
    ratio = quantity.DASH if one.ratio is None else f"{one.ratio:.1%}"
    return (
        markup.text(one.pool_id),
        markup.element("span", markup.text(one.day), title=f"a day of {one.zone}"),
        markup.text(usd(one.predicted_usd)),
        markup.text(usd(one.credited_usd)),
        markup.element("span", markup.text(ratio), title=one.reason or None),
    )


def _moment(value: Any) -> float:
    return float(value.timestamp())
