"""Drift monitors at the fake: made once, run once a day whatever happens, and told beside what is measured here."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from pydantic import SecretStr
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.declaration import MEASUREMENTS, Tier
from storage.errors import ConfigurationError, NeedsHuman, TryAgain
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from storage.settings import StorageSettings
from tasks.abacus.connection import Abacus
from tasks.abacus.drift_monitor import DriftMonitor, MonitorReport
from tasks.abacus.exporting import export_groups
from tasks.abacus.monitoring import beside, run_monitors, watched_groups
from tasks.abacus.retraining import drifted_of, groups_of
from tasks.abacus.retraining_rules import DriftedDay
from tasks.abacus.settings import AbacusSettings
from tasks.features.drift import drift_of_numbers
from tests.abacus.conftest import KEY, MINER, endpoints_of, settings
from tests.abacus.stepped import SteppedAbacus, SteppedFile
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, T, follow, poll

DAY = 86_400
END = T + DAY + 3 * HOUR
"""By then the UTC day that begins at T is over and exported."""

GROUP = {**MINER, "features": MINER["features"][:2]}
REFERENCE_DAYS = 3


def with_monitors(said: AbacusSettings, *monitors: dict[str, Any], **more: Any) -> AbacusSettings:
    told = [{"feature_group": "miner_telemetry"}, *monitors][-max(1, len(monitors)) :]
    plain = said.model_dump() | {"drift_monitors": told} | more
    plain["general"]["api_key"] = KEY
    return AbacusSettings.model_validate(plain)


def rows_of(first: int, stop: int, rate: Callable[[np.random.Generator], float]) -> list[dict[str, Any]]:
    """A row an hour of ten miners, of event times in ``[first, stop)``."""
    dice = np.random.default_rng(7)
    return [
        {
            "record_id": f"m{miner}|{time_}",
            "timestamp": datetime.fromtimestamp(time_, UTC).replace(tzinfo=None),
            "hashrate_th_s": rate(dice),
            "power_consumption_w": float(dice.normal(3000, 50)),
        }
        for miner in range(10)
        for time_ in range(first, stop, HOUR)
    ]


@cache
def exported_rows() -> list[dict[str, Any]]:
    """Three days around 100 TH/s, then the day of T at 110 TH/s."""
    border = T + HOUR  # the row of the first hour of a day is of its end
    before = rows_of(border - REFERENCE_DAYS * DAY, border, lambda dice: float(dice.normal(100, 2)))
    return before + rows_of(border, border + DAY, lambda dice: float(dice.normal(110, 2)))


@pytest.fixture
def exported() -> list[dict[str, Any]]:
    return exported_rows()


class Host:
    """A process that monitors; it can be begun anew as often as it is killed."""

    def __init__(self, fake: FakeAbacus, root: Path, rows: list[dict[str, Any]]) -> None:
        self.fake, self.root, self.settings = fake, root, settings(fake.url, [GROUP], max_retries=1)
        self.store = MemoryStore()
        self.step: Callable[[], None] = lambda: None
        group = {
            "featureGroupId": "merged", "tableName": "miner_telemetry", "featureGroupSourceType": "DATASET",
            "datasetId": "dataset", "tags": [], "features": [{"name": name, "dataType": "FLOAT"} for name in rows[0]],
        }  # fmt: skip
        fake.backend.shelf.put("featureGroup", "merged", group)
        fake.backend.shelf.put("datasetVersion", "first", {"datasetVersion": "first", "datasetId": "dataset"})
        content = io.BytesIO()
        pa.parquet.write_table(pa.Table.from_pylist(rows), content)
        fake.backend.shelf.put_file("first/rows", content.getvalue())
        fake.backend.shelf.put("project", "project_1", {"projectId": "project_1", "name": "mining"})

    def run(self, day: int = T, until: int | None = END) -> MonitorReport:
        (definition,) = (one for one, _ in watched_groups(with_monitors(self.settings)).values())
        abacus = SteppedAbacus(
            SecretStr(KEY), endpoints_of(self.settings), self.settings.data_ingestion,
            sleep=lambda _: None,
        )  # fmt: skip
        abacus.host = self
        try:
            file = SteppedFile(self.root / "monitors", "miner_telemetry")
            file.host = self
            monitor = DriftMonitor(
                abacus, definition, file, self.store, columns=definition.columns, table="miner_telemetry",
                project_id="project_1", tries=2, clock=lambda: END,
            )  # fmt: skip
            return monitor.run(day, until)
        finally:
            abacus.close()

    def told(self) -> dict[str, dict[str, Any]]:
        rows = self.store.read(MEASUREMENTS["monitor_drift"], Tier.RAW, T - 30 * DAY, T + 30 * DAY).to_pylist()
        return {row["feature"]: row for row in rows}


@pytest.fixture
def host(fake, tmp_path, exported):
    return Host(fake, tmp_path, exported)


def test_a_day_is_compared_with_the_weeks_before_as_here(host, exported):
    report = host.run()
    assert (report.features, report.drifted, report.waits) == (2, ("hashrate_hs",), "")
    told = host.told()
    moved, still = told["hashrate_hs"], told["power_w"]
    assert (moved["status"], moved["reference_rows"], moved["current_rows"]) == ("drifted", REFERENCE_DAYS * 240, 240)
    # 100 +- 2 and 110 +- 2 hardly overlap: the distance of their distribution functions is nearly 1
    assert moved["ks"] > 0.9
    assert still["status"] == "stable"
    assert (moved["feature_group"], moved["view"]) == ("miner_telemetry", "miner_hourly_v1")
    border = len(exported) - 240
    for name, column in (("hashrate_hs", "hashrate_th_s"), ("power_w", "power_consumption_w")):
        values = np.array([row[column] for row in exported])
        here = drift_of_numbers(values[:border], values[border:])
        assert here.state == told[name]["status"]
        assert here.ks is not None
        assert told[name]["ks"] <= here.ks + 1e-9  # at the ends of bins, of which ours has all points
    (current,) = (group for group in host.fake.backend.shelf.every("featureGroup")
                  if group["tableName"] == "miner_telemetry_current")  # fmt: skip
    assert current["sql"] == (
        "SELECT * FROM miner_telemetry WHERE timestamp >= TIMESTAMP '2026-11-23 01:00:00' "
        "AND timestamp < TIMESTAMP '2026-11-24 01:00:00'"
    )


def test_again_nothing_is_asked_and_the_next_day_is_a_run_of_the_same_monitor(host):
    host.run()
    asked = len(host.fake.asked)
    again = host.run()
    assert (again.features, again.day, len(host.fake.asked)) == (0, T, asked)
    assert host.run(T + DAY).waits == "for the export of 2026-11-24 00:00:00"
    host.run(T + DAY, END + DAY)
    assert len(host.fake.backend.shelf.every("modelMonitor")) == 1
    assert host.fake.count("rerunModelMonitor") == 1
    assert len(host.fake.backend.shelf.every("featureGroup")) == 3
    current = host.fake.group("miner_telemetry_current")
    assert "TIMESTAMP '2026-11-24 01:00:00' AND" in current["sql"]


@pytest.mark.parametrize("kind", ["lost", "html"])
@pytest.mark.parametrize("method", ["createModelMonitor", "createFeatureGroup", "getDriftForFeature"])
def test_trouble_on_the_way_is_gone_on_from(host, method, kind):
    host.fake.faults.add(Fault(kind, method, times=2))
    for _ in range(4):
        try:
            host.run()
        except TryAgain:
            continue
        break
    assert host.told()["hashrate_hs"]["status"] == "drifted"
    assert len(host.fake.backend.shelf.every("modelMonitor")) == 1
    assert len(host.fake.backend.shelf.every("modelMonitorVersion")) == 1


def test_a_run_that_fails_is_run_again_and_then_a_human_is_told(host):
    host.fake.faults.add(Fault("monitor_failed", times=2))
    with pytest.raises(TryAgain, match="ended as FAILED: the monitor ran out of memory; it is run again"):
        host.run()
    with pytest.raises(NeedsHuman, match="2 failed in a row"):
        host.run()
    assert host.run().features == 0  # that day is left out
    assert host.run(T + DAY, END + DAY).features == 2


def test_a_form_that_nobody_knows_is_told_and_is_no_number(host):
    host.fake.faults.add(Fault("strange_distribution", times=1))
    report = host.run()
    told = host.told()["hashrate_hs"]
    assert (report.drifted, told["status"], told["psi"]) == ((), "unknown", None)
    assert told["reason"].startswith("the service tells the distribution in another form: [[0, 1], [2, 3]]")


def test_tables_and_monitors_of_others_are_not_touched(host):
    shelf = host.fake.backend.shelf
    shelf.put("modelMonitor", "x", {
        "modelMonitorId": "x", "name": "lodeline_miner_telemetry_drift", "projectId": "project_1",
        "trainingFeatureGroupId": ["a"], "predictionFeatureGroupId": ["b"],
    })  # fmt: skip
    with pytest.raises(NeedsHuman, match="compares other feature groups"):
        host.run()
    assert host.fake.count("rerunModelMonitor") == 0


def test_what_is_not_there_is_told_at_once():
    said = settings(groups=[GROUP])
    wrong = with_monitors(said, {"feature_group": "weather"}, {"feature_group": "miner_telemetry", "features": ["x"]})
    with pytest.raises(ConfigurationError) as told:
        watched_groups(wrong)
    assert "drift_monitors[0]: there is no feature group 'weather'; there are miner_telemetry" in str(told.value)
    assert "drift_monitors[1]: group miner_telemetry has no feature 'x'" in str(told.value)
    again = {"name": "again", "model_id": "m", "drift_of": "miner_telemetry", "drift_by": "both"}
    unwatched = AbacusSettings.model_validate(
        said.model_dump() | {"retraining": [again], "general": {"project_id": "p", "api_key": KEY}}
    )
    with pytest.raises(ConfigurationError, match="drift_by is both, and miner_telemetry is not in drift_monitors"):
        groups_of(unwatched)


def drift_rows(day: int, here: Sequence[Value], there: Sequence[Value]) -> list[Any]:
    features = ["hashrate_hs", "power_w"]
    numbers: dict[str, Sequence[Value]] = {"psi": [0.3, 0.01], "ks": [0.5, 0.02]}
    return [
        build_frame("feature_drift", [day] * 2, {
            "view": ["miner_hourly_v1"] * 2, "feature": features, "status": here, "reason": ["", ""], **numbers,
        }),
        build_frame("monitor_drift", [day] * 2, {
            "feature_group": ["miner_telemetry"] * 2, "feature": features, "status": there, "reason": ["", ""],
            **numbers,
        }),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("here", [DriftedDay(T + DAY, ("hashrate_hs",))]),
        ("service", [DriftedDay(T, ("hashrate_hs", "power_w"), " by Abacus.AI's monitor")]),
        ("either", [
            DriftedDay(T + DAY, ("hashrate_hs",)), DriftedDay(T, ("hashrate_hs", "power_w"), " by Abacus.AI's monitor"),
        ]),
        # T + DAY is not there at the service yet; of T both name the hashrate
        ("both", [DriftedDay(T, ("hashrate_hs",), " here and by Abacus.AI's monitor")]),
    ],
)  # fmt: skip
def test_whose_word_counts_for_a_training(by, expected):
    store = MemoryStore()
    store.write(drift_rows(T, ["drifted", "stable"], ["drifted", "drifted"]))
    store.write(drift_rows(T + DAY, ["drifted", "stable"], ["stable", "stable"])[:1])
    ((group, _),) = watched_groups(with_monitors(settings(groups=[GROUP]))).values()
    assert drifted_of(store, group, by, T + 2 * DAY) == expected


def test_beside_each_other_on_the_newest_day_that_both_have():
    store = MemoryStore()
    store.write(drift_rows(T, ["drifted", "stable"], ["drifted", "drifted"]))
    store.write(drift_rows(T + DAY, ["unknown", "stable"], ["stable", "stable"])[:1])
    ((group, _),) = watched_groups(with_monitors(settings(groups=[GROUP]))).values()
    rows = beside(store, [group], T + 2 * DAY)
    assert [(row.feature, row.day, row.differs) for row in rows] == [("hashrate_hs", T, False), ("power_w", T, True)]
    only_here = MemoryStore()
    only_here.write(drift_rows(T, ["drifted", "unknown"], ["stable", "stable"])[:1])
    rows = beside(only_here, [group], T + 2 * DAY)
    assert [(row.there, row.differs) for row in rows] == [(None, None), (None, None)]
    assert beside(MemoryStore(), [group], T) == []


def test_all_the_way_from_readings(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())
    store = MemoryStore()
    for hour in (0, 1, 27):
        poll(store, ["miner_00"], T + hour * HOUR, 1e14, at=T + (hour + 1) * HOUR + 60)
        follow(store, tmp_path, T + (hour + 1) * HOUR + 300)
    EmbeddedStore(tmp_path / "lake").close()
    said, storage = with_monitors(settings(fake.url, [GROUP])), StorageSettings(data_directory=tmp_path)
    endpoints = endpoints_of(said)
    (first,) = run_monitors(said, endpoints, storage, clock=lambda: T + 28 * HOUR + 600)
    assert first.report is not None
    assert first.report.waits == "for the first export"
    export_groups(said, endpoints, storage, clock=lambda: T + 28 * HOUR + 600)
    (result,) = run_monitors(said, endpoints, storage, clock=lambda: T + 28 * HOUR + 700)
    assert result.report is not None, result.trouble
    assert (result.report.day, result.report.features) == (T, 2)
    lake = EmbeddedStore(tmp_path / "lake")
    told = lake.read(MEASUREMENTS["monitor_drift"], Tier.RAW, T, T + 1).to_pylist()
    lake.close()
    # the day has the rows of 01:00 and 02:00 and the weeks before none: that is no drift of 0
    assert [(row["status"], row["psi"], row["reason"]) for row in told] == [
        ("unknown", None, "the service tells no row of one side")
    ] * 2


def test_the_command_shows_both_and_where_they_differ(fake, tmp_path):
    day = int(time.time()) // DAY * DAY - 2 * DAY
    store = EmbeddedStore(tmp_path / "lake")
    store.write(drift_rows(day, ["drifted", "stable"], ["drifted", "drifted"]))
    store.close()
    (tmp_path / "config").mkdir()
    told: dict[str, Any] = {
        "general": {"project_id": "mining", "api_key": KEY, "api_url": fake.url},
        "data_ingestion": {"max_retries": 0},
        "feature_groups": [GROUP],
        "drift_monitors": [{"feature_group": "miner_telemetry"}],
    }
    (tmp_path / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(told))
    runner = CliRunner(env={"LODELINE_CONFIG": str(tmp_path / "config"), "LODELINE_DATA_DIRECTORY": str(tmp_path)})
    shown = runner.invoke(app, ["abacus", "drift"])
    assert shown.output.splitlines()[1:] == [
        "  hashrate_hs: here drifted psi 0.300, ks 0.500; service drifted psi 0.300, ks 0.500",
        "  power_w: here stable psi 0.010, ks 0.020; service drifted psi 0.010, ks 0.020  <- they differ",
    ]
    assert not fake.asked
    plain = json.loads(runner.invoke(app, ["abacus", "drift", "--json"]).output)
    assert [(row["feature"], row["differs"]) for row in plain] == [("hashrate_hs", False), ("power_w", True)]
    waits = runner.invoke(app, ["abacus", "monitor"])
    assert (waits.exit_code, waits.output) == (0, "miner_telemetry: waits for the first export\n")
