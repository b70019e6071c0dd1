"""``lodeline report`` without anything stored: what it says, and a user's mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"reports": {"timezone": "Europe/Berlin"}}))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


def test_a_day_in_the_configured_zone(runner: CliRunner, tmp_path: Path) -> None:
    shown = runner.invoke(app, ["report", "--for", "2026-11-28"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("# Daily report of 2026-11-28 (Europe/Berlin)")
    written = runner.invoke(app, ["report", "weekly", "--as", "html", "--out", str(tmp_path / "week.html")])
    assert written.exit_code == 0, written.output
    assert "<h1>Weekly report of" in (tmp_path / "week.html").read_text()
    on_paper = runner.invoke(app, ["report", "monthly", "--as", "pdf", "--out", str(tmp_path / "month.pdf")])
    assert on_paper.exit_code == 0, on_paper.output
    assert (tmp_path / "month.pdf").read_bytes().startswith(b"%PDF-")
    piped = runner.invoke(app, ["report", "monthly", "--as", "pdf"])
    assert piped.stdout_bytes == (tmp_path / "month.pdf").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--for", "yesterday"], "'yesterday' is not a day"),
        (["--for", "0001-01-01"], "'0001-01-01' is not a day"),
        (["--out", "/no/such/folder/report.md"], "cannot be written"),
    ],
)
def test_mistakes_are_told(runner: CliRunner, arguments: list[str], said: str) -> None:
    refused = runner.invoke(app, ["report", *arguments])
    assert refused.exit_code == 2
    assert said in refused.output


def test_a_channel_that_is_not_there_is_told(runner: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"reports": {"tell": ["ops"]}}))
    refused = runner.invoke(app, ["check"])
    assert refused.exit_code == 2
    assert (
        "data_collection_config.yaml:3: reports.tell[0]: there is no channel 'ops' in alerts.channels" in refused.output
    )
