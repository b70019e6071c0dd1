"""``lodeline diagnose``: everything that somebody needs who is to find out what is wrong here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployments.command.options import ConfigOption
from storage.errors import NeedsHuman


def diagnose(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; lodeline-<time>.zip here by default.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a zip with configuration, status, metrics, findings of the doctor, alerts, state files and the end of each
    log of the last two days. Secrets are taken out; still, look into it before you send it: it names your miners.

    Reads files and asks the doctor's questions; changes nothing. What cannot be told is told so in its place.

    Exit code 0: written. 2: it cannot be written, or the configuration is wrong.

    Example: lodeline diagnose --out lodeline.zip
    """
    import time

    from deployments.diagnostics import write_bundle
    from deployments.settings import load_settings

    now = time.time()
    target = out or Path(time.strftime("lodeline-%Y%m%dT%H%M%SZ.zip", time.gmtime(now)))
    settings = load_settings(config)
    try:
        names = write_bundle(settings, target, now)
    except FileExistsError as error:
        raise NeedsHuman(f"{target} is there already", remedy="Give another --out") from error
    except OSError as error:
        raise NeedsHuman(f"{target} cannot be written: {error.strerror}", remedy="Give another --out") from error
    typer.echo(f"{target}: {len(names)} files")
