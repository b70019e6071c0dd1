"""The ten questions of docs/warehouse.md: their SQL and printed answers, and the same worked out in plain Python."""

from __future__ import annotations

import datetime as dt
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

from deployments.command.rows import plain
from storage.warehouse.sql import answer
from tests.warehouse.seed import HOUR, MINERS, UPDATE, Rows, seeded

DOCUMENT = Path(__file__).parents[2] / "docs" / "warehouse.md"
_QUESTION = re.compile(r"(### \d+\. [^\n]+\n\n(?:[^`#][^\n]*\n\n)?```sql\n(.*?)```\n\n)```\n(.*?)```\n", re.S)


def questions() -> list[tuple[str, str]]:
    """(SQL, printed answer) in the order of the document."""
    return [(match[2], match[3]) for match in _QUESTION.finditer(DOCUMENT.read_text())]


def printed(rows: list[dict[str, Any]]) -> str:
    """Rows as the document has them."""
    lines = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(plain(value))


# The answers, from the rows that were collected and nothing else


def hourly(rows: Iterable[dict[str, Any]], value: str, *tags: str) -> dict[tuple[Any, ...], float]:
    """Mean of ``value`` by tags and hour."""
    found: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in rows:
        if row.get(value) is not None:
            found[*(row[tag] for tag in tags), row["time"] // HOUR * HOUR].append(row[value])
    return {key: fmean(values) for key, values in found.items()}


def grouped(pairs: Iterable[tuple[Any, float]], fold: Callable[[list[float]], float] = sum) -> dict[Any, float]:
    found: dict[Any, list[float]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: fold(values) for key, values in sorted(found.items())}


def date(time: int) -> str:
    return dt.datetime.fromtimestamp(time, dt.UTC).date().isoformat()


def growth(rows: list[dict[str, Any]], value: str, *tags: str) -> dict[tuple[Any, ...], int]:
    """Growth of a counter that is never reset: last - first."""
    found: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in rows:
        if row.get(value) is not None:
            found[tuple(row[tag] for tag in tags)].append(row[value])
    return {key: max(values) - min(values) for key, values in found.items()}


def fleet_by_day(rows: Rows) -> list[tuple[Any, ...]]:
    telemetry = rows.of["miner_telemetry"]
    rates = grouped(((key[-1], v) for key, v in hourly(telemetry, "hashrate_hs", "miner_id").items()))
    powers = grouped(((key[-1], v) for key, v in hourly(telemetry, "power_w", "miner_id").items()))
    rate = grouped(((date(hour), v) for hour, v in rates.items()), fmean)
    power = grouped(((date(hour), v) for hour, v in powers.items()), fmean)
    return [(day, rate[day] / 1e12, power[day] / 1e3) for day in rate]


def energy_by_site(rows: Rows) -> list[tuple[Any, ...]]:
    hours = hourly(rows.of["miner_telemetry"], "power_w", "site", "miner_id")
    return list(grouped(((key[0], value / 1000) for key, value in hours.items())).items())


def efficiency_by_model(rows: Rows) -> list[tuple[Any, ...]]:
    telemetry = rows.of["miner_telemetry"]
    power = grouped((key[0], v) for key, v in hourly(telemetry, "power_w", "model", "miner_id").items())
    rate = grouped((key[0], v) for key, v in hourly(telemetry, "hashrate_hs", "model", "miner_id").items())
    return sorted(((m, power[m] / rate[m] * 1e12) for m in power), key=lambda row: row[1])


def update_of_m1(rows: Rows) -> list[tuple[Any, ...]]:
    telemetry = [row for row in rows.of["miner_telemetry"] if row["miner_id"] == "m1"]
    answers = []
    for firmware, mine in (
        ("1.2.6", [row for row in telemetry if row["time"] < UPDATE]),
        ("1.3.0", [row for row in telemetry if row["time"] >= UPDATE]),
    ):
        rates, powers = hourly(mine, "hashrate_hs"), hourly(mine, "power_w")
        answers.append(
            (firmware, len(rates), fmean(rates.values()) / 1e12, sum(powers.values()) / sum(rates.values()) * 1e12)
        )
    return answers


def least_reachable(rows: Rows) -> list[tuple[Any, ...]]:
    polls: dict[str, list[bool]] = defaultdict(list)
    for row in rows.of["miner_telemetry"]:
        polls[row["miner_id"]].append(row["reachable"])
    return sorted(((m, 100 * sum(p) / len(p)) for m, p in polls.items()), key=lambda row: (row[1], row[0]))[:3]


def rejected_by_pool(rows: Rows) -> list[tuple[Any, ...]]:
    workers = rows.of["pool_performance"]
    accepted = grouped((key[0], v) for key, v in growth(workers, "shares_accepted", "pool_id", "worker_id").items())
    rejected = grouped((key[0], v) for key, v in growth(workers, "shares_rejected", "pool_id", "worker_id").items())
    return [(pool, accepted[pool], rejected[pool] / (accepted[pool] + rejected[pool])) for pool in accepted]


def profit_by_model(rows: Rows) -> list[tuple[Any, ...]]:
    model_of = {miner_id: model for miner_id, model, _ in MINERS}
    days = [row for row in rows.of["financial_metrics"] if row["time_period"] == "1d"]
    revenue = grouped((model_of[row["miner_id"]], row["revenue"]) for row in days)
    profit = grouped((model_of[row["miner_id"]], row["profit"]) for row in days)
    return sorted(((m, revenue[m], profit[m], profit[m] / revenue[m]) for m in profit), key=lambda row: -row[2])


def hottest_hours(rows: Rows) -> list[tuple[Any, ...]]:
    hottest: dict[tuple[str, int], float] = {}
    for row in rows.of["miner_telemetry"]:
        if row.get("chip_temp_max_c") is not None:
            key = (row["miner_id"], row["time"] // HOUR * HOUR)
            hottest[key] = max(hottest.get(key, -273.0), row["chip_temp_max_c"])
    zone = ZoneInfo("Europe/Berlin")
    hours = grouped(((dt.datetime.fromtimestamp(hour, zone).hour, v) for (_, hour), v in hottest.items()), fmean)
    return sorted(hours.items(), key=lambda row: (-row[1], row[0]))[:3]


def events_by_site(rows: Rows) -> list[tuple[Any, ...]]:
    counts = grouped(((row["site"], row["severity"]), 1) for row in rows.of["miner_event"])
    return [(*key, count) for key, count in counts.items()]


def prices(rows: Rows) -> list[tuple[Any, ...]]:
    quoted = [row for row in rows.of["market_data"] if row["coin_id"] == "litecoin"]
    low = grouped(((date(row["time"]), row["price_usd"]) for row in quoted), min)
    high = grouped(((date(row["time"]), row["price_usd"]) for row in quoted), max)
    last = grouped(((date(row["time"]), row["price_usd"]) for row in quoted), lambda values: values[-1])
    return [(day, low[day], high[day], last[day]) for day in low]


ANSWERS: tuple[Callable[[Rows], list[tuple[Any, ...]]], ...] = (
    fleet_by_day, energy_by_site, efficiency_by_model, update_of_m1, least_reachable, rejected_by_pool,
    profit_by_model, hottest_hours, events_by_site, prices,
)  # fmt: skip


def write_answers() -> None:
    """Print the answers into the document anew."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder)
        seeded(lake)
        text = _QUESTION.sub(
            lambda match: f"{match[1]}```\n{printed(answer(lake, match[2], timeout_s=60).to_pylist())}```\n",
            DOCUMENT.read_text(),
        )
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    write_answers()
    sys.stdout.write(f"{DOCUMENT} written\n")
