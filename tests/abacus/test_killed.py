"""Killed at any point, before or after a call or a write of the journal, and begun anew: everything is there once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployments.farm.abacus.server import FakeAbacus
from tasks.abacus.exporting import register_groups
from tasks.abacus.refresh_policies import policy_states
from tests.abacus import test_monitors as monitors
from tests.abacus import test_predictions as predictions
from tests.abacus import test_refresh_policies as policies
from tests.abacus import test_retraining as retraining
from tests.abacus import test_streaming as streaming
from tests.abacus.conftest import KEY, T0, Host, keys_of, view_rows
from tests.abacus.stepped import Killed, Killer, SteppedAbacus
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import T


@dataclass(frozen=True)
class Work:
    """``begin`` makes the process that ``run`` lets run; every ``stride``-th point is one to die at, ``least`` of them
    there are. ``runs`` so often after the kill all is as ``once`` says. Strides are odd, so that the sides before and
    after come in turn; bench and faults take more points.
    """

    begin: Callable[[FakeAbacus, Path], Any]
    run: Callable[[Any], object]
    once: Callable[[FakeAbacus, Any], None]
    stride: int
    least: int
    runs: int = 1
    fake: dict[str, Any] = field(default_factory=dict)


def _exporting(fake: FakeAbacus, root: Path) -> Host:
    host = Host(fake, root, view_rows(30))
    host.part_bytes = 1_500
    return host


def _exported_once(fake: FakeAbacus, host: Host) -> None:
    # three miners of each of ten hours from 09:00 on
    assert [key for key, _ in keys_of(fake)] == sorted(
        f"miner_{miner:02d}|2025-10-09T{hour:02d}:00:00Z" for hour in range(9, 19) for miner in range(3)
    )
    assert fake.group("miner_telemetry")["tags"][0] == "owner:lodeline"
    assert host.run().watermark == T0


def _streaming(fake: FakeAbacus, root: Path) -> streaming.Streaming:
    store = MemoryStore()
    streaming.readings(store, T, T + 1800)
    host = streaming.Streaming(fake, root, store)
    host.run(T + 300 + 31)
    return host


def _streamed_once(_: FakeAbacus, host: streaming.Streaming) -> None:
    assert host.keys() == streaming.expected(range(5, 20, 5))


def _predicting(fake: FakeAbacus, root: Path) -> predictions.Host:
    predictions.deploy(fake)
    return predictions.Host(fake, root)


def _predicted_once(fake: FakeAbacus, host: predictions.Host) -> None:
    assert host.rows() == predictions.EXPECTED
    assert len(fake.backend.shelf.every("batchPredictionVersion")) == 1


def _monitoring(fake: FakeAbacus, root: Path) -> monitors.Host:
    return monitors.Host(fake, root, monitors.exported_rows()[::30])


def _monitored_once(fake: FakeAbacus, host: monitors.Host) -> None:
    assert len(fake.backend.shelf.every("modelMonitor")) == 1
    assert len(fake.backend.shelf.every("modelMonitorVersion")) == 1
    assert set(host.told()) == {"hashrate_hs", "power_w"}


def _retraining(fake: FakeAbacus, root: Path) -> retraining.Host:
    retraining.put_model(fake)
    return retraining.Host(fake, root)


def _retrained_once(fake: FakeAbacus, host: retraining.Host) -> None:
    assert len(fake.backend.shelf.every("modelVersion")) == 2
    assert host.entered() == [("retrained", "hashrate", "modelVersion_1")]


class _Policies:
    """A process that mends policies: one of ours there is about something else, and it is to be paused."""

    def __init__(self, fake: FakeAbacus, _: Path) -> None:
        self.fake = fake
        self.step: Callable[[], None] = lambda: None
        self.told = policies.said(fake, [policies.FEATURES | {"paused": True}])
        register_groups(self.told, policies.at(fake))
        old = policies.policy("x", "lodeline_production_features", "0 1 * * *", modelIds=["m"])
        fake.backend.shelf.put("refreshPolicy", "x", old)

    def run(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasks.abacus.registration.Abacus", SteppedAbacus)
            patch.setattr(SteppedAbacus, "host", self, raising=False)
            policy_states(self.told, policies.at(self.fake), mend=True)


def _mended_once(fake: FakeAbacus, _: _Policies) -> None:
    (one,) = policies.ours(fake)
    assert (one["paused"], one["refreshType"], one["modelIds"]) == (True, "FEATUREGROUP", [])


WORKS = {
    "export": Work(_exporting, Host.run, _exported_once, 17, 5, fake={"least_part_bytes": 1_500}),
    "stream": Work(_streaming, lambda host: host.run(T + 900 + 31), _streamed_once, 5, 3),
    "prediction": Work(
        _predicting, predictions.Host.run, _predicted_once, 5, 5, 2, {"predicts": lambda _: predictions.LINES}
    ),
    "monitor": Work(_monitoring, monitors.Host.run, _monitored_once, 13, 4),
    "retraining": Work(_retraining, retraining.Host.run, _retrained_once, 1, 9, 2),
    "policies": Work(_Policies, _Policies.run, _mended_once, 1, 9),
}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_killed_at_any_point_everything_is_there_once(work: Work, tmp_path: Path) -> None:
    for kills, point in enumerate(range(0, 1_000, work.stride)):
        with FakeAbacus(KEY, **work.fake) as fake:
            host = work.begin(fake, tmp_path / str(point))
            host.step = killer = Killer(point)
            try:
                work.run(host)
            except Killed:
                host.step = lambda: None
            else:
                assert killer.seen <= point
                assert kills >= work.least
                return
            for _ in range(work.runs):
                work.run(host)
            work.once(fake, host)
    pytest.fail("it never ended")
