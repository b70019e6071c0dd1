"""What the supervisor tells of shifts that do not begin."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from deployments.up.summary import Requests
from deployments.up.supervisor import Options, Supervisor


class FakeRuns:
    """Runs that ended as told; a server that is away where it is an error."""

    def __init__(self, ended: dict[UUID, str | Exception | None]) -> None:
        self.ended = ended

    async def failure(self, run: UUID) -> str | None:
        found = self.ended[run]
        if isinstance(found, Exception):
            raise found
        return found


async def test_a_lane_of_sources_that_does_not_begin_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    said: list[str] = []
    options = Options(
        config=None, for_s=None, miners=1, seed=1, interval_s=5, dialects=(), services=True, page_port=None,
        prefect_port=None,
    )  # fmt: skip
    supervisor = Supervisor(options, said.append)
    pools, market = uuid4(), uuid4()
    supervisor._unheard = {"pools": pools, "market": market}
    runs = FakeRuns({pools: httpx.ConnectError("away"), market: None})
    await supervisor._tell_failures(runs)  # type: ignore[arg-type]
    assert (said, set(supervisor._unheard)) == ([], {"pools", "market"})
    runs.ended[pools] = "Failed: ca_file cannot be read"
    supervisor._summary.requests["market"] = Requests(asked=1)
    for _ in range(2):
        await supervisor._tell_failures(runs)  # type: ignore[arg-type]
    assert said[0] == "Nothing is collected of pools: the shift ended with Failed: ca_file cannot be read"
    assert (len(said), supervisor._unheard) == (2, {})
