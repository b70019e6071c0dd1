"""Flow runs of one work pool: starting them, seeing which go on, ending what is left over, counting by state."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Scheduled

_UNFINISHED = [
    StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING,
]  # fmt: skip
_PAGE = 200


class Runs:
    """The runs of ``pool`` on the server of PREFECT_API_URL. Close it with :meth:`close`."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._client: PrefectClient = get_client()

    async def open(self) -> Runs:
        """Connect."""
        await self._client.__aenter__()
        return self

    async def close(self) -> None:
        """Disconnect."""
        await self._client.__aexit__(None, None, None)

    async def start(self, deployment: str, *, in_s: float = 0.0) -> UUID:
        """Make a run of ``deployment`` (``flow/name``) that is due in ``in_s`` seconds; its id."""
        found = await self._client.read_deployment_by_name(deployment)
        at: State[None] = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(seconds=in_s))
        return (await self._client.create_flow_run_from_deployment(found.id, state=at)).id

    async def failure(self, run: UUID) -> str | None:
        """State and message of ``run`` if it ended and not well, else None."""
        state = (await self._client.read_flow_run(run)).state
        if state is None or not state.is_final() or state.is_completed():
            return None
        return f"{state.name}: {state.message}"

    async def due(self, *, unfinished: bool = False) -> list[FlowRun]:
        """Runs that were due by now, or only those of them that have not ended."""
        wanted = FlowRunFilter(
            expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)) if unfinished else None,
        )
        runs: list[FlowRun] = []
        while page := await self._client.read_flow_runs(
            flow_run_filter=wanted,
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._pool])),
            limit=_PAGE,
            offset=len(runs),
        ):
            runs += page
        return runs

    async def cancel(self, runs: list[FlowRun], why: str) -> None:
        """Set ``runs`` to Cancelled, whatever they are. Their processes are told nothing; Cancelled starts no rerun."""
        for run in runs:
            await self._client.set_flow_run_state(run.id, Cancelled(message=why), force=True)

    async def pause(self, paused: bool) -> None:
        """Let the workers of the pool start no further run, or again."""
        await self._client.update_work_pool(self._pool, WorkPoolUpdate(is_paused=paused))

    async def count_by_state(self, since: float) -> dict[str, int]:
        """Number of runs that were made after ``since`` (Unix seconds) and due by now, by type of state."""
        ours = [run for run in await self.due() if run.created is not None and run.created.timestamp() >= since]
        return dict(sorted(Counter((run.state_type or StateType.PENDING).value.lower() for run in ours).items()))
