"""One miner's configuration, read outside of a shift because something happened to it, in a spool lane of its own."""

from __future__ import annotations

import asyncio

import httpx

from storage.errors import TryAgain
from storage.records.miner import MinerConfiguration, configuration_frames
from storage.settings import StorageSettings
from storage.spool.lane import Lane
from storage.spool.record import Batch
from tasks.miners.driver import PollFailure
from tasks.miners.drivers import DRIVERS
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for

LANE = "configuration"
_CONNECT_S, _DEADLINE_S = 5.0, 15.0
"""Longer than a tick allows: nobody waits for it, and a miner that boots is slow."""


async def read_configuration(
    storage: StorageSettings, miner: MinerSettings, *, slot: int, run_id: str
) -> MinerConfiguration:
    """Read what ``miner`` is set to; durable in the spool when it returns, delivered by the shift of this host.

    Raises:
        TryAgain: the miner gave no answer, or another process writes the lane.
        NeedsHuman: the spool cannot take it.
    """
    target = miner.target()
    transport = transport_for(httpx.URL(target.base_url), connect_timeout_s=_CONNECT_S, deadline_s=_DEADLINE_S)
    try:
        async with asyncio.timeout(2 * _DEADLINE_S):
            record = await DRIVERS[miner.driver].session(target, transport).configuration(slot)
    except TimeoutError as error:
        raise TryAgain(f"miner {miner.id}: no configuration within {2 * _DEADLINE_S:g} s") from error
    except PollFailure as failure:
        raise TryAgain(f"miner {miner.id}: no configuration: {failure}") from failure
    finally:
        await transport.aclose()
    batch = Batch(f"{LANE}/{miner.id}/{slot}", slot, run_id, configuration_frames([record]))
    await asyncio.to_thread(_spool, storage, batch)
    return record


def _spool(storage: StorageSettings, batch: Batch) -> None:
    with Lane.open(storage.spool_directory, LANE, cap_bytes=storage.spool.cap_bytes) as lane:
        lane.append(batch)
