"""``lodeline profit`` on stored hours: a local day of 23 hours, groups, what is not known, a user's mistakes."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = int(dt.datetime(2026, 3, 28, tzinfo=BERLIN).timestamp())
HOURS = range(FIRST, FIRST + 48 * 3_600, 3_600)
"""A day of 24 hours, one of 23 and an hour of a third."""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> CliRunner:
    folder = tmp_path_factory.mktemp("profit")
    miners = [
        {"id": name, "model": "S19", "ip": "127.0.0.1", "site": site, "port": port} for name, site, port in MINERS
    ]
    (folder / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": miners}))
    fill(folder / "data" / "lake")
    return CliRunner(env={"LODELINE_CONFIG": str(folder), "LODELINE_DATA_DIRECTORY": str(folder / "data")})


MINERS = (("a", "hall", 1), ("b", "yard", 2))


def fill(lake: Path) -> None:
    """a earns 2 USD an hour for 1, with 10 kWh; of b's hours every other one has no cost."""
    count = len(HOURS)
    known = [number % 2 == 0 for number in range(count)]
    hours: dict[str, dict[str, Any]] = {
        "a": {"revenue": [2.0] * count, "cost": [1.0] * count, "profit": [1.0] * count, "energy_kwh": [10.0] * count},
        "b": {
            "revenue": [1.0] * count,
            "cost": [3.0 if one else None for one in known],
            "profit": [-2.0 if one else None for one in known],
        },
    }
    store = EmbeddedStore(lake)
    for miner, columns in hours.items():
        tags: dict[str, Any] = {"miner_id": [miner] * count, "time_period": ["1h"] * count}
        store.write([build_frame("financial_metrics", [*HOURS], {**tags, **columns})])
    day: dict[str, Any] = {
        "scope": ["fleet"],
        "key": ["fleet"],
        "time_period": ["1d"],
        "roi_percent": [12.5],
        "break_even_days": [7.0],
    }
    store.write([build_frame("financial_summary", [FIRST // 86_400 * 86_400 + 86_400], day)])
    store.close()


def rows(runner: CliRunner, *arguments: str) -> list[dict[str, Any]]:
    result = runner.invoke(app, ["profit", "--format", "json", *arguments])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


SPAN = ("--from", "2026-03-28", "--to", "2026-03-30", "--zone", "Europe/Berlin")


def test_local_days_have_the_hours_that_they_have(runner: CliRunner):
    first, second = rows(runner, *SPAN)
    assert (first["from"], second["from"]) == ("2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00")
    assert (first["hours"], second["hours"]) == (48, 46)
    # 24 x 1 - 12 x 2, and 23 x 1 - 12 x 2
    assert (first["profit"], second["profit"]) == (0.0, -1.0)
    assert (first["hours_known"], second["hours_known"]) == (36, 35)
    # b's energy is not known, so its revenue does not count: 48 / 240
    assert first["break_even_usd_kwh"] == pytest.approx(0.2)
    # the 28th of UTC begins within the local 28th
    assert (first["roi_percent"], second["roi_percent"]) == (12.5, None)


def test_by_miner_and_by_site_over_the_period(runner: CliRunner):
    whole = rows(runner, *SPAN, "--every", "period", "--by", "miner")
    assert [(row["of"], row["revenue"], row["profit"]) for row in whole] == [("a", 94.0, 47.0), ("b", 47.0, -48.0)]
    assert whole[1]["break_even_usd_kwh"] is None
    sites = rows(runner, *SPAN, "--every", "period", "--by", "site")
    assert [(row["of"], row["profit"]) for row in sites] == [("hall", 47.0), ("yard", -48.0)]
    only = rows(runner, *SPAN, "--every", "period", "--miner", "a")
    assert [(row["of"], row["profit"], row["roi_percent"]) for row in only] == [("fleet", 47.0, None)]


def test_nothing_known_is_empty_and_no_hour_is_no_row(runner: CliRunner):
    hours = rows(runner, *SPAN, "--every", "hour", "--miner", "b")
    assert [row["profit"] for row in hours[:3]] == [-2.0, None, -2.0]
    result = runner.invoke(app, ["profit", "--from", "2020-01-01", "--to", "2020-01-02"])
    assert result.exit_code == 0
    assert "flow derive-metrics" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--zone", "Europe/Atlantis"], "no time zone 'Europe/Atlantis'"),
        (["--from", "yesterday"], "'yesterday' is not a time"),
        (["--from", "2026-03-30", "--to", "2026-03-28"], "--from is not before --to"),
        (["--miner", "zz"], "no miner zz is configured"),
        ([*SPAN[:4], "--zone", "Asia/Kathmandu"], "days of Asia/Kathmandu do not begin on an hour of UTC"),
    ],
)
def test_what_a_user_gets_wrong(runner: CliRunner, arguments: list[str], told: str):
    result = runner.invoke(app, ["profit", *arguments])
    assert result.exit_code == 2
    assert told in result.output
