"""One miner with its boards, fans, pools, errors and settings. Pure, like ``model``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.page.model import MinerLine, Row
from tasks import quantity
from tasks.miners.report import MinerStanding


@dataclass(frozen=True, slots=True)
class Number:
    """One labelled value as text, and the Unix time it is from."""

    label: str
    text: str
    time: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a table of parts: its cells in the order of the table's columns. ``state`` colours it."""

    cells: tuple[str, ...]
    state: str
    time: int
    current: bool
    """Whether it is from the miner's newest answer; a part that is gone from it is shown as it was, and marked."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A table of parts of one kind."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Part, ...]
    figures: frozenset[str]
    """Columns that hold numbers."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One miner at ``judged_at``."""

    line: MinerLine
    judged_at: float
    numbers: tuple[Number, ...]
    settings: tuple[Number, ...]
    parts: tuple[Parts, ...]


def build_detail(
    line: MinerLine,
    telemetry: Row | None,
    configuration: Row | None,
    *,
    boards: Sequence[Row],
    fans: Sequence[Row],
    pools: Sequence[Row],
    errors: Sequence[Row],
    standing: MinerStanding | None,
    judged_at: float,
) -> Detail:
    """Arrange the newest rows of one miner. Tables of parts hold one row per part, ordered by its number."""
    answered = max((row["time"] for row in (*boards, *fans, *pools)), default=None)
    if telemetry is not None and telemetry.get("reachable"):
        answered = max(answered or 0, telemetry["time"])

    def parts(title: str, tag: str, rows: Sequence[Row], columns: Sequence[_Column]) -> Parts:
        return Parts(
            title,
            tuple(label for label, _ in columns),
            tuple(
                Part(
                    tuple(show(row) for _, show in columns),
                    str(row.get("status") or row.get("severity") or "unknown"),
                    row["time"],
                    row["time"] == answered,
                )
                for row in sorted(_newest_of_each(rows, tag), key=lambda row: _natural(row[tag]))
            ),
            frozenset(label for label, _ in columns) - _WORDS,
        )

    return Detail(
        line=line,
        judged_at=judged_at,
        numbers=_numbers(line, telemetry or {}),
        settings=_settings(line, configuration or {}, standing),
        parts=(
            parts("Boards", "board", boards, _boards(line.algorithm)),
            parts("Pools", "slot", pools, _POOLS),
            parts("Fans", "fan", fans, _FANS),
            parts("Errors of the last day", "code", errors, _ERRORS),
        ),
    )


def _newest_of_each(rows: Sequence[Row], tag: str) -> list[Row]:
    found: dict[str, Row] = {}
    for row in rows:
        if row[tag] not in found or row["time"] > found[row[tag]]["time"]:
            found[row[tag]] = row
    return list(found.values())


