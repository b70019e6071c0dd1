"""The committed files are what the declaration gives, and each fault that the lint is for is found."""

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml

from deployments.grafana import build
from deployments.grafana.influxql import QueryFault, Select, ShowTagValues, parse
from deployments.grafana.lint import lint
from deployments.grafana.units import GRAFANA_UNIT
from storage.declaration import BUCKETS
from storage.declaration.field import UNITS

Dashboard = dict[str, Any]


@pytest.mark.parametrize("path", build.files(), ids=str)
def test_committed_files_are_fresh(path):
    committed = (build.FOLDER / path).read_text(encoding="utf-8")
    assert committed == build.files()[path], "run python -m deployments.grafana.build"


NAMES = [declared.name for declared in build.DASHBOARDS]


def committed(name: str = "fleet") -> Dashboard:
    found: Dashboard = json.loads((build.FOLDER / f"dashboards/{name}.json").read_text(encoding="utf-8"))
    return found


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((build.FOLDER / "dashboard.schema.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_has_no_fault(name):
    assert lint(committed(name), build.DATASOURCES) == []
    jsonschema.validate(committed(name), schema())


def test_no_dashboard_is_left_behind():
    """Grafana reads every file of the folder, one that nothing makes any more as well."""
    assert {path.stem for path in (build.FOLDER / "dashboards").iterdir()} == set(NAMES)


def test_every_panel_tells_where_its_numbers_are_from():
    panels = [panel for name in NAMES for panel in committed(name)["panels"] if panel["type"] != "row"]
    assert len(panels) > 80
    by_title = {panel["title"]: panel["description"] for panel in panels}
    assert by_title["Lost hashrate by cause"].endswith(
        "Source: operational_metrics in mining_operational. Null: a gap in the line, never 0."
    )
    assert by_title["Failed requests by reason"].endswith("Null: no bar.")
    assert by_title["Accounts"].endswith("Source: pool_account in mining_pool. Null: an empty cell, never 0.")


def panel(name: str, title: str) -> dict[str, Any]:
    return next(one for one in committed(name)["panels"] if one["title"] == title and one["type"] != "row")


def test_a_miner_in_a_table_opens_its_dashboard_over_the_same_time():
    """The address is Grafana's: /d/UID, var-NAME for a variable, and the viewer's span."""
    (link,) = [
        link
        for override in panel("fleet", "Miners")["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "miner_id"
        for found in override["properties"]
        for link in found["value"]
    ]
    assert link["url"] == "/d/lodeline-miner?var-miner=${__value.text}&${__url_time_range}"
    assert committed("miner")["uid"] == "lodeline-miner"
    assert "miner" in [variable["name"] for variable in committed("miner")["templating"]["list"]]
    assert not [
        o for o in panel("miner", "Boards")["fieldConfig"]["overrides"] if o["matcher"]["options"] == "miner_id"
    ]


def test_a_way_to_every_other_dashboard_keeps_the_span_and_the_choices():
    for name in NAMES:
        (link,) = committed(name)["links"]
        assert (link["tags"], link["keepTime"], link["includeVars"]) == (["lodeline"], True, True)
        assert committed(name)["tags"] == ["lodeline"]


def test_limits_are_those_of_the_alert_rules():
    """docs/alerts.md: chip_too_hot from 95 degrees (critical), disk_filling below 14 days (warning)."""
    hot = panel("fleet", "Hottest chip by site")
    steps = [(step["value"], step["color"]) for step in hot["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert steps == [(None, "green"), (95.0, "red")]
    assert "Dashed: limit of chip_too_hot (critical)." in hot["description"]
    days = panel("pipeline", "Days until full")["fieldConfig"]["defaults"]
    assert [(step["value"], step["color"]) for step in days["thresholds"]["steps"]] == [
        (None, "orange"),
        (14.0, "green"),
    ]
    assert days["custom"]["thresholdsStyle"] == {"mode": "dashed"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(title=5),
        lambda d: d.update(schemaVersion="39"),
        lambda d: d.update(style="dark"),
        lambda d: d["panels"][1].update(gridPos={"x": 0, "y": 0, "w": 30, "h": 1}),
        lambda d: d["panels"][1].pop("targets"),
        lambda d: d["panels"][1]["targets"][0].update(datasource="lodeline-raw"),
    ],
)
def test_the_schema_refuses(spoil):
    spoilt = committed()
    spoil(spoilt)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, schema())


def query(text: str) -> Callable[[Dashboard], None]:
    def change(dashboard: Dashboard) -> None:
        panel_of(dashboard)["targets"][0]["query"] = text

    return change


def panel_of(dashboard: Dashboard) -> dict[str, Any]:
    """The panel *Hashrate by model*: H/s over time, from the raw bucket."""
    found: dict[str, Any] = next(panel for panel in dashboard["panels"] if panel["title"] == "Hashrate by model")
    return found


BOUND = 'WHERE $timeFilter GROUP BY time($__interval), "model"'


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d.update(timezone="browser"), "time zone is 'browser'"),
        (lambda d: d.update(editable=True), "must not be editable"),
        (lambda d: panel_of(d).update(id=2), "panel id 2 is used 2 times"),
        (lambda d: panel_of(d)["gridPos"].update(y=0), "overlaps panel"),
        (lambda d: panel_of(d)["gridPos"].update(x=20), "reaches beyond column 24"),
        (lambda d: panel_of(d).update(title=""), "no title"),
        (lambda d: panel_of(d).update(description=""), "no description"),
        (lambda d: panel_of(d).update(description="Sum of means."), "neither source nor how null is shown"),
        (lambda d: panel_of(d).update(targets=[]), "no query"),
        (lambda d: panel_of(d)["targets"][1].update(refId="A"), "refId is used twice"),
        (lambda d: panel_of(d)["fieldConfig"]["defaults"].update(unit="hps"), "unit 'hps' is none of the known"),
        (lambda d: panel_of(d)["fieldConfig"]["defaults"].update(unit="watt"), "is in 'H/s', shown as 'watt'"),
        (lambda d: panel_of(d)["targets"][0].update(alias="$tag_site"), "alias names tag 'site'"),
        (lambda d: panel_of(d)["targets"][0]["datasource"].update(uid="other"), "'other' is not provisioned"),
        (lambda d: panel_of(d)["targets"][0]["datasource"].update(uid="lodeline-hourly"), "another datasource"),
        (query(f'SELECT mean("hashrate") FROM "miner_telemetry" {BOUND}'), "has no field 'hashrate'"),
        (query(f'SELECT mean("hashrate_hs") FROM "miner" {BOUND}'), "'miner' is not in bucket mining_raw"),
        (query(f'SELECT mean("hashrate_hs") FROM "miner_telemetry_hourly" {BOUND}'), "is not in bucket mining_raw"),
        (
            query(
                'SELECT mean("hashrate_hs") FROM "miner_telemetry" WHERE $timeFilter GROUP BY time($__interval), "hall"'
            ),
            "has no tag 'hall'",
        ),
        (
            query(f'SELECT mean("hashrate_hs") FROM "miner_telemetry" WHERE "state" = \'minning\' AND {BOUND[6:]}'),
            "state is never 'minning'",
        ),
        (query('SELECT mean("hashrate_hs") FROM "miner_telemetry" GROUP BY time($__interval), "model"'), "not bounded"),
        (query('SELECT "hashrate_hs" FROM "miner_telemetry" WHERE $timeFilter GROUP BY "model"'), "fetches every row"),
        (query(f'SELECT max("state") FROM "miner_telemetry" {BOUND}'), "state is no number"),
        (query(f'SELECT count("state") FROM "miner_telemetry" {BOUND}'), "a count is shown as 'Hs'"),
        (query(f'SELECT count("state") FROM "miner_telemetry" {BOUND}'), "is 0 where nobody counted"),
        (
            query(
                'SELECT count("n") FROM (SELECT count("state") AS "n" FROM "miner_telemetry" WHERE $timeFilter '
                'GROUP BY time($__interval), "miner_id") WHERE $timeFilter GROUP BY time($__interval)'
            ),
            "counts empty windows as 0",
        ),
        (
            query(f'SELECT sum("x") FROM (SELECT mean("hashrate_hs") AS "y" FROM "miner_telemetry" {BOUND})'),
            "no field 'x'",
        ),
        (query('SELECT "site", "model" FROM "miner_telemetry" WHERE $timeFilter LIMIT 5'), "has no field 'site'"),
        (query("SELECT mean(hashrate_hs) FROM miner_telemetry"), "function hashrate_hs is none of"),
        (query('SELECT mean("hashrate_hs") FROM "miner_telemetry" ; DROP MEASUREMENT "x"'), "unknown character"),
        (query('SHOW TAG VALUES FROM "miner_telemetry" WITH KEY = "site"'), "a panel shows no tag values"),
        (
            lambda d: d["templating"]["list"][0].update(query='SHOW TAG VALUES FROM "x" WITH KEY = "site"'),
            "'x' is not in",
        ),
        (
            lambda d: d["templating"]["list"][0].update(query='SHOW TAG VALUES FROM "miner_fan" WITH KEY = "hall"'),
            "has no tag 'hall'",
        ),
    ],
)
def test_the_lint_finds(spoil, words):
    spoilt = copy.deepcopy(committed())
    spoil(spoilt)
    assert any(words in fault for fault in lint(spoilt, build.DATASOURCES)), lint(spoilt, build.DATASOURCES)


