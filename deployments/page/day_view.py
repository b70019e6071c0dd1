"""The card of the last 24 hours: bars of what was delivered and of what was lost by cause, and the pools' line."""

from __future__ import annotations

from nicegui import ui

from deployments.page import markup
from deployments.page.card import Card, Markup, away
from deployments.page.charts import Line, hour_bars
from deployments.page.day import AlgorithmDay, Day
from deployments.page.markup import Html
from deployments.page.reading import PageReader
from storage.downsample.rollup import HOUR_S
from tasks import quantity

_TEAL, _BLUE = "#1f9e91", "#3b82c4"
_COLOUR = {
    "unreachable": "#b5488f",
    "paused": "#8694aa",
    "pool": "#7b61c9",
    "board": "#d08700",
    "heat": "#d9534f",
    "unknown": "#b9c2cd",
}
NAMES = {
    "unreachable": "unreachable",
    "paused": "paused",
    "pool": "pools, refused shares",
    "board": "boards",
    "heat": "heat",
    "unknown": "unexplained",
}
"""Causes in the words of the page."""


class DayCard:
    """One chart for each algorithm that is mined."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._day: Day | None = None
        self._charts: dict[str | None, ui.echart] = {}
        self._card = Card("Delivered against expected, 24 h", "day", classes="wide")
        with self._card.section:
            self._box = ui.element("div").classes("charts")
            self._words = Markup()

    def update(self) -> None:
        """Show the newest hours that are derived."""
        answer = self._reader.background.day()
        day = answer.value
        if not self._card.is_news(answer):
            return
        if day is None:
            self._card.show_unread(answer, "What was derived of the last 24 hours")
            return
        self._card.show(told(day), away(answer))
        self._words.show(words(day))
        if day is self._day:
            return
        self._day = day
        for one in day.algorithms:
            if one.algorithm not in self._charts:
                with self._box:
                    self._charts[one.algorithm] = ui.echart({"series": []}).classes("tall").props("role=img")
            chart = self._charts[one.algorithm]
            chart.props["aria-label"] = in_words(one)
            chart.options.clear()
            chart.options.update(options(day, one))
            chart.update()


def told(day: Day) -> Html:
    """Where the hours are from, and how old the newest is."""
    if day.known_until is None:
        return markup.text("means of an hour, UTC")
    return markup.joined((markup.text("derived every hour, UTC; the newest ended "), markup.age(day.known_until)))


def words(day: Day) -> Html:
    """What was lost, in words."""
    if not day.algorithms:
        return markup.empty("No hour is derived yet: flow derive-metrics does it at minute 34")
    return markup.joined(_line(one) for one in day.algorithms)


def _line(one: AlgorithmDay) -> Html:
    return markup.note(markup.text(in_words(one)), mark=f"day-{one.algorithm or 'unknown'}")


def in_words(one: AlgorithmDay) -> str:
    """A day of one algorithm as a sentence."""
    name = quantity.algorithm_name(one.algorithm)
    hours = sum(value is not None for value in one.expected)
    dark = f". No miner was read in {one.dark} h" if one.dark else ""
    if not hours and dark:
        return f"{name}: nothing is known{dark}"
    if not hours:
        return f"{name}: none of {one.miners} miners says what to expect, so nothing can be said to be lost"
    shares = one.lost_shares
    lost = ", ".join(f"{NAMES[cause]} {share:.1%}" for cause, share in shares.items())
    of = "" if one.counted == one.miners else f" of {one.counted} of {one.miners} miners"
    said = f"{name}: {sum(shares.values()):.1%} of what was expected{of} in {hours} h was lost"
    said += (f": {lost}" if lost else "") + dark
    ratio = one.pools_ratio
    if ratio is None:
        return f"{said}. Pools told of none of these hours"
    return f"{said}. Pools saw {ratio[0]:.1%} of what miners delivered in the {ratio[1]} h that both are known of"


def options(day: Day, one: AlgorithmDay) -> dict[str, object]:
    """The chart of one algorithm."""
    divisor, unit = quantity.hashrate_scale(one.algorithm)
    bars = [Line("delivered", one.delivered, _TEAL, divisor)]
    bars += [
        Line(f"lost: {NAMES[cause]}", points, _COLOUR[cause], divisor)
        for cause, points in one.lost.items()
        if any(value for value in points)
    ]
    lines = [Line("at the pools", one.pools, _BLUE, divisor)] if any(v is not None for v in one.pools) else []
    title = f"{quantity.algorithm_name(one.algorithm)}, {unit}"
    return hour_bars(day.hours, HOUR_S, bars, lines, title=title, unit=unit)
