"""``lodeline replay``: what would today's drivers have read?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption
from deployments.command.progress import progress

if TYPE_CHECKING:
    from deployments.settings import Settings
    from tasks.replay.replay import Replayed

DELIVERY_S = 300.0


def replay(
    start: Annotated[str, typer.Option("--from", help=f"First time. {MOMENT}")],
    stop: Annotated[str, typer.Option("--to", help=f"Time after the last. {MOMENT}")],
    *,
    miner: Annotated[list[str] | None, typer.Option("--miner", help="Id of a miner; may be given again.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare only, which is the default.")] = False,
    into_store: Annotated[bool, typer.Option("--into-store", help="Put right what is stored.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read kept answers of miners again with the drivers of this version, and compare with what is stored.

    With --into-store the values that differ go through the spool, in lane replay, and the hours they touch are rolled
    up again. It may be killed and run again, and a second run finds nothing to do. Values are replaced or added, never
    taken away: what is stored and not read today stays, and is counted.

    Exit code 0: done. 2: nothing is kept of that time, or the configuration is wrong.

    Example: lodeline replay --from 2026-11-25T12:00Z --to 2026-11-25T18:00Z --miner miner_0001
    """
    import msgspec

    from deployments.command.options import moment
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    if dry_run and into_store:
        raise NeedsHuman("--dry-run and --into-store exclude each other", remedy="Give one of them")
    first, end = moment(start), moment(stop)
    if first >= end:
        raise NeedsHuman(f"--from {start} is not before --to {stop}", remedy="Swap them")
    settings = load_settings(config)
    with progress("replaying", as_json=as_json):
        found = _replay(settings, first, end, miner or None, into_store=into_store)
    if not found.polls:
        raise NeedsHuman(
            f"no answers are kept from {start} to {stop}{' of these miners' if miner else ''}",
            remedy="Answers are in the lake of the host that polls, as long as raw_data.miner_payloads says",
        )
    typer.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(in_words(found, into_store=into_store)))


def _replay(settings: Settings, first: int, end: int, miners: list[str] | None, *, into_store: bool) -> Replayed:
    import asyncio
    import contextlib
    import socket
    import uuid

    from storage.delivery.delivery import Delivery
    from storage.errors import NeedsHuman
    from storage.opening import open_lake, open_sinks, open_store
    from storage.spool.lane import Lane
    from tasks.replay.replay import LANE
    from tasks.replay.replay import replay as replayed

    host = settings.host
    with contextlib.ExitStack() as opened:
        lake = open_lake(host)
        if lake is None:
            raise NeedsHuman("this host keeps no answers: its lake is off", remedy="Run it on the host that polls")
        opened.callback(lake.close)
        store = open_store(host)
        opened.callback(store.close)
        if not into_store:
            return asyncio.run(replayed(lake, store, first, end, miners))
        with Lane.open(host.spool_directory, LANE, cap_bytes=host.spool.cap_bytes) as lane:
            run_id = f"lodeline replay {uuid.uuid4()}"
            found = asyncio.run(replayed(lake, store, first, end, miners, correct=lane.append, run_id=run_id))
        if found.batches:
            name = socket.gethostname()
            delivery = Delivery(host.spool_directory, open_sinks(host, name), name)
            opened.callback(delivery.close)
            if not delivery.flush(DELIVERY_S):
                typer.echo("The corrections are spooled; the next shift stores what is left of them.", err=True)
        return found


def in_words(found: Replayed, *, into_store: bool) -> list[str]:
    """Lines for a human."""
    difference = found.difference
    lines = [
        f"{found.polls:,} polls of {found.miners:,} miners: {difference.rows:,} rows read, "
        f"{difference.rows_changed:,} differ, {difference.rows_added:,} new, {difference.rows_gone:,} gone"
    ]
    for name, field in sorted(difference.fields.items()):
        counts = [f"{number:,} {what}" for what, number in _counts(field) if number]
        example = field.example
        said = f", e.g. {example.stored!r} is {example.read!r} of {_whose(example.tags)}" if example else ""
        lines.append(f"  {name}: {', '.join(counts)}{said}")
    if found.failed:
        lines.append(f"  no reading: {_reasons(found.failed)}; {found.newly_failed:,} of them have one stored")
    if found.unreadable:
        lines.append(f"  not tried: {_reasons(found.unreadable)}")
    if into_store:
        lines.append(f"{found.corrections:,} rows corrected in {found.batches:,} batches")
    elif difference.fields or difference.rows_added:
        lines.append("Nothing was stored; --into-store does it")
    return lines


def _counts(field: object) -> list[tuple[str, int]]:
    return [(what, getattr(field, what)) for what in ("changed", "added", "withheld")]


def _whose(tags: dict[str, str | None]) -> str:
    return " ".join(f"{name} {value}" for name, value in tags.items() if value and name not in ("model", "site"))


def _reasons(found: dict[str, int]) -> str:
    return ", ".join(f"{reason} {number:,}" for reason, number in sorted(found.items()))