def test_a_query_is_read():
    read = parse(
        'SELECT sum("power_w") / (sum("a") + count("b")) * 1000 AS "x", last("c") '
        'FROM (SELECT mean("d") AS "a" FROM "m" '
        'WHERE $timeFilter AND ("e" = \'it\\\'s\' OR "f" =~ /^a\\/b$/) AND "g" > 0 GROUP BY time(5m), "h" fill(none)) '
        'GROUP BY time($__interval), "h" fill(0) ORDER BY time DESC LIMIT 3'
    )
    assert isinstance(read, Select)
    assert [(column.name, column.fields, column.unit_of) for column in read.columns] == [
        ("x", ("power_w", "a", "b"), None),
        ("last", ("c",), "c"),
    ]
    assert (read.interval, read.group_by, read.fill, read.order, read.limit) == ("$__interval", ["h"], "0", "DESC", 3)
    inner = read.source
    assert isinstance(inner, Select)
    assert (inner.source, inner.bounded, inner.interval, inner.fill) == ("m", True, "5m", "none")
    assert inner.compared == [("e", "it\\'s"), ("f", None), ("g", None)]


def test_show_tag_values_is_read():
    read = parse('SHOW TAG VALUES FROM "m" WITH KEY = "miner_id" WHERE "site" =~ /^${site:regex}$/')
    assert read == ShowTagValues("m", "miner_id", ("site",))


