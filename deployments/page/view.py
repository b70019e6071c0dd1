"""What both views share: the frame of a page, the banner of a store that is away, charts and their spans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Request
from nicegui import ui

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Markup
from deployments.page.charts import Line, line_chart
from deployments.page.history import SPANS, Grid, Span
from tasks import quantity

THEME_COOKIE = "lodeline_theme"
_STYLE = Path(__file__).with_name("page.css")
_SCRIPT = Path(__file__).with_name("page.js")
_SKEW_S = 60.0
"""How often the browser is told the server's time, by which it shows ages."""
_THEMES: dict[str, bool | None] = {"light": False, "dark": True}


class Frame:
    """Header and banner of one open page. ``label``: of the installation, empty where it needs none; ``inner``: of a
    page below the fleet's, which leads back to it."""

    def __init__(self, request: Request, where: str, *, label: str, log_out: bool, inner: bool = False) -> None:
        ui.page_title(f"{where} · Lodeline")
        ui.add_css(_STYLE)
        ui.add_head_html(f"<script>{_SCRIPT.read_text(encoding='utf-8')}</script>")
        self._told_time = 0.0
        self._dark = ui.dark_mode(_THEMES.get(request.cookies.get(THEME_COOKIE, "")))
        with ui.element("header").classes("top"):
            ui.link("Lodeline", "/").classes("brand")
            if label:
                ui.label(label).classes("label").props('title="general.environment of this installation"')
            if inner:
                ui.link("Fleet", "/").classes("back")
            with ui.element("h1").classes("where"):
                ui.label(where)
            ui.element("div").classes("grow")
            self._loud = Markup().classes("asof").props("data-testid=loud aria-live=polite")
            self._as_of = Markup().classes("asof").props("data-testid=as-of")
            ui.button(icon="contrast", on_click=self._next_theme).props(
                'flat dense round size=sm color=grey-6 aria-label="Light or dark"'
            )
            if log_out:
                ui.link("Log out", "/logout").classes("asof")
        self.main = ui.element("main").classes("main")
        with self.main:
            self._away = Markup().classes("card away").props("data-testid=away role=alert")
        self._away.set_visibility(False)

    def _next_theme(self) -> None:
        self._dark.value = not self._dark.value
        theme = "dark" if self._dark.value else "light"
        ui.run_javascript(f"document.cookie = '{THEME_COOKIE}={theme};path=/;max-age=31536000;samesite=lax'")

    def show_loud(self, alerts: int) -> None:
        """How many alerts want to be looked at, as a way to them."""
        words = markup.text(f"{alerts} alert{'s' if alerts > 1 else ''}")
        self._loud.show(markup.element("a", words, href="#alerts", class_="bad") if alerts else markup.NOTHING)

    def show_freshness(self, answer: Answer[object], newest: int | None, now: float) -> None:
        """Say how old the newest row is, and when the store is away, since when."""
        if now - self._told_time >= _SKEW_S:
            self._told_time = now
            ui.run_javascript(f"lodeline.skew = {now} - Date.now() / 1000")
        self._as_of.show(
            markup.age(newest, "newest data ", " old") if newest is not None else markup.text("no data yet")
        )
        away = answer.away_since is not None
        self._away.set_visibility(away)
        if away:
            last = f"last data of {quantity.clock(newest)}" if newest is not None else "nothing was read yet"
            what = f"Store away since {quantity.clock(answer.away_since)}, {last}"
            shown = markup.age(answer.read_at, "The numbers below were read ", " ago. ") if answer.read_at else None
            why = (shown or markup.NOTHING, markup.text(answer.trouble or ""))
            self._away.show(
                markup.joined(
                    (markup.element("p", markup.text(what), class_="what"), markup.element("p", *why, class_="why"))
                )
            )


class ChartCard:
    """A titled chart that is redrawn when its lines change."""

    def __init__(self, title: str) -> None:
        with ui.element("section").classes("card chart") as self.card:
            with ui.element("div").classes("head"):
                with ui.element("h3").classes("title"):
                    ui.label(title)
                self._sub = ui.label("not read yet").classes("sub")
            self._chart = ui.echart({"series": []}).props(f'role=img aria-label="{title} over time"')

    def show(self, grid: Grid, lines: list[Line], unit: str, *, from_zero: bool = True) -> None:
        """Draw ``lines``; says so when there is nothing to draw."""
        filled = [line for line in lines if any(value is not None for value in line.points)]
        self._sub.text = unit if filled else "no data in this span"
        self._chart.options.clear()
        self._chart.options.update(line_chart(grid, filled, unit, from_zero=from_zero))
        self._chart.update()


class SpanChoice:
    """Buttons that choose how far charts look back."""

    def __init__(self, chosen: Callable[[], Awaitable[None]], initial: str = "6h") -> None:
        self.span: Span = SPANS[initial]
        self._chosen = chosen
        self._buttons: dict[str, ui.element] = {}
        with ui.element("div").classes("spans").props('role=group aria-label="How far charts look back"'):
            for key in SPANS:
                with ui.element("button").classes("span").props(f"type=button data-testid=span-{key}") as button:
                    ui.label(key)
                button.on("click", lambda _, key=key: self._choose(key))
                self._buttons[key] = button
        self._show()

    async def _choose(self, key: str) -> None:
        self.span = SPANS[key]
        self._show()
        await self._chosen()

    def _show(self) -> None:
        for key, button in self._buttons.items():
            button.classes(add="on" if key == self.span.key else "", remove="" if key == self.span.key else "on")
            button.props(f"aria-pressed={str(key == self.span.key).lower()}")


def resolution(grid: Grid) -> str:
    """How a chart was condensed, so that nobody takes a mean for a reading."""
    step = f"{grid.every_s // 3600} h" if grid.every_s >= 3600 else f"{grid.every_s // 60} min"
    return f"means of {step}, UTC"
