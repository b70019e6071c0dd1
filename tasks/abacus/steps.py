"""The export to Abacus.AI as a task run, tried again while the service is away."""

from __future__ import annotations

from collections.abc import Callable

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from storage.settings import StorageSettings
from tasks.abacus.connection import find_endpoints
from tasks.abacus.exporting import GroupResult, export_groups, in_words, raise_troubles
from tasks.abacus.settings import AbacusSettings
from tasks.resilience.interruptible import interruptible

FIRST_DELAY_S = 60


async def export_step(settings: AbacusSettings, storage: StorageSettings) -> list[GroupResult]:
    """Export what is new. Tried again, it goes on where it stopped.

    Raises:
        TryAgain, NeedsHuman: groups were in trouble, each named; all others were exported.
    """
    results: list[GroupResult] = []

    @task(
        name="export_features",
        retries=2,
        retry_delay_seconds=exponential_backoff(FIRST_DELAY_S),
        retry_jitter_factor=0.5,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def run() -> State[None]:
        endpoints = await find_endpoints(settings)

        def work(stop: Callable[[], bool]) -> list[GroupResult]:
            return export_groups(settings, endpoints, storage, stop=stop)

        found = await interruptible(work)
        results.extend(found)
        raise_troubles(found)
        return Completed(message=in_words(found))

    await run()
    return results
