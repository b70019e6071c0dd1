"""A period beside the one before it, row by row, in words. Pure."""

from __future__ import annotations

from typing import Any

from tasks import quantity
from tasks.reports.figures import Report
from tasks.reports.summary import Summary, Work

SAME = "the same"
Row = tuple[str, str, str, str]
"""What, this period, the one before, the change."""


def compared(report: Report) -> list[Row]:
    """The rows that the first page shows; money first, for that is what was asked for most."""
    this, before = report.this, report.before
    rows = [
        *(_money(word, name, this, before) for word, name in (("Profit", "profit"), ("Revenue", "revenue"))),
        _money("Cost", "cost", this, before),
        *(_share(work, this, before) for work in this.work),
        _amount("Worth of what was lost", this.lost_usd, before.lost_usd, "USD", 2),
        *(_made(work, this, before) for work in this.work),
        _amount("Energy", _of(this, "energy_kwh"), _of(before, "energy_kwh"), "kWh", 0),
        _money("Electricity, part of the cost", "electricity_cost", this, before),
        _points("Reached, of what is known", this.uptime_percent, before.uptime_percent),
        _points("Known of the time", this.coverage_percent, before.coverage_percent),
        _amount("Alerts fired", sum(this.alerts.values()), sum(before.alerts.values()), "", 0),
        _amount("Anomalous miner-hours", this.anomalous, before.anomalous, "", 0),
    ]
    return [row for row in rows if row[1] != quantity.DASH or row[2] != quantity.DASH]


def _of(summary: Summary, name: str) -> Any:
    return None if summary.money is None else summary.money[name]


def _money(word: str, name: str, this: Summary, before: Summary) -> Row:
    return _amount(word, _of(this, name), _of(before, name), "USD", 2)


def _amount(word: str, now: float | None, then: float | None, unit: str, decimals: int) -> Row:
    change = ""
    if now is not None and then is not None:
        change = _signed(now - then, decimals, unit)
        if then > 0 and change != SAME:
            change += f", {100 * (now - then) / then:+,.0f}%"
    return word, quantity.number(now, unit, decimals), quantity.number(then, unit, decimals), change


def _signed(value: float, decimals: int, unit: str) -> str:
    shown = f"{value:+,.{decimals}f}"
    if float(shown.replace(",", "")) == 0:
        return SAME
    return f"{shown}{'' if unit == '%' else ' '}{unit}".strip()


def _points(word: str, now: float | None, then: float | None) -> Row:
    change = "" if now is None or then is None else _signed(now - then, 1, "points")
    return word, quantity.number(now, "%", 1), quantity.number(then, "%", 1), change


def _named(word: str, work: Work, this: Summary) -> str:
    return f"{word}, {quantity.algorithm_name(work.algorithm)}" if len(this.work) > 1 else word


def _then(work: Work, before: Summary) -> Work | None:
    return next((one for one in before.work if one.algorithm == work.algorithm), None)


def _share(work: Work, this: Summary, before: Summary) -> Row:
    then = _then(work, before)
    now_ratio, then_ratio = work.made_ratio, None if then is None else then.made_ratio
    return _points(
        _named("Of expected hashrate", work, this),
        None if now_ratio is None else 100 * now_ratio,
        None if then_ratio is None else 100 * then_ratio,
    )


def _made(work: Work, this: Summary, before: Summary) -> Row:
    then = _then(work, before)
    made_then = None if then is None else then.made_hs
    change = ""
    if made_then is not None and made_then > 0:
        change = _signed(100 * (work.made_hs - made_then) / made_then, 1, "%")
    return (
        _named("Hashrate delivered", work, this),
        quantity.hashrate(work.made_hs, None),
        quantity.hashrate(made_then, None),
        change,
    )
