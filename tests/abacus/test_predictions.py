"""Batch predictions of the fake: started once a cycle, fetched through faults and kills, written and scored once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.declaration import MEASUREMENTS, Tier
from storage.errors import ConfigurationError, NeedsHuman, TryAgain
from tasks.abacus.batch_prediction import BatchPrediction, PredictionReport
from tasks.abacus.prediction import Prediction, predictions_of
from tasks.abacus.prediction_rows import fetched_rows
from tasks.abacus.prediction_scores import scores
from tasks.abacus.registration import Registry
from tasks.abacus.settings import AbacusSettings
from tests.abacus.conftest import KEY, MINER, T0, endpoints_of
from tests.abacus.stepped import SteppedAbacus, SteppedFile
from tests.downsample.memory_store import MemoryStore

AT = {hour: f"2025-10-09T{9 + hour:02d}:00:00Z" for hour in range(6)}  # T0 is 09:00
LINES = [
    {"miner_id": f"m{miner}", "timestamp": AT[hour], "predicted": 100.0 + hour + miner}
    for miner in range(2)
    for hour in range(4)
]
"""Of each miner four lines, the first about T0 itself, which is over when the batch begins."""


def settings(url: str = "http://127.0.0.1:9", **said: Any) -> AbacusSettings:
    one = {
        "name": "hashrate_ahead", "deployment_id": "deployment_1", "feature_group": "miner_telemetry",
        "feature": "hashrate_th_s", "value_column": "predicted",
    }  # fmt: skip
    return AbacusSettings.model_validate(
        {
            "general": {"project_id": "mining", "api_key": KEY, "api_url": url},
            "data_ingestion": {"timeout_seconds": 60, "max_retries": 1},
            "feature_groups": [MINER],
            "predictions": [one | said],
        }
    )


def prediction(**said: Any) -> Prediction:
    (found,) = predictions_of(settings(**said))
    return found


class Host:
    """A process that fetches; it can be begun anew as often as it is killed."""

    def __init__(self, fake: FakeAbacus, root: Path) -> None:
        self.fake, self.root, self.store = fake, root, MemoryStore()
        self.now = T0 + 60
        self.step: Callable[[], None] = lambda: None

    def run(self) -> PredictionReport:
        said = settings(self.fake.url)
        endpoints = endpoints_of(said)
        abacus = SteppedAbacus(SecretStr(KEY), endpoints, said.data_ingestion, sleep=lambda _: None)
        abacus.host = self
        try:
            project = Registry(abacus, "mining", "test").project.require()
            file = SteppedFile(self.root, "hashrate_ahead")
            file.host = self
            (one,) = predictions_of(said)
            job = BatchPrediction(
                abacus, one, project, file, self.store, tries=2, clock=lambda: float(self.now), chunk_bytes=100
            )
            return job.run()
        finally:
            abacus.close()

    def rows(self) -> list[tuple[str, int, str, float | None]]:
        table = self.store.read(MEASUREMENTS["prediction"], Tier.RAW, 0, T0 * 2)
        return [
            (row["entity"], (int(row["time"].timestamp()) - T0) // 3600, row["lead"], row["value"])
            for row in table.to_pylist()
        ]


def deploy(fake: FakeAbacus) -> None:
    fake.backend.shelf.put("project", "project_1", {"projectId": "project_1", "name": "mining"})
    fake.backend.shelf.put("deployment", "deployment_1", {"deploymentId": "deployment_1", "projectId": "project_1"})


@pytest.fixture
def fake():
    with FakeAbacus(KEY, predicts=lambda _: LINES) as fake:
        deploy(fake)
        yield fake


# by hand: a batch of 09:01 about 10:00 looks 59 minutes ahead, 0 whole hours
EXPECTED = [(f"m{miner}", hour, f"{hour - 1}h", 100.0 + hour + miner) for miner in range(2) for hour in (1, 2, 3)]


def test_a_batch_is_fetched_in_chunks_once_a_cycle(fake, tmp_path):
    host = Host(fake, tmp_path)
    report = host.run()
    assert (report.started, report.batches, report.rows, report.past, report.rejected) == (True, 1, 6, 2, 0)
    assert host.rows() == EXPECTED
    assert fake.count("downloadBatchPredictionResultChunk") > 2
    (row, *_) = host.store.read(MEASUREMENTS["prediction"], Tier.RAW, 0, T0 * 2).to_pylist()
    assert (row["unit"], row["feature"], row["lead_s"]) == ("TH/s", "miner_telemetry.hashrate_th_s", 3540)
    assert (row["model"], row["batch"]) == ("version of deployment_1", "batchPredictionVersion_1")
    assert not host.run().started  # the cycle of a day has had its batch
    host.now += 86_400
    assert host.run().started
    assert (fake.count("startBatchPrediction"), fake.count("createBatchPrediction")) == (2, 1)
    assert not list(tmp_path.rglob("batch-*"))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("lost", "startBatchPrediction"),
        ("error_500", "startBatchPrediction"),
        ("outage", "startBatchPrediction"),
        ("rate_limited", "describeBatchPredictionVersion"),
        ("html", "downloadBatchPredictionResultChunk"),
        ("torn", "downloadBatchPredictionResultChunk"),
        ("error_500", "downloadBatchPredictionResultChunk"),
        ("prediction_failed", "describeBatchPredictionVersion"),
    ],
)
def test_whatever_goes_wrong_every_prediction_is_there_once(fake, tmp_path, kind, method):
    host = Host(fake, tmp_path)
    fake.faults.add(Fault(kind, method))
    for _ in range(3):
        try:
            host.run()
        except TryAgain:
            continue
    assert host.rows() == EXPECTED
    assert fake.faults.taken == [(method, kind)]
    versions = fake.backend.shelf.every("batchPredictionVersion")
    assert len(versions) == (2 if kind == "prediction_failed" else 1)


def test_failing_again_and_again_waits_for_the_next_cycle(fake, tmp_path):
    host = Host(fake, tmp_path)
    fake.faults.add(Fault("prediction_failed", times=2))
    with pytest.raises(TryAgain, match="the model could not be loaded; another one is started"):
        host.run()
    with pytest.raises(NeedsHuman, match="2 failed in a row"):
        host.run()
    assert not host.run().started
    host.now += 86_400
    host.run()
    assert fake.count("startBatchPrediction") == 3


def test_a_result_that_is_too_short_is_fetched_anew(fake, tmp_path):
    host = Host(fake, tmp_path)
    whole: Callable[[str], bytes | None] = fake.backend.shelf.file

    def short(name: str) -> bytes | None:
        content = whole(name)
        return content[: content.rindex(b"\n", 0, -1) + 1] if content else content

    fake.backend.shelf.file = short
    with pytest.raises(TryAgain, match="7 of 8 predictions are in the result"):
        host.run()
    fake.backend.shelf.file = whole
    host.run()
    assert host.rows() == EXPECTED


def test_lines_of_a_result():
    content = (
        b"miner_id,timestamp,predicted,low\n"
        b"m0,2025-10-09 10:00:00,1.5,1\n"
        b"m1,2025-10-09T10:00:00+00:00,,\n"
        b",2025-10-09T10:00:00Z,1,1\n"
        b"m2,soon,1,1\n"
        b"m3,2025-10-09T10:00:00Z,inf,1\n"
        b"m4,2025-10-09T10:00:00Z,many,1\n"
        b"m0,2025-10-09T10:00:00Z,2.5,2\n"
    )
    fetched = fetched_rows(
        prediction(low_column="low", horizon_hours=24), content, started_at=T0, batch="b", model=None
    )
    assert (fetched.rows, fetched.past, fetched.frame.times) == (7, 0, [T0 + 25 * 3600] * 2)
    columns = fetched.frame.columns
    assert (columns["entity"], columns["value"], columns["low"]) == (["m1", "m0"], [None, 2.5], [None, 2.0])
    assert (columns["lead"], columns["model"]) == (["25h"] * 2, ["unknown"] * 2)
    assert columns["reason"] == ["the deployment gave no value", ""]
    assert sorted((row.record.partition("|")[0], row.reason) for row in fetched.rejected) == [
        ("", "no entity"),
        ("m0", "predicted twice in one result; the last one counts"),
        ("m2", "timestamp is no time"),
        ("m3", "a value is no number"),
        ("m4", "a value is no number"),
    ]
    assert fetched_rows(prediction(), b"", started_at=T0, batch="b", model=None).rows == 0
    with pytest.raises(NeedsHuman, match="the result has no column predicted; it has miner_id, timestamp, value"):
        fetched_rows(prediction(), b"miner_id,timestamp,value\n", started_at=T0, batch="b", model=None)


def test_predictions_beside_what_came():
    store = MemoryStore()
    content = b"miner_id,timestamp,predicted,low,high\n" + b"".join(
        f"m{number},{AT[1]},{value},{low},{high}\n".encode()
        for number, (value, low, high) in enumerate(
            [(110, 90, 120), (110, 105, 120), ("", "", ""), (5, "", ""), (5, 1, 9)]
        )
    )
    made = fetched_rows(prediction(low_column="low", high_column="high"), content, started_at=T0, batch="b", model="v1")
    store.write([made.frame])
    told = store.read(MEASUREMENTS["prediction"], Tier.RAW, 0, T0 * 2)
    actual = pd.DataFrame(
        {"entity": ["m0", "m1", "m2", "m3"], "time": [T0 + 3600] * 4, "actual": [100.0, 100.0, 100.0, 0.0]}
    )
    frame = scores(told, actual)
    columns = frame.columns
    assert columns["entity"] == ["m0", "m1", "m2", "m3", "m4"]
    # by hand: 110 of 100 is 10 too much, a tenth; 100 is within 90..120 and not within 105..120
    assert columns["error"] == [10.0, 10.0, None, 5.0, None]
    assert columns["error_ratio"] == [0.1, 0.1, None, None, None]
    assert columns["inside"] == [True, False, None, None, None]
    assert columns["reason"] == ["", "", "nothing was predicted", "", "what came is not known"]
    assert columns["lead"] == ["1h"] * 5


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"feature_group": "weather"}, "there is no feature group 'weather'; there are miner_telemetry"),
        ({"feature": "luck"}, "group miner_telemetry has no feature 'luck'; it has hashrate_th_s"),
        ({"feature": "model"}, "feature model is of type STRING; only numbers are predicted"),
    ],
)
def test_what_cannot_be_predicted_is_told(said, words):
    with pytest.raises(ConfigurationError, match=r"predictions\[0\] hashrate_ahead") as told:
        predictions_of(settings(**said))
    assert words in str(told.value)


def test_a_deployment_that_is_not_there_is_told(fake, tmp_path):
    fake.backend.shelf.drop("deployment", "deployment_1")
    with pytest.raises(NeedsHuman, match="deployment deployment_1 not found"):
        Host(fake, tmp_path).run()
