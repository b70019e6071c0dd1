"""The fleet's page: totals, states, lines over time, and every miner."""

from __future__ import annotations

import time
from typing import Any

from fastapi import Request
from nicegui import ui

from deployments.page.alerts_view import AlertsCard
from deployments.page.charts import Line
from deployments.page.history import FleetHistory
from deployments.page.model import AlgorithmTotal, Condition, Fleet, MinerLine
from deployments.page.reading import PageReader
from deployments.page.view import ChartCard, Frame, SpanChoice, resolution
from tasks import quantity

_URGENCY = (
    Condition.FAILED,
    Condition.UNREACHABLE,
    Condition.STALE,
    Condition.UNKNOWN,
    Condition.DEGRADED,
    Condition.STARTING,
    Condition.PAUSED,
    Condition.MINING,
)
"""The table begins with what wants somebody's eyes."""
_TEAL, _BLUE, _AMBER, _RED, _GREY = "#1f9e91", "#3b82c4", "#d08700", "#d9534f", "#8b95a5"

_AGE_SCRIPT = """<script>
window.lodelineAge = (time) => { if (time == null) return '\\u2013';
  const s = Math.max(0, Date.now() / 1000 + (window.lodelineSkew || 0) - time);
  return s < 120 ? s.toFixed(0) + ' s' : s < 7200 ? (s / 60).toFixed(0) + ' min'
    : s < 172800 ? (s / 3600).toFixed(0) + ' h' : (s / 86400).toFixed(0) + ' d'; };
window.lodelineLink = (p) => { const a = document.createElement('a');
  a.href = '/miner/' + encodeURIComponent(p.value); a.textContent = p.value; return a; };
</script>"""


