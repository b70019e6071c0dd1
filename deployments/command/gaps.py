"""``lodeline gaps``: holes that an outage left, why, and can miners fill them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption, known_miners
from deployments.command.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.settings import Settings
    from tasks.derive.source_gaps import SourceGap
    from tasks.miners.backfill import Filled
    from tasks.miners.gaps import Gap

DELIVERY_S = 300.0


def gaps(
    start: Annotated[
        str | None, typer.Option("--from", help=f"First time; three days ago by default. {MOMENT}")
    ] = None,
    stop: Annotated[str | None, typer.Option("--to", help=f"Time after the last; now by default. {MOMENT}")] = None,
    *,
    miner: Annotated[list[str] | None, typer.Option("--miner", help="Id of a miner; may be given again.")] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Id of a pool or provider; may be given again.")
    ] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill them with what the miners remember.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the holes that an outage of this host's collector left in the readings of its miners, and those in what
    pools and providers told, with the reason: paused by hand, failed requests, nobody on shift.

    With --fill each miner is asked for its own history, up to three days back, where its firmware keeps one (VNish).
    Such rows are flagged `backfilled`, have no counters, and never replace a row. It may be killed and run again. Flow
    fill-gaps does the same by itself, every hour and after an outage. What pools and providers did not tell cannot be
    filled. With --miner or --source only these are looked at.

    Exit code 0: done. 2: an id is not configured, the configuration is wrong, or the store does not answer.

    Example: lodeline gaps --from 2026-11-25T00:00Z --fill
    """
    import msgspec

    from deployments.settings import load_settings

    settings = load_settings(config)
    span = _span(start, stop)
    found: list[Gap] = []
    filled: list[Filled] = []
    silent: list[SourceGap] = []
    with progress("filling" if fill else "searching", as_json=as_json):
        if miner or not source:
            found, filled = _gaps(settings, span, miner or [], fill=fill)
        if source or not miner:
            silent = _source_gaps(settings, span, source or [])
    if as_json:
        told = {"gaps": found, "filled": filled if fill else None, "sources": silent}
        typer.echo(msgspec.json.encode(told).decode())
    else:
        typer.echo("\n".join(in_words(found, filled if fill else None, silent)))


def _span(start: str | None, stop: str | None) -> tuple[int, int]:
    import time

    from deployments.command.options import moment
    from storage.errors import NeedsHuman
    from tasks.miners.gaps import REMEMBERED_S

    now = int(time.time())
    end = now if stop is None else moment(stop)
    first = now - REMEMBERED_S if start is None else moment(start)
    if first >= end:
        raise NeedsHuman(f"--from {start or 'three days ago'} is not before --to {stop or 'now'}", remedy="Swap them")
    return first, end


def _gaps(
    settings: Settings, span: tuple[int, int], miner_ids: list[str], *, fill: bool
) -> tuple[list[Gap], list[Filled]]:
    import asyncio
    import socket
    import uuid

    from storage.delivery.delivery import Delivery
    from storage.opening import open_sinks
    from tasks.miners.backfill import fill_gaps
    from tasks.miners.gaps import find_own_gaps
    from tasks.miners.sites import lane_of

    host, wanted, name = settings.host, settings.collection, socket.gethostname()
    known_miners(wanted, miner_ids)
    miners = [miner for miner in wanted.miners if not miner_ids or miner.id in miner_ids]
    run_id = f"lodeline gaps {uuid.uuid4()}"
    found, filled = [], []
    for site in (None, *wanted.sites):  # a lane that this host does not poll has no ticks of it, hence no gaps
        lane, here = lane_of(site), [miner for miner in miners if site in (None, miner.site)]
        gaps = asyncio.run(find_own_gaps(host, here, wanted.fleet, host=name, start=span[0], stop=span[1], lane=lane))
        found += gaps
        if fill and gaps:
            filled += asyncio.run(fill_gaps(host, here, gaps, run_id=run_id, polled_in=lane))
    if not filled:
        return found, []
    delivery = Delivery(host.spool_directory, open_sinks(host, name), name)
    try:
        if not delivery.flush(DELIVERY_S):
            typer.echo("The rows are spooled; the next shift stores what is left of them.", err=True)
    finally:
        delivery.close()
    return found, filled


def _source_gaps(settings: Settings, span: tuple[int, int], names: list[str]) -> list[SourceGap]:
    from storage.configuration.section import nearest
    from storage.errors import NeedsHuman
    from storage.opening import open_store
    from tasks.derive.source_gaps import source_gaps
    from tasks.derive.source_quality.sources import intervals_of

    every = {kind: asked for kind, asked in intervals_of(settings.collection).items() if kind != "miner"}
    known = {name for asked in every.values() for name in asked}
    for name in names:
        if name not in known:
            meant = nearest(name, known)
            hint = f"Did you mean {meant}?" if meant else f"There are {', '.join(sorted(known)) or 'none'}"
            raise NeedsHuman(f"no pool or provider {name} is configured", remedy=hint)
    wanted = {
        kind: {name: seconds for name, seconds in asked.items() if not names or name in names}
        for kind, asked in every.items()
    }
    if not any(wanted.values()):
        return []
    store = open_store(settings.host)
    try:
        return source_gaps(store, wanted, *span)
    finally:
        store.close()


def in_words(found: list[Gap], filled: list[Filled] | None, silent: Sequence[SourceGap] = ()) -> list[str]:
    """Lines for a human; ``filled`` is None where nothing was to be filled."""
    if not found and not silent:
        return ["No gaps."]
    lines = [f"{one.source} ({one.kind}): no reading {_between(one)}: {one.reason}" for one in silent]
    return [*lines, *(_of_miners(found, filled) if found else [])]


def _between(gap: SourceGap) -> str:
    return f"since {_clock(gap.start)}" if gap.open else f"from {_clock(gap.start)} to {_clock(gap.stop)}"


def _of_miners(found: list[Gap], filled: list[Filled] | None) -> list[str]:
    if filled is None:
        lines = [
            f"{gap.miner_id}: {len(gap.slots)} readings from {_clock(gap.start)} to {_clock(gap.stop)}" for gap in found
        ]
        return [*lines, f"{len(found)} gaps; --fill asks the miners for them"]
    lines = [
        f"{one.miner_id}: {one.filled} of {one.missing} readings filled{f'; {one.reason}' if one.reason else ''}"
        for one in filled
    ]
    return [*lines, f"{sum(one.filled for one in filled)} of {sum(one.missing for one in filled)} readings filled"]


def _clock(unix_s: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(unix_s, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
