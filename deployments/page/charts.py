"""ECharts options from lines over time. Pure. Times are UTC, a missing value is a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployments.page.history import Grid, Points

_TEXT = "#7c8798"
_RULE = "rgba(128,140,160,.18)"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its values are divided by ``divisor`` to be in the chart's unit."""

    name: str
    points: Points
    colour: str
    divisor: float = 1.0
    dashed: bool = False
    filled: bool = False


def line_chart(grid: Grid, lines: list[Line], unit: str, *, from_zero: bool) -> dict[str, Any]:
    """Options of a chart of ``lines`` over ``grid``. The axis spans the whole grid, so that a gap at its end shows."""
    return {
        "animation": False,
        "useUTC": True,
        "textStyle": {"fontFamily": "system-ui, sans-serif"},
        "grid": {"left": 4, "right": 24, "top": 30 if len(lines) > 1 else 14, "bottom": 6, "containLabel": True},
        "legend": {
            "show": len(lines) > 1,
            "top": 0,
            "right": 8,
            "icon": "roundRect",
            "itemHeight": 3,
            "itemWidth": 14,
            "textStyle": {"color": _TEXT, "fontSize": 11},
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "rgba(15,23,42,.94)",
            "borderWidth": 0,
            "padding": [6, 10],
            "textStyle": {"color": "#e2e8f0", "fontSize": 12},
            ":valueFormatter": _formatter(unit),
        },
        "xAxis": {
            "type": "time",
            "min": grid.start * 1000,
            "max": grid.stop * 1000,
            "axisLine": {"lineStyle": {"color": _RULE}},
            "axisTick": {"show": False},
            "axisLabel": {"color": _TEXT, "fontSize": 11, "hideOverlap": True},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "scale": not from_zero,
            "axisLabel": {"color": _TEXT, "fontSize": 11},
            "splitLine": {"lineStyle": {"color": _RULE}},
            "splitNumber": 4,
        },
        "series": [_series(grid, line) for line in lines],
    }


def _formatter(unit: str) -> str:
    return (
        "v => v == null ? '\\u2013' : v.toLocaleString('en', "
        f"{{maximumFractionDigits: Math.abs(v) < 100 ? 1 : 0}}) + ' {unit}'"
    )


def _series(grid: Grid, line: Line) -> dict[str, Any]:
    alone = _stand_alone(line.points)
    return {
        "name": line.name,
        "type": "line",
        "data": [
            {"value": [time * 1000, value / line.divisor], "symbol": "circle", "symbolSize": 4}
            if index in alone and value is not None
            else [time * 1000, None if value is None else value / line.divisor]
            for index, (time, value) in enumerate(zip(grid.times, line.points, strict=True))
        ],
        "connectNulls": False,
        "symbol": "none",
        "color": line.colour,
        "lineStyle": {"width": 1.2 if line.dashed else 1.8, "type": "dashed" if line.dashed else "solid"},
        **({"areaStyle": {"opacity": 0.09}} if line.filled else {}),
    }


def _stand_alone(points: Points) -> set[int]:
    """Points between two gaps: a line through one point would be invisible."""
    padded = (None, *points, None)
    return {
        index
        for index, value in enumerate(points)
        if value is not None and padded[index] is None and padded[index + 2] is None
    }


def hour_bars(
    starts: range, length_s: int, bars: list[Line], lines: list[Line], *, title: str, unit: str
) -> dict[str, Any]:
    """Options of bars stacked over periods of ``length_s`` that begin at ``starts``, with ``lines`` over them. A point
    stands in the middle of its period."""

    def points(line: Line) -> list[list[float | None]]:
        return [
            [(start + length_s / 2) * 1000, None if value is None else value / line.divisor]
            for start, value in zip(starts, line.points, strict=True)
        ]

    options = line_chart(Grid(starts.start, starts.stop, length_s), [], unit, from_zero=True)
    options["title"] = {"text": title, "left": 0, "top": 0, "textStyle": {"color": _TEXT, "fontSize": 12}}
    options["grid"] |= {"top": 22 + 18 * -(-(len(bars) + len(lines)) // 3)}
    options["legend"] = {**options["legend"], "show": True, "top": 18, "left": 0, "itemHeight": 8, "itemGap": 8}
    options["series"] = [
        {"name": bar.name, "type": "bar", "stack": "all", "barWidth": "72%", "color": bar.colour, "data": points(bar)}
        for bar in bars
    ] + [
        {
            "name": line.name,
            "type": "line",
            "data": points(line),
            "color": line.colour,
            "symbolSize": 5,
            "lineStyle": {"width": 2},
        }
        for line in lines
    ]
    return options
