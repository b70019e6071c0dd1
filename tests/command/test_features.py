"""``lodeline features`` on a miner whose second hour was put right afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.downsample.run import roll_up
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.views import VIEWS
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from storage.settings import ONLINE_FEATURES
from tests.features.farm import DAY, HOUR, HOURLY, KEPT, poll

NOW = int(time.time())
THIS = NOW // HOUR * HOUR
MEASURED = NOW // DAY * DAY - DAY


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> CliRunner:
    folder = tmp_path_factory.mktemp("host")
    store = EmbeddedStore(folder / "data" / "lake")
    with OnlineStore(folder / "data" / ONLINE_FEATURES) as online:

        def follow(now: int) -> None:
            roll_up(store, now, measurements=["miner_telemetry"], retention_days=KEPT)
            publish(store, folder / "data" / "lake", online, now, KEPT, views=[HOURLY, VIEWS["market"]])

        follow(THIS - 4 * HOUR)
        poll(store, ["m1"], THIS - 3 * HOUR, 1e14, at=THIS - 2 * HOUR)
        price: dict[str, Sequence[Value]] = {"coin_id": ["bitcoin"], "source": ["coingecko"], "price_usd": [90_000.0]}
        store.write([build_frame("market_data", [THIS - 5 * HOUR], price)])
        follow(THIS - 2 * HOUR + 300)
        poll(store, ["m1"], THIS - 3 * HOUR, 5e13, at=THIS - HOUR)
        follow(THIS - HOUR + 300)
    drift: dict[str, Sequence[Value]] = {
        "view": [HOURLY.stored_name] * 2,
        "feature": ["power_w", "hashrate_hs"],
        "psi": [0.01, 0.3],
    }
    store.write(
        [build_frame("feature_drift", [MEASURED] * 2, {**drift, "status": ["stable", "drifted"], "psi": [0.01, 0.3]})]
    )
    store.close()
    (folder / "data_collection_config.yaml").write_text("miners: []\n")
    return CliRunner(env={"LODELINE_CONFIG": str(folder), "LODELINE_DATA_DIRECTORY": str(folder / "data")})


def asked(runner: CliRunner, *arguments: str) -> list[dict[str, object]]:
    result = runner.invoke(app, ["features", *arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    rows: list[dict[str, object]] = json.loads(result.stdout)
    return rows


def iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_views_and_what_they_are_made_of(runner: CliRunner) -> None:
    views = {row["view"]: row for row in asked(runner, "list")}
    assert set(views) == set(VIEWS)
    assert views["miner_hourly"]["published_until"] == iso(THIS - HOUR + 300)
    assert views["network"]["published_until"] is None
    told = {row["feature"]: row for row in asked(runner, "describe", "miner_hourly")}
    assert told["energy_j"]["made_of"] == "miner_telemetry_hourly.power_w_integral"
    assert (told["energy_j"]["unit"], told["site"]["made_of"]) == ("J", "miner_telemetry_hourly.site")


def test_values_as_they_were_known(runner: CliRunner) -> None:
    for at, rate, known in (
        (THIS - 2 * HOUR + 299, None, None),
        (THIS - 2 * HOUR + 300, 1e14, iso(THIS - 2 * HOUR + 300)),
        (THIS - HOUR + 300, 5e13, iso(THIS - HOUR + 300)),
    ):
        (row,) = asked(runner, "get", "miner_hourly", "m1", "--at", str(at))
        assert (row["hashrate_hs"], row["known"]) == (rate, known)
    (now,) = asked(runner, "get", "miner_hourly", "m1")
    (online,) = asked(runner, "online", "miner_hourly")
    assert now.pop("at")
    assert online.pop("at")
    assert now == online
    assert "ambient_temp_c=missing" in str(now["reasons"])


def test_every_version_of_a_row(runner: CliRunner) -> None:
    rows = asked(runner, "history", "miner_hourly", "m1", "--feature", "hashrate_hs", "--from", iso(THIS - DAY))
    assert [row["hashrate_hs"] for row in rows] == [1e14, 5e13]
    assert {row["time"] for row in rows} == {iso(THIS - 2 * HOUR)}
    assert asked(runner, "history", "miner_hourly", "m1", "--to", iso(THIS - DAY)) == []


def test_people_get_a_line_a_feature(runner: CliRunner) -> None:
    result = runner.invoke(app, ["features", "online", "market", "bitcoin/coingecko"])
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stdout.splitlines() if " price_usd " in line]
    assert line.split() == ["bitcoin/coingecko", "price_usd", "USD", "expired"]
    assert f"row of {iso(THIS - 5 * HOUR)}, known since {iso(THIS - 2 * HOUR + 300)}" in result.stderr


def test_a_file_of_labels_gets_what_was_known_then(runner: CliRunner, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(f"miner_id,time,label\nm1,{THIS - HOUR},bad\nm9,{THIS - HOUR},good\n")
    rows = asked(runner, "join", "miner_hourly", "--labels", str(labels), "--feature", "hashrate_hs")
    assert [(row["label"], row["hashrate_hs"], row["miner_hourly_reason"]) for row in rows] == [
        ("bad", 1e14, None),
        ("good", None, "absent"),
    ]


def test_drift_comes_worst_first(runner: CliRunner) -> None:
    rows = asked(runner, "drift", "miner_hourly")
    assert [(row["feature"], row["status"], row["unit"]) for row in rows] == [
        ("hashrate_hs", "drifted", "H/s"),
        ("power_w", "stable", "W"),
    ]
    assert asked(runner, "drift") == rows
    assert asked(runner, "drift", "market") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "miner_hurly", "m1"], "There is no feature view 'miner_hurly'"),
        (["get"], "get of which view?"),
        (["history", "market"], "history of which entity?"),
        (["join", "market"], "join with what?"),
        (["join", "market", "--labels", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["get", "market", "bitcoin"], "Write COIN_ID/SOURCE"),
        (["online", "market", "bitcoin"], "Write COIN_ID/SOURCE"),
        (["history", "miner_hourly", "m1", "--feature", "hash"], "has no feature 'hash'"),
        (["get", "miner_hourly", "m1", "--at", "noon"], "'noon' is not a time"),
    ],
)
def test_mistakes_get_one_line(runner: CliRunner, arguments: list[str], said: str) -> None:
    result = runner.invoke(app, ["features", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_nothing_published_is_said(tmp_path: Path) -> None:
    runner = CliRunner(env={"LODELINE_DATA_DIRECTORY": str(tmp_path)})
    for arguments in (["list"], ["online", "miner_hourly"]):
        result = runner.invoke(app, ["features", *arguments])
        assert (result.exit_code, "Nothing is published" in result.stderr) == (0, True)
