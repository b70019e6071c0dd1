"""Every alert rule for Grafana on the real server, by the query of the provisioned file: fires, and stays quiet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deployments.grafana import build
from deployments.grafana.expressed import EXPRESSED, NOT_EXPRESSED
from deployments.grafana.lint import lint_query
from deployments.grafana.queries import TIME
from storage.declaration import Tier
from tasks.alerts.rules import RULES
from tests.grafana.test_panels_on_influx import line
from tests.influx.server import InfluxServer

GROUPS: list[dict[str, Any]] = yaml.safe_load(
    (build.FOLDER / "provisioning/alerting/lodeline.yaml").read_text(encoding="utf-8")
)["groups"]
TOLD: dict[str, dict[str, Any]] = {rule["title"]: rule for group in GROUPS for rule in group["rules"]}

WELL: dict[str, Any] = {
    "reachable": True, "state": "mining", "hashrate_hs": 90e12, "hashrate_nominal_hs": 100e12, "boards_expected": 3,
    "boards_mining": 3, "chip_temp_max_c": 94.9, "fans_running": 4, "fan_duty_percent": 100.0,
}  # fmt: skip
"""A miner at every limit and beyond none: 90 % is not below 90 %."""

MINERS: dict[str, dict[str, Any]] = {
    "well": WELL,
    "dead": {"reachable": False, "state": "unreachable", "failure": "refused"},
    "failed": WELL | {"state": "failed", "hashrate_hs": 0.0},
    "idle": WELL | {"hashrate_hs": 1e12},  # 1 % and not above it
    "paused": WELL | {"state": "paused", "hashrate_hs": 0.0},
    "no-nominal": WELL | {"hashrate_nominal_hs": 0.0, "hashrate_hs": 0.0},
    "slow": WELL | {"hashrate_hs": 89e12},
    "short": WELL | {"boards_mining": 2},
    "hot": WELL | {"chip_temp_max_c": 95.0},
    "choking": WELL | {"chip_temp_max_c": 85.0, "fan_duty_percent": 40.0, "hashrate_hs": 94e12},
    "turning": WELL | {"chip_temp_max_c": 85.0, "fan_duty_percent": 41.0, "hashrate_hs": 94e12},
}

FIRES: dict[str, set[str]] = {
    "miner_unreachable": {"dead", "fell silent"},
    "miner_failed": {"failed"},
    "no_hashrate": {"idle"},
    "hashrate_low": {"idle", "slow"},
    "board_lost": {"short"},
    "fan_lost": {"slow"},
    "chip_too_hot": {"hot"},
    "cooling_failing": {"choking"},
    "miner_odd": {"slow"},
    "worker_rejected": {"me.bad"},
    "pool_account_lost": {"dogecoin"},
    "price_old": {"dogecoin"},
    "lane_stands_still": {"edge-2"},
    "disk_filling": {"nearly-full"},
    "host_memory_low": {"starved"},
    "host_hot": {"hot", "slowed"},
    "host_under_voltage": {"badly-supplied"},
    "clock_off": {"ahead", "late"},
    "collector_overloaded": {"busy"},
    "delivery_late": {"behind"},
    "source_failing": {"gecko"},
    "export_late": {"overdue"},
}
"""Of each rule the things in the rows below that it must name, and no other."""


def rows(now: int) -> dict[str, list[str]]:
    """A farm with one thing wrong for each rule, and beside it what is just not wrong."""
    raw = []
    for miner, fields in MINERS.items():
        tags = {"miner_id": miner, "model": "S19", "site": "hall-1"}
        # each was well before: only the newest row counts
        raw += [line("miner_telemetry", tags, WELL, now - 400), line("miner_telemetry", tags, fields, now - 60)]
    silent = {"miner_id": r"fell\ silent", "model": "S19", "site": "hall-1"}
    raw.append(line("miner_telemetry", silent, WELL | {"chip_temp_max_c": 99.0}, now - 400))
    raw.append(line("miner_telemetry", silent, MINERS["dead"], now - 60))
    recovered = {"miner_id": "recovered", "model": "S19", "site": "hall-1"}
    raw.append(line("miner_telemetry", recovered, MINERS["dead"], now - 400))
    raw.append(line("miner_telemetry", recovered, WELL, now - 60))
    forgotten = {"miner_id": "forgotten", "model": "S19", "site": "hall-1"}
    raw.append(line("miner_telemetry", forgotten, MINERS["dead"], now - 2000))
    for miner, status in (("slow", "lost"), ("well", "ok")):
        tags = {"miner_id": miner, "model": "S19", "site": "hall-1", "fan": "1"}
        raw += [
            line("miner_fan", tags, {"status": "ok"}, now - 400),
            line("miner_fan", tags, {"status": status}, now - 60),
        ]

    def score(miner: str, period: str, overall: float) -> str:
        return line("anomaly_score", {"miner_id": miner, "time_period": period}, {"overall": overall}, now - 3600)

    def worker(name: str, ratio: float, window: str | None) -> str:
        tags = {"pool_id": "lp", "worker_id": name, "algorithm": "scrypt"}
        fields = {"status": "online", "reject_ratio": ratio, "time_window": window}
        return line("pool_performance", tags, fields, now - 60)

    def account(coin: str, status: str, age_s: int) -> str:
        return line("pool_account", {"pool_id": "lp", "coin_id": coin}, {"status": status}, now - age_s)

    def price(coin: str, usd: float | None, age_s: int) -> str:
        fields = {"price_usd": usd, "symbol": coin}
        return line("market_data", {"coin_id": coin, "source": "cg"}, fields, now - age_s)

    def tick(host: str, age_s: int) -> str:
        return line("collector_tick", {"host": host, "lane": "miners"}, {"polled": 3}, now - age_s)

    def volume(name: str, days: float | None, age_s: int = 60) -> str:
        fields = {"free": 10, "days_until_full": days}
        return line("pipeline_volume", {"host": "edge-1", "volume": name}, fields, now - age_s)

    def pi(name: str, age_s: int = 60, **fields: Any) -> str:
        usual = {"cpus": 4, "memory_total": 100, "memory_available": 10, "temperature_c": 79.9, "throttled": False}
        usual |= {"under_voltage": False, "clock_offset_s": 5.0}
        return line("pipeline_host", {"host": name}, usual | fields, now - age_s)

    def lag(host: str, milliseconds: float, age_s: int) -> str:
        fields = {"polled": 3, "loop_lag_ms": milliseconds}
        return line("collector_tick", {"host": host, "lane": "pools"}, fields, now - age_s)

    def delivery(host: str, waiting_s: float | None, age_s: int = 60) -> str:
        tags = {"host": host, "lane": "pools", "sink": "influx"}
        return line("pipeline_delivery", tags, {"backlog": 5, "waiting_s": waiting_s}, now - age_s)

    def answered(source: str, asked: int, ratio: float, age_s: int = 5_000) -> str:
        return line("source_hour", {"source": source}, {"asked": asked, "success_ratio": ratio}, now - age_s)

    def export(group: str, overdue_s: int, age_s: int = 60) -> str:
        tags = {"host": "edge-1", "feature_group": group, "way": "batch"}
        return line("export_state", tags, {"failures": 1, "overdue_s": overdue_s}, now - age_s)

    of_hosts = [
        *(pi("usual", memory_available=1, age_s=700), pi("usual")),  # as good as at every limit
        *(pi("starved", memory_available=9), pi("hot", temperature_c=80.0), pi("slowed", throttled=True)),
        *(pi("badly-supplied", under_voltage=True), pi("ahead", clock_offset_s=5.5), pi("late", clock_offset_s=-6.0)),
        *(
            pi("silent", memory_available=1, age_s=1_000),
            line("pipeline_host", {"host": "untold"}, {"cpus": 4}, now - 60),
        ),
        *(lag("busy", 1_000.0, 60), lag("calm", 5_000.0, 700), lag("calm", 999.0, 60)),
        *(delivery("behind", 901.0), delivery("done", 5_000.0, 700), delivery("done", 0.0), delivery("new", None)),
        *(answered("gecko", 6, 0.49), answered("few", 5, 0.1), answered("half", 60, 0.5)),
        *(answered("well", 60, 0.1, 9_000), answered("well", 60, 1.0)),
        *(export("overdue", 21_601), export("sent", 90_000, 4_000), export("sent", 0), export("due", 21_600)),
    ]
    return {
        "mining_raw": raw,
        "mining_anomaly": [score("slow", "1h", 0.8), score("well", "1h", 0.79), score("well", "300s", 0.99)],
        "mining_pool_detail": [worker("me.bad", 0.06, "1h"), worker("me.old", 0.5, None), worker("me.ok", 0.05, "1h")],
        "mining_pool": [
            *(account("litecoin", "refused", 400), account("litecoin", "live", 60)),
            account("dogecoin", "gone", 60),
        ],
        # a row without a price is no price
        "mining_price": [price("litecoin", 90.0, 3500), price("dogecoin", 0.1, 3700), price("dogecoin", None, 60)],
        "mining_operational": [
            *(tick("edge-1", 3000), tick("edge-1", 850), tick("edge-2", 3000), tick("edge-2", 1000)),
            *of_hosts,
            *(volume("nearly-full", 13.9), volume("roomy", 14.0), volume("grown", 2.0, 4000), volume("grown", None)),
        ],
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    running = InfluxServer(tmp_path_factory.mktemp("rules-influxd")).start()
    try:
        for bucket in build.DATASOURCES.values():
            running.query(f'CREATE DATABASE "{bucket}"')
        for bucket, lines in rows(int(time.time())).items():
            answer = running.write(bucket, "\n".join(lines))
            assert answer.status_code == 204, answer.text[:500]
        yield running
    finally:
        running.stop()


_NAMES = ("miner_id", "worker_id", "coin_id", "volume", "source", "feature_group", "host")


def firing(server: InfluxServer, rule: dict[str, Any]) -> tuple[set[str], int]:
    """What the rule tells, worked out as Grafana does: the last number of each series, then the threshold."""
    asked, _, threshold = rule["data"]
    evaluator = threshold["model"]["conditions"][0]["evaluator"]
    (bound,) = evaluator["params"]
    answers = server.rows(asked["model"]["query"], build.DATASOURCES[asked["datasourceUid"]])
    found = set()
    for row in answers:
        name = next(row[tag] for tag in _NAMES if tag in row)
        (value,) = (value for column, value in row.items() if column in ("count", "last"))
        if value > bound if evaluator["type"] == "gt" else value < bound:
            found.add(name)
    return found, len(answers)


@pytest.mark.influx
@pytest.mark.parametrize("name", FIRES)
def test_a_rule_fires_for_what_is_wrong_and_for_nothing_else(server, name):
    assert firing(server, TOLD[name])[0] == FIRES[name]


@pytest.mark.influx
def test_who_speaks_is_an_answer_so_that_no_answer_is_silence(server):
    """All four hosts are in it: with nobody in the answer Grafana alerts, for then nothing at all ticked for a day."""
    assert firing(server, TOLD["lane_stands_still"])[1] == 4
    assert TOLD["lane_stands_still"]["noDataState"] == "Alerting"
    assert {rule["noDataState"] for name, rule in TOLD.items() if name != "lane_stands_still"} == {"OK"}


def test_every_rule_is_told_or_said_why_not():
    assert set(EXPRESSED) == set(TOLD) == set(FIRES)
    assert not set(EXPRESSED) & set(NOT_EXPRESSED)
    assert set(EXPRESSED) | set(NOT_EXPRESSED) == set(RULES)


@pytest.mark.parametrize("name", EXPRESSED)
def test_a_rule_is_what_is_declared(name):
    rule, told = RULES[name], TOLD[name]
    assert (told["for"], told["labels"]["severity"]) == (f"{rule.for_s}s", rule.level)
    assert told["annotations"]["summary"] == rule.meaning
    assert len(told["uid"]) <= 40
    expressed = EXPRESSED[name]
    query = expressed.query(rule.limit or 0.0)
    assert lint_query(query, expressed.measurement.buckets[Tier.RAW]) == []
    assert TIME in query
    if rule.limit is not None:
        assert query != expressed.query(rule.limit * 2), "the limit is not in it"


def test_nothing_is_taken_from_the_environment():
    """Grafana replaces $WORD in this file by a variable of its process, which would cut a query to pieces."""
    assert "$" not in (build.FOLDER / "provisioning/alerting/lodeline.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f'SELECT last("x") FROM "miner_telemetry" WHERE {TIME}', "no field 'x'"),
        ('SELECT last("power_w") FROM "miner_telemetry"', "not bounded"),
        ('SHOW TAG VALUES FROM "miner_telemetry" WITH KEY = "site"', "expected SELECT"),
        ("DROP", "expected SELECT"),
    ],
)
def test_a_spoilt_query_is_found(query, words):
    assert any(words in fault for fault in lint_query(query, "mining_raw"))