@pytest.mark.parametrize(
    "text",
    [
        "", "SELECT", 'SELECT "a"', 'SELECT "a" FROM', 'SELECT top("a", 3) FROM "m"', 'SELECT "a" FROM "m" WHERE',
        'SELECT "a" FROM "m" WHERE now() - 1h', 'SELECT "a" FROM "m" extra', "DROP MEASUREMENT \"m\"",
        'SELECT * FROM "m"',
        'SELECT "a" FROM (SELECT "b" FROM "m"', "SELECT \"a\" FROM \"m\" WHERE $other",
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(text):
    with pytest.raises(QueryFault):
        parse(text)


def test_every_declared_unit_has_one_of_grafana():
    assert set(GRAFANA_UNIT) == UNITS


def test_every_bucket_of_influxdb_has_a_datasource():
    assert set(build.DATASOURCES.values()) == {name for name, bucket in BUCKETS.items() if bucket.in_influx}


def test_datasources():
    text = (build.FOLDER / "provisioning/datasources/lodeline.yaml").read_text(encoding="utf-8")
    sources = yaml.safe_load(text)["datasources"]
    assert {source["uid"]: source["jsonData"]["dbName"] for source in sources} == build.DATASOURCES
    for source in sources:
        assert source["database"] == source["jsonData"]["dbName"] in BUCKETS
        assert source["type"] == "influxdb"
        assert source["jsonData"]["version"] == "InfluxQL"
        secret = source["secureJsonData"]["password"]
        assert secret == "$LODELINE_GRAFANA_INFLUX_TOKEN"


def test_the_dashboard_provider():
    text = (build.FOLDER / "provisioning/dashboards/lodeline.yaml").read_text(encoding="utf-8")
    (provider,) = yaml.safe_load(text)["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert provider["options"]["path"] == "$LODELINE_GRAFANA_DASHBOARDS"
