"""``lodeline export`` against ``lodeline query`` on the same lake, read back by pandas and DuckDB."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from deployments.command import app
from storage.frame import Value, build_frame
from storage.lake.sink import LakeSink
from storage.spool.record import Batch, SpoolRecord

T = int(time.time()) // 86_400 * 86_400 - 3 * 86_400
TAGS = ["time", "miner_id", "model", "site"]
CONFIGURATION = "miners:\n- {id: m1, ip: 127.0.0.1, model: Antminer S19}\n"
ASKED = ["--from", str(T), "--to", str(T + 86_400)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of two miners, every 15 minutes; m2 tells no power, and a text that needs quotes."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "data_collection_config.yaml").write_text(CONFIGURATION)
    times = list(range(T, T + 86_400, 900))
    columns: dict[str, Sequence[Value]] = {
        "miner_id": ["m1"] * 96 + ["m2"] * 96,
        "site": ['hall "A", left'] * 192,
        "state": ["mining"] * 192,
        "power_w": [*range(3000, 3096), *[None] * 96],
        "hashrate_hs": [1e14 / 3] * 192,
        "quality_flags": [""] * 96 + ["missing:power_w"] * 96,
    }
    frame = build_frame("miner_telemetry", times * 2, columns)
    sink = LakeSink(folder / "data" / "lake", "host")
    sink.deliver([SpoolRecord("miners", 1, 0, Batch("m/1", T, "run", [frame]))])
    return folder


def run(folder: Path, *arguments: str) -> Result:
    runner = CliRunner(env={"LODELINE_CONFIG": str(folder), "LODELINE_DATA_DIRECTORY": str(folder / "data")})
    return runner.invoke(app, [*arguments])


def queried(folder: Path, *arguments: str) -> pd.DataFrame:
    shown = run(folder, "query", "miner_telemetry", *ASKED, *arguments, "--format", "parquet")
    assert shown.exit_code == 0, shown.output
    rows: pd.DataFrame = pq.ParquetFile(io.BytesIO(shown.stdout_bytes)).read().to_pandas()
    return rows.sort_values(TAGS, ignore_index=True)


def read(file: Path) -> pd.DataFrame:
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    if file.suffix == ".json":
        return pd.DataFrame(json.loads(file.read_text())).assign(time=lambda rows: pd.to_datetime(rows["time"]))
    return pd.read_csv(file, parse_dates=["time"], keep_default_na=False, na_values={"power_w": [""]})


def alike(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    assert list(found) == list(wanted)
    assert [one.timestamp() for one in found["time"]] == [one.timestamp() for one in wanted["time"]]
    for name in found.columns.drop("time"):
        assert [None if pd.isna(one) or one == "" else one for one in found[name]] == [
            None if pd.isna(one) or one == "" else one for one in wanted[name]
        ], name


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
@pytest.mark.parametrize(("tier", "every"), [("raw", []), ("hourly", ["--every", "1h"])])
def test_it_is_what_query_prints(folder: Path, tmp_path: Path, ending: str, tier: str, every: list[str]) -> None:
    file = tmp_path / f"rows.{ending}"
    fields = "state,power_w,hashrate_hs,quality_flags"
    done = run(
        folder, "export", "miner_telemetry", *ASKED, "--tier", tier, "--fields", fields, "-o", str(file), "--json"
    )
    assert done.exit_code == 0, done.output
    wanted = queried(folder, *every, "--columns", fields)
    assert json.loads(done.stdout) == {"file": str(file), "rows": len(wanted), "bytes": file.stat().st_size}
    assert len(wanted) == (192 if tier == "raw" else 48)
    alike(read(file), wanted)
    if ending != "json":  # a second reader
        counted = duckdb.execute(f"SELECT count(*), sum(power_w) FROM '{file}'").fetchone()
        assert counted == (len(wanted), pytest.approx(wanted["power_w"].sum()))
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, f"{file.name}.about.json"]


def test_what_is_beside_it(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    done = run(folder, "export", "miner_telemetry", *ASKED, "--entity", "miner_id=m2", "--fields", "power_w",
               "-o", str(file))  # fmt: skip
    assert done.exit_code == 0, done.output
    header, first, *_ = file.read_text().splitlines()
    assert header == '"time","miner_id","model","site","power_w","quality_flags"', "why it is null came along"
    assert first.endswith('"m2",,"hall ""A"", left",,"missing:power_w"'), "null is empty"
    assert first[1:21] == pd.Timestamp(T, unit="s").strftime("%Y-%m-%dT00:00:00Z")
    about = json.loads((tmp_path / "power.csv.about.json").read_text())
    assert about["columns"][4] == {
        "name": "power_w", "type": "double", "unit": "W", "meaning": "power drawn, as the miner reports it",
    }  # fmt: skip
    assert about["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (about["rows"], about["bytes"], about["time_zone"]) == (96, file.stat().st_size, "UTC")
    assert about["where"] == {"miner_id": ["m2"]}
    assert "quality_flags says why" in about["missing"]
    (piece,) = about["lineage"]["pieces"]
    assert (piece["from"], piece["tier"], piece["place"], piece["rows_read"]) == (about["from"], "raw", "embedded", 96)


def test_parquet_knows_its_units(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    asked = ["--tier", "hourly", "--fields", "power_w,power_w_max,power_w_integral,state_mining_seconds"]
    assert run(folder, "export", "miner_telemetry", *ASKED, *asked, "-o", str(file)).exit_code == 0
    schema = pq.read_schema(file)
    units = {field.name: field.metadata[b"unit"].decode() for field in schema}
    assert units == dict.fromkeys([*TAGS, "quality_flags"], "") | {
        "power_w": "W", "power_w_max": "W", "power_w_integral": "J", "state_mining_seconds": "s",
    }  # fmt: skip
    assert schema.field("power_w_max").metadata[b"meaning"] == b"greatest power drawn, as the miner reports it"
    assert schema.metadata[b"lodeline.tier"] == b"hourly"


def test_miners_hour_by_hour(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "hours.parquet"
    assert run(folder, "export", "series", *ASKED, "-o", str(file)).exit_code == 0
    shown = run(folder, "series", *ASKED, "--format", "parquet")
    wanted = pq.ParquetFile(io.BytesIO(shown.stdout_bytes)).read().to_pandas()
    alike(pd.read_parquet(file), wanted.sort_values(["time", "miner_id"], ignore_index=True))
    units = {field.name: field.metadata[b"unit"].decode() for field in pq.read_schema(file)}
    assert (units["revenue"], units["coin_price_usd"], units["hashrate_hs_mean"]) == ("USD", "USD", "H/s")
    assert all(field.metadata[b"meaning"] for field in pq.read_schema(file))
    few = tmp_path / "few.csv"
    assert run(folder, "export", "series", *ASKED, "--fields", "revenue", "-o", str(few)).exit_code == 0
    assert pd.read_csv(few).columns.tolist() == [
        "time", "miner_id", "model", "site", "algorithm", "revenue", "operational_reason", "financial_reason",
    ]  # fmt: skip


def test_a_file_that_is_there_stays_unless_it_is_said(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("mine")
    asked = ["export", "miner_telemetry", *ASKED, "--fields", "power_w", "-o", str(file)]
    refused = run(folder, *asked)
    assert refused.exit_code == 2
    assert "is there already. Give --force" in refused.output
    assert file.read_text() == "mine"
    assert run(folder, *asked, "--force").exit_code == 0
    assert file.read_text().startswith('"time"')


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["miner_telemetri", *ASKED, "-o", "x.csv"], "Did you mean miner_telemetry"),
        (["miner_telemetry", *ASKED, "--fields", "powr_w", "-o", "x.csv"], "Did you mean power_w"),
        (["miner_telemetry", *ASKED, "--fields", "power_w_max", "-o", "x.csv"], "columns of roll-ups need a tier"),
        (["miner_telemetry", *ASKED, "--entity", "rack=1", "-o", "x.csv"], "has no tag rack"),
        (["miner_telemetry", *ASKED, "--entity", "m1", "-o", "x.csv"], "--entity 'm1' is no condition"),
        (["miner_telemetry", *ASKED, "--tier", "weekly", "-o", "x.csv"], "There is no tier 'weekly'"),
        (["miner_telemetry", *ASKED, "-o", "x.xlsx"], "names no format. Give --format: csv, parquet, json"),
        (["miner_telemetry", "--from", "2026-02-01", "--to", "2026-01-01", "-o", "x.csv"], "start is not before"),
        (["series", *ASKED, "--tier", "raw", "-o", "x.csv"], "series is hourly, not raw"),
        (["series", *ASKED, "--entity", "miner_id=m9", "-o", "x.csv"], "no miner m9 is configured"),
        (["series", *ASKED, "--entity", "site=a", "-o", "x.csv"], "chosen by miner alone"),
        (["series", *ASKED, "--fields", "revenu", "-o", "x.csv"], "Did you mean revenue"),
        (["miner_telemetry", *ASKED, "--fields", "power_w", "-o", "/no/such/place/x.csv"], "cannot be written"),
    ],
)
def test_mistakes_are_told(folder: Path, arguments: list[str], said: str) -> None:
    refused = run(folder, "export", *arguments)
    assert refused.exit_code == 2, refused.output
    assert said in " ".join(refused.output.split())
    assert not Path("x.csv").exists()


def test_nothing_there_is_a_file_without_rows(folder: Path, tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        file = tmp_path / f"none.{ending}"
        done = run(folder, "export", "miner_telemetry", "--from", "2026-01-01", "--to", "2026-01-03", "-o", str(file),
                   "--fields", "power_w")  # fmt: skip
        assert done.exit_code == 0, done.output
        assert len(read(file) if ending != "json" else json.loads(file.read_text())) == 0


def test_a_store_that_fails_half_way_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage.across_tiers import AcrossTiers
    from storage.errors import TryAgain

    whole = AcrossTiers._answer

    def fails(self: AcrossTiers, question: Any, start: int, stop: int) -> Any:
        if start > T:
            raise TryAgain("the store does not answer")
        return whole(self, question, start, stop)

    monkeypatch.setattr(AcrossTiers, "_answer", fails)
    file = tmp_path / "rows.csv"
    file.write_text("before")
    failed = run(folder, "export", "miner_telemetry", *ASKED, "--fields", "power_w", "-o", str(file), "--force")
    assert failed.exit_code == 2
    assert "does not answer" in failed.output
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rows.csv", "before")]
