"""One miner's page: what it does, its boards, fans and pools, its settings, and its lines over time."""

from __future__ import annotations

import time
from dataclasses import replace

from fastapi import Request
from nicegui import ui

from deployments.page import markup
from deployments.page.card import Card, Markup
from deployments.page.charts import Line
from deployments.page.detail import Detail, Number, Part, Parts
from deployments.page.history import MinerHistory, bridge
from deployments.page.markup import Html
from deployments.page.model import MinerLine
from deployments.page.reading import PageReader
from deployments.page.states_view import css
from deployments.page.story_view import StoryCards
from deployments.page.view import ChartCard, Frame, SpanChoice, resolution
from tasks import quantity

_TEAL, _BLUE, _AMBER, _RED, _GREY = "#1f9e91", "#3b82c4", "#d08700", "#d9534f", "#8b95a5"

_NARROW = 6
"""Tables with more columns have a row of the page for themselves."""


class MinerPage:
    """One open page of one miner."""

    def __init__(self, request: Request, reader: PageReader, miner_id: str, *, log_out: bool) -> None:
        self._reader = reader
        self._miner_id = miner_id
        self._detail: Detail | None = None
        self._history: MinerHistory | None = None
        self._frame = Frame(request, miner_id, label=reader.label, log_out=log_out, inner=True)
        with self._frame.main:
            self._hero = Markup().classes("card hero")
            self._numbers = Card("Now", "numbers")
            with ui.element("div").classes("head"):
                with ui.element("h2").classes("title"):
                    ui.label("Over time")
                self._resolution = ui.label().classes("sub")
                self._span = SpanChoice(self._update_history)
            with ui.element("section").classes("charts"):
                self._hashrate = ChartCard("Hashrate")
                self._power = ChartCard("Power")
                self._temperature = ChartCard("Temperature and fans")
            self._story = StoryCards(reader, miner_id)
            self._parts = Markup().classes("pair")
            self._settings = Card("Settings", "settings")
        ui.timer(reader.refresh_s, self.update)

    async def update(self) -> None:
        """Ask for what is due and show what changed."""
        answer = await self._reader.detail(self._miner_id)
        now = time.time()
        detail = answer.value
        if detail is not None and detail is not self._detail:
            self._detail = detail
            self._hero.show(hero(detail.line))
            read = next((number.time for number in detail.numbers), None)
            self._numbers.show(_as_of(read), facts(detail.numbers))
            asked = max((number.time for number in detail.settings[3:-2] if number.time), default=None)
            self._settings.show(_as_of(asked), facts(detail.settings))
            self._parts.show(markup.joined(parts_table(parts) for parts in detail.parts))
        elif detail is None and answer.away_since is None and answer.read_at is not None:
            self._hero.show(nobody(self._miner_id))
        self._frame.show_freshness(answer, detail.line.time if detail else None, now)
        await self._story.update()
        await self._update_history()

    async def _update_history(self) -> None:
        answer = await self._reader.miner_history(self._miner_id, self._span.span)
        history = answer.value
        if history is None or history is self._history or self._detail is None:
            return
        self._history = history
        self._resolution.text = resolution(history.grid)
        divisor, unit = quantity.hashrate_scale(self._detail.line.algorithm)

        def line(name: str, column: str, colour: str, divisor: float = 1.0, **look: bool) -> list[Line]:
            return lines_of(history, column, Line(name, history.lines[column], colour, divisor, **look))

        self._hashrate.show(
            history.grid,
            [
                *line("delivered", "hashrate_hs_mean", _TEAL, divisor, filled=True),
                *line("expected", "hashrate_nominal_hs_mean", _GREY, divisor, dashed=True),
            ],
            unit,
        )
        self._power.show(history.grid, line("power", "power_w_mean", _BLUE, filled=True), "W")
        self._temperature.show(
            history.grid,
            [
                *line("hottest chip, °C", "chip_temp_max_c_max", _RED),
                *line("hottest board, °C", "pcb_temp_max_c_max", _AMBER),
                *line("intake air, °C", "ambient_temp_c_mean", _BLUE),
                *line("fan drive, %", "fan_duty_percent_mean", _GREY, dashed=True),
            ],
            "",
            from_zero=False,
        )


def lines_of(history: MinerHistory, column: str, line: Line) -> list[Line]:
    """``line``, and beside it what is interpolated in its short gaps, dashed."""
    put_in = history.interpolated.get(column)
    if put_in is None:
        return [line]
    points = bridge(line.points, put_in)
    return [line, replace(line, name=f"{line.name}, interpolated", points=points, dashed=True, filled=False)]


def hero(line: MinerLine) -> Html:
    """Who it is, how it is, and why."""
    what = ", ".join(filter(None, (line.model, line.site, line.location.replace("_", " "))))
    return markup.joined(
        (
            markup.element("span", markup.text(line.miner_id), class_="id"),
            markup.element(
                "span", markup.text(line.state), class_=f"status is-{css(line.condition)}", data_testid="state"
            ),
            markup.element("span", markup.text(line.reason), class_="reason"),
            markup.element("span", markup.text(what), class_="note"),
        )
    )


def nobody(miner_id: str) -> Html:
    """That there is no such miner."""
    said = "No such miner: it is neither configured nor has it stored anything"
    return markup.joined(
        (
            markup.element("span", markup.text(miner_id), class_="id"),
            markup.element("span", markup.text(said), class_="status", data_testid="state"),
        )
    )


def _as_of(moment: float | None) -> Html:
    if moment is None:
        return markup.text("never read")
    return markup.element("span", markup.age(moment, after=f" old, {quantity.clock(moment)}"), data_testid="as-of-card")


def facts(numbers: tuple[Number, ...]) -> Html:
    """Labelled values; what is not known is a dash."""
    return markup.facts(*(markup.fact(number.label, _value(number.text)) for number in numbers))


def _value(shown: str) -> Html:
    return markup.element("span", markup.text(shown), class_="none" if shown == quantity.DASH else None)


def parts_table(parts: Parts) -> Html:
    """One table of parts with the age of its newest row; parts that are gone from the newest answer are grey."""
    newest = max((part.time for part in parts.rows), default=None)
    head = markup.element(
        "div",
        markup.element("h2", markup.text(parts.title), class_="title"),
        markup.element("span", _as_of(newest) if newest is not None else markup.NOTHING, class_="sub"),
        class_="head",
    )
    body = _rows(parts) if parts.rows else markup.empty("None reported")
    wide = " wide" if len(parts.columns) > _NARROW else ""
    return markup.element(
        "section",
        head,
        body,
        class_=f"card{wide}",
        data_testid=f"parts-{parts.title.split()[0].lower()}",
        aria_label=parts.title,
    )


def _rows(parts: Parts) -> Html:
    return markup.table(
        parts.title,
        parts.columns,
        [
            tuple(_cell(column, cell, part) for column, cell in zip(parts.columns, part.cells, strict=True))
            for part in parts.rows
        ],
        figures=parts.figures,
        greyed=[
            None if part.current else f"not in the newest answer; last of {quantity.clock(part.time)}"
            for part in parts.rows
        ],
    )


def _cell(column: str, cell: str, part: Part) -> Html:
    return markup.status(part.state, cell) if column in {"Status", "Severity"} else markup.text(cell)
