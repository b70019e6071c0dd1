"""Where data goes: InfluxDB, the lake, and what waits for either."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx

from deployments.doctor.finding import Finding, odd, skipped, well, wrong
from deployments.settings import Settings
from storage.declaration import Tier
from storage.declaration.pipeline import COLLECTOR_TICK
from storage.errors import LodelineError, NeedsHuman
from storage.opening import open_lake, open_store
from storage.store import Store
from tasks.health.clock import skew_s
from tasks.health.status import read_status

MOST_SKEW_S = 5.0
_HOUR_S = 3_600
_PATIENCE_S = 5.0


def influxdb(settings: Settings) -> Iterator[Finding]:
    """Whether it answers, lets us in and read, and has our clock."""
    influx = settings.host.influx
    if influx is None:
        yield skipped("InfluxDB", "LODELINE_INFLUX__URL is not set; the embedded store serves everything")
        return
    yield from _read("InfluxDB", lambda: open_store(settings.host))
    try:
        sent = time.time()
        reply = httpx.get(f"{influx.url}/ping", timeout=_PATIENCE_S, trust_env=False)
        yield from clock(f"InfluxDB at {influx.url}", reply.headers.get("date"), (sent + time.time()) / 2)
    except httpx.HTTPError:
        return  # reading has told so already


def clock(who: str, date: str | None, now: float) -> Iterator[Finding]:
    """Whether ``now`` agrees with a ``Date`` header, which has whole seconds."""
    skew = skew_s(date, now)
    if skew is None:
        return
    if abs(skew) > MOST_SKEW_S:
        ahead = "ahead of" if skew > 0 else "behind"
        yield wrong("clock", f"this machine is {abs(skew):.0f} s {ahead} {who}", "Run NTP on both")
    else:
        yield well("clock", f"agrees with {who}")


def lake(settings: Settings) -> Iterator[Finding]:
    """Whether its tables open and can be read."""
    if not settings.host.lake.enabled:
        yield skipped("lake", "LODELINE_LAKE__ENABLED is false")
        return

    if settings.host.lake.uri is None and not settings.host.lake_directory.exists():
        yield skipped("lake", f"{settings.host.lake_directory} is not there yet; the first tick makes it")
        return

    def opened() -> Store:
        store = open_lake(settings.host)
        if store is None:
            raise NeedsHuman("the lake is off", remedy="Set LODELINE_LAKE__ENABLED=true")
        return store

    yield from _read("lake", opened)


def _read(what: str, opened: Callable[[], Store]) -> Iterator[Finding]:
    now = int(time.time())
    try:
        store = opened()
        try:
            rows = store.read(COLLECTOR_TICK, Tier.RAW, now - _HOUR_S, now + 1, columns=["polled"])
            name = store.name
        finally:
            store.close()
    except NeedsHuman as error:
        yield wrong(what, str(error).removesuffix(f". {error.remedy}"), error.remedy)
    except LodelineError as error:
        yield wrong(what, str(error), "Start it, and look at address and network; collected data waits in the spool")
    else:
        ticks = "no ticks of the last hour in it" if rows.num_rows == 0 else f"{rows.num_rows} ticks of the last hour"
        yield well(what, f"{name} answers; {ticks}")


def pipeline(settings: Settings) -> Iterator[Finding]:
    """What ``lodeline status`` says of this host."""
    status = read_status(settings.host.data_directory, time.time())
    if not status.lanes:
        yield skipped("pipeline", "nothing has been collected on this host yet")
        return
    for reason in status.reasons:
        yield wrong("pipeline", reason, "lodeline status shows the whole; then the log of the flow")
    if not status.reasons:
        yield well("pipeline", f"lanes {', '.join(lane.lane for lane in status.lanes)} tick, and stores take it")
    failing = [miner.miner_id for lane in status.lanes for miner in lane.failing]
    if failing:
        shown = ", ".join(failing[:5]) + (f" and {len(failing) - 5} more" if len(failing) > 5 else "")
        yield odd("miners", f"no answer from {shown}", "lodeline status --miner ID says why")
