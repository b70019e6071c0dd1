"""Work of seconds to hours as a task run of Prefect, tried again with growing delays."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from tasks.progress.steps import progress_artifact

Report = TypeVar("Report")


async def as_task(
    name: str,
    work: Callable[[], Awaitable[Report]],
    in_words: Callable[[Report], str],
    *,
    run_name: str | None = None,
    retries: int = 2,
    first_delay_s: int = 30,
    shown_as: str | None = None,
) -> Report:
    """Run ``work`` as task ``name``; what it reports. ``work`` may be run again and goes on then.

    ``in_words`` tells the report in one line, which becomes the message of the task run. ``retries`` follow each other
    after ``first_delay_s`` seconds, twice that, and so on, each half as long again at most, by chance.
    ``shown_as`` is the key of a progress artifact that shows what the work tells by storage.progress.

    Raises:
        Exception: whatever the last try raised.
    """
    reports: list[Report] = []

    @task(
        name=name,
        task_run_name=run_name,
        retries=retries,
        retry_delay_seconds=exponential_backoff(first_delay_s),
        retry_jitter_factor=0.5,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def run() -> State[None]:
        async with contextlib.AsyncExitStack() as shown:
            if shown_as is not None:
                await shown.enter_async_context(progress_artifact(shown_as, name))
            reports.append(await work())
        return Completed(message=in_words(reports[-1]))

    await run()
    return reports[-1]
