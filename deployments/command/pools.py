"""``lodeline pools``: accounts, workers against miners, predicted and paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from tasks.pools.picture import PoolsPicture

_SHOWN = 20


def pools(
    *,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", help="Id of a pool; may be given again. All pools by default.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How many settlement days are shown.")] = 7,
    everyone: Annotated[
        bool, typer.Option("--all", help=f"All workers; without it the {_SHOWN} that need a look most.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show accounts at pools, workers against miners, and what was predicted, credited and paid by settlement day.

    Workers are those of the newest hour worked out: first those that do not match a miner (wrong_pool, missing_worker,
    duplicate_worker and so on), then by the part of the gap between miner and pool that nothing explains; the reason
    says why. Of a day: predicted before any fee, what was credited for it, what was paid on it, and the difference in
    its parts, in coins. What is not known is empty and has its reason. docs/pools.md has every definition. Flow
    derive-pools makes all of it, at minute 32 of every hour.

    Exit code 0: shown, if with no rows. 2: a pool is not configured, the configuration is wrong, or the store does not
    answer.

    Example: lodeline pools --pool ltc --days 3
    """
    import time

    from deployments.settings import load_settings
    from storage.errors import NeedsHuman
    from storage.opening import open_store
    from tasks.pools.configured import pool_names
    from tasks.pools.picture import picture

    settings = load_settings(config)
    known = [one.id for one in pool_names(settings.collection)]
    unknown = sorted(set(pool or []) - set(known))
    if unknown:
        there = f"configured: {', '.join(known)}" if known else "section pools of data_collection_config.yaml is empty"
        raise NeedsHuman(f"no pool {', '.join(unknown)} is configured", remedy=there)
    store = open_store(settings.host)
    try:
        found = picture(store, int(time.time()), pool or known, days, everyone=pool is None)
    finally:
        store.close()
    if as_json:
        typer.echo(_in_json(found))
    else:
        _print(found, everyone=everyone)


def _in_json(found: PoolsPicture) -> str:
    import msgspec

    from deployments.command.rows import plain

    tables = {"accounts": found.accounts, "workers": found.workers, "days": found.days}
    shown = {
        name: [{column: plain(value) for column, value in row.items()} for row in table.to_pylist()]
        for name, table in tables.items()
    }
    return msgspec.json.encode({**shown, "worker_states": dict(found.states)}).decode()


def _print(found: PoolsPicture, *, everyone: bool) -> None:
    from deployments.command.rows import Format, plain, print_rows

    typer.echo("Accounts")
    if found.accounts.num_rows:
        print_rows(found.accounts, Format.TABLE)
    else:
        typer.echo("no pool is configured")
    typer.echo("\nWorkers against miners")
    workers = found.workers if everyone else found.workers.slice(0, _SHOWN)
    if workers.num_rows:
        states = ", ".join(f"{number:,} {state}" for state, number in sorted(found.states.items()))
        typer.echo(f"hour from {plain(workers['hour'][0].as_py())}: {states}")
        print_rows(workers, Format.TABLE)
        if found.workers.num_rows > workers.num_rows:
            typer.echo(f"and {found.workers.num_rows - workers.num_rows:,} more; --all shows them")
    else:
        typer.echo(
            "no hour of the last 24 is worked out: flow derive-pools does it when pools and miners told something"
        )
    typer.echo("\nPredicted, credited and paid, in coins")
    if found.days.num_rows:
        print_rows(found.days, Format.TABLE)
    else:
        typer.echo("no day is reconciled yet: it must be over, and the pool must have told something of it")
