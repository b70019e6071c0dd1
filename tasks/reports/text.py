"""A report in words: Markdown, and the same as HTML that loads nothing. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from tasks import quantity
from tasks.reports.figures import Report

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
Section = tuple[str, list[str], Table | None]
"""Heading, paragraphs, and a table of header and rows."""


def sections(report: Report) -> list[Section]:
    """What a report says, in the order in which it says it."""
    return [_hashrate(report), _money(report), _worst(report), _alerts(report), _pools(report), _advice(report)]


def as_markdown(report: Report) -> str:
    """The report as Markdown, as Prefect's artifacts and mail want it."""
    parts = [f"# {report.period.title}\n"]
    for heading, paragraphs, table in sections(report):
        parts.append(f"## {heading}\n")
        parts += [f"{paragraph}\n" for paragraph in paragraphs]
        if table is not None:
            parts.append(_markdown_table(*table))
    return "\n".join(parts)


def as_html(report: Report) -> str:
    """The report as one page of HTML, with a picture of the days' profit."""
    title = html.escape(report.period.title)
    body = [f"<h1>{title}</h1>"]
    for heading, paragraphs, table in sections(report):
        body.append(f"<h2>{html.escape(heading)}</h2>")
        body += [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs]
        if heading == "Money" and len(report.days) > 1:
            body.append(_bars([(str(row["from"])[:10], row["profit"]) for row in report.days]))
        if table is not None:
            body.append(_html_table(*table))
    return _PAGE.replace("TITLE", title).replace("BODY", "\n".join(body))


def _hashrate(report: Report) -> Section:
    if report.expected_hs is None or report.lost_hs is None:
        return "Hashrate", ["Nothing is known of the hashrate in this period."], None
    made = report.expected_hs - report.lost_hs
    share = f" ({made / report.expected_hs:.1%})" if report.expected_hs > 0 else ""
    said = [
        f"{quantity.hashrate(made, None)} of {quantity.hashrate(report.expected_hs, None)} expected{share}, mean of "
        f"the period, {report.miners} miners. Reached {_percent(report.uptime_percent)} of the time, hashing "
        f"{_percent(report.hashing_percent)}; {_percent(report.coverage_percent)} of the time is known."
    ]
    if report.anomalous is not None:
        said.append(f"{report.anomalous} miner-hours were anomalous.")
    rows = [
        (cause, quantity.hashrate(lost, None), f"{lost / report.lost_hs:.0%}" if report.lost_hs else quantity.DASH)
        for cause, lost in sorted(report.lost_by_cause.items(), key=lambda item: -item[1])
    ]
    return "Hashrate", said, (("lost to", "mean", "share"), rows) if rows else None


def _money(report: Report) -> Section:
    if not report.money:
        return "Money", ["No money of this period is derived yet (flow derive-metrics)."], None
    header = ("of", "revenue", "cost", "profit", "break even at", "hours known")
    rows = [
        (
            str(row["of"]) or "(no site)",
            _usd(row["revenue"]),
            _usd(row["cost"]),
            _usd(row["profit"]),
            quantity.DASH if row["break_even_usd_kwh"] is None else f"{row['break_even_usd_kwh']:.4f} USD/kWh",
            f"{row['hours_known']:,} of {row['hours']:,}",
        )
        for row in report.money
    ]
    missing = any(row["profit"] is None for row in report.money)
    said = ["Where a price or a tariff is missing, money is not known: docs/derived-metrics.md."] if missing else []
    return "Money", said, (header, rows)


def _worst(report: Report) -> Section:
    if not report.worst:
        return "Miners that lost most", ["None lost any hashrate."], None
    rows = [
        (one.miner_id, quantity.hashrate(one.lost_hs, None), one.cause, _percent(one.uptime_percent))
        for one in report.worst
    ]
    return "Miners that lost most", [], (("miner", "lost", "mostly to", "reached"), rows)


def _alerts(report: Report) -> Section:
    if not report.alerts:
        return "Alerts", ["No alert fired."], None
    return "Alerts", report.critical, (("rule", "fired"), [(name, str(n)) for name, n in report.alerts.items()])


def _pools(report: Report) -> Section:
    if not report.pools:
        return "Pools", ["No settlement day was reconciled."], None
    header = ("pool", "coin", "predicted", "credited", "paid", "unexplained")
    names = ("predicted", "credited", "paid", "unexplained")
    rows = [(row["pool_id"], row["coin_id"], *(_amount(row[name]) for name in names)) for row in report.pools]
    return "Pools", [], (header, rows)


def _advice(report: Report) -> Section:
    if not report.advice:
        return "Worth changing", ["Nothing."], None
    rows = [
        (
            row["miner_id"],
            row["description"] or "",
            "not known"
            if row["potential_impact_usd_day"] is None
            else f"{row['potential_impact_usd_day']:.2f} USD/day",
            f"{row['confidence']:.0%}" if row["confidence"] is not None else quantity.DASH,
        )
        for row in report.advice
    ]
    return "Worth changing", [], (("miner", "what", "brings", "sure"), rows)


def _percent(value: float | None) -> str:
    return quantity.DASH if value is None else f"{value:.1f} %"


def _usd(value: float | None) -> str:
    return quantity.DASH if value is None else f"{value:,.2f} USD"


def _amount(value: float | None) -> str:
    return quantity.DASH if value is None else f"{value:.8g}"


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_WIDTH, _HEIGHT, _ROOM = 640, 140, 18


def _bars(days: Sequence[tuple[str, Any]]) -> str:
    """Profit by day as SVG: bars from zero up or down, a gap where it is not known."""
    known = [float(value) for _, value in days if value is not None]
    if not known:
        return ""
    top, bottom = max(0.0, *known), min(0.0, *known)
    scale = (_HEIGHT - 2 * _ROOM) / ((top - bottom) or 1.0)
    zero, wide = _ROOM + top * scale, _WIDTH / len(days)
    parts = [f'<line x1="0" x2="{_WIDTH}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="#8888"/>']
    for number, (day, value) in enumerate(days):
        left = number * wide
        label = html.escape(f"{day}: {_usd(value)}")
        parts.append(f'<text x="{left + 2:.1f}" y="{_HEIGHT - 4}" font-size="10" fill="currentColor">{day[5:]}</text>')
        if value is not None:
            high = abs(value) * scale
            y = zero - high if value > 0 else zero
            colour = "#0f8f83" if value > 0 else "#d3302f"
            parts.append(
                f'<rect x="{left + 2:.1f}" y="{y:.1f}" width="{wide - 4:.1f}" height="{high:.1f}" fill="{colour}">'
                f"<title>{label}</title></rect>"
            )
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="profit by day">{"".join(parts)}</svg>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:1.6rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #8884}svg{width:100%;max-height:180px}
</style></head><body>
BODY
</body></html>
"""