class FleetPage:
    """One open fleet page. ``update`` runs on a timer and pushes what changed."""

    def __init__(self, request: Request, reader: PageReader, *, log_out: bool) -> None:
        self._reader = reader
        self._only: Condition | None = None
        self._search = ""
        self._fleet: Fleet | None = None
        self._rows: list[dict[str, Any]] | None = None
        self._history: FleetHistory | None = None
        self._hashrate_charts: dict[str | None, ChartCard] = {}
        ui.add_head_html(_AGE_SCRIPT)
        self._frame = Frame(request, reader, "Fleet", log_out=log_out)
        with self._frame.main:
            self._alerts = AlertsCard(reader)
            self._tiles = ui.element("section").classes("tiles")
            with ui.element("section").classes("card"):
                self._bar = ui.element("div").classes("bar")
                self._keys = ui.element("div").classes("keys")
                self._lost = ui.label().classes("lost").props("data-testid=lost")
            with ui.element("div").classes("head"):
                ui.label("Over time").classes("title")
                self._resolution = ui.label().classes("sub")
                self._span = SpanChoice(self._update_history)
            self._charts = ui.element("section").classes("charts")
            with self._charts:
                self._power = ChartCard("Power")
                self._temperature = ChartCard("Temperature")
            with ui.element("section").classes("card"):
                with ui.element("div").classes("head"):
                    ui.label("Miners").classes("title")
                    self._shown = ui.label().classes("sub").props("data-testid=shown")
                    ui.input(placeholder="Search", on_change=self._on_search).props("dense clearable").classes("search")
                with ui.element("div").classes("grid") as self._grid_box:
                    self._grid = ui.aggrid(_grid_options(), auto_size_columns=False)
        self._frame.footer()
        self._grid_filled = False
        ui.timer(reader.refresh_s, self.update)

    async def update(self) -> None:
        """Ask for what is due and show what changed."""
        answer = await self._reader.fleet()
        now = time.time()
        if answer.value is not None:
            if answer.value is not self._fleet:
                self._fleet = answer.value
                self._show_fleet(answer.value)
            else:
                self._show_tiles(answer.value, now)
        ui.run_javascript(f"window.lodelineSkew = {now} - Date.now() / 1000")
        self._grid.run_grid_method("refreshCells", {"columns": ["time"], "force": True})
        self._frame.show_freshness(answer, answer.value.newest if answer.value else None, now)
        self._frame.show_pipeline(await self._reader.pipeline(), now)
        await self._alerts.update()
        await self._update_history()

    def _show_fleet(self, fleet: Fleet) -> None:
        self._show_tiles(fleet, time.time())
        self._show_conditions(fleet)
        self._show_table(fleet)

    def _show_tiles(self, fleet: Fleet, now: float) -> None:
        self._tiles.clear()
        with self._tiles:
            for total in fleet.totals:
                if total.algorithm is not None or total.counted:
                    _total_tile(total)
            _tile(
                "Power",
                quantity.power(fleet.power_w),
                f"from {fleet.power_counted} of {len(fleet.lines)} miners",
                "power",
            )
            reachable = len(fleet.lines) - fleet.missing
            with ui.element("div").classes("card tile").props("data-testid=reachable"):
                ui.label("Reachable").classes("name")
                ui.label(f"{reachable} of {len(fleet.lines)}").classes("big")
                missing = ui.label(
                    f"{fleet.missing} of {len(fleet.lines)} missing" if fleet.missing else "none missing"
                )
                missing.classes("note bad" if fleet.missing else "note")
            oldest = fleet.oldest_counted
            _tile(
                "Age of data",
                quantity.age(now - fleet.newest) if fleet.newest is not None else quantity.DASH,
                f"oldest in the totals {quantity.age(now - oldest)}" if oldest is not None else "nothing in the totals",
                "age",
            )

    def _show_conditions(self, fleet: Fleet) -> None:
        groups = fleet.by_condition()
        self._bar.clear()
        self._keys.clear()
        with self._bar:
            for condition, lines in groups.items():
                if lines:
                    segment = ui.element("div").classes(f"bg-{_css(condition)}").style(f"flex: {len(lines)} 0 0")
                    segment.tooltip(f"{condition.value}: {len(lines)}")
        with self._keys:
            for condition, lines in groups.items():
                key = ui.element("button").classes("key").props(f"data-testid=state-{_css(condition)}")
                key.classes(("on " if condition is self._only else "") + ("" if lines else "zero"))
                key.on("click", lambda _, condition=condition: self._on_condition(condition))
                with key:
                    ui.element("span").classes(f"dot bg-{_css(condition)}")
                    ui.label(condition.value)
                    ui.label(str(len(lines))).style("font-weight: 620")
        losses = [
            f"{quantity.hashrate(loss.hashrate_hs, total.algorithm)} by {loss.miners} {loss.condition.value}"
            for total in fleet.totals
            for loss in total.losses
        ]
        self._lost.text = "Expected and not delivered: " + ", ".join(losses) if losses else ""

    def _on_condition(self, condition: Condition) -> None:
        self._only = None if self._only is condition else condition
        self._refilter()

    def _on_search(self, event: Any) -> None:
        self._search = (event.value or "").strip().lower()
        self._refilter()

    def _refilter(self) -> None:
        if self._fleet is not None:
            self._show_conditions(self._fleet)
            self._show_table(self._fleet)

    def _show_table(self, fleet: Fleet) -> None:
        lines = [line for line in fleet.lines if self._wanted(line)]
        chosen = f" {self._only.value}" if self._only else ""
        self._shown.text = f"{len(lines)}{chosen} of {len(fleet.lines)}"
        rows = [_row(line) for line in lines]
        if rows == self._rows:  # nothing new was polled: a thousand rows are half a megabyte
            return
        self._rows = rows
        self._grid_box.style(f"--rows: {max(len(rows), 2)}")
        if self._grid_filled:  # a new grid would forget how the viewer sorted it and where it was scrolled to
            self._grid.run_grid_method("setGridOption", "rowData", rows)
        else:
            self._grid.options["rowData"] = rows
            self._grid.update()
            self._grid_filled = True

    def _wanted(self, line: MinerLine) -> bool:
        if self._only is not None and line.condition is not self._only:
            return False
        return self._search in f"{line.miner_id} {line.model} {line.site} {line.state} {line.reason}".lower()

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


def _total_tile(total: AlgorithmTotal) -> None:
    algorithm = total.algorithm
    if total.expected_hs:
        of = "" if total.expecting == total.miners else f" of {total.expecting} miners"
        expected = quantity.hashrate(total.expected_hs, algorithm)
        share = f"{total.delivered_hs / total.expected_hs:.0%} of {expected} expected{of}"
    else:
        share = "expected not known"
    with ui.element("div").classes("card tile").props(f"data-testid=hashrate-{algorithm or 'unknown'}"):
        ui.label(f"Hashrate, {quantity.algorithm_name(algorithm)}").classes("name")
        ui.label(quantity.hashrate(total.hashrate_hs, algorithm)).classes("big")
        if total.counted < total.miners:
            ui.label(f"from {total.counted} of {total.miners} miners").classes("note")
        ui.label(share).classes("note")
        if algorithm is not None:
            efficiency = quantity.efficiency(total.efficiency_j_th, algorithm)
            ui.label(f"{efficiency} at {quantity.power(total.power_w)}").classes("note efficiency")


