"""The ``lodeline`` command line: one file per command in this folder, and one line here to register it.

A command's module imports only light things at its top and everything else inside the command, so that
``lodeline --help`` is quick and works without the extras.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from deployments.command.abacus import abacus
from deployments.command.advice import advice
from deployments.command.alerts import alerts
from deployments.command.anomalies import anomalies
from deployments.command.archive import archive
from deployments.command.audit import audit
from deployments.command.backup import backup
from deployments.command.check import check
from deployments.command.damage import damage
from deployments.command.deploy import deploy
from deployments.command.diagnose import diagnose
from deployments.command.discover import discover
from deployments.command.disk import disk
from deployments.command.doctor import doctor
from deployments.command.erase import erase
from deployments.command.errors import CommandGroup
from deployments.command.export import export
from deployments.command.features import features
from deployments.command.forecast import forecast
from deployments.command.gaps import gaps
from deployments.command.override import override
from deployments.command.page import page
from deployments.command.pools import pools
from deployments.command.profit import profit
from deployments.command.provision import provision
from deployments.command.quality import quality
from deployments.command.query import query
from deployments.command.refill import refill
from deployments.command.replay import replay
from deployments.command.report import report
from deployments.command.responses import responses
from deployments.command.restore import restore
from deployments.command.schema import schema
from deployments.command.series import series
from deployments.command.sql import sql
from deployments.command.status import status
from deployments.command.streams import make_readable
from deployments.command.trace import trace
from deployments.command.up import up

COMMANDS = (
    up,
    check,
    doctor,
    diagnose,
    status,
    alerts,
    override,
    responses,
    page,
    deploy,
    provision,
    discover,
    trace,
    replay,
    gaps,
    forecast,
    report,
    anomalies,
    profit,
    series,
    advice,
    features,
    pools,
    quality,
    query,
    export,
    schema,
    sql,
    erase,
    audit,
    archive,
    backup,
    restore,
    refill,
    damage,
    disk,
    abacus,
)

app = typer.Typer(
    name="lodeline",
    cls=CommandGroup,
    help="Lodeline: from miner, pool and market to stored, downsampled and visible readings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and those may be secrets
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _in_short(command: Callable[..., None]) -> str:
    """What a command is about, in the words that its module begins with: for the list of all."""
    said = (sys.modules[command.__module__].__doc__ or "").partition("``: ")[2].partition("\n")[0].rstrip(".")
    return said[:1].upper() + said[1:]


for command in COMMANDS:
    app.command(short_help=_in_short(command))(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lodeline {version('lodeline')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; the console script ``lodeline``. Exit codes: 0 well, 1 unhealthy, 2 a user's error."""
    make_readable()
    app()
