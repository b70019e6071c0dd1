"""The dashboard of one miner: what it does, what it should do, what was lost and why."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.fleet import SITE
from deployments.grafana.panel import Dashboard, Panel, Row, Target, Variable, limited, lines, newest
from storage.declaration import Measurement
from storage.declaration.derived import ANOMALY_SCORE, OPERATIONAL_METRICS, OPTIMIZATION_OPPORTUNITY
from storage.declaration.event import MINER_EVENT
from storage.declaration.miner import MINER_BOARD, MINER_ERROR, MINER_FAN, MINER_POOL, MINER_TELEMETRY

_CHOSEN = queries.chosen("miner_id", "miner")
_HOURS = queries.equal("time_period", "1h")
_POLL = "5m"


def _of_telemetry(title: str, description: str, unit: str, function: str, **name_of_field: str) -> Panel:
    targets = [
        Target(queries.measured(MINER_TELEMETRY, function, field, (), [_CHOSEN]), name)
        for name, field in name_of_field.items()
    ]
    return lines(title, description, MINER_TELEMETRY, targets, unit, interval=_POLL)


def _of_parts(
    title: str, description: str, measurement: Measurement, tag: str, field: str, *, function: str = "mean"
) -> Panel:
    target = Target(queries.measured(measurement, function, field, (tag,), [_CHOSEN]), f"{tag} $tag_{tag}")
    return lines(title, description, measurement, [target], measurement.field_by_name[field].unit, interval=_POLL)


def _hourly(field: str, alias: str) -> Target:
    return Target(queries.measured(OPERATIONAL_METRICS, "mean", field, (), [_HOURS, _CHOSEN]), alias)


def _newest(title: str, description: str, measurement: Measurement, fields: tuple[str, ...], width: int) -> Panel:
    query = queries.newest_of_each(measurement, fields, [_CHOSEN])
    return newest(title, description, measurement, query, fields, width=width, look_back="15m")


_NOW = (
    *("state", "failure", "hashrate_hs", "hashrate_nominal_hs", "power_w", "efficiency_j_th", "chip_temp_max_c"),
    *("fan_duty_percent", "boards_mining", "boards_expected", "shares_accepted", "shares_rejected", "uptime_s"),
    *("error_count", "quality", "quality_flags"),
)

MINER = Dashboard(
    "miner",
    "Lodeline miner",
    (
        SITE,
        Variable(
            "miner",
            "Miner",
            MINER_TELEMETRY,
            'SHOW TAG VALUES FROM "miner_telemetry" WITH KEY = "miner_id" WHERE "site" =~ /^${site:regex}$/',
            one=True,
        ),
    ),
    (
        Row("Now", (_newest("Miner", "Its newest row of the last 15 min, whole.", MINER_TELEMETRY, _NOW, 24),)),
        Row(
            "Over time",
            (
                _of_telemetry(
                    "Hashrate against nominal",
                    "Hashrate now, and what the present preset promises.",
                    "H/s",
                    "mean",
                    hashrate="hashrate_hs",
                    nominal="hashrate_nominal_hs",
                ),
                _of_telemetry(
                    "Power",
                    "As the miner reports it, and the target of its preset.",
                    "W",
                    "mean",
                    power="power_w",
                    target="power_limit_w",
                ),
                lines(
                    "Efficiency",
                    "Sum of power over sum of hashrate of polls that gave both. J/MH of Scrypt is this number / 1e6.",
                    MINER_TELEMETRY,
                    [
                        Target(
                            queries.quotient(
                                MINER_TELEMETRY, "power_w", "hashrate_hs", factor=" * 1000000000000", where=[_CHOSEN]
                            ),
                            "efficiency",
                        )
                    ],
                    "J/TH",
                    interval=_POLL,
                ),
                _of_telemetry(
                    "Temperatures",
                    "Highest readings in the window; air is the intake.",
                    "degC",
                    "max",
                    chip="chip_temp_max_c",
                    board="pcb_temp_max_c",
                    air="ambient_temp_c",
                ),
                _of_telemetry("Fan drive", "Drive of the fans.", "percent", "mean", drive="fan_duty_percent"),
                _of_telemetry("Poll time", "Time that a poll took, the longest.", "ms", "max", poll="poll_ms"),
            ),
        ),
        Row(
            "Boards and fans",
            (
                _of_parts("Hashrate by board", "Mean of each board.", MINER_BOARD, "board", "hashrate_hs"),
                limited(
                    _of_parts(
                        "Chips by board",
                        "Hottest chip of each board.",
                        MINER_BOARD,
                        "board",
                        "chip_temp_c",
                        function="max",
                    ),
                    "chip_too_hot",
                ),
                _of_parts("Fan speeds", "Mean speed of each fan.", MINER_FAN, "fan", "speed_rpm"),
                _newest(
                    "Boards",
                    "The newest row of each board.",
                    MINER_BOARD,
                    (
                        *("status", "hashrate_hs", "hashrate_nominal_hs", "chip_temp_c", "pcb_temp_c"),
                        *("frequency_mhz", "voltage_v", "power_w", "hardware_errors", "chips_bad"),
                    ),
                    12,
                ),
                _newest(
                    "Pools",
                    "The newest row of each pool slot; the maker's fee pool is one of its own.",
                    MINER_POOL,
                    ("status", "is_fee", "url", "user", "shares_accepted", "shares_rejected", "last_share_age_s"),
                    12,
                ),
            ),
        ),
        Row(
            "Lost, and why",
            (
                lines(
                    "Lost hashrate by cause",
                    "Expected and not made, or refused by the pool, by hour and cause; the causes add up to the loss.",
                    OPERATIONAL_METRICS,
                    [
                        _hourly(f"lost_{cause}_hs", cause)
                        for cause in ("unreachable", "paused", "pool", "board", "heat", "unknown")
                    ],
                    "H/s",
                    interval="1h",
                    width=12,
                    stacked=True,
                ),
                lines(
                    "Expected and lost",
                    "Hashrate of the preset over the time that is told of, and the part of it that was lost.",
                    OPERATIONAL_METRICS,
                    [_hourly("hashrate_expected_hs", "expected"), _hourly("hashrate_lost_hs", "lost")],
                    "H/s",
                    interval="1h",
                    width=12,
                ),
                lines(
                    "Uptime",
                    "Parts of the hour: answering and hashing of the time that it was polled and not paused; coverage "
                    "is the part that is known.",
                    OPERATIONAL_METRICS,
                    [
                        _hourly("uptime_percentage", "answering"),
                        _hourly("hashing_uptime_percentage", "hashing"),
                        _hourly("coverage_percentage", "coverage"),
                    ],
                    "percent",
                    interval="1h",
                    width=12,
                ),
                lines(
                    "Stability and thermal headroom",
                    "1 is best; formulas are in docs/derived-metrics.md.",
                    OPERATIONAL_METRICS,
                    [_hourly("hashrate_stability", "stability"), _hourly("thermal_efficiency", "headroom")],
                    "ratio",
                    interval="1h",
                    width=12,
                ),
            ),
        ),
        Row(
            "Odd, and what happened",
            (
                limited(
                    lines(
                        "Anomaly scores",
                        "Highest score in the window, 0 to 1, of hours and of the stream together.",
                        ANOMALY_SCORE,
                        [
                            Target(queries.measured(ANOMALY_SCORE, "max", field, (), [_CHOSEN]), field)
                            for field in ("overall", "hashrate", "temperature", "power", "shares")
                        ],
                        "ratio",
                        interval="15m",
                        width=12,
                    ),
                    "miner_odd",
                ),
                newest(
                    "Reasons of anomalies",
                    "Newest scores, with what made them.",
                    ANOMALY_SCORE,
                    queries.latest(ANOMALY_SCORE, ("time_period", "overall", "anomalous", "reasons"), [_CHOSEN]),
                    ("overall",),
                ),
                newest(
                    "Events",
                    "What happened to the miner, newest first.",
                    MINER_EVENT,
                    queries.latest(MINER_EVENT, ("kind", "subject", "severity", "message", "old", "new"), [_CHOSEN]),
                    (),
                ),
                newest(
                    "Errors",
                    "What the miner reports in its maker's words, newest first; a row a poll.",
                    MINER_ERROR,
                    queries.latest(MINER_ERROR, ("code", "severity", "message"), [_CHOSEN]),
                    (),
                ),
                newest(
                    "Advice",
                    "What is worth changing at the miner: the newest row of each.",
                    OPTIMIZATION_OPPORTUNITY,
                    queries.newest_of_each(
                        OPTIMIZATION_OPPORTUNITY,
                        ("status", "description", "potential_impact_usd_day", "confidence", "outcome"),
                        [_CHOSEN],
                    ),
                    ("potential_impact_usd_day", "confidence"),
                    width=24,
                ),
            ),
        ),
    ),
    span="24h",
)
