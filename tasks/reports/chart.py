"""Charts as SVG that need nothing else: light on paper, units on the axis, a gap where a value is not known. Pure.

Values are of stretches of time, so lines are steps, and a value between two gaps shows as well as any other. Only
shapes and text in Latin-1 are used, which is what fpdf2 draws too.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from tasks.derive.hour_grid import Floats

WIDTH, HEIGHT = 640, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 8, 24, 20
_INK, _RULE = "#444444", "#dddddd"
GOOD, BAD, PLAIN, WARM, COOL = "#0f8f83", "#c62828", "#444444", "#b86e00", "#2f6fb5"
PALE_GOOD, PALE_BAD = "#e3f1f0", "#f8d9d9"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a value for each stretch, NaN for a gap. ``tint``: colour of the area below it; a later line's area
    hides that of an earlier one."""

    name: str
    values: Floats
    colour: str
    dashed: bool = False
    tint: str | None = None


def line_chart(
    edges: Sequence[int], lines: Sequence[Line], unit: str, zone: str, *, from_zero: bool = False
) -> str | None:
    """``lines`` over the stretches between ``edges`` (Unix seconds); None where no value is known."""
    known = np.concatenate([one.values[np.isfinite(one.values)] for one in lines])
    if not known.size:
        return None
    axis = _Axis.over(0.0 if from_zero else float(known.min()), float(known.max()), edges)
    areas, drawn = [], []
    for one in lines:
        dashes = ' stroke-dasharray="5 3"' if one.dashed else ""
        for run in _runs(one.values):
            steps = [(edge, float(one.values[place])) for place in run for edge in edges[place : place + 2]]
            path = _points([(axis.x(edge), axis.y(value)) for edge, value in steps])
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{one.colour}" stroke-width="1.4"{dashes}/>')
            if one.tint is not None:
                floor = _points([(axis.x(edge), axis.y(axis.low)) for edge in (steps[-1][0], steps[0][0])])
                areas.append(f'<polygon points="{path} {floor}" fill="{one.tint}"/>')
    return _svg([*areas, *_frame(axis, unit, zone, edges), *_legend(lines), *drawn])


def bar_chart(edges: Sequence[int], values: Floats, unit: str, zone: str, *, colour: str = GOOD) -> str | None:
    """A bar for each stretch up from zero, or down and red; none where it is not known. None: nothing is known."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    axis = _Axis.over(min(0.0, float(known.min())), max(0.0, float(known.max())), edges)
    parts = [*_frame(axis, unit, zone, edges)]
    for place in np.flatnonzero(np.isfinite(values)).tolist():
        value = float(values[place])
        left, right = axis.x(edges[place]), axis.x(edges[place + 1])
        inset = min(2.0, (right - left) / 8)
        top, foot = sorted((axis.y(value), axis.y(0.0)))
        parts.append(
            f'<rect x="{left + inset:.1f}" y="{top:.1f}" width="{right - left - 2 * inset:.1f}" '
            f'height="{max(foot - top, 0.4):.1f}" fill="{colour if value >= 0 else BAD}"/>'
        )
    zero = axis.y(0.0)
    parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="{_INK}"/>')
    return _svg(parts)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where values and times are drawn; ``ticks`` are round numbers from ``low`` to ``high``."""

    low: float
    high: float
    ticks: Sequence[float]
    start: int
    stop: int

    @staticmethod
    def over(low: float, high: float, edges: Sequence[int]) -> _Axis:
        step = _round_step((high - low) or abs(high) / 50 or 1.0)
        first, last = math.floor(low / step), math.ceil(high / step)
        last = max(last, first + 1)
        ticks = [number * step for number in range(first, last + 1)]
        return _Axis(ticks[0], ticks[-1], ticks, edges[0], edges[-1])

    def x(self, time: float) -> float:
        return _LEFT + (time - self.start) / (self.stop - self.start) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _BOTTOM - _TOP)


def _round_step(span: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten, so that some four steps make ``span``."""
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def _runs(values: Floats) -> Iterator[range]:
    """Stretches without a gap."""
    start = None
    for place, known in enumerate([*np.isfinite(values).tolist(), False]):
        if known and start is None:
            start = place
        elif not known and start is not None:
            yield range(start, place)
            start = None


def _frame(axis: _Axis, unit: str, zone: str, edges: Sequence[int]) -> Iterator[str]:
    yield _text(0, 11, unit, "start")
    step = axis.ticks[1] - axis.ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if f"{step:e}".startswith("2.5") else 0))
    for tick in axis.ticks:
        y = axis.y(tick)
        yield f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_RULE}"/>'
        yield _text(_LEFT - 5, y + 3, f"{tick:,.{decimals}f}", "end")
    for time, label in _time_labels(edges, zone):
        x = axis.x(time)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 4}" stroke="{_INK}"/>'
        yield _text(x + 2, HEIGHT - 6, label, "start")


def _time_labels(edges: Sequence[int], zone: str) -> Iterator[tuple[int, str]]:
    """Stretches that are labelled: every third hour of a day, each day of a week, every fifth of a month."""
    local = ZoneInfo(zone)
    days = (edges[-1] - edges[0]) / _DAY_S
    for edge in edges[:-1]:
        at = datetime.fromtimestamp(edge, local)
        if days < 2:
            if at.hour % 3 == 0 and at.minute == 0:
                yield edge, f"{at:%H:%M}"
        elif at.hour == 0 and at.minute == 0 and (days < 10 or at.day % 5 == 1):
            yield edge, f"{at:%a} {at.day}" if days < 10 else f"{at:%m-%d}"


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    x = WIDTH - _RIGHT
    for one in reversed(lines if len(lines) > 1 else ()):
        x -= 6 * len(one.name) + 4
        yield _text(x, 11, one.name, "start")
        dashes = ' stroke-dasharray="5 3"' if one.dashed else ""
        yield f'<line x1="{x - 20}" x2="{x - 4}" y1="8" y2="8" stroke="{one.colour}" stroke-width="2"{dashes}/>'
        x -= 34


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="10" font-family="Helvetica, Arial, sans-serif" fill="{_INK}" '
        f'text-anchor="{anchor}">{html.escape(words)}</text>'
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _svg(parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )
