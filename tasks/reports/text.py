"""What a report says, in sections; and those as Markdown. Pure.

The first page answers how it was, what it cost and what to do; all else is for whoever wants to know why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tasks import quantity
from tasks.overrides.stretches import Stretch
from tasks.reports.comparison import compared
from tasks.reports.figures import Report
from tasks.reports.period import Kind
from tasks.reports.pictures import (
    Picture,
    anomaly_pictures,
    hashrate_pictures,
    price_pictures,
    profit_pictures,
    temperature_pictures,
)
from tasks.reports.summary import Summary, Work

TO_DO = 5
"""Things to do that the first page names."""
_LOOK_AT = 3
"""Miners that lost most that it names beside the advice."""


@dataclass(frozen=True, slots=True)
class Table:
    """Header and rows, in words. Columns of ``numbers`` are set right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Section:
    """Heading, paragraphs, things to do, pictures, and a table."""

    heading: str
    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    table: Table | None = None


def sections(report: Report) -> list[Section]:
    """What a report says, in the order in which it says it."""
    return [
        _in_short(report), _to_do(report), _hashrate(report), _money(report), _worst(report), _alerts(report),
        _health(report), _pools(report), _advice(report),
    ]  # fmt: skip


def as_markdown(report: Report, *, pictures: str | None = None) -> str:
    """The report as Markdown. ``pictures``: what names of pictures begin with beside the file, None: without any, as
    Prefect's artifacts and messages want it."""
    parts = [f"# {report.period.title}\n"]
    for section in sections(report):
        parts.append(f"## {section.heading}\n")
        parts += [f"{paragraph}\n" for paragraph in section.paragraphs]
        parts += ["".join(f"- {point}\n" for point in section.points)] if section.points else []
        if pictures is not None:
            parts += [f"![{one.caption}]({pictures}-{one.name}.svg)\n" for one in section.pictures]
        if section.table is not None:
            parts.append(_markdown_table(section.table))
    return "\n".join(parts)


def as_message(report: Report) -> str:
    """The first page in plain words, for a message that has the report attached."""
    short, to_do = _in_short(report), _to_do(report)
    rows = [" ".join((f"{row[0]}:", *row[1:2], f"({row[3]})" if row[3] else "")).strip() for row in compared(report)]
    return "\n".join([*short.paragraphs, "", *rows, "", "What to do:", *(f"- {one}" for one in to_do.points)])


def _in_short(report: Report) -> Section:
    this, word = report.this, report.period.word
    said = [_made_in_words(one, this) for one in this.work]
    if not said:
        said = [f"Nothing is known of the hashrate of this {word}."]
    if this.money is None:
        said.append(f"No money of this {word} is derived yet (flow derive-metrics).")
    else:
        said.append(_money_in_words(report))
    lost = this.lost_usd
    if lost is not None and any(one.lost_hs > 0 for one in this.work):
        about = "about" if this.lost_usd_is_whole else "at least"
        said.append(f"What was lost would have brought {about} {usd(lost)} before fees.")
    if this.work and this.hours_known < this.hours:
        said.append(f"Only {this.hours_known:,} of {this.hours:,} hours are known; nothing is said of the others.")
    header = ("", f"this {word}", f"{word} before", "change")
    table = Table(header, compared(report), frozenset({1, 2, 3}))
    return Section("In short", [" ".join(said)], table=table)


def _made_in_words(work: Work, this: Summary) -> str:
    what = f" of {quantity.algorithm_name(work.algorithm)}" if len(this.work) > 1 else ""
    share = f" ({work.made_ratio:.1%})" if work.made_ratio is not None else ""
    return (
        f"{quantity.hashrate(work.made_hs, None)}{what} of {quantity.hashrate(work.expected_hs, None)} expected"
        f"{share} were delivered."
    )


def _money_in_words(report: Report) -> str:
    money = report.this.money or {}
    if money["profit"] is None:
        known = [f"{name} {usd(money[name])}" for name in ("revenue", "cost") if money[name] is not None]
        said = f" ({', '.join(known)})" if known else ""
        return f"The profit is not known{said}: a price or a tariff is missing."
    word = "profit" if money["profit"] >= 0 else "loss"
    said = f"The {word} was {usd(abs(money['profit']))}"
    if money["hours_known"] < money["hours"]:
        said += (
            f", of {money['hours_known']:,} of {money['hours']:,} miner-hours: the profit of the others is not known"
        )
    before = report.before.money
    if before is not None and before["profit"] is not None:
        said += f"; it was {usd(before['profit'])} the {report.period.word} before"
    return f"{said}."


def _to_do(report: Report) -> Section:
    points = []
    for row in report.advice[:TO_DO]:
        gain = row["potential_impact_usd_day"]
        brings = "gain not known" if gain is None else f"brings {gain:,.2f} USD/day"
        sure = "" if row["confidence"] is None else f", {row['confidence']:.0%} sure"
        points.append(f"{row['miner_id']}: {row['description'] or row['type']} ({brings}{sure})")
    for one in report.worst[:_LOOK_AT]:
        reached = "" if one.uptime_percent is None else f", reached {one.uptime_percent:.0f}% of the time"
        points.append(f"{one.miner_id}: see why it lost {quantity.hashrate(one.lost_hs, None)} ({one.cause}{reached})")
    money = report.this.money
    if money is not None and money["cost"] is None:
        points.append(
            "Say what power costs, in electricity.tariffs of data_collection_config.yaml: the cost is not known"
        )
    return Section("What to do", [] if points else ["Nothing."], points)


