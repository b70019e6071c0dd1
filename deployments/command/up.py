"""``lodeline up``: the whole main job on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import ConfigOption
from deployments.command.streams import patient
from storage.errors import NeedsHuman


def up(
    *,
    config: ConfigOption = None,
    for_s: Annotated[
        float | None,
        typer.Option("--for", min=1, help="End by itself so many seconds after the first tick.", show_default=False),
    ] = None,
    miners: Annotated[int, typer.Option("--miners", min=1, help="Simulated miners, where nothing is configured.")] = 24,
    seed: Annotated[int, typer.Option("--seed", help="What the simulated miners do follows from it.")] = 1,
    interval: Annotated[int, typer.Option("--interval", min=1, help="Seconds between polls of simulated miners.")] = 5,
    dialect: Annotated[
        list[str] | None,
        typer.Option(
            "--dialect",
            help="Only simulated miners of this dialect; may be given again. all: of every dialect, VNish or not. "
            "VNish's by default.",
        ),
    ] = None,
    miners_only: Annotated[
        bool,
        typer.Option("--miners-only", help="Simulate miners alone, without their pools, prices and networks of coins."),
    ] = False,
    page_port: Annotated[
        int | None, typer.Option("--page-port", min=1, max=65_535, help="Port of the page.", show_default=False)
    ] = None,
    with_fake_abacus: Annotated[
        bool,
        typer.Option(
            "--with-fake-abacus",
            help="Export features every five minutes to a fake of Abacus.AI on this host. Only where Abacus.AI is not "
            "configured.",
        ),
    ] = False,
    prefect_port: Annotated[
        int | None,
        typer.Option("--prefect-port", min=1, max=65_535, help="Port of the Prefect server.", show_default=False),
    ] = None,
) -> None:
    """Collect, store, roll up and show: starts all that takes, prints a line per tick (UTC), ends in order on
    Ctrl-C.

    Polls the configured miners and asks the configured pools and markets. Where nothing is configured all of them are
    simulated, on loopback: miners, the pools that they mine at, prices and networks of coins.

    Stores into InfluxDB where LODELINE_INFLUX__URL says so, else into files of the data directory (var/lodeline,
    LODELINE_DATA_DIRECTORY).

    Exit code 0: well. 1: something failed; with --for also: a point that was accepted is not stored. 2: it cannot
    start as configured, and nothing was started. With --for the last line is one JSON object.

    Example: lodeline up --for 60 --miners 24
    """
    import asyncio

    from deployments.farm import variants
    from deployments.up.simulated import Simulated
    from deployments.up.supervisor import Options, Supervisor

    try:
        variants(dialect or ())
    except ValueError as error:
        raise NeedsHuman(str(error), remedy="Take one of those, or --dialect all") from error
    simulated = Simulated(miners, seed, interval, dialect or (), services=not miners_only)
    options = Options(config, for_s, simulated, page_port, prefect_port, with_fake_abacus)
    raise typer.Exit(asyncio.run(Supervisor(options, patient(err=False), patient(err=True)).run()))
