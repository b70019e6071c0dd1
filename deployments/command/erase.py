"""``lodeline erase``: an entity out of everything that this host keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption
from deployments.command.progress import progress

if TYPE_CHECKING:
    from deployments.settings import Settings
    from storage.erasure.entity import Entity
    from storage.erasure.proof import Proof
    from storage.erasure.run import Erasure


def erase(
    *,
    miner: Annotated[str | None, typer.Option("--miner", help="Id of the miner.")] = None,
    worker: Annotated[str | None, typer.Option("--worker", help="Account and worker, as the pool has it.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Any tag as name=value; several must all fit. May be given again.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help=f"First time; all by default. {MOMENT}")] = None,
    stop: Annotated[str | None, typer.Option("--to", help=f"Time after the last; now by default. {MOMENT}")] = None,
    measurement: Annotated[
        list[str] | None, typer.Option("--measurement", help="Only this one; may be given again.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Search only, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase an entity for good: from the lake with its older versions, the archive, InfluxDB, the spool, states, logs
    and the audit trail, and prove it by searching every byte that is left.

    It cannot be undone. The shift of this host rests for some seconds meanwhile. Killed anywhere, the same command
    again goes on. What comes late, by a replay or from an archive, is recognised and not stored. The audit trail tells
    of it by the number of the case. docs/governance.md says what no program can promise.

    Exit code 0: nothing is left. 1: something is, and the output says where. 2: a mistake, or a store does not answer.

    Example: lodeline erase --miner miner_0001 --dry-run
    """
    import msgspec

    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    settings = load_settings(config)
    wanted = _tags(miner, worker, tag or [])
    if stop is None and not dry_run and any(known.id == miner for known in settings.collection.miners):
        raise NeedsHuman(
            "this miner is configured and would be polled again at once",
            remedy="Take it out of data_collection_config.yaml first, or give --to",
        )
    entity = _entity(wanted, start, stop, measurement or [])
    if dry_run:
        with progress("searching", as_json=as_json):
            proof = _search(settings, entity)
        typer.echo(msgspec.json.encode(proof).decode() if as_json else "\n".join(search_in_words(proof)))
        return
    if not yes:
        typer.confirm("This erases for good, and cannot be undone. Go on?", abort=True, err=True)
    with progress("erasing", as_json=as_json):
        done = _erase(settings, entity)
    typer.echo(msgspec.json.encode(done).decode() if as_json else "\n".join(in_words(done)))
    if not done.is_done:
        raise typer.Exit(1)


def _tags(miner: str | None, worker: str | None, conditions: list[str]) -> dict[str, str]:
    from storage.declaration import MEASUREMENTS
    from storage.errors import NeedsHuman

    wanted = {} if miner is None else {"miner_id": miner}
    if worker is not None:
        wanted["worker_id"] = worker.lower()
    for condition in conditions:
        name, equals, value = condition.partition("=")
        if not equals or not any(name in declared.tag_names for declared in MEASUREMENTS.values()):
            raise NeedsHuman(f"--tag {condition}: not a tag and its value", remedy="docs/data-dictionary.md lists tags")
        wanted[name] = value
    if not wanted:
        raise NeedsHuman("nothing to erase is named", remedy="Give --miner, --worker or --tag")
    return wanted


def _entity(tags: dict[str, str], start: str | None, stop: str | None, measurements: list[str]) -> Entity:
    import time

    from deployments.command.options import moment
    from storage.declaration import MEASUREMENTS
    from storage.erasure.entity import Entity
    from storage.errors import NeedsHuman

    unknown = sorted(set(measurements) - set(MEASUREMENTS))
    if unknown:
        raise NeedsHuman(f"no measurement {', '.join(unknown)}", remedy="docs/data-dictionary.md lists them")
    first = 0 if start is None else moment(start)
    end = int(time.time()) + 1 if stop is None else moment(stop)
    return Entity(tags, first, end, frozenset(measurements) or None)


def _search(settings: Settings, entity: Entity) -> Proof:
    import time

    from storage.erasure.places import places_of
    from storage.erasure.proof import search

    places = places_of(settings.host, settings.retention)
    return search(places.roots(), entity, whole=entity.is_whole(int(time.time())))


def _erase(settings: Settings, entity: Entity) -> Erasure:
    import contextlib
    import socket
    import time
    from collections.abc import Iterator

    from storage.erasure.places import places_of
    from storage.erasure.run import erase as erased
    from tasks.shift.baton import Baton

    host = settings.host

    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        with contextlib.ExitStack() as stopped:
            for lock in sorted(host.lock_directory.glob("*.now")):
                stopped.enter_context(Baton(host.lock_directory, lock.stem).stopping())
            yield

    return erased(
        places_of(host, settings.retention),
        entity,
        host=socket.gethostname(),
        actor="lodeline erase",
        now=int(time.time()),
        quiet=quiet,
    )


def search_in_words(proof: Proof) -> list[str]:
    """Lines for a human."""
    hits = [f"  {path}: {number:,}" for path, number in sorted(proof.hits.items())]
    unreadable = [f"  cannot be searched: {what}" for what in proof.unreadable]
    found = f"found {sum(proof.hits.values()):,} times in {len(proof.hits):,} files"
    searched = f"{proof.bytes:,} bytes in {proof.files:,} files searched"
    return [f"{searched}; {found if proof.hits else 'not found'}", *hits, *unreadable]


def in_words(done: Erasure) -> list[str]:
    """Lines for a human."""
    lines = [f"Case {done.case}", *(f"  {what}: {number:,}" for what, number in done.counts.items() if number)]
    for table, (rows_before, rows_after, sum_before, sum_after) in sorted(done.others.items()):
        same = "unchanged" if (rows_before, sum_before) == (rows_after, sum_after) else "CHANGED"
        lines.append(f"  others in {table}: {rows_after:,.0f} rows, sum {sum_after:.10g}, {same}")
    lines += search_in_words(done.proof)
    lines += [f"InfluxDB still has {done.left_in_influx:,} rows"] if done.left_in_influx else []
    lines += done.impossible
    for table, rows in done.exported.items():
        sent = f"{rows:,} rows" if rows >= 0 else "rows"
        lines.append(f"Abacus.AI was sent {sent} to {table}: lodeline abacus forget GROUP ENTITY, docs/abacus.md")
    return [*lines, "Nothing is left." if done.is_done else "The case stays open; the same command goes on with it."]
