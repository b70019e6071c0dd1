"""``lodeline provision``: make InfluxDB as declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption
from deployments.command.progress import progress
from storage.errors import LodelineError, NeedsHuman

if TYPE_CHECKING:
    from deployments.kept_secrets import Keeper
    from storage.influx.provisioning.plan import Step
    from storage.influx.provisioning.server import Minted, Provisionable
    from storage.influx.provisioning.state import Desired, Found

DIFFERS = 1


def provision(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Shorten retention, which deletes data.")] = False,
    only_missing: Annotated[
        bool, typer.Option("--only-missing", help="Leave the retention of what exists as it is.")
    ] = False,
    access: Annotated[
        list[str] | None,
        typer.Option(
            "--access",
            help="Access to make: writer, downsampler, grafana, or host for a machine that does it all. May be given "
            "again; without it the first three.",
            show_default=False,
        ),
    ] = None,
    no_access: Annotated[bool, typer.Option("--no-access", help="Make no access.")] = False,
    rotate: Annotated[
        list[str] | None,
        typer.Option("--rotate", help="Give this access a new secret; the one before gets in no more.", metavar="NAME"),
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option("--secrets", help="Folder for new secrets, instead of the terminal.", show_default=False),
    ] = None,
    prefect_secrets: Annotated[
        bool, typer.Option("--prefect-secrets", help="Keep new secrets in Secret blocks of the Prefect server.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make InfluxDB as declared: buckets or databases with their retention, mappings, and accesses that may do no more
    than they must. Shows a plan before it changes anything, and may be run again any time.

    LODELINE_INFLUX__... must hold an administrator's token or password; collecting needs only what is made here. A new
    secret is told once: on the terminal, in a file of mode 0600 (--secrets), or in a Prefect Secret block. An access
    that is there keeps its secret. docs/operations.md says who uses which.

    Exit code 0: all is as declared. 1: with --dry-run something is not; else something is not and must not be
    corrected by itself, and the output says how. 2: a mistake, InfluxDB does not answer or refuses, or retention would
    get shorter and --yes is not given: nothing was changed.

    Example: lodeline provision --dry-run
    """
    from deployments.settings import load_settings
    from storage.influx.provisioning.plan import ChangeKeeping, ChangeRights, Drift
    from storage.influx.provisioning.server import provisionable
    from storage.influx.provisioning.state import desired_state

    settings = load_settings(config)
    influx = settings.host.influx
    if influx is None:
        raise NeedsHuman("no InfluxDB is configured", remedy="Set LODELINE_INFLUX__URL; the lake makes its own tables")
    wanted, anew = _names(access, rotate, no_access)
    keeper = _keeper(secrets, prefect_secrets)
    if not dry_run:
        keeper.check()
    desired = desired_state(influx, settings.retention.bucket_days(), _all_accesses(no_access))
    with provisionable(influx) as server:
        with progress("asking InfluxDB", as_json=as_json):
            found = server.found(desired)
        steps = _plan(desired, found, wanted, anew)
        if only_missing:
            steps = [step for step in steps if not isinstance(step, ChangeKeeping | ChangeRights)]
        said = _Said(as_json, influx.url)
        said.plan(steps, found.no_accesses if wanted and not dry_run else None)
        if dry_run:
            said.end({})
            raise typer.Exit(DIFFERS if steps else 0)
        if not yes and any(isinstance(step, ChangeKeeping) and step.shortens for step in steps):
            raise NeedsHuman("retention would get shorter, which deletes data", remedy="Give --yes to do it")
        _take(server, steps, keeper, said, settings.host.data_directory)
    said.end(getattr(keeper, "told", {}))
    if any(isinstance(step, Drift) for step in steps):
        raise typer.Exit(DIFFERS)


