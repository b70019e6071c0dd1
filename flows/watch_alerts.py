"""The shift that watches: every minute it looks at everything this host can see, tells who is to be told, and does what
it was told to do about it."""

from __future__ import annotations

from functools import partial
from typing import Any

from prefect import State, flow
from prefect.states import Cancelled, Completed, Crashed

from flows import settings as flow_settings
from storage.opening import open_store
from tasks.alerts import LANE
from tasks.alerts.channels import send
from tasks.alerts.steps import look_step
from tasks.alerts.watch import Watch
from tasks.responses.responding import Responder
from tasks.responses.steps import then_respond
from tasks.shift.baton import Baton, NotNeeded
from tasks.shift.shift import End, Terms, serve
from tasks.shift.slots import Slots
from tasks.shift.steps import look_at_own_run
from tasks.shift.watchdog import Watchdog


@flow(name="watch-alerts")
async def watch_alerts(config: str | None = None, least_minutes: float = 5.0) -> State[Any]:
    """Be on shift until the next run relieves this one. What was seen and told is kept in the book of alerts.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
        least_minutes: shortest service, so that runs that start together do not relieve each other in turn.
    """
    settings = await flow_settings.load("watch_alerts", config)
    storage, collection = settings.storage, settings.collection
    if not collection.alerts.enabled:
        return Completed(name="Skipped", message="alerts.enabled is false")
    watch = Watch(
        partial(open_store, storage),
        storage.data_directory,
        miners=collection.miners,
        pool_ids=collection.pool_ids,
        closed_pool_ids=collection.closed_pool_ids,
        settings=collection.alerts,
        send=send,
        several_hosts=bool(collection.sites),
    )
    responder = Responder(
        partial(open_store, storage),
        storage.data_directory,
        host=settings.host,
        miners=collection.miners,
        settings=collection.responses,
        alerts=collection.alerts,
        several_hosts=bool(collection.sites),
    )
    tick = then_respond(look_step(watch), responder)
    usual_s = collection.alerts.check_interval_seconds
    try:
        async with Baton(storage.lock_directory, LANE).held() as baton:
            with Watchdog.for_ticks(usual_s, storage.state_directory / f"{LANE}.stacks.txt") as watchdog:
                terms = Terms(least_s=60 * least_minutes)
                slots = Slots(usual_s)
                end = await serve(baton, slots, tick, look=look_at_own_run, watchdog=watchdog, terms=terms)
    except NotNeeded as reason:
        return Completed(name="Skipped", message=str(reason))
    finally:
        watch.close()
        responder.close()
    if end is End.CANCELLED:
        return Cancelled(message=str(end))
    return Crashed(message=str(end)) if end is End.OVERDUE else Completed(message=str(end))
