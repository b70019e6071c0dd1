"""One miner's page: what it does, its boards, fans and pools, its settings, and its lines over time."""

from __future__ import annotations

import time
from dataclasses import replace

from fastapi import Request
from nicegui import ui

from deployments.page.charts import Line
from deployments.page.detail import Detail, Number, Parts
from deployments.page.history import MinerHistory, bridge
from deployments.page.reading import PageReader
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
        self._frame = Frame(request, reader, miner_id, log_out=log_out)
        with self._frame.main:
            with ui.element("section").classes("card hero"):
                ui.label(miner_id).classes("id")
                self._state = ui.label().classes("status").props("data-testid=state")
                self._reason = ui.label().classes("reason")
            with ui.element("section").classes("card"):
                with ui.element("div").classes("head"):
                    ui.label("Now").classes("title")
                    self._numbers_age = ui.label().classes("sub").props("data-testid=numbers-age")
                self._numbers = (
                    ui.element("div").classes("facts").style("margin-top: .5rem").props("data-testid=numbers")
                )
            with ui.element("div").classes("head"):
                ui.label("Over time").classes("title")
                self._resolution = ui.label().classes("sub")
                self._span = SpanChoice(self._update_history)
            with ui.element("section").classes("charts"):
                self._hashrate = ChartCard("Hashrate")
                self._power = ChartCard("Power")
                self._temperature = ChartCard("Temperature and fans")
            self._parts = ui.element("div").classes("main").style("padding: 0")
            with ui.element("section").classes("card"):
                with ui.element("div").classes("head"):
                    ui.label("Settings").classes("title")
                    self._settings_age = ui.label().classes("sub")
                self._settings = (
                    ui.element("div").classes("facts").style("margin-top: .5rem").props("data-testid=settings")
                )
        self._frame.footer()
        ui.timer(reader.refresh_s, self.update)

    async def update(self) -> None:
        """Ask for what is due and show what changed."""
        answer = await self._reader.detail(self._miner_id)
        now = time.time()
        detail = answer.value
        if detail is not None:
            if detail is not self._detail:
                self._detail = detail
                self._show(detail)
            self._show_ages(detail, now)
        elif answer.away_since is None and answer.read_at is not None:
            self._state.text = "No such miner: it is neither configured nor has it stored anything"
        self._frame.show_freshness(answer, detail.line.time if detail else None, now)
        self._frame.show_pipeline(await self._reader.pipeline(), now)
        await self._update_history()

    def _show(self, detail: Detail) -> None:
        line = detail.line
        self._state.text = line.state
        self._state.classes(replace=f"status is-{line.condition.value.replace(' ', '-')}")
        self._reason.text = line.reason
        _facts(self._numbers, detail.numbers)
        _facts(self._settings, detail.settings)

    def _show_ages(self, detail: Detail, now: float) -> None:
        read = next((number.time for number in detail.numbers), None)
        self._numbers_age.text = _as_of(read, now)
        self._settings_age.text = _as_of(max((n.time for n in detail.settings[3:-2] if n.time), default=None), now)
        self._parts.clear()
        with self._parts, ui.element("div").classes("pair"):
            for parts in detail.parts:
                with ui.element("div").classes("wide" if len(parts.columns) > _NARROW else ""):
                    _parts(parts, now)

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


def _as_of(moment: float | None, now: float) -> str:
    return "never read" if moment is None else f"{quantity.age(now - moment)} old, {quantity.clock(moment)}"


def _facts(into: ui.element, numbers: tuple[Number, ...]) -> None:
    into.clear()
    with into:
        for number in numbers:
            with ui.element("div").classes("fact"):
                ui.label(number.label).classes("name")
                ui.label(number.text).classes("text none" if number.text == quantity.DASH else "text")


def _parts(parts: Parts, now: float) -> None:
    with ui.element("section").classes("card").props(f"data-testid=parts-{parts.title.split()[0].lower()}"):
        with ui.element("div").classes("head"):
            ui.label(parts.title).classes("title")
            newest = max((part.time for part in parts.rows), default=None)
            ui.label(_as_of(newest, now) if newest is not None else "").classes("sub")
        if not parts.rows:
            ui.label("None reported").classes("empty")
            return
        with ui.element("div").classes("scroll"), ui.element("table").classes("parts"):
            with ui.element("thead"), ui.element("tr"):
                for column in parts.columns:
                    with ui.element("th"):
                        ui.label(column)
            with ui.element("tbody"):
                for part in parts.rows:
                    with ui.element("tr").classes("" if part.current else "old") as row:
                        for column, cell in zip(parts.columns, part.cells, strict=True):
                            with ui.element("td").classes("text" if column in {"Message", "Address"} else ""):
                                status = column in {"Status", "Severity"}
                                ui.label(cell).classes(f"status is-{part.state}" if status else "")
                    if not part.current:
                        row.tooltip(f"not in the newest answer; last of {quantity.clock(part.time)}")
