"""The guard of the disk as a flow, and secrets of accesses in blocks, on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from storage.influx.provisioning.server import Minted
from storage.spool.lane import LaneReader
from tests.prefect_server import PrefectServer

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]


async def test_a_run_measures_records_acts_and_keeps_the_logs(api: PrefectServer, tmp_path: Path, monkeypatch) -> None:
    from flows.guard_disk import guard_disk

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LODELINE_DISK__COMPACT_BELOW_PERCENT", "100")  # due, and not deployed here
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "flow.2020-01-01.log").write_text("old")
    state = await guard_disk(str(tmp_path), return_state=True)
    assert state.is_completed(), state.message
    assert state.message is not None
    assert "1 logs deleted" in state.message
    assert not (tmp_path / "logs" / "flow.2020-01-01.log").exists()
    (lane,) = (tmp_path / "spool").glob("disk-*")
    (spooled,) = LaneReader(lane).records_after(0, 10_000)
    assert [frame.measurement for frame in spooled.batch.frames] == ["pipeline_disk", "pipeline_volume"]
    assert spooled.batch.frames[1].columns["actions"] == ["compact"]


async def test_flows_find_the_token_of_a_host_in_its_block(api: PrefectServer, monkeypatch) -> None:
    from prefect.blocks.system import Secret

    from deployments.kept_secrets import PrefectBlocks
    from flows.secret_blocks import from_secret_block

    monkeypatch.setenv("PREFECT_API_URL", api.url)
    keeper = PrefectBlocks()
    await asyncio.to_thread(keeper.check)
    try:
        for secret in ("first", "anew"):
            where = await asyncio.to_thread(keeper.keep, Minted("host", SecretStr(secret)))
            assert secret not in where
        assert await asyncio.to_thread(from_secret_block, "LODELINE_INFLUX__TOKEN") == "anew"
        await asyncio.to_thread(keeper.keep, Minted("writer", SecretStr("another")))
        assert await asyncio.to_thread(from_secret_block, "LODELINE_INFLUX__TOKEN_WRITER") == "another"
        assert await asyncio.to_thread(from_secret_block, "LODELINE_INFLUX__TOKEN") == "anew"
    finally:  # all flows of this server would find them
        for block in ("lodeline-influx--token", "lodeline-influx--token-writer"):
            await Secret.adelete(block)
