"""The fleet's page: totals, states, what was lost, money, lines over time, and every miner."""

from __future__ import annotations

import time

from fastapi import Request
from nicegui import ui

from deployments.page.alerts_view import AlertsCard
from deployments.page.card import Markup
from deployments.page.charts import Line
from deployments.page.day_view import DayCard
from deployments.page.health_view import HealthCard
from deployments.page.history import FleetHistory
from deployments.page.market_view import MarketCard
from deployments.page.miners_view import MinersTable
from deployments.page.model import Condition, Fleet
from deployments.page.money_view import MoneyCard
from deployments.page.pools_view import PoolsCard
from deployments.page.racks_view import RacksCard
from deployments.page.reading import PageReader
from deployments.page.states_view import states
from deployments.page.tiles_view import tiles
from deployments.page.view import ChartCard, Frame, SpanChoice, resolution
from deployments.page.worst_view import WorstCard
from tasks import quantity

_TEAL, _BLUE, _AMBER, _RED, _GREY = "#1f9e91", "#3b82c4", "#d08700", "#d9534f", "#8b95a5"


class FleetPage:
    """One open fleet page. ``update`` runs on a timer and pushes what changed."""

    def __init__(self, request: Request, reader: PageReader, *, log_out: bool) -> None:
        self._reader = reader
        self._only: Condition | None = None
        self._fleet: Fleet | None = None
        self._history: FleetHistory | None = None
        self._hashrate_charts: dict[str | None, ChartCard] = {}
        self._frame = Frame(request, "Fleet", label=reader.label, log_out=log_out)
        with self._frame.main:
            self._tiles = Markup().classes("tiles")
            with ui.element("section").classes("card").props('aria-label="States"') as self._states_card:
                self._states = Markup(self._on_condition)
            self._states_card.set_visibility(False)
            with ui.element("div").classes("first"):
                self._day = DayCard(reader)
                self._money = MoneyCard(reader)
            with ui.element("div").classes("two"):
                with ui.element("div").classes("stack"):
                    self._alerts = AlertsCard(reader)
                    self._racks = RacksCard()
                self._worst = WorstCard()
            with ui.element("div").classes("two"):
                self._pools = PoolsCard(reader)
                self._market = MarketCard(reader)
            self._health = HealthCard(reader)
            with ui.element("div").classes("head"):
                with ui.element("h2").classes("title"):
                    ui.label("Over time")
                self._resolution = ui.label().classes("sub")
                self._span = SpanChoice(self._update_history)
            self._charts = ui.element("section").classes("charts")
            with self._charts:
                self._power = ChartCard("Power")
                self._temperature = ChartCard("Temperature")
            self._miners = MinersTable()
        ui.timer(reader.refresh_s, self.update)

    async def update(self) -> None:
        """Ask for what is due and show what changed. What the background reads is shown as it is and not waited for."""
        answer = await self._reader.fleet()
        now = time.time()
        if answer.value is not None and answer.value is not self._fleet:
            self._fleet = answer.value
            self._states_card.set_visibility(True)
            self._tiles.show(tiles(answer.value))
            self._states.show(states(answer.value, self._only))
            self._miners.show(answer.value)
            self._racks.show(answer.value)
        if self._fleet is not None:
            self._worst.show(self._fleet, self._reader.background.day().value)
        else:
            self._worst.show_unread(answer)
            self._racks.show_unread(answer)
        self._frame.show_freshness(answer, answer.value.newest if answer.value else None, now)
        self._frame.show_loud(await self._alerts.update())
        await self._health.update()
        for card in (self._day, self._money, self._pools, self._market):
            card.update()
        await self._update_history()

    def _on_condition(self, value: str) -> None:
        chosen = Condition(value)
        self._only = None if self._only is chosen else chosen
        self._miners.choose(self._only)
        if self._fleet is not None:
            self._states.show(states(self._fleet, self._only))

    async def _update_history(self) -> None:
        answer = await self._reader.history(self._span.span)
        history = answer.value
        if history is None or history is self._history:
            return
        self._history = history
        self._resolution.text = resolution(history.grid)
        for index, algorithm in enumerate(
            sorted(history.hashrate_hs, key=lambda name: (name is None, name != "sha256d"))
        ):
            if algorithm not in self._hashrate_charts:
                with self._charts:
                    card = ChartCard(f"Hashrate, {quantity.algorithm_name(algorithm)}")
                card.card.move(self._charts, target_index=index)
                self._hashrate_charts[algorithm] = card
        empty = (None,) * len(history.grid.times)
        for algorithm, card in self._hashrate_charts.items():
            divisor, unit = quantity.hashrate_scale(algorithm)
            delivered = history.hashrate_hs.get(algorithm, empty)
            expected = history.expected_hs.get(algorithm, empty)
            card.show(
                history.grid,
                [
                    Line("delivered", delivered, _TEAL, divisor, filled=True),
                    Line("expected", expected, _GREY, divisor, dashed=True),
                ],
                unit,
            )
        self._power.show(history.grid, [Line("power", history.power_w, _BLUE, 1e3, filled=True)], "kW")
        self._temperature.show(
            history.grid,
            [
                Line("hottest chip", history.chip_temp_max_c, _RED),
                Line("chips, mean", history.chip_temp_avg_c, _AMBER),
                Line("intake air", history.ambient_temp_c, _BLUE),
            ],
            "°C",
            from_zero=False,
        )
