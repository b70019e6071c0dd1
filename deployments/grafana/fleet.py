"""What the fleet dashboard shows: one entry per panel, from the declaration. The questions are in ``queries``."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.grafana import queries
from deployments.grafana.panel import Dashboard, Panel, Row, Target, Variable, limited, newest
from storage.declaration import Measurement, Tier
from storage.declaration.miner import FAILURE_KINDS, MINER_BOARD, MINER_FAN, MINER_POOL, MINER_STATES, MINER_TELEMETRY
from storage.declaration.pipeline import COLLECTOR_TICK

_NOW = "15m"
"""How far "now" looks back: three polls at the slowest usual interval of 5 min."""
_POLL = "5m"
"""No window of a sum over miners is shorter: in a shorter one only some of them were polled."""


_RAW = MINER_TELEMETRY.buckets[Tier.RAW]
_HOURLY = MINER_POOL.buckets[Tier.HOURLY]
_DAILY = MINER_TELEMETRY.buckets[Tier.DAILY]
_BOOKS = COLLECTOR_TICK.buckets[Tier.RAW]
_POOL_HOURS = MINER_POOL.stored_name(Tier.HOURLY)
_MINER_DAYS = MINER_TELEMETRY.stored_name(Tier.DAILY)


def _stat(
    title: str, description: str, target: Target, unit: str, width: int, *, no_value: str = "\N{EN DASH}"
) -> Panel:
    return Panel(
        "stat", title, description, _RAW, (target,), unit, width, 5, look_back=_NOW, interval=_POLL, no_value=no_value
    )


def _lines(
    title: str,
    description: str,
    targets: Sequence[Target],
    unit: str,
    *,
    bucket: str = _RAW,
    width: int = 8,
    interval: str = _POLL,
    stacked: bool = False,
    bars: bool = False,
    many: bool = False,
) -> Panel:
    return Panel(
        "timeseries",
        title,
        description,
        bucket,
        tuple(targets),
        unit,
        width,
        interval=interval,
        stacked=stacked,
        bars=bars,
        many=many,
    )


def _table(
    title: str, description: str, measurement: Measurement, fields: Sequence[str], *, width: int, height: int
) -> Panel:
    return newest(
        title,
        description,
        measurement,
        queries.newest_rows(measurement, fields),
        fields,
        width=width,
        height=height,
        look_back=_NOW,
    )


def _by_model(query: str, what: str = "") -> Target:
    return Target(query, f"$tag_model{what}")


_NOW_ROW = Row(
    "Fleet now",
    (
        _stat(
            "Miners that answer",
            f"Miners whose newest poll was answered, of those polled in the last {_NOW}.",
            Target(queries.miners_that_answer(), "answer"),
            "count",
            4,
            no_value="0",
        ),
        _stat(
            "Miners polled",
            f"Miners that have a row in the last {_NOW}, answered or not.",
            Target(queries.miners_polled(), "polled"),
            "count",
            4,
        ),
        _stat(
            "Hashrate",
            "Sum over the newest row of each miner, by model: models of different algorithms are never added up.",
            _by_model(queries.sum_of_newest("hashrate_hs")),
            "H/s",
            8,
        ),
        _stat(
            "Power",
            "Sum over the newest row of each miner, by model, as the miners report it.",
            _by_model(queries.sum_of_newest("power_w")),
            "W",
            8,
        ),
    ),
)

_OVER_TIME_ROW = Row(
    "Over time",
    (
        _lines(
            "Hashrate by model",
            "Sum of the miners' means; a window without data is a gap.",
            [
                _by_model(queries.sum_of_means("hashrate_hs")),
                _by_model(queries.sum_of_means("hashrate_nominal_hs"), ", expected of those that answer"),
            ],
            "H/s",
        ),
        _lines(
            "Power by model",
            "Sum of the miners' means, as the miners report it.",
            [_by_model(queries.sum_of_means("power_w"))],
            "W",
        ),
        _lines(
            "Efficiency by model",
            "Sum of power over sum of hashrate, not a mean of ratios. J/MH of Scrypt is this number / 1e6.",
            [_by_model(queries.efficiency())],
            "J/TH",
        ),
        _lines(
            "Miners by state",
            "Miners that were in the state at least once in the window; one that changed counts in both.",
            [Target(queries.miners_where("state", state), state) for state in MINER_STATES],
            "count",
            width=12,
            stacked=True,
            bars=True,
        ),
        _lines(
            "Failed polls by reason",
            "Miners whose poll failed for the reason at least once in the window.",
            [Target(queries.miners_where("failure", kind), kind.replace("_", " ")) for kind in FAILURE_KINDS],
            "count",
            width=12,
            stacked=True,
            bars=True,
        ),
    ),
)

_TEMPERATURE_ROW = Row(
    "Temperatures",
    (
        limited(
            _lines(
                "Hottest chip by site",
                "Highest reading of all miners in the window.",
                [Target(queries.over_time("max", "chip_temp_max_c", "site"), "$tag_site")],
                "degC",
            ),
            "chip_too_hot",
        ),
        _lines(
            "Chips, mean by site",
            "Mean over the miners' mean chip temperature.",
            [Target(queries.over_time("mean", "chip_temp_avg_c", "site"), "$tag_site")],
            "degC",
        ),
        _lines(
            "Intake air by site",
            "Mean over the miners' intake air.",
            [Target(queries.over_time("mean", "ambient_temp_c", "site"), "$tag_site")],
            "degC",
        ),
    ),
)

_MINERS_ROW = Row(
    "Miners",
    (
        _table(
            "Miners",
            "The newest row of each miner, whole: an unreachable miner has no readings.",
            MINER_TELEMETRY,
            (
                *("state", "failure", "hashrate_hs", "hashrate_nominal_hs", "power_w", "efficiency_j_th"),
                *("chip_temp_max_c", "fan_duty_percent", "boards_mining", "shares_accepted", "shares_rejected"),
                *("uptime_s", "error_count", "poll_ms"),
            ),
            width=24,
            height=11,
        ),
        _lines(
            "Hashrate of the chosen miners",
            "Mean of each miner in the window.",
            [Target(queries.over_time("mean", "hashrate_hs", "miner_id"), "$tag_miner_id")],
            "H/s",
            width=12,
            many=True,
        ),
        limited(
            _lines(
                "Hottest chip of the chosen miners",
                "Highest reading of each miner in the window.",
                [Target(queries.over_time("max", "chip_temp_max_c", "miner_id"), "$tag_miner_id")],
                "degC",
                width=12,
                many=True,
            ),
            "chip_too_hot",
        ),
    ),
)

_PARTS_ROW = Row(
    "Boards and fans",
    (
        _table(
            "Boards",
            "The newest row of each board.",
            MINER_BOARD,
            (
                *("status", "hashrate_hs", "chip_temp_c", "pcb_temp_c", "frequency_mhz", "voltage_v", "power_w"),
                *("hardware_errors", "chips_bad"),
            ),
            width=14,
            height=9,
        ),
        _table(
            "Fans",
            "The newest row of each fan.",
            MINER_FAN,
            ("status", "speed_rpm", "speed_percent"),
            width=10,
            height=9,
        ),
    ),
)

_SHARES_ROW = Row(
    "Pool shares",
    (
        _lines(
            "Shares per hour",
            "From the hourly roll-up, which counts right over a miner's reboot. The maker's fee pool is in it.",
            [
                Target(queries.total(_POOL_HOURS, f"shares_{kind}_inc"), kind)
                for kind in ("accepted", "rejected", "stale")
            ],
            "shares",
            bucket=_HOURLY,
            width=12,
            interval="1h",
        ),
        _lines(
            "Rejected shares",
            "Rejected over accepted and rejected, from the hourly roll-up.",
            [
                Target(
                    queries.ratio(_POOL_HOURS, "shares_rejected_inc", ("shares_accepted_inc", "shares_rejected_inc")),
                    "rejected",
                )
            ],
            "ratio",
            bucket=_HOURLY,
            width=12,
            interval="1h",
        ),
    ),
)

_DAYS_ROW = Row(
    "Days",
    (
        _lines(
            "Time reachable per day",
            "Share of the time that miners were watched in which they answered, from the daily roll-up. Time in which "
            "the collector stood still is not in it.",
            [Target(queries.ratio(_MINER_DAYS, "reachable_true_seconds", ("reachable_seconds",), "site"), "$tag_site")],
            "ratio",
            bucket=_DAILY,
            width=12,
            interval="1d",
        ),
        _lines(
            "Mean hashrate of a miner per day",
            "Mean over the time that it is known, by model, from the daily roll-up.",
            [_by_model(queries.ratio(_MINER_DAYS, "hashrate_hs_integral", ("hashrate_hs_seconds",), "model"))],
            "H/s",
            bucket=_DAILY,
            width=12,
            interval="1d",
        ),
    ),
)


def _books(title: str, description: str, unit: str, **name_of_field: str) -> Panel:
    return _lines(
        title,
        description,
        [Target(queries.of_ticks(field), f"{name} $tag_host $tag_lane") for name, field in name_of_field.items()],
        unit,
        bucket=_BOOKS,
        width=6,
        interval="1m",
    )


_COLLECTOR_ROW = Row(
    "Collector",
    (
        _books("Miners asked and failed", "Of every tick, by host and lane.", "count", asked="polled", failed="failed"),
        _books("Tick time", "From the slot's start until everything was spooled.", "s", took="tick_s"),
        _books(
            "Backlog",
            "Points spooled and not yet stored. Rising means: the store does not take them.",
            "count",
            waiting="backlog",
        ),
        limited(
            _books(
                "Event loop delay", "Worst delay in a tick: a busy host, not slow miners.", "ms", delay="loop_lag_ms"
            ),
            "collector_overloaded",
        ),
    ),
)

SITE = Variable("site", "Site", MINER_TELEMETRY, 'SHOW TAG VALUES FROM "miner_telemetry" WITH KEY = "site"')
MINERS = Variable(
    "miner",
    "Miner",
    MINER_TELEMETRY,
    'SHOW TAG VALUES FROM "miner_telemetry" WITH KEY = "miner_id" WHERE "site" =~ /^${site:regex}$/',
)

FLEET = Dashboard(
    "fleet",
    "Lodeline fleet",
    (SITE, MINERS),
    (
        _NOW_ROW,
        _OVER_TIME_ROW,
        _TEMPERATURE_ROW,
        _MINERS_ROW,
        _PARTS_ROW,
        _SHARES_ROW,
        _DAYS_ROW,
        _COLLECTOR_ROW,
    ),
)
