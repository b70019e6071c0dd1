"""The joined hourly series: every source in its row, nothing where there is none, the same in slices as at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.downsample.run import GRACE_S, roll_up
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive import joined
from tasks.derive.joined import joined_frame, joined_hours, joined_schema
from tasks.derive.money import derive_financial
from tasks.derive.operations import INPUTS, derive_operational
from tests.derive.test_money import FLEET, match, value
from tests.derive.test_operations import EVERY, HOUR_S, MIDNIGHT, TH, arrive, readings

END = MIDNIGHT + 2 * HOUR_S


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("joined") / "lake"


@pytest.fixture(scope="module")
def store(lake: Path) -> EmbeddedStore:
    """An hour of miner a with all that there is, an hour in which nobody told anything, and no word of miner b."""
    store = EmbeddedStore(lake)
    told: dict[str, Any] = {"source": ["coingecko"], "coin_id": ["bitcoin"]}
    market = [
        build_frame("market_data", [MIDNIGHT + minute * 60], {**told, "price_usd": [price]})
        for minute, price in ((5, 49_000.0), (55, 50_000.0))
    ]
    network = build_frame("network_data", [MIDNIGHT], {**told, "network_difficulty": [1e14]})
    arrive(store, [*readings(MIDNIGHT, EVERY), value(MIDNIGHT), *match(MIDNIGHT, 90 * TH), network])
    arrive(store, [*market, *match(MIDNIGHT, 3 * TH, "free"), *match(MIDNIGHT, 95 * TH, "old", "superseded")])
    roll_up(store, END + GRACE_S, measurements=[*INPUTS, "market_data", "network_data"])
    derive_operational(store, {name: "S19" for name in FLEET.miners}, END + GRACE_S)
    derive_financial(store, FLEET, END + GRACE_S)
    return store


def test_every_source_is_in_the_row_of_its_hour(store: EmbeddedStore):
    frame = joined_frame(store, FLEET, MIDNIGHT, END)
    assert frame.index.names == ["miner_id", "time"]
    assert len(frame) == 4
    row = frame.loc["a"].iloc[0]
    assert (row["model"], row["site"], row["algorithm"]) == ("S19", "hall", "sha256d")
    assert row["hashrate_hs_mean"] == pytest.approx(100 * TH, rel=1e-4)
    # of two pools the one that credited more; what is superseded does not count
    assert (row["pool_id"], row["pool_hashrate_hs"], row["worker_status"]) == ("viabtc", 90 * TH, "matched")
    # the last price of the hour
    assert (row["coin_price_usd"], row["network_difficulty"], row["usd_th_day"]) == (50_000.0, 1e14, 0.048)
    assert row["power_efficiency_j_th"] == pytest.approx(30.0, rel=1e-4)
    # 90 TH/s less 1 %, and 3 TH/s without a fee
    assert row["revenue"] == pytest.approx((90 * 0.99 + 3) * 0.048 / 24)
    assert (row["operational_reason"], row["financial_reason"]) == ("thermal_efficiency:air_assumed", "")


def test_what_nobody_told_is_null(store: EmbeddedStore):
    frame = joined_frame(store, FLEET, MIDNIGHT, END)
    nothing = frame.loc["b"].iloc[1]
    known = nothing.dropna()
    assert set(known.index) - {"model", "site", "algorithm"} == {
        "coverage_percentage", "operational_reason", "hours", "currency", "financial_reason",
    }  # fmt: skip
    assert (known["coverage_percentage"], known["operational_reason"]) == (0.0, "no_readings")


def test_slices_are_the_same_as_all_at_once(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch):
    whole = joined_frame(store, FLEET, MIDNIGHT, END)
    monkeypatch.setattr(joined, "ROWS_AT_ONCE", 2)
    assert [part.num_rows for part in joined_hours(store, FLEET, MIDNIGHT, END)] == [2, 2]
    assert joined_frame(store, FLEET, MIDNIGHT, END).equals(whole)


def test_no_miner_is_an_empty_table_with_all_columns(store: EmbeddedStore):
    frame = joined_frame(store, FLEET, MIDNIGHT, END, [])
    assert len(frame) == 0
    assert len(frame.columns) == len(joined_schema()) - 2


def test_the_command_prints_the_rows_and_refuses_what_is_wrong(store: EmbeddedStore, lake: Path, tmp_path: Path):
    from typer.testing import CliRunner

    from deployments.command import app

    (tmp_path / "data_collection_config.yaml").write_text("miners: [{id: a, model: S19, ip: 127.0.0.1}]\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lake").symlink_to(lake)
    runner = CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})
    asked = ["series", "--miner", "a", "--from", str(MIDNIGHT), "--to", str(END)]
    result = runner.invoke(app, asked)
    assert result.exit_code == 0, result.output
    header, first, second = result.stdout.splitlines()
    assert header.split(",") == joined_schema().names
    assert first.startswith("2027-01-15T00:00:00Z,a,S19,hall,sha256d,")
    assert second.startswith("2027-01-15T01:00:00Z,a,S19,")
    assert runner.invoke(app, ["series", "--miner", "zz"]).exit_code == 2
    assert "more than 2,000,000" in runner.invoke(app, ["series", "--from", "1970-01-02", "--to", "2199-12-30"]).output
    assert "--from is not before --to" in runner.invoke(app, [*asked[:3], "--from", str(END), "--to", str(END)]).output
