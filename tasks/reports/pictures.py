"""Which charts a report has, and what stands under them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks import quantity
from tasks.reports.chart import BAD, COOL, GOOD, PALE_BAD, PALE_GOOD, PLAIN, WARM, Line, bar_chart, line_chart
from tasks.reports.figures import Report
from tasks.reports.period import Kind


@dataclass(frozen=True, slots=True)
class Picture:
    """``name`` is fit for a file, ``caption`` says what is drawn, ``svg`` is the drawing."""

    name: str
    caption: str
    svg: str


def hashrate_pictures(report: Report) -> list[Picture]:
    """Made against expected, a picture for each algorithm; what lies between the lines was lost."""
    found: list[Picture] = []
    for work, expected, made in zip(report.this.work, report.curves.expected, report.curves.made, strict=True):
        divisor, unit = quantity.hashrate_prefix(float(np.nanmax(expected)))
        lines = [
            Line("expected", expected / divisor, PLAIN, dashed=True, tint=PALE_BAD),
            Line("delivered", made / divisor, GOOD, tint=PALE_GOOD),
        ]
        algorithm = quantity.algorithm_name(work.algorithm)
        caption = f"Hashrate delivered and expected, {algorithm}; red between the lines: lost"
        _append(
            found,
            f"hashrate-{work.algorithm or 'unknown'}",
            caption,
            line_chart(report.curves.edges, lines, unit, report.period.zone, from_zero=True),
        )
    return found


def profit_pictures(report: Report) -> list[Picture]:
    """Profit by day, of a day by hour."""
    found: list[Picture] = []
    by = "hour" if report.period.kind is Kind.DAILY else "day"
    svg = bar_chart(report.curves.day_edges, report.curves.profit, "USD", report.period.zone)
    _append(found, "profit", f"Profit by {by}, of the miners whose profit is known", svg)
    return found


def price_pictures(report: Report) -> list[Picture]:
    """Prices of the coins that are mined."""
    found: list[Picture] = []
    for coin, prices in report.curves.prices.items():
        svg = line_chart(report.curves.edges, [Line(coin, prices, COOL)], "USD", report.period.zone)
        _append(found, f"price-{coin}", f"Price of {coin}", svg)
    return found


def temperature_pictures(report: Report) -> list[Picture]:
    """Hottest chip, mean chip, mean air."""
    found: list[Picture] = []
    lines = [
        Line("hottest chip", report.curves.hottest_c, BAD),
        Line("mean of chips", report.curves.chip_c, WARM),
        Line("mean of air", report.curves.air_c, COOL),
    ]
    svg = line_chart(report.curves.edges, lines, "\N{DEGREE SIGN}C", report.period.zone)
    _append(found, "temperature", "Temperatures over all miners", svg)
    return found


def anomaly_pictures(report: Report) -> list[Picture]:
    """Miner-hours that were anomalous."""
    found: list[Picture] = []
    by = "hour" if report.period.kind is Kind.DAILY else "day"
    svg = bar_chart(report.curves.day_edges, report.curves.anomalous, "miner-hours", report.period.zone, colour=WARM)
    _append(found, "anomalies", f"Anomalous miner-hours by {by}", svg)
    return found


def _append(found: list[Picture], name: str, caption: str, svg: str | None) -> None:
    if svg is not None:
        found.append(Picture(name, caption, svg))
