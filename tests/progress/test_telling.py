"""Who tells is heard by who listens, across threads, and by nobody else; long work tells as it goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from storage.across_tiers import AcrossTiers
from storage.declaration import BUCKETS
from storage.erasure.entity import Entity
from storage.erasure.proof import search
from storage.lake.maintenance import maintain
from storage.progress import listening, told
from tests.downsample.memory_store import MemoryStore
from tests.downsample.test_run import DAY, HOUR, TELEMETRY, T
from tests.progress.heard import heard, rises


async def test_threads_and_tasks_are_heard() -> None:
    with heard() as found:
        await asyncio.to_thread(told, 1, 4, "in a thread")
        await asyncio.gather(asyncio.create_task(asyncio.to_thread(told, 2, 4, "in a task")))
    told(3, 4, "after it")
    assert found == [(0.25, "in a thread"), (0.5, "in a task")]


def test_parts_stay_between_nothing_and_all() -> None:
    with heard() as found:
        for done, of in ((-1, 4), (0, 0), (5, 4)):
            told(done, of)
    assert [part for part, _ in found] == [0, 1, 1]


def test_the_inner_listener_alone_hears() -> None:
    inner: list[float] = []
    with heard() as outer, listening(lambda part, _: inner.append(part)):
        told(1, 2)
    assert (inner, outer) == ([0.5], [])


def test_the_upkeep_of_the_lake(tmp_path: Path) -> None:
    with heard() as found:
        maintain(tmp_path, T)
    assert rises(found, at_least=30)
    assert any(what == "miner_telemetry_hourly" for _, what in found)


def test_a_question_of_windows() -> None:
    across = AcrossTiers(MemoryStore(), None, {name: bucket.retention_days for name, bucket in BUCKETS.items()}, T)
    with heard() as found:
        across.read(TELEMETRY, T - 90 * DAY, T, resolution_s=HOUR, columns=["power_w"])
    assert rises(found, at_least=3)
    with heard() as found:
        list(across.in_parts(TELEMETRY, T - 90 * DAY, T, columns=["power_w"]))
    assert found == [], "who takes it in parts tells"


def test_a_search_for_a_name(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.log").write_text("m1")
    with heard() as found:
        assert len(search([tmp_path], Entity({"miner_id": "m1"}), whole=True).hits) == 5
    assert rises(found, at_least=5)
