"""Artifacts of a real Prefect server: they follow the work, end with it, and never stop it."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from prefect.artifacts import acreate_progress_artifact

from storage.progress import told
from tasks.progress import steps
from tasks.resilience.steps import as_task

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]


async def artifacts(key: str) -> list[tuple[str, Any, str]]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return [(one.type or "", one.data, one.description or "") for one in found]


async def run(key: str, work: Any) -> Any:
    from prefect import flow

    @flow
    async def shows() -> Any:
        return await as_task("works", work, str, retries=0, shown_as=key)

    return await shows(return_state=True)


async def test_it_follows_the_work(api: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(steps, "EVERY_S", 0.01)
    seen: list[list[tuple[str, Any, str]]] = []
    there = asyncio.Event()

    async def created(*arguments: Any, **named: Any) -> Any:
        artifact = await acreate_progress_artifact(*arguments, **named)
        there.set()
        return artifact

    monkeypatch.setattr(steps, "acreate_progress_artifact", created)

    async def work() -> str:
        await asyncio.to_thread(told, 1, 4, "first table")
        await there.wait()
        seen.append(await artifacts("progress-a"))
        await asyncio.to_thread(told, 2, 4, "second table")
        return "done"

    assert (await run("progress-a", work)).is_completed()
    assert seen == [[("progress", 25.0, "works: first table")]]
    assert await artifacts("progress-a") == [("progress", 100.0, "works")]


async def test_where_work_fails_it_stops(api: object) -> None:
    async def work() -> str:
        told(1, 4, "first table")
        raise ValueError("broken")

    assert (await run("progress-b", work)).is_failed()
    assert await artifacts("progress-b") == [("progress", 25.0, "works: first table")]


async def test_work_that_tells_nothing_shows_nothing(api: object) -> None:
    async def work() -> str:
        return "done"

    assert (await run("progress-c", work)).is_completed()
    assert await artifacts("progress-c") == []


async def test_a_server_that_is_away_does_not_stop_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(steps, "acreate_progress_artifact", refused)
    with caplog.at_level(logging.INFO, logger=steps.__name__):
        async with steps.progress_artifact("progress-d", "works"):
            told(1, 2)
    assert "does not take how far progress-d is: refused" in caplog.text
