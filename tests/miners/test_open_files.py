"""A file for each miner: the limit is raised, or the one that is needed named."""

from __future__ import annotations

import resource

import pytest

from storage.errors import NeedsHuman
from tasks.miners import open_files


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The last entry is the limit; setting appends."""
    found = [(1_024, 4_096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: found.append(limit))
    return found


@pytest.mark.parametrize(("miners", "limit"), [(24, (1_024, 4_096)), (1_000, (1_500, 4_096)), (3_000, (4_000, 4_096))])
def test_the_limit_is_raised_as_needed(limits: list[tuple[int, int]], miners: int, limit: tuple[int, int]) -> None:
    assert open_files.allow_open_files(miners) == limit[0]
    assert limits[-1] == limit


def test_a_limit_too_low_is_named(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(NeedsHuman, match=r"10000 miners need a limit of 12750 open files.*4096.*LimitNOFILE=12750"):
        open_files.allow_open_files(10_000)
    assert limits == [(1_024, 4_096)]