def _tile(name: str, text: str, note: str, mark: str) -> None:
    with ui.element("div").classes("card tile").props(f"data-testid={mark}"):
        ui.label(name).classes("name")
        ui.label(text).classes("big")
        ui.label(note).classes("note")


def _css(condition: Condition) -> str:
    return condition.value.replace(" ", "-")


def _row(line: MinerLine) -> dict[str, Any]:
    """A row for the grid: raw values to sort by, and beside them the texts that are shown."""
    boards = None if line.boards_mining is None else f"{line.boards_mining}/{line.boards_expected or quantity.DASH}"
    return {
        "miner_id": line.miner_id,
        "condition": _css(line.condition),
        "rank": _URGENCY.index(line.condition),
        "state": line.state,
        "reason": line.reason,
        "model": line.model,
        "site": line.site,
        "time": line.time,
        "hashrate": line.hashrate_hs,
        "hashrate_text": quantity.hashrate(line.hashrate_hs, line.algorithm),
        "expected": line.expected_hs,
        "expected_text": quantity.hashrate(line.expected_hs, line.algorithm),
        "power": line.power_w,
        "power_text": quantity.number(line.power_w, "W"),
        "efficiency": line.efficiency_j_th,
        "efficiency_text": quantity.efficiency(line.efficiency_j_th, line.algorithm),
        "chip": line.chip_temp_max_c,
        "chip_text": quantity.number(line.chip_temp_max_c, "°C"),
        "fan": line.fan_duty_percent,
        "fan_text": _fans(line),
        "boards": line.boards_mining,
        "boards_text": boards or quantity.DASH,
        "accepted": line.shares_accepted,
        "accepted_text": quantity.number(line.shares_accepted),
        "rejected": line.shares_rejected,
        "rejected_text": quantity.number(line.shares_rejected),
    }


def _fans(line: MinerLine) -> str:
    if line.fan_duty_percent is None and line.fans_running is None:
        return quantity.DASH
    return f"{quantity.number(line.fans_running)} at {quantity.number(line.fan_duty_percent, '%')}"


def _grid_options() -> dict[str, Any]:
    def column(name: str, header: str, width: int) -> dict[str, Any]:
        return {
            "field": name,
            "headerName": header,
            "width": width,
            "type": "rightAligned",
            "cellClass": "num",
            ":valueFormatter": f"p => p.data.{name}_text",
        }

    return {
        "defaultColDef": {
            "sortable": True,
            "resizable": True,
            "suppressMovable": True,
            "sortingOrder": ["desc", "asc", None],
        },
        "columnDefs": [
            {
                "field": "miner_id",
                "headerName": "Miner",
                "width": 120,
                "pinned": "left",
                ":cellRenderer": "lodelineLink",
            },
            {
                "field": "state",
                "headerName": "State",
                "width": 116,
                "sort": "asc",
                ":cellClass": "p => 'state is-' + p.data.condition",
                ":comparator": "(a, b, x, y) => x.data.rank - y.data.rank",
            },
            column("hashrate", "Hashrate", 100),
            column("expected", "Expected", 100),
            column("power", "Power", 84),
            column("efficiency", "Efficiency", 102),
            column("chip", "Chip max", 92),
            column("fan", "Fans", 94),
            column("boards", "Boards", 78),
            column("accepted", "Accepted", 96),
            column("rejected", "Rejected", 90),
            {
                "field": "time",
                "headerName": "Age",
                "width": 70,
                "type": "rightAligned",
                "cellClass": "num",
                ":valueFormatter": "p => lodelineAge(p.value)",
                ":comparator": "(a, b) => (b ?? 0) - (a ?? 0)",
            },
            {"field": "reason", "headerName": "Why", "minWidth": 200, "flex": 1, "tooltipField": "reason"},
            {"field": "model", "headerName": "Model", "width": 140},
            {"field": "site", "headerName": "Site", "width": 130},
        ],
        "rowData": [],
        "rowHeight": 30,
        "headerHeight": 32,
        ":getRowId": "p => p.data.miner_id",
        "suppressCellFocus": True,
        "suppressColumnVirtualisation": True,
        "enableCellTextSelection": True,
        "overlayNoRowsTemplate": "No miner to show",
    }
