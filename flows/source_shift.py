"""A shift over sources, as the flows of pools and of markets share it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import State, runtime
from prefect.states import Cancelled, Completed, Crashed

from flows.settings import FlowSettings
from storage.opening import open_sinks
from tasks.health.sampling import Sampling
from tasks.overrides.file import paused_now
from tasks.shift.baton import Baton, NotNeeded
from tasks.shift.delivering import Delivering
from tasks.shift.journal import Journal
from tasks.shift.shift import End, Terms, serve
from tasks.shift.steps import look_at_own_run, tick_step
from tasks.shift.watchdog import Watchdog
from tasks.sources.budget import Budget
from tasks.sources.collection import open_sources
from tasks.sources.paces import Paces
from tasks.sources.source import Source, Stream
from tasks.sources.steps import place_at_limit
from tasks.sources.streaming import streaming

FLUSH_S = 5.0
"""What an orderly end gives the stores to take what is left. The rest stays spooled for the next shift."""


def paces_of(settings: FlowSettings) -> Paces:
    """The paces of this host; where several share accounts, by limits of the Prefect server."""
    hosts = settings.collection.sharing.hosts
    return Paces(settings.storage.state_directory, hosts=hosts, ask=place_at_limit if hosts > 1 else None)


async def source_shift(
    lane: str,
    sources: Sequence[Source],
    settings: FlowSettings,
    *,
    budgets: Mapping[str, Budget],
    paces: Paces,
    streams: Sequence[Stream] = (),
    least_minutes: float,
) -> State[Any]:
    """Be on shift over ``sources`` and ``streams`` until the next run relieves this one."""
    if not sources and not streams:
        Journal(settings.storage.state_directory, lane).retire()  # it had some, once
        return Completed(name="Skipped", message=f"no source of {lane} is configured")
    storage, host = settings.storage, settings.host
    sinks = open_sinks(storage, host)
    names = [sink.name for sink in sinks]
    delivering = Delivering(storage.spool_directory, sinks, host)
    flush_s = 0.0  # a run that is being killed has no time
    try:
        async with (
            Baton(storage.lock_directory, lane).held() as baton,
            open_sources(
                lane,
                sources,
                budgets=budgets,
                paces=paces,
                storage=storage,
                host=host,
                sinks=names,
                run_id=runtime.flow_run.id,
            ) as collection,
            streaming(streams, collection.push, paused=paused_now(storage.state_directory)),
        ):
            delivering.start()
            usual_s = collection.slots.usual_s
            with (
                Sampling(storage, host=host, run_id=runtime.flow_run.id),
                Watchdog.for_ticks(usual_s, storage.state_directory / f"{lane}.stacks.txt") as watchdog,
            ):
                tick = tick_step(f"{lane}_tick", collection.tick, usual_s)
                terms = Terms(least_s=60 * least_minutes)
                end = await serve(baton, collection.slots, tick, look=look_at_own_run, watchdog=watchdog, terms=terms)
        flush_s = FLUSH_S
    except NotNeeded as reason:
        return Completed(name="Skipped", message=str(reason))
    finally:  # after lane and baton are free: a slow store must not delay the next shift
        await asyncio.to_thread(delivering.end, flush_s)
    if end is End.CANCELLED:
        return Cancelled(message=str(end))
    return Crashed(message=str(end)) if end is End.OVERDUE else Completed(message=str(end))