def _hashrate(report: Report) -> Section:
    this = report.this
    if not this.work:
        return Section("Hashrate", ["Nothing is known of the hashrate in this period."])
    said = [
        f"Means of the {this.hours_known:,} hours that are known, {report.miners} miners. Reached "
        f"{percent(this.uptime_percent)} of the time that is known, hashing {percent(this.hashing_percent)}; "
        f"{percent(this.coverage_percent)} of the {report.period.word} is known."
    ]
    many = len(this.work) > 1
    rows = [
        (
            *((quantity.algorithm_name(work.algorithm),) if many else ()),
            cause,
            quantity.hashrate(lost, None),
            f"{lost / work.lost_hs:.0%}" if work.lost_hs else quantity.DASH,
        )
        for work in this.work
        for cause, lost in sorted(work.lost_by_cause.items(), key=lambda item: -item[1])
    ]
    header = (*(("algorithm",) if many else ()), "lost to", "mean", "share")
    table = Table(header, rows, frozenset({len(header) - 2, len(header) - 1})) if rows else None
    return Section("Hashrate", said, (), hashrate_pictures(report), table)


def _money(report: Report) -> Section:
    pictures = [*profit_pictures(report), *price_pictures(report)]
    if not report.money:
        return Section("Money", ["No money of this period is derived yet (flow derive-metrics)."], (), pictures)
    header = ("of", "revenue", "cost", "profit", "energy", "break even at", "hours known")
    rows = [
        (
            str(row["of"]) or "(no site)",
            usd(row["revenue"]),
            usd(row["cost"]),
            usd(row["profit"]),
            quantity.number(row["energy_kwh"], "kWh"),
            quantity.DASH if row["break_even_usd_kwh"] is None else f"{row['break_even_usd_kwh']:.4f} USD/kWh",
            f"{row['hours_known']:,} of {row['hours']:,}",
        )
        for row in report.money
    ]
    missing = any(row["profit"] is None for row in report.money)
    said = ["Where a price or a tariff is missing, money is not known: docs/derived-metrics.md."] if missing else []
    return Section("Money", said, (), pictures, Table(header, rows, frozenset(range(1, len(header)))))


def _worst(report: Report) -> Section:
    if not report.worst:
        return Section("Miners that lost most", ["None lost any hashrate."])
    rows = [
        (one.miner_id, quantity.hashrate(one.lost_hs, None), one.cause, percent(one.uptime_percent))
        for one in report.worst
    ]
    return Section(
        "Miners that lost most", table=Table(("miner", "lost", "mostly to", "reached"), rows, frozenset({1, 3}))
    )


def _alerts(report: Report) -> Section:
    if not report.this.alerts:
        return Section("Alerts", ["No alert fired."])
    rows = [(name, str(number), str(report.before.alerts.get(name, 0))) for name, number in report.this.alerts.items()]
    table = Table(("rule", "fired", f"{report.period.word} before"), rows, frozenset({1, 2}))
    return Section("Alerts", points=report.critical, table=table)


def _health(report: Report) -> Section:
    pictures = [*temperature_pictures(report), *anomaly_pictures(report)]
    anomalous = report.this.anomalous
    said = "No anomalies were scored." if anomalous is None else f"{anomalous} miner-hours were anomalous."
    if not any(one.name == "temperature" for one in pictures):
        said += " No temperatures are known."
    return Section("Temperatures and anomalies", [said], (), pictures)


def _pools(report: Report) -> Section:
    paused = [_paused(one, report.period.zone) for one in report.paused]
    if not report.pools:
        return Section("Pools", ["No settlement day was reconciled."], paused)
    names = ("predicted", "credited", "paid", "unexplained")
    rows: list[tuple[str, ...]]
    if report.period.kind is not Kind.MONTHLY:
        rows = [
            (row["day"], row["pool_id"], row["coin_id"], *(_amount(row[name]) for name in names))
            for row in report.pools
        ]
        return Section(
            "Pools", points=paused, table=Table(("day", "pool", "coin", *names), rows, frozenset({3, 4, 5, 6}))
        )
    by_account: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in report.pools:
        by_account.setdefault((row["pool_id"], row["coin_id"]), []).append(row)
    rows = [
        (*account, str(len(days)), *(_amount(_sum(row[name] for row in days)) for name in names))
        for account, days in by_account.items()
    ]
    said = [f"Sums of the days that are known; {quantity.DASH} where no day is."]
    return Section(
        "Pools", said, paused, table=Table(("pool", "coin", "days settled", *names), rows, frozenset({2, 3, 4, 5, 6}))
    )


def _paused(one: Stretch, zone: str) -> str:
    """Of a source that was not asked: what it told of that time is missing, and nobody is to blame."""
    begin, end = (datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for at in (one.start, one.stop))
    return f"{one.subject} was not asked from {begin} to {end}: {one.words}"


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _advice(report: Report) -> Section:
    if not report.advice:
        return Section("Worth changing", ["Nothing."])
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
    return Section("Worth changing", table=Table(("miner", "what", "brings", "sure"), rows, frozenset({2, 3})))


def percent(value: float | None) -> str:
    """``93.1%``."""
    return quantity.DASH if value is None else f"{value:.1f}%"


def usd(value: float | None) -> str:
    """``1,203.50 USD``."""
    return quantity.DASH if value is None else f"{value:,.2f} USD"


def _amount(value: float | None) -> str:
    return quantity.DASH if value is None else f"{value:.8g}"


def _markdown_table(table: Table) -> str:
    rules = ["---:" if place in table.numbers else "---" for place in range(len(table.header))]
    lines = [table.header, rules, *table.rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
