"""Every query of every panel on the real server, over a day of a fleet whose right answers are known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from deployments.grafana import build
from storage.declaration import MEASUREMENTS, Tier, Type
from storage.declaration.event import EVENT_SEVERITIES
from storage.declaration.miner import FAILURE_KINDS, MINER_STATES
from storage.declaration.pipeline import SOURCE_FAILURES
from storage.declaration.rollup import rollup_columns
from tests.influx.server import InfluxServer

pytestmark = pytest.mark.influx

T = 1_795_478_400  # 2026-11-24 00:00 UTC
HOUR, DAY = 3600, 86_400
SPAN = (T, T + 6 * HOUR)
ALL = ".*"


def line(table: str, tags: dict[str, str], fields: dict[str, Any], time: int) -> str:
    """One line, by hand: an encoder of its own, so that the tests do not believe the one under test."""

    def shown(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return f'"{value}"'
        return f"{value}i" if isinstance(value, int) else repr(value)

    named = "".join(f",{name}={value}" for name, value in tags.items() if value)
    values = ",".join(f"{name}={shown(value)}" for name, value in fields.items() if value is not None)
    return f"{table}{named} {values} {time}"


def fleet() -> list[tuple[dict[str, str], dict[str, Any]]]:
    """A miner in each state and one for each failure; S19 is SHA-256, L7 Scrypt. One stands at no site."""
    found: list[tuple[dict[str, str], dict[str, Any]]] = []
    for number, state in enumerate(state for state in MINER_STATES if state != "unreachable"):
        scrypt = number % 2 == 1
        tags = {"miner_id": f"m{number}", "model": "L7" if scrypt else "S19", "site": "" if number == 0 else "hall-1"}
        fields = {
            "reachable": True, "state": state, "hashrate_hs": 9e9 if scrypt else 95e12, "power_w": 3000,
            "hashrate_nominal_hs": 10e9 if scrypt else 100e12, "chip_temp_max_c": 70.0 + number,
            "chip_temp_avg_c": 60.0, "ambient_temp_c": 20.0, "efficiency_j_th": 31.6, "fan_duty_percent": 55.0,
            "boards_mining": 3, "boards_expected": 3, "pcb_temp_max_c": 55.0, "power_limit_w": 3100, "quality": 1.0,
            "quality_flags": "word", "shares_accepted": 100, "shares_rejected": 1, "uptime_s": 5000, "error_count": 0,
            "poll_ms": 40.0,
        }  # fmt: skip
        found.append((tags, fields))
    for number, failure in enumerate(FAILURE_KINDS):
        tags = {"miner_id": f"u{number}", "model": "S19", "site": "hall-2"}
        found.append((tags, {"reachable": False, "state": "unreachable", "failure": failure}))
    return found


def value_of(kind: Type) -> Any:
    return {Type.FLOAT: 2.5, Type.INTEGER: 3, Type.BOOLEAN: True, Type.STRING: "word"}[kind]


def raw_lines() -> list[str]:
    lines = []
    for time in range(*SPAN, 300):
        lines += [line("miner_telemetry", tags, fields, time) for tags, fields in fleet()]
    newest = SPAN[1] - 60  # one that answered all day falls silent at the end
    lines.append(
        line("miner_telemetry", fleet()[2][0], {"reachable": False, "state": "unreachable", "failure": "auth"}, newest)
    )
    for name, tag in (("miner_board", "board"), ("miner_fan", "fan"), ("miner_pool", "slot")):
        fields = {field.name: value_of(field.type) for field in MEASUREMENTS[name].fields}
        lines += [
            line(name, {**tags, tag: number}, fields, SPAN[1] - 300) for tags, _ in fleet()[:3] for number in "12"
        ]
    return lines


def rolled_lines(name: str, tier: Tier, step: int) -> list[str]:
    measurement = MEASUREMENTS[name]
    fields = {column.name: value_of(column.type) for column in rollup_columns(measurement)}
    fields |= {"hashrate_hs_integral": 190e12 * 7200, "hashrate_hs_seconds": 7200}
    fields |= {"reachable_true_seconds": 2700, "reachable_seconds": 3600}
    fields |= {"shares_accepted_inc": 97, "shares_rejected_inc": 3, "shares_stale_inc": 1}
    fields = {
        column: value for column, value in fields.items() if column in {c.name for c in rollup_columns(measurement)}
    }
    own = {"miner_pool": {"slot": "0"}}.get(name, {})
    return [
        line(measurement.stored_name(tier), {**tags, **own}, fields, time)
        for time in range(T, T + DAY, step)
        for tags, _ in fleet()[:3]
    ]


SCRYPT_DAY = {"revenue": 12.5, "cost": 5.5, "profit": 7.0, "miners": 3, "miners_known": 2}
TAGS_OF: dict[str, list[dict[str, str]]] = {
    "operational_metrics": [{"miner_id": "m1", "time_period": "1h"}],
    "anomaly_score": [{"miner_id": "m1", "time_period": "1h"}],
    "optimization_opportunity": [{"miner_id": "m1", "type": "fan", "subject": "fan-1"}],
    "financial_metrics": [{"miner_id": "m1", "time_period": "1d"}],
    "financial_summary": [
        {"scope": "fleet", "key": "fleet", "time_period": "1d"},
        {"scope": "model", "key": "L7", "time_period": "1d"},
        {"scope": "site", "key": "hall-1", "time_period": "1d"},
        {"scope": "fleet", "key": "fleet", "time_period": "1h"},
    ],
    "forecast": [
        {"miner_id": "fleet", "quantity": quantity, "model": "ets"}
        for quantity in ("next_24h_hashrate", "next_24h_revenue", "next_7d_profitability")
    ],
    "forecast_score": [{"miner_id": "fleet", "quantity": "next_24h_hashrate", "model": "ets"}],
    "miner_event": [{"miner_id": "m1", "model": "L7", "site": "hall-1", "kind": "board_lost", "subject": "board-2"}],
    "source_event": [{"host": "edge-1", "source": "ltc", "kind": "override_began"}],
    "miner_error": [{"miner_id": "m1", "model": "L7", "site": "hall-1", "code": "108"}],
    "pool_performance": [{"pool_id": "lp", "worker_id": "me.1", "algorithm": "scrypt"}],
    "pool_account": [{"pool_id": "lp", "coin_id": "litecoin"}],
    "pool_payout": [{"pool_id": "lp", "coin_id": "litecoin", "kind": "paid", "reference": "7"}],
    "pool_profitability": [{"pool_id": "lp", "algorithm": "scrypt"}],
    "pool_reconciliation": [{"pool_id": "lp", "coin_id": "litecoin"}],
    "pool_summary": [
        {"pool_id": "lp", "dimension": dimension, "key": dimension, "time_period": period}
        for dimension in ("worker", "algorithm", "coin")
        for period in ("1h", "1d")
    ],
    "worker_match": [{"pool_id": "lp", "worker_id": "me.1", "miner_id": "m1"}],
    **{
        name: [{"source": "cg", "coin_id": "litecoin"}]
        for name in ("market_data", "network_data", "daily_close", "market_indicator")
    },
    "market_global": [{"source": "cg"}],
    "mining_profitability": [{"algorithm": "scrypt", "coins": "litecoin+dogecoin", "source": "cg"}],
    "pipeline_disk": [{"host": "edge-1", "place": "lake", "of": of, "tier": "raw"} for of in ("a", "b")],
    "pipeline_volume": [{"host": "edge-1", "volume": "data"}],
    "pipeline_host": [{"host": "edge-1"}],
    "pipeline_process": [{"host": "edge-1", "process": process} for process in ("shift-miners", "page")],
    "pipeline_delivery": [{"host": "edge-1", "lane": "miners", "sink": "influx"}],
    "source_hour": [{"source": "cg"}],
    "source_quality": [{"source": "cg", "kind": "price"}],
    "export_state": [{"host": "edge-1", "feature_group": "miner_hourly", "way": "batch"}],
    "fleet_health": [{"scope": "fleet"}],
    "feature_drift": [{"view": "miner_hourly_v1", "feature": "power"}],
}
"""Series of the measurements that only the newer dashboards read; each field has a value in each of their rows."""


def other_lines() -> dict[str, list[str]]:
    """Rows of ``TAGS_OF``, and of what has one series for each value of a state, by bucket."""
    found: dict[str, list[str]] = {}
    own: dict[str, dict[str, Any]] = {"financial_summary": SCRYPT_DAY, "pipeline_disk": {"size": 700}}
    own["operational_metrics"] = {"lost_board_hs": 3e9, "lost_heat_hs": 1e9}
    for name, series in TAGS_OF.items():
        fields = {field.name: value_of(field.type) for field in MEASUREMENTS[name].fields} | own.get(name, {})
        rows = [line(name, tags, fields, time) for tags in series for time in (T, SPAN[1] - 300)]
        found.setdefault(MEASUREMENTS[name].buckets[Tier.RAW], []).extend(rows)
    for number, failure in enumerate([None, *SOURCE_FAILURES]):
        tags = {"host": "edge-1", "source": "lp", "request": "workers"}
        fields = {field.name: value_of(field.type) for field in MEASUREMENTS["source_request"].fields}
        fields |= {"ok": failure is None, "failure": failure}
        found["mining_operational"].append(line("source_request", tags, fields, T + 3600 + number))
    for number, level in enumerate(EVENT_SEVERITIES):
        tags = {"rule": "fan_lost", "subject": "m1", "event": "fired"}
        fields = {field.name: value_of(field.type) for field in MEASUREMENTS["alert_event"].fields} | {"level": level}
        found["mining_audit"].append(line("alert_event", tags, fields, T + 3600 + number))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    running = InfluxServer(tmp_path_factory.mktemp("grafana-influxd")).start()
    try:
        for bucket in build.DATASOURCES.values():
            running.query(f'CREATE DATABASE "{bucket}"')
        books = {field.name: value_of(field.type) for field in MEASUREMENTS["collector_tick"].fields}
        ticks = [line("collector_tick", {"host": "edge-1", "lane": "miners"}, books, t) for t in range(*SPAN, 300)]
        for bucket, lines in (
            ("mining_raw", raw_lines()),
            ("mining_hourly", [*rolled_lines("miner_pool", Tier.HOURLY, HOUR)]),
            ("mining_daily", rolled_lines("miner_telemetry", Tier.DAILY, DAY)),
            ("mining_operational", ticks),
            *other_lines().items(),
        ):
            answer = running.write(bucket, "\n".join(lines))
            assert answer.status_code == 204, answer.text[:500]
        yield running
    finally:
        running.stop()


@cache
def panels() -> list[dict[str, Any]]:
    """Panels of all dashboards."""
    return [
        panel | {"of": declared.name}
        for declared in build.DASHBOARDS
        for panel in build.dashboard(declared)["panels"]
        if panel["type"] != "row"
    ]


def filled(query: str, panel: dict[str, Any], **choice: str) -> str:
    """The query as Grafana sends it: the span or the panel's own look-back, its least interval, the viewer's choice."""
    start, stop = (SPAN[1] - 900, SPAN[1]) if panel.get("timeFrom") == "15m" else SPAN
    if panel.get("interval") in ("1h", "1d"):
        start, stop = T, T + DAY - 1
    said = query.replace("$timeFilter", f"time >= {start * 1000}ms and time <= {stop * 1000}ms").replace(
        "$__interval", panel.get("interval", "1m")
    )
    return re.sub(r"\$\{(\w+):regex\}", lambda match: choice.get(match[1], ALL), said)


def ask(server: InfluxServer, panel: dict[str, Any], target: dict[str, Any], **choice: str) -> list[dict[str, Any]]:
    database = build.DATASOURCES[target["datasource"]["uid"]]
    return server.rows(filled(target["query"], panel, **choice), database)


TAGS = {tag for measurement in MEASUREMENTS.values() for tag in measurement.tag_names}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel['of']}: {panel['title']}")
def test_every_query_has_rows_and_no_error(server, panel):
    for target in panel["targets"]:
        rows = ask(server, panel, target)
        names = {name for row in rows for name in row} - {"time", *TAGS}
        assert rows, target["query"]
        for name in names - {"failure"}:
            assert any(row.get(name) is not None for row in rows), f"{name} is null in every row of {target['query']}"


def rows_of(
    server: InfluxServer, title: str, index: int = 0, *, of: str = "fleet", **choice: str
) -> list[dict[str, Any]]:
    panel = next(panel for panel in panels() if (panel["of"], panel["title"]) == (of, title))
    return ask(server, panel, panel["targets"][index], **choice)


ANSWERING = len(MINER_STATES) - 2  # all but unreachable, and m2, which fell silent a minute ago
FLEET = len(MINER_STATES) - 1 + len(FAILURE_KINDS)


def test_miners_now(server):
    assert [row["count"] for row in rows_of(server, "Miners that answer")] == [ANSWERING]
    assert [row["count"] for row in rows_of(server, "Miners polled")] == [FLEET]


def test_a_dead_miner_is_no_ghost_and_algorithms_are_not_added_up(server):
    """m2 (S19) answered until five minutes ago; its 95 TH/s are not counted any more."""
    now = {row["model"]: row["sum"] for row in rows_of(server, "Hashrate")}
    assert now == {"S19": 3 * 95e12, "L7": 3 * 9e9}
    newest = {row["miner_id"]: row for row in rows_of(server, "Miners")}
    assert len(newest) == FLEET
    assert (newest["m2"]["state"], newest["m2"]["failure"], newest["m2"]["hashrate_hs"]) == (
        "unreachable",
        "auth",
        None,
    )
    assert newest["m0"]["hashrate_hs"] == 95e12


def test_over_time(server):
    rows = [row for row in rows_of(server, "Hashrate by model") if row["sum"] is not None]
    assert {(row["model"], row["sum"]) for row in rows} == {("S19", 4 * 95e12), ("L7", 3 * 9e9)}
    efficiency = [row for row in rows_of(server, "Efficiency by model") if row["model"] == "S19"]
    values = {value for row in efficiency for name, value in row.items() if name not in ("time", "model")} - {None}
    assert list(values) == [pytest.approx(3000 / 95)]


def test_states(server):
    for index, state in enumerate(MINER_STATES):
        first = rows_of(server, "Miners by state", index)[0]
        assert (first["time"], first["count"]) == (T, len(FAILURE_KINDS) if state == "unreachable" else 1)


def test_rollups(server):
    assert {row["sum"] for row in rows_of(server, "Shares per hour")} == {3 * 97}
    (ratio,) = {v for row in rows_of(server, "Rejected shares") for name, v in row.items() if name != "time"}
    assert ratio == pytest.approx(0.03)
    answered = [
        v for row in rows_of(server, "Time reachable per day") for n, v in row.items() if n not in ("time", "site")
    ]
    assert set(answered) == {0.75}
    means = [v for row in rows_of(server, "Mean hashrate of a miner per day") for n, v in row.items() if n == "sum_sum"]
    assert set(means) == {190e12}


def test_a_choice_of_site_and_miner(server):
    chosen = rows_of(server, "Miners", site="(hall-1)", miner="(m1|m2|u0)")
    assert {row["miner_id"] for row in chosen} == {"m1", "m2"}


def values(rows: list[dict[str, Any]]) -> list[Any]:
    """Numbers of a panel of lines, windows without one left out."""
    return [value for row in rows for name, value in row.items() if name not in ({"time"} | TAGS) and value is not None]


def test_one_miner(server):
    """m1 is an L7 of 9 of 10 GH/s at 3000 W: 3000 / 9e9 * 1e12 J/TH."""
    assert set(values(rows_of(server, "Hashrate against nominal", of="miner", miner="m1"))) == {9e9}
    assert set(values(rows_of(server, "Hashrate against nominal", 1, of="miner", miner="m1"))) == {10e9}
    (efficiency,) = set(values(rows_of(server, "Efficiency", of="miner", miner="m1")))
    assert efficiency == pytest.approx(3000 / 9e9 * 1e12)
    lost = {
        name: values(rows_of(server, "Lost hashrate by cause", index, of="miner", miner="m1"))
        for index, name in enumerate(("unreachable", "paused", "pool", "board", "heat", "unknown"))
    }
    assert (lost["board"], lost["heat"]) == ([3e9, 3e9], [1e9, 1e9])
    assert rows_of(server, "Events", of="miner", miner="m2") == []
    event = rows_of(server, "Events", of="miner", miner="m1")[0]
    assert (event["kind"], event["subject"], event["message"]) == ("board_lost", "board-2", "word")


def test_pools_by_choice(server):
    assert rows_of(server, "Accounts", of="pool", pool="other") == []
    assert rows_of(server, "Accounts", of="pool", coin="dogecoin") == []
    assert rows_of(server, "Accounts", of="pool", pool="lp", coin="litecoin")[0]["unpaid"] == 2.5


def test_money_is_of_days_and_of_the_fleet(server):
    """An hour's row, and those of a model and of a site, are not in the fleet's day."""
    assert [values(rows_of(server, "Revenue, cost and profit", index, of="market")) for index in range(3)] == [
        [12.5], [5.5], [7.0],
    ]  # fmt: skip


def test_sizes_add_up_over_series_and_not_over_time(server):
    assert values(rows_of(server, "Size by place", of="pipeline")) == [2 * 700, 2 * 700]


def test_failures_count(server):
    for index, _ in enumerate(SOURCE_FAILURES):
        assert sum(values(rows_of(server, "Failed requests by reason", index, of="pipeline"))) == 1
    assert len(values(rows_of(server, "Failed requests by reason", 0, of="pipeline"))) == 1  # no 0 where none was
    assert sum(values(rows_of(server, "Requests", of="pipeline"))) == 1 + len(SOURCE_FAILURES)
    assert sum(values(rows_of(server, "Requests with data", of="pipeline"))) == 1


@pytest.mark.parametrize(
    ("declared", "variable"),
    [(declared, variable) for declared in build.DASHBOARDS for variable in declared.variables],
    ids=lambda one: one.name,
)
def test_every_variable_has_values(server, declared, variable):
    query = variable.query.replace("${site:regex}", ALL)
    assert server.rows(query, variable.measurement.buckets[Tier.RAW]), declared.name


def test_variables(server):
    site, miner = build.dashboard(build.DASHBOARDS[0])["templating"]["list"]
    assert {row["value"] for row in server.rows(site["query"], "mining_raw")} == {"hall-1", "hall-2"}
    everyone = server.rows(miner["query"].replace("${site:regex}", ALL), "mining_raw")
    assert len({row["value"] for row in everyone}) == FLEET  # m0, which stands at no site, among them
    at_one = server.rows(miner["query"].replace("${site:regex}", "(hall-2)"), "mining_raw")
    assert {row["value"] for row in at_one} == {f"u{number}" for number in range(len(FAILURE_KINDS))}
