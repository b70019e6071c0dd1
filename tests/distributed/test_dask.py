"""The same roll-up on a Dask cluster of two workers as in threads, also when one of them is killed at work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.errors import NeedsHuman, TryAgain
from storage.frame import build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.settings import BatchSettings
from storage.spool.record import Batch, SpoolRecord
from tests.prefect_server import until

HOUR_S = 3600
ROLLED = ("miner_telemetry", "miner_fan", "miner_board")


def filled(data: Path, stop: int) -> Path:
    """A data directory whose lake has six hours of three measurements."""
    sink = LakeSink(data / "lake", "host")
    times = list(range(stop - 6 * HOUR_S, stop, 300))
    for sequence, name in enumerate(ROLLED, start=1):
        for at, miner in enumerate(("a", "b", "c")):
            columns: dict[str, list[Any]] = {"miner_id": [miner] * len(times)}
            values = [float(n % 17 + at) for n in range(len(times))]
            if name == "miner_telemetry":
                columns |= {"reachable": [True] * len(times), "hashrate_hs": values}
            elif name == "miner_fan":
                columns |= {"fan": ["0"] * len(times), "speed_rpm": [int(value) for value in values]}
            else:
                columns |= {"board": ["0"] * len(times), "hashrate_hs": values}
            frame = build_frame(name, times, columns)
            number = 10 * sequence + at
            sink.deliver([SpoolRecord("miners", number, 0, Batch(f"miners/{number}", times[-1], "run", [frame]))])
    return data


def rolled(data: Path) -> bytes:
    """Everything that was rolled up, as bytes."""
    store = EmbeddedStore(data / "lake")
    stream = pa.BufferOutputStream()
    for name in ROLLED:
        for tier in (Tier.HOURLY, Tier.DAILY):
            table = store.read(MEASUREMENTS[name], tier, 0, 2**32)
            with pa.ipc.new_stream(stream, table.schema) as writer:
                writer.write_table(table.combine_chunks())
    hours = [store.read(MEASUREMENTS[name], Tier.HOURLY, 0, 2**32).num_rows for name in ROLLED]
    assert hours == [18, 18, 18]
    store.close()
    return bytes(stream.getvalue())


async def downsampled(data: Path, monkeypatch, **batch: str) -> None:
    from flows.downsample import downsample

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(data))
    for name in ("RUNNER", "DASK_ADDRESS"):
        monkeypatch.delenv(f"LODELINE_BATCH__{name}", raising=False)
    for name, value in batch.items():
        monkeypatch.setenv(f"LODELINE_BATCH__{name.upper()}", value)
    state = await downsample(return_state=True)
    assert state.is_completed(), state.message


@pytest.mark.usefixtures("api", "collected")
@pytest.mark.prefect
@pytest.mark.faults
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_two_workers_give_the_same_bytes_as_threads_even_when_a_third_is_killed_at_work(
    cluster, tmp_path, monkeypatch
):
    stop = int(time.time()) // HOUR_S * HOUR_S - HOUR_S
    await downsampled(filled(tmp_path / "threads", stop), monkeypatch, runner="threads")
    expected = rolled(tmp_path / "threads")

    cluster.add_worker()
    cluster.add_worker()
    cluster.wait_for(2)
    where = {"runner": "dask", "dask_address": cluster.address}
    await downsampled(filled(tmp_path / "dask", stop), monkeypatch, **where)
    assert rolled(tmp_path / "dask") == expected

    doomed = cluster.add_worker("--preload", str(Path(__file__).with_name("dies_at_its_first_mark.py")))
    cluster.wait_for(3)
    await downsampled(filled(tmp_path / "killed", stop), monkeypatch, **where)
    assert rolled(tmp_path / "killed") == expected
    until(lambda: not doomed.alive, "the worker that dies at work")


def test_a_scheduler_that_does_not_answer_is_tried_again(monkeypatch):
    from flows import batch

    monkeypatch.setattr(batch, "CONNECT_S", 1)
    settings = BatchSettings(runner="dask", dask_address="tcp://127.0.0.1:9")
    with (
        pytest.raises(TryAgain, match=r"scheduler tcp://127.0.0.1:9 does not answer"),
        batch.batch_task_runner(settings),
    ):
        pass


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    from flows import batch

    monkeypatch.setattr(batch, "find_spec", lambda _: None)
    settings = BatchSettings(runner="dask", dask_address="tcp://127.0.0.1:9")
    with pytest.raises(NeedsHuman, match=r"lodeline\[dask\]"), batch.batch_task_runner(settings):
        pass


def test_threads_are_bounded():
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.batch import batch_task_runner

    with batch_task_runner(BatchSettings(at_once=3)) as runner:
        assert isinstance(runner, ThreadPoolTaskRunner)
        assert runner._max_workers == 3


@pytest.mark.parametrize("wrong", [{"runner": "dask"}, {"dask_address": "scheduler:8786"}, {"at_once": 0}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match=r"dask_address|at_once"):
        BatchSettings(**wrong)
