"""Where the parts of a batch flow run: threads of its own process, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from storage.errors import NeedsHuman, TryAgain
from storage.settings import BatchSettings

CONNECT_S = 10
"""Longest wait for the scheduler."""


@contextmanager
def batch_task_runner(settings: BatchSettings) -> Iterator[TaskRunner[Any]]:
    """A started task runner. Blocks until the scheduler has answered.

    Raises:
        NeedsHuman: the extra [dask] is not installed.
        TryAgain: the scheduler does not answer.
    """
    if settings.runner == "threads":
        threads: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=settings.at_once)
        with threads:
            yield threads
        return
    if find_spec("prefect_dask") is None:
        raise NeedsHuman(
            "LODELINE_BATCH__RUNNER is dask, but prefect-dask is not installed",
            remedy="Install lodeline[dask], or set it to threads",
        )
    from prefect_dask.task_runners import DaskTaskRunner  # the extra [dask]

    with DaskTaskRunner(address=settings.dask_address, client_kwargs={"timeout": CONNECT_S}) as dask:
        try:
            _ = dask.client  # connects
        except OSError as error:
            raise TryAgain(
                f"The Dask scheduler {settings.dask_address} does not answer within {CONNECT_S} s"
            ) from error
        yield dask
