"""The shift that polls the miners: long-lived, handed over without a gap, at work while the Prefect server is away."""

from __future__ import annotations

import asyncio

from prefect import State, flow, runtime
from prefect.states import Cancelled, Completed, Crashed

from flows import settings as flow_settings
from storage.opening import open_sinks
from tasks.derive.anomaly.watch_file import watching_of
from tasks.health.sampling import Sampling
from tasks.miners.collection import open_collection
from tasks.miners.sites import lane_of, miners_of, retire_lanes
from tasks.miners.steps import telling
from tasks.shift.baton import Baton, NotNeeded
from tasks.shift.delivering import Delivering
from tasks.shift.shift import End, Terms, serve
from tasks.shift.steps import look_at_own_run, tick_step
from tasks.shift.watchdog import Watchdog

FLUSH_S = 5.0
"""What an orderly end gives the stores to take what is left. The rest stays spooled for the next shift."""


@flow(name="collect-miners")
async def collect_miners(config: str | None = None, least_minutes: float = 5.0, site: str | None = None) -> State[None]:
    """Be on shift until the next run relieves this one: each tick polls, spools and reports.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
        least_minutes: shortest service, so that runs that start together do not relieve each other in turn.
        site: the site whose miners are polled; all miners by default.
    """
    settings = await flow_settings.load("collect_miners", config)
    storage, host, wanted = settings.storage, settings.host, settings.collection
    miners_here, lane = miners_of(wanted.miners, site), lane_of(site)
    await asyncio.to_thread(retire_lanes, storage.state_directory, storage.lock_directory, lane, wanted.sites)
    watching = watching_of(await flow_settings.real_time_or_default(config))
    sinks = open_sinks(storage, host)
    names = [sink.name for sink in sinks]
    delivering = Delivering(storage.spool_directory, sinks, host)
    flush_s = 0.0  # a run that is being killed has no time
    try:
        async with (
            Baton(storage.lock_directory, lane).held() as baton,
            open_collection(
                miners_here,
                limits=wanted.fleet,
                storage=storage,
                host=host,
                sinks=names,
                run_id=runtime.flow_run.id,
                watching=watching,
                lane=lane,
            ) as miners,
        ):
            del settings, wanted, miners_here  # a shift is long, and of ten thousand miners they are large
            delivering.start()
            stacks = storage.state_directory / f"{lane}.stacks.txt"
            with (
                Sampling(storage, host=host, run_id=runtime.flow_run.id),
                Watchdog.for_ticks(miners.slots.usual_s, stacks) as watchdog,
            ):
                tick = tick_step("collect_tick", telling(miners), miners.slots.usual_s)
                terms = Terms(least_s=60 * least_minutes)
                end = await serve(baton, miners.slots, tick, look=look_at_own_run, watchdog=watchdog, terms=terms)
        flush_s = FLUSH_S
    except NotNeeded as reason:
        return Completed(name="Skipped", message=str(reason))
    finally:  # after lane and baton are free: a slow store must not delay the next shift
        await asyncio.to_thread(delivering.end, flush_s)
    if end is End.CANCELLED:
        return Cancelled(message=str(end))
    return Crashed(message=str(end)) if end is End.OVERDUE else Completed(message=str(end))