def _natural(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isdecimal() else (1 << 31, number)


def _numbers(line: MinerLine, row: Row) -> tuple[Number, ...]:
    """Values of the newest row, as the miner gave them, with the time of that row: nothing older is mixed in."""
    algorithm = line.algorithm
    shown = (
        ("Hashrate", quantity.hashrate(row.get("hashrate_hs"), algorithm)),
        ("Expected", quantity.hashrate(row.get("hashrate_nominal_hs"), algorithm)),
        ("Average since start", quantity.hashrate(row.get("hashrate_average_hs"), algorithm)),
        ("Power", quantity.power(row.get("power_w"))),
        ("Efficiency", quantity.efficiency(row.get("efficiency_j_th"), algorithm)),
        ("Power limit", quantity.power(row.get("power_limit_w"))),
        ("Chips, hottest", quantity.number(row.get("chip_temp_max_c"), "°C")),
        ("Boards, hottest", quantity.number(row.get("pcb_temp_max_c"), "°C")),
        ("Intake air", quantity.number(row.get("ambient_temp_c"), "°C")),
        ("Fan drive", quantity.number(row.get("fan_duty_percent"), "%")),
        ("Frequency", quantity.number(row.get("frequency_mhz"), "MHz")),
        ("Voltage", quantity.number(row.get("voltage_v"), "V", 2)),
        ("Shares accepted", quantity.number(row.get("shares_accepted"))),
        ("Shares rejected", quantity.number(row.get("shares_rejected"))),
        ("Shares stale", quantity.number(row.get("shares_stale"))),
        ("Last share", quantity.age(row.get("last_share_age_s"))),
        ("Hardware errors", quantity.number(row.get("hardware_errors"))),
        ("Uptime", quantity.age(row.get("uptime_s"))),
        ("Poll took", quantity.number(row.get("poll_ms"), "ms")),
        ("Quality", quantity.number(row.get("quality"), "", 2)),
    )
    return tuple(Number(label, text, row.get("time")) for label, text in shown)


def _settings(line: MinerLine, row: Row, standing: MinerStanding | None) -> tuple[Number, ...]:
    def said(name: str) -> str:
        return str(row.get(name) or quantity.DASH)

    time = row.get("time")
    polled = standing.last_polled if standing else None
    return (
        Number("Model", line.model or quantity.DASH, None),
        Number("Site", line.site or quantity.DASH, None),
        Number("Driver", said("driver") if row or standing is None else standing.driver, time),
        Number("Address", said("ip_address"), time),
        Number("Model reported", said("model_reported"), time),
        Number("Firmware", said("firmware_version"), time),
        Number("Algorithm", quantity.algorithm_name(line.algorithm), time),
        Number("Preset", said("overclock_profile"), time),
        Number("Frequency set", quantity.number(row.get("frequency_mhz"), "MHz"), time),
        Number("Voltage set", quantity.number(row.get("voltage_v"), "V", 2), time),
        Number("Power target", quantity.power(row.get("power_limit_w")), time),
        Number("Pool", said("pool_url"), time),
        Number("Worker", said("pool_user"), time),
        Number("MAC", said("mac"), time),
        Number("Serial", said("serial"), time),
        Number("Last polled", quantity.clock(polled), polled),
        Number("Last answered", quantity.clock(line.last_success), line.last_success),
    )


_Column = tuple[str, Callable[[Row], str]]

_WORDS = frozenset(
    ("Board", "Status", "Slot", "Address", "Worker", "For", "Fan", "Code", "Severity", "Message", "Last reported")
)
"""Columns that hold no numbers."""


def _boards(algorithm: str | None) -> list[_Column]:
    return [
        ("Board", lambda row: row["board"]),
        ("Status", _text("status")),
        ("Hashrate", lambda row: quantity.hashrate(row.get("hashrate_hs"), algorithm)),
        ("Expected", lambda row: quantity.hashrate(row.get("hashrate_nominal_hs"), algorithm)),
        ("Chip", _measured("chip_temp_c", "°C")),
        ("Board temp.", _measured("pcb_temp_c", "°C")),
        ("Inlet", _measured("inlet_temp_c", "°C")),
        ("Outlet", _measured("outlet_temp_c", "°C")),
        ("Frequency", _measured("frequency_mhz", "MHz")),
        ("Voltage", _measured("voltage_v", "V", 2)),
        ("Power", lambda row: quantity.power(row.get("power_w"))),
        ("HW errors", _measured("hardware_errors")),
        ("Bad chips", _measured("chips_bad")),
    ]


def _text(name: str) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        value: Any = row.get(name)
        return quantity.DASH if value is None else str(value)

    return show


def _measured(name: str, unit: str = "", decimals: int = 0) -> Callable[[Row], str]:
    return lambda row: quantity.number(row.get(name), unit, decimals)


_FANS: list[_Column] = [
    ("Fan", lambda row: row["fan"]),
    ("Status", _text("status")),
    ("Speed", _measured("speed_rpm", "rpm")),
    ("Of highest", _measured("speed_percent", "%")),
]

_POOLS: list[_Column] = [
    ("Slot", lambda row: row["slot"]),
    ("Status", _text("status")),
    ("Address", _text("url")),
    ("Worker", _text("user")),
    ("For", lambda row: {True: "firmware maker's fee", False: "user"}.get(row.get("is_fee"), quantity.DASH)),  # type: ignore[arg-type]
    ("Accepted", _measured("shares_accepted")),
    ("Rejected", _measured("shares_rejected")),
    ("Stale", _measured("shares_stale")),
    ("Difficulty", _measured("difficulty")),
    ("Last share", lambda row: quantity.age(row.get("last_share_age_s"))),
    ("Ping", _measured("ping_ms", "ms")),
]

_ERRORS: list[_Column] = [
    ("Code", lambda row: row["code"]),
    ("Severity", _text("severity")),
    ("Message", _text("message")),
    ("Last reported", lambda row: quantity.clock(row["time"])),
]
