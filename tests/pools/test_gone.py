"""A pool that has closed, or refuses the account: the account's rows, its standing and the status say so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployments.command.status import in_words
from deployments.farm.http import Response
from deployments.farm.markets.service import Service
from storage.spool.lane import Lane, LaneReader
from tasks.collection_settings import CollectionSettings
from tasks.health.status import read_status
from tasks.pools.sources import open_pool_sources
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tasks.sources.collection import SourceCollection
from tasks.sources.source import Source
from tasks.sources.standing import StandingsFile

SLOT = int(time.time()) // 60 * 60


@contextmanager
def shift(folder: Path, sources: list[Source]) -> Iterator[SourceCollection]:
    with Lane.open(folder / "spool", "pools", cap_bytes=1 << 24) as lane:
        recorder = Recorder(
            lane, folder / "spool" / "pools", Journal(folder / "state", "pools"), host="h", store="embedded",
            sinks=["lake"], run_id="r",
        )  # fmt: skip
        yield SourceCollection(sources, recorder, folder / "state", "pools", last=None, host="h", run_id="r")


def accounts(folder: Path) -> list[tuple[str, str, str]]:
    return [
        (pool, coin, status)
        for record in LaneReader(folder / "spool" / "pools").records_after(0, 1_000_000)
        for frame in record.batch.frames
        if frame.measurement == "pool_account"
        for pool, coin, status in zip(
            frame.columns["pool_id"], frame.columns["coin_id"], frame.columns["status"], strict=True
        )
    ]


async def collected(folder: Path, **sections: Any) -> None:
    settings = CollectionSettings.model_validate(sections)
    sources, _, _ = open_pool_sources(settings, state=folder / "state")
    with shift(folder, sources) as collection:
        try:
            await collection.tick(Slot(SLOT))
        finally:
            await collection.aclose()


async def test_a_pool_that_is_gone_by_configuration_says_so_everywhere(tmp_path: Path) -> None:
    old = {"id": "old", "kind": "viabtc", "state": "gone", "coins": ["litecoin", "dogecoin"]}
    await collected(tmp_path, pools=[old])
    assert accounts(tmp_path) == [("old", "litecoin", "gone"), ("old", "dogecoin", "gone")]
    status = read_status(tmp_path, SLOT + 5.0)
    (lane,) = status.lanes
    assert [(source.source, source.failure) for source in lane.sources] == [("old", "gone")]
    assert not [reason for reason in status.reasons if "answers" in reason], "nobody was asked, and it is meant so"
    words = in_words(status)
    assert "  requests     1 asked, 1 failed (gone 1)" in words
    assert (
        "  old account: gone, never answered: old: the configuration says that this pool has closed (state: gone)"
        in words
    )


async def test_prohashing_that_is_gone_is_neither_asked_nor_listened_to(tmp_path: Path) -> None:
    settings = CollectionSettings.model_validate({"prohashing": {"api_key": "x", "state": "gone"}})
    sources, _, streams = open_pool_sources(settings, state=tmp_path)
    assert ([source.name for source in sources], streams) == (["prohashing"], [])
    await collected(tmp_path, prohashing={"api_key": "x", "state": "gone"})
    (standing,) = StandingsFile(tmp_path / "state", "pools").read()
    assert (standing.source, standing.failure) == ("prohashing", "gone")


@pytest.mark.parametrize(("status", "said"), [(410, "gone"), (401, "refused")])
async def test_what_a_pool_says_of_the_account_is_in_its_rows(tmp_path: Path, status: int, said: str) -> None:
    async with Service(lambda _: Response(status, b"{}")) as service:
        pool = {"id": "ltc", "kind": "litecoinpool", "account": "farm", "api_key": "k", "base_url": service.url}
        await collected(tmp_path, pools=[pool])
    assert accounts(tmp_path) == [("ltc", "litecoin", said)]
    status_of_host = read_status(tmp_path, SLOT + 5.0)
    assert [reason for reason in status_of_host.reasons if "answers" in reason] == (
        [] if said == "gone" else ["lane pools: none of its sources answers"]
    )
    assert any(f"ltc account: {said}, never answered" in line for line in in_words(status_of_host))


async def test_a_pool_that_is_only_away_says_nothing_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.resilience.http.TRIES", 1)
    pool = {"id": "ltc", "kind": "litecoinpool", "account": "farm", "api_key": "k", "base_url": "http://127.0.0.1:9"}
    await collected(tmp_path, pools=[pool])
    assert accounts(tmp_path) == []
