"""Every miner in a table that sorts, searches and filters in the browser; rows are pushed when something was polled."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

from deployments.page.model import Condition, Fleet, MinerLine
from deployments.page.states_view import css
from tasks import quantity
from tasks.alerts.facts import rack_of

_URGENCY = (
    Condition.FAILED,
    Condition.UNREACHABLE,
    Condition.STALE,
    Condition.UNKNOWN,
    Condition.BY_HAND,
    Condition.DEGRADED,
    Condition.STARTING,
    Condition.PAUSED,
    Condition.MINING,
)
"""The table begins with what wants somebody's eyes."""

FIELDS = (
    "miner_id", "condition", "state", "reason", "model", "site", "time", "hashrate", "expected", "power", "efficiency",
    "chip", "fan", "boards", "accepted", "rejected", "ratio", "chip_c", "rack", "location",
)  # fmt: skip
"""Columns of a row as it is sent: without their names a thousand rows are half as long. The texts are those shown; the
browser sorts by the numbers in them."""


class MinersTable:
    """The table of one open page."""

    def __init__(self) -> None:
        self._rows: list[list[Any]] | None = None
        self._only: Condition | None = None
        self._search = ""
        self._fleet: Fleet | None = None
        with ui.element("section").classes("card").props('aria-label="Miners"'):
            with ui.element("div").classes("head"):
                with ui.element("h2").classes("title"):
                    ui.label("Miners")
                self._shown = ui.label().classes("sub").props("data-testid=shown aria-live=polite")
                ui.input(placeholder="Search", on_change=self._on_search).props(
                    'dense clearable aria-label="Search miners"'
                ).classes("search")
            with ui.element("div").classes("grid") as self._box:
                ui.aggrid(_options(), auto_size_columns=False)

    def show(self, fleet: Fleet) -> None:
        """Push rows where they are others than those pushed before."""
        self._fleet = fleet
        rows = [row_of(line) for line in fleet.lines]
        if rows != self._rows:  # nothing new was polled: a thousand rows are 150 kB
            self._rows = rows
            ui.run_javascript(f"lodeline.miners({json.dumps(FIELDS)}, {json.dumps(rows, separators=(',', ':'))})")
        self._count()

    def choose(self, only: Condition | None) -> None:
        """List miners of one condition, or all."""
        self._only = only
        self._filter()

    def _on_search(self, event: Any) -> None:
        self._search = (event.value or "").strip().lower()
        self._filter()

    def _filter(self) -> None:
        condition = None if self._only is None else css(self._only)
        ui.run_javascript(f"lodeline.filter({json.dumps(condition)}, {json.dumps(self._search)})")
        self._count()

    def _count(self) -> None:
        if self._fleet is None:
            return
        wanted = sum(self._wanted(line) for line in self._fleet.lines)
        chosen = f" {self._only.value}" if self._only else ""
        self._shown.text = f"{wanted}{chosen} of {len(self._fleet.lines)}"
        self._box.style(f"--rows: {max(wanted, 2)}")

    def _wanted(self, line: MinerLine) -> bool:
        if self._only is not None and line.condition is not self._only:
            return False
        return self._search in f"{line.miner_id} {line.model} {line.site} {line.state} {line.reason}".lower()


def row_of(line: MinerLine) -> list[Any]:
    """FIELDS of one miner."""
    boards = None if line.boards_mining is None else f"{line.boards_mining}/{line.boards_expected or quantity.DASH}"
    return [
        line.miner_id,
        css(line.condition),
        line.state,
        line.reason,
        line.model,
        line.site,
        line.time,
        quantity.hashrate(line.hashrate_hs, line.algorithm),
        quantity.hashrate(line.expected_hs, line.algorithm),
        quantity.number(line.power_w, "W"),
        quantity.efficiency(line.efficiency_j_th, line.algorithm),
        quantity.number(line.chip_temp_max_c, "°C"),
        _fans(line),
        boards or quantity.DASH,
        quantity.number(line.shares_accepted),
        quantity.number(line.shares_rejected),
        _percent_of_expected(line),
        None if line.chip_temp_max_c is None else round(line.chip_temp_max_c),
        rack_of(line.location),
        line.location,
    ]


def _percent_of_expected(line: MinerLine) -> int | None:
    return (
        round(100 * line.hashrate_hs / line.expected_hs) if line.expected_hs and line.hashrate_hs is not None else None
    )


def _fans(line: MinerLine) -> str:
    if line.fan_duty_percent is None and line.fans_running is None:
        return quantity.DASH
    return f"{quantity.number(line.fans_running)} at {quantity.number(line.fan_duty_percent, '%')}"


def _options() -> dict[str, Any]:
    def column(name: str, header: str, width: int) -> dict[str, Any]:
        return {
            "field": name,
            "headerName": header,
            "width": width,
            "type": "rightAligned",
            "cellClass": "num",
            ":comparator": "lodeline.compare",
        }

    urgency = json.dumps([css(condition) for condition in _URGENCY])
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
                ":cellRenderer": "lodeline.link",
            },
            {
                "field": "state",
                "headerName": "State",
                "width": 116,
                "sort": "asc",
                ":cellClass": "p => 'state is-' + p.data.condition",
                ":comparator": f"(a, b, x, y) => {urgency}.indexOf(x.data.condition) "
                f"- {urgency}.indexOf(y.data.condition)",
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
                ":cellRenderer": "lodeline.ageCell",
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
        ":onGridReady": "p => lodeline.gridReady(p.api)",
        ":isExternalFilterPresent": "() => lodeline.filtering()",
        ":doesExternalFilterPass": "node => lodeline.passes(node.data)",
        "ensureDomOrder": True,
        "suppressCellFocus": True,
        "suppressColumnVirtualisation": True,
        "enableCellTextSelection": True,
        "overlayNoRowsTemplate": "No miner to show",
    }