def _names(
    access: list[str] | None, rotate: list[str] | None, no_access: bool
) -> tuple[frozenset[str], frozenset[str]]:
    from storage.influx.provisioning.state import ACCESSES, USUAL_ACCESSES

    unknown = sorted({*(access or ()), *(rotate or ())} - set(ACCESSES))
    if unknown:
        raise NeedsHuman(f"no access {', '.join(unknown)}", remedy=f"There are {', '.join(ACCESSES)}")
    if no_access and (access or rotate):
        raise NeedsHuman("--no-access goes with neither --access nor --rotate", remedy="Leave one out")
    usual = () if no_access or rotate else USUAL_ACCESSES
    return frozenset(access or usual) | frozenset(rotate or ()), frozenset(rotate or ())


def _all_accesses(no_access: bool) -> tuple[str, ...]:
    from storage.influx.provisioning.state import ACCESSES

    return () if no_access else ACCESSES


def _plan(desired: Desired, found: Found, wanted: frozenset[str], anew: frozenset[str]) -> list[Step]:
    """Of accesses those that are asked for, and those that are there already: their rights may have drifted."""
    from dataclasses import replace

    from storage.influx.provisioning.plan import plan

    names = wanted | set(found.accesses)
    accesses = {name: one for name, one in desired.accesses.items() if name in names}
    return plan(replace(desired, accesses=accesses), found, anew)


def _keeper(folder: Path | None, in_prefect: bool) -> Keeper:
    from deployments.kept_secrets import Files, PrefectBlocks, Terminal

    if folder is not None and in_prefect:
        raise NeedsHuman("--secrets and --prefect-secrets are both given", remedy="Leave one out")
    return Files(folder) if folder is not None else PrefectBlocks() if in_prefect else Terminal()


def _take(server: Provisionable, steps: list[Step], keeper: Keeper, said: _Said, data_directory: Path) -> None:
    import socket

    from deployments.provisioned import note
    from storage.audit.trail import Trail
    from storage.influx.provisioning.plan import Drift

    trail = Trail.open(data_directory, socket.gethostname())
    for step in steps:
        if isinstance(step, Drift):
            continue
        minted = server.take(step)
        where = None if minted is None else _kept(server, keeper, minted)
        note(trail, step, actor="lodeline provision", server=said.url)
        said.done(step, minted, where)


def _kept(server: Provisionable, keeper: Keeper, minted: Minted) -> str:
    try:
        where = keeper.keep(minted)
    except LodelineError:
        server.withdraw(minted)
        raise
    server.retire(minted)
    return where


class _Said:
    """What the command prints, as text while it happens or as one JSON object at the end."""

    def __init__(self, as_json: bool, url: str) -> None:
        self.url = url
        self._json: dict[str, object] | None = {"server": url} if as_json else None
        self._done: list[dict[str, str]] = []

    def plan(self, steps: list[Step], no_accesses: str | None) -> None:
        """The plan, before anything is changed."""
        if self._json is not None:
            self._json["plan"] = [{"step": type(step).__name__, "text": str(step)} for step in steps]
            return
        if not steps:
            typer.echo(f"InfluxDB at {self.url} is as declared.")
        else:
            typer.echo("\n".join([f"Plan for InfluxDB at {self.url}:", *(f"  {step}" for step in steps)]))
        if no_accesses is not None:
            typer.echo(f"No access is made. {no_accesses}")

    def done(self, step: Step, minted: Minted | None, where: str | None) -> None:
        """A step was taken."""
        user = f" as user {minted.user}" if minted is not None and minted.user is not None else ""
        kept = f"; secret{user}: {where}" if where is not None else ""
        self._done.append({"step": type(step).__name__, "text": f"{step}{kept}"})
        if self._json is None:
            typer.echo(f"done: {step}{kept}")

    def end(self, told: dict[str, str]) -> None:
        """The last words: secrets that nobody else keeps."""
        if self._json is not None:
            typer.echo(json.dumps({**self._json, "done": self._done, "secrets": told}))
        elif told:
            typer.echo("Secrets, told this once:")
            for access, secret in told.items():
                typer.echo(f"  {access}: {secret}")
