"""SQL over the warehouse and the lake: ten documented questions answered right, and nothing but reading."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from deployments.warehouse_reference import DOCUMENT, rendered
from storage.errors import NeedsHuman
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from storage.warehouse.sql import answer
from storage.warehouse.star import STAR
from tests.warehouse.questions import ANSWERS, printed, questions
from tests.warehouse.seed import Rows, T, seeded


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows]:
    lake = tmp_path_factory.mktemp("host") / "lake"
    _, rows = seeded(lake)
    return lake, rows


@pytest.mark.parametrize("number", range(10))
def test_a_question_of_the_document_is_answered_right(seed: tuple[Path, Rows], number: int) -> None:
    lake, rows = seed
    statement, shown = questions()[number]
    found = answer(lake, statement, timeout_s=60).to_pylist()
    wanted = ANSWERS[number](rows)
    assert len(found) == len(wanted) > 0
    for row, right in zip(found, wanted, strict=True):
        assert [
            value == pytest.approx(expected, rel=1e-9) if isinstance(expected, float) else value == expected
            for value, expected in zip(row.values(), right, strict=True)
        ] == [True] * len(right), (row, right)
    assert printed(found) == shown, "run python -m tests.warehouse.questions"


def test_the_document_has_ten_questions_and_every_table_and_column() -> None:
    assert len(questions()) == len(ANSWERS) == 10
    document = DOCUMENT.read_text()
    assert document == rendered(document), "run python -m deployments.warehouse_reference"
    for star in STAR:
        for column in star.columns:
            assert f"| `{column.name}` |" in document


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT * FROM read_parquet('/etc/passwd')", "disabled by configuration"),
        ("SELECT * FROM '/etc/passwd'", "/etc/passwd"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
        ("SELECT * FROM glob('/*')", "disabled by configuration"),
        ("SELECT * FROM 'https://127.0.0.1:1/x.parquet'", ""),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", "Only SELECT is allowed, not COPY"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'", "Only SELECT is allowed"),
        ("CREATE TABLE x AS SELECT 1", "Only SELECT is allowed, not CREATE"),
        ("DELETE FROM dim_miner", "Only SELECT is allowed, not DELETE"),
        ("ATTACH '/tmp/x.db'", "Only SELECT is allowed, not ATTACH"),
        ("SET enable_external_access = true", "Only SELECT is allowed, not SET"),
        ("INSTALL httpfs", "Only SELECT is allowed"),
        ("SELECT 1; DROP VIEW dim_miner", "Expected one SELECT, got 2"),
        ("", "Expected one SELECT, got 0"),
        ("SELEC 1", "That is no SQL"),
        ("SELECT * FROM fact_miner", "fact_miner does not exist"),
        ("SELECT hashrate FROM fact_telemetry_hourly", '"hashrate" not found'),
        ("SELECT count(*) FROM range(100000000000)", "took longer than 1 s"),
    ],
)
def test_nothing_but_reading_is_possible(seed: tuple[Path, Rows], statement: str, told: str) -> None:
    with pytest.raises(NeedsHuman) as caught:
        answer(seed[0], statement, timeout_s=1)
    assert told in str(caught.value)


def test_a_table_that_nothing_was_written_to_is_empty_and_not_unknown(tmp_path: Path) -> None:
    empty = answer(tmp_path, "SELECT * FROM fact_event LEFT JOIN miner_telemetry USING (miner_id)", timeout_s=60)
    assert empty.num_rows == 0
    assert "message" in empty.column_names


def test_tables_of_the_lake_show_every_row_once(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    for power in (3000, 3100):  # the same row twice, from two files
        store.write([build_frame("miner_telemetry", [T], {"miner_id": ["it's 100%?"], "power_w": [power]})])
    store.close()
    rows = answer(tmp_path, "SELECT miner_id, power_w FROM miner_telemetry", timeout_s=60).to_pylist()
    assert rows == [{"miner_id": "it's 100%?", "power_w": 3100}]


def test_the_command_prints_rows_and_tells_mistakes(seed: tuple[Path, Rows]) -> None:
    runner = CliRunner(env={"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(seed[0].parent), "COLUMNS": "100"})
    asked = "SELECT miner_id, count(*) AS hours FROM fact_telemetry_hourly GROUP BY ALL ORDER BY ALL LIMIT 2"
    assert runner.invoke(app, ["sql", asked, "--format", "csv"]).stdout == "miner_id,hours\nm1,120\nm2,120\n"
    assert "fact_profit_daily: money of a miner in a day" in runner.invoke(app, ["sql"]).stdout
    wrong = runner.invoke(app, ["sql", "SELECT nothing"])
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.output
    off = runner.invoke(app, ["sql", "SELECT 1"], env={"LODELINE_LAKE__ENABLED": "false", **_influx()})
    assert off.exit_code == 2
    assert "has no lake" in off.stderr


def _influx() -> dict[str, str]:
    return {"LODELINE_INFLUX__URL": os.environ.get("LODELINE_INFLUX__URL", "http://127.0.0.1:1")}
