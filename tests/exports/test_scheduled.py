"""Scheduled exports: which are due, killed and run again, faults in the configuration, and an erasure of an entity."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.arrow_schema import ANSWER_TIME
from storage.erasure.entity import Entity
from storage.erasure.exports import erase_from_series_exports
from storage.erasure.proof import search
from tasks.exports.asked import Asked, Column, Exported, Stretch
from tasks.exports.making import due, make_exports
from tasks.exports.settings import ExportSettings, Format

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC).timestamp()
DAY = 86_400
POWER = ExportSettings(name="power", what="miner_telemetry", fields=("power_w",), keep=3)
COLUMNS = [Column("time", ANSWER_TIME, "", "time"), Column("miner_id", pa.string(), "", "the miner")]


def export(asked: Asked) -> Exported:
    """A row of each of two miners at the start of what is asked for."""
    times = pa.array([asked.start] * 2, pa.int64()).cast(pa.timestamp("s")).cast(ANSWER_TIME)
    rows = pa.table({"time": times, "miner_id": pa.array(["m1", "m10"])})

    def stretches() -> Iterator[Stretch]:
        yield Stretch(asked.stop, rows, [])

    return Exported(asked, "two miners", COLUMNS, stretches)


def names(folder: Path) -> list[str]:
    found = (path.name for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.endswith(".about.json"))


@pytest.mark.parametrize(
    ("there", "now", "wanted"),
    [
        ((), NOON, ["2026-11-27"]),
        ((), NOON - DAY / 2 + 600, ["2026-11-26"]),  # ten minutes after midnight yesterday is not settled
        (("2026-11-27",), NOON, []),
        (("2026-11-24", "2026-11-26"), NOON, ["2026-11-25", "2026-11-27"]),
        (("2026-11-01",), NOON, ["2026-11-25", "2026-11-26", "2026-11-27"]),  # as far back as files are kept
    ],
)
def test_what_is_due(there: tuple[str, ...], now: float, wanted: list[str]) -> None:
    assert [period.name for period in due(POWER, there, now)] == wanted


@pytest.mark.parametrize(
    ("said", "minutes"),
    [
        ({"what": "miner_telemetry"}, 15),
        ({"what": "miner_telemetry", "tier": "hourly"}, 60),
        ({"what": "operational_metrics"}, 60),
        ({"what": "pool_summary"}, 60),
        ({"what": "series"}, 60),
    ],
)
def test_what_is_derived_of_the_last_hour_is_waited_for(said: dict[str, Any], minutes: int) -> None:
    settings = ExportSettings.model_validate({"name": "a", **said})
    midnight = NOON - DAY / 2
    assert due(settings, ("2026-11-26",), midnight + 60 * minutes - 1) == []
    assert [one.name for one in due(settings, ("2026-11-26",), midnight + 60 * minutes)] == ["2026-11-27"]


@pytest.mark.parametrize(("window", "name"), [("week", "2026-W47"), ("month", "2026-10")])
def test_windows(window: Any, name: str) -> None:
    assert [period.name for period in due(POWER.model_copy(update={"window": window}), (), NOON)] == [name]


def test_once_for_each_period_and_old_ones_go(tmp_path: Path) -> None:
    assert [one.path.name for one in make_exports(POWER, export, tmp_path, NOON)] == ["power-2026-11-27.csv"]
    before = (tmp_path / "power" / "power-2026-11-27.csv").stat().st_mtime_ns
    assert make_exports(POWER, export, tmp_path, NOON + 3_600) == []
    assert (tmp_path / "power" / "power-2026-11-27.csv").stat().st_mtime_ns == before
    make_exports(POWER, export, tmp_path, NOON + 2 * DAY)  # a day late
    assert names(tmp_path) == [f"power-2026-11-{day}.csv" for day in (27, 28, 29)]
    make_exports(POWER, export, tmp_path, NOON + 4 * DAY)
    assert names(tmp_path) == ["power-2026-11-29.csv", "power-2026-11-30.csv", "power-2026-12-01.csv"]
    assert len(list(tmp_path.rglob("*.about.json"))) == 3


def test_killed_it_goes_on(tmp_path: Path) -> None:
    """What a kill leaves at any point: a draft, or a sidecar without its file."""
    home = tmp_path / "power"
    home.mkdir()
    (home / "power-2026-11-27.csv.new").write_text("half a row")
    (home / "power-2026-11-27.csv.about.json").write_text("{}")
    (home / "power-2026-11-20.csv.new").write_text("older")
    make_exports(POWER, export, tmp_path, NOON)
    assert sorted(path.name for path in home.iterdir()) == ["power-2026-11-27.csv", "power-2026-11-27.csv.about.json"]
    about = json.loads((home / "power-2026-11-27.csv.about.json").read_text())
    assert (about["rows"], about["from"], about["to"]) == (2, "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z")
    assert about["lineage"]["made_by"] == "flow export-series"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": "a b"}, "should match pattern"),
        ({"what": "miner_telemetri"}, "did you mean miner_telemetry"),
        ({"fields": ["powr_w"]}, "did you mean power_w"),
        ({"fields": ["power_w_max"]}, "has no field power_w_max"),
        ({"entity": ["rack=1"]}, "has no tag rack"),
        ({"entity": ["rack"]}, "should match pattern"),
        ({"what": "series", "tier": "raw"}, "which is hourly"),
        ({"what": "series", "entity": ["site=a"]}, "chosen by miner_id alone"),
        ({"schedule": "whenever"}, "expected a cron expression"),
    ],
)
def test_faults_are_told(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ExportSettings.model_validate({"name": "a", "what": "miner_telemetry", **said})


@pytest.mark.parametrize("how", list(Format))
def test_an_erasure_takes_files_that_name_it(tmp_path: Path, how: Format) -> None:
    settings = POWER.model_copy(update={"format": how})
    for days in (0, 1, 2):
        make_exports(settings, export, tmp_path, NOON + days * DAY)
    start = int(NOON) // DAY * DAY
    part = Entity({"miner_id": "m1"}, start, start + DAY, frozenset({"miner_telemetry"}))
    assert erase_from_series_exports(tmp_path, part).files == 1
    assert names(tmp_path) == [f"power-2026-11-{day}.{how}" for day in (27, 29)]
    other = Entity({"miner_id": "m1"}, 0, 2**32, frozenset({"miner_board"}))
    assert erase_from_series_exports(tmp_path, other).files == 0
    assert erase_from_series_exports(tmp_path, Entity({"miner_id": "m"}, 0, 2**32)).files == 0, "m1 is not m"
    whole = Entity({"miner_id": "m1"}, 0, 2**32)
    assert search([tmp_path], whole, whole=True).hits
    assert erase_from_series_exports(tmp_path, whole).files == 2
    assert list((tmp_path / "power").iterdir()) == []
    assert search([tmp_path], whole, whole=True).is_clean
    make_exports(settings, export, tmp_path, NOON + 2 * DAY)
    assert names(tmp_path) == [f"power-2026-11-29.{how}"]


def test_a_parquet_file_that_cannot_be_read_goes(tmp_path: Path) -> None:
    make_exports(POWER.model_copy(update={"format": Format.PARQUET}), export, tmp_path, NOON)
    file = tmp_path / "power" / "power-2026-11-27.parquet"
    assert pq.read_table(file).num_rows == 2
    file.write_bytes(file.read_bytes()[:50])
    assert erase_from_series_exports(tmp_path, Entity({"miner_id": "m1"}, 0, 2**32)).files == 1
    assert not file.exists()
