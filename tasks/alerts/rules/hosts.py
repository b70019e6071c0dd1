"""Rules over the machines that collect, and over work that falls behind: out of what they tell of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.alerts.facts import Facts
from tasks.alerts.rule import About, Finding, Found, Level, Rule, missing, said
from tasks.health.rows import LANES_OF_THE_PAST, waiting_s
from tasks.health.sampling import ROW_S
from tasks.quantity import age

if TYPE_CHECKING:  # rules are declared, and configured, without pandas
    import pandas as pd

TOLD_S = 900.0
"""A host tells of itself every five minutes; a row older than three of them says nothing of now."""
LATE_S = 60.0
"""What a row of a host may be late by."""
LEAST_REQUESTS = 6
"""Fewer requests in an hour than this make no rate."""


def _of_hosts(
    rows: pd.DataFrame, wrong: Callable[[pd.DataFrame], pd.Series], words: Callable[[pd.Series], str]
) -> Found:
    """Hosts whose newest row, of ``rows``, ``wrong`` holds for; of those that fell silent nobody knows."""
    told = rows["age_s"] <= TOLD_S
    fresh = rows[told]
    found = fresh[wrong(fresh).fillna(False).astype(bool)]
    return Found(
        tuple(
            Finding(subject=str(row["host"]), entity=str(row["host"]), message=words(row))
            for _, row in found.iterrows()
        ),
        frozenset(rows.loc[~told, "host"]),
    )


def _free(rows: pd.DataFrame) -> pd.Series:
    return rows["memory_available"].astype("float64") / rows["memory_total"].astype("float64")


def _memory_low(facts: Facts, limit: float | None) -> Found:
    return _of_hosts(
        facts.hosts,
        lambda rows: _free(rows) < (limit or 0.0),
        lambda row: (
            f"{row['host']} had {row['memory_available'] / 2**20:,.0f} MiB of "
            f"{row['memory_total'] / 2**20:,.0f} MiB memory left"
        ),
    )


def _hot(facts: Facts, limit: float | None) -> Found:
    def words(row: pd.Series) -> str:
        degrees = "" if missing(row["temperature_c"]) else f", its hottest sensor has {row['temperature_c']:.0f} °C"
        state = "is slowed down by its firmware" if row["throttled"] is True else "is too hot"
        return f"{row['host']} {state}{degrees}"

    return _of_hosts(
        facts.hosts,
        lambda rows: (
            (rows["temperature_c"].astype("float64") >= (limit or 0.0)) | rows["throttled"].eq(True).fillna(False)
        ),
        words,
    )


def _under_voltage(facts: Facts, _limit: float | None) -> Found:
    return _of_hosts(
        facts.hosts,
        lambda rows: rows["under_voltage"].eq(True),
        lambda row: f"the power supply of {row['host']} gives too little voltage",
    )


def _clock_off(facts: Facts, limit: float | None) -> Found:
    """By the clock of InfluxDB, and by rows that are dated later than now, which no delay can explain.

    What a clock left in the future counts while its host tells nothing of the present.
    """
    import pandas as pd

    present = facts.hosts[facts.hosts["age_s"] <= ROW_S + LATE_S]
    lost = facts.hosts_misdated[~facts.hosts_misdated["host"].isin(present["host"])]
    silent = facts.hosts[~facts.hosts["host"].isin([*present["host"], *lost["host"]])]
    rows = pd.concat([present, lost, silent], ignore_index=True)
    ahead = -rows["age_s"].astype("float64")
    apart = rows["clock_offset_s"].astype("float64").where(ahead <= (limit or 0.0), ahead)

    def words(row: pd.Series) -> str:
        seconds = float(apart[row.name])
        return f"the clock of {row['host']} is {abs(seconds):,.0f} s {'ahead' if seconds > 0 else 'behind'}"

    return _of_hosts(rows, lambda told: apart[told.index].abs() > (limit or 0.0), words)


def _delivery_late(facts: Facts, limit: float | None) -> Found:
    """Of this host as it is now, of others as they told."""
    waiting: dict[tuple[str, str, str], float] = {}
    rows = facts.deliveries
    for _, row in rows[(rows["age_s"] <= TOLD_S) & rows["waiting_s"].notna()].iterrows():
        waiting[str(row["lane"]), str(row["host"]), str(row["sink"])] = float(row["waiting_s"])
    for lane in facts.status.lanes if facts.status is not None else ():
        for sink, account in lane.sinks.items():
            seconds = waiting_s(account, facts.now)
            if lane.lane not in LANES_OF_THE_PAST and seconds is not None:
                waiting[lane.lane, lane.host, sink] = seconds
    return Found(
        tuple(
            Finding(
                subject=f"lane {lane} at {host} to {sink}",
                entity=lane,
                message=f"{sink} is {age(seconds)} behind with what lane {lane} at {host} reads",
                value=seconds,
            )
            for (lane, host, sink), seconds in sorted(waiting.items())
            if seconds > (limit or 0.0)
        )
    )


def _source_failing(facts: Facts, limit: float | None) -> Found:
    rows = facts.rates[facts.rates["asked"] >= LEAST_REQUESTS]
    rate = rows["answered"] / rows["asked"]
    return Found(
        tuple(
            Finding(
                subject=str(row["source"]),
                entity=str(row["source"]),
                message=f"{row['source']} answered {row['answered']} of {row['asked']} requests in the last hour",
                value=row["answered"] / row["asked"],
            )
            for _, row in rows[rate < (limit or 0.0)].iterrows()
        )
    )


def _export_late(facts: Facts, limit: float | None) -> Found:
    rows = facts.exports.sort_values("age_s").drop_duplicates(["host", "feature_group", "way"])
    late = rows[rows["overdue_s"].astype("float64") > (limit or 0.0)]
    return Found(
        tuple(
            Finding(
                subject=f"{row['feature_group']} by {row['way']}",
                entity=str(row["feature_group"]),
                message=f"the export of {row['feature_group']} is {age(float(row['overdue_s']))} overdue: "
                f"{said(row['failure'], 'no run has failed; did one start?')}",
                value=float(row["overdue_s"]),
            )
            for _, row in late.iterrows()
        )
    )


def _derived_late(facts: Facts, limit: float | None) -> Found:
    late = facts.behind[facts.behind["late_s"] > (limit or 0.0)]
    return Found(
        tuple(
            Finding(
                subject=str(row["measurement"]),
                entity=str(row["measurement"]),
                message=f"an hour of {row['measurement']} could have been worked out {age(float(row['late_s']))} ago",
                value=float(row["late_s"]),
            )
            for _, row in late.iterrows()
        )
    )


HOST_RULES = (
    Rule(
        "host_memory_low",
        Level.WARNING,
        About.PIPELINE,
        "A host that collects is short of memory; what takes most may be killed next.",
        "`pipeline_process` and `lodeline status` tell what takes it; give it memory, or move work to another host.",
        _memory_low,
        for_s=600,
        keep_s=600,
        limit=0.1,
        unit="ratio",
        from_store=True,
    ),
    Rule(
        "host_hot",
        Level.WARNING,
        About.PIPELINE,
        "A host that collects is hot, or slowed down by its firmware, and will read its miners late.",
        "Give it air, a heat sink or a fan; look at the filter of its cabinet.",
        _hot,
        for_s=600,
        keep_s=600,
        limit=80.0,
        unit="degC",
        from_store=True,
    ),
    Rule(
        "host_under_voltage",
        Level.WARNING,
        About.PIPELINE,
        "A host's power supply gives too little voltage: it may stop at any time, and damage its card.",
        "Change the supply or the cable for one that is made for this board.",
        _under_voltage,
        for_s=600,
        keep_s=600,
        from_store=True,
    ),
    Rule(
        "clock_off",
        Level.WARNING,
        About.PIPELINE,
        "The clock of a host is wrong: its readings are stored at wrong times.",
        "Run NTP there (`timedatectl`, `chronyc tracking`); `lodeline doctor` compares clocks.",
        _clock_off,
        for_s=300,
        keep_s=600,
        limit=5.0,
        unit="s",
        from_store=True,
    ),
    Rule(
        "delivery_late",
        Level.WARNING,
        About.PIPELINE,
        "A store takes data more slowly than it is read: what is seen and judged is old.",
        "`lodeline status` shows what waits; is the store's disk or the line to it slow?",
        _delivery_late,
        for_s=180,
        keep_s=180,
        limit=900.0,
        unit="s",
        muted_by=frozenset({"store_away"}),
    ),
    Rule(
        "source_failing",
        Level.WARNING,
        About.PIPELINE,
        "A pool or market source fails more often than it answers.",
        "`source_hour` and `lodeline status` tell the reasons; asked too often it answers 429.",
        _source_failing,
        for_s=600,
        keep_s=600,
        limit=0.5,
        unit="ratio",
        muted_by=frozenset({"pool_away", "market_source_away"}),
        from_store=True,
    ),
    Rule(
        "export_late",
        Level.WARNING,
        About.PIPELINE,
        "An export to Abacus.AI should have run hours ago: predictions are made of old features.",
        "`lodeline abacus status` tells the last failure; then the log of flow export-features or stream-features.",
        _export_late,
        for_s=0,
        keep_s=0,
        limit=6 * 3_600.0,
        unit="s",
        from_store=True,
    ),
    Rule(
        "derived_late",
        Level.WARNING,
        About.PIPELINE,
        "Roll-ups or derived values of an hour are missing though its data is there: a flow has not run, or fails.",
        "Look at the flow that makes it in Prefect (downsample, derive-metrics, derive-anomalies, derive-pools, "
        "forecast); is the queue `batch` blocked by one that hangs?",
        _derived_late,
        for_s=3_600,
        keep_s=0,
        limit=2 * 3_600.0,
        unit="s",
        from_store=True,
    ),
)
