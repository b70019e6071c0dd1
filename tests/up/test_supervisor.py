"""What the supervisor tells of what does not begin: shifts, and the registration before them."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from deployments.up import processes
from deployments.up.simulated import Simulated
from deployments.up.summary import Requests
from deployments.up.supervisor import Options, Supervisor
from storage.errors import NeedsHuman

ONE = Simulated(miners=1, seed=1, interval_s=5, dialects=(), services=True)
OPTIONS = Options(config=None, for_s=None, simulated=ONE, page_port=None, prefect_port=None)


class FakeRuns:
    """Runs that ended as told; a server that is away where it is an error."""

    def __init__(self, ended: dict[UUID, str | Exception | None]) -> None:
        self.ended = ended

    async def failure(self, run: UUID) -> str | None:
        found = self.ended[run]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Supervisor:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    return Supervisor(OPTIONS, said.append, said.append)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("print('no server answers'); raise SystemExit(1)", r"not registered(.|\n)*\| no server answers"),
        ("print('nothing of use')", r"not registered(.|\n)*\| nothing of use"),
    ],
)
async def test_a_registration_that_fails_is_told_in_its_own_words(
    program: str, told: str, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "deploy_command", lambda: ["-c", program])
    with pytest.raises(NeedsHuman, match=told):
        await supervisor._register(os.environ)


async def test_what_was_registered_is_the_line_of_json(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """print('{"pool": "lodeline", "deployments": {}}'); print('a warning')"""
    monkeypatch.setattr(processes, "deploy_command", lambda: ["-c", program])
    assert await supervisor._register(os.environ) == {"pool": "lodeline", "deployments": {}}


async def test_a_lane_of_sources_that_does_not_begin_is_told_once(supervisor: Supervisor, said: list[str]) -> None:
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


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's example names /data, which belongs to root."""
    (tmp_path / "data").write_text("no folder")
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data" / "lodeline"))
    with pytest.raises(NeedsHuman, match=r"cannot be made or written: .*set LODELINE_DATA_DIRECTORY"):
        Supervisor(OPTIONS, print, print)
