"""``lodeline diagnose``: a bundle for whoever is to find out what is wrong here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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

    Reads files and asks the doctor's questions; changes nothing. What cannot be told is told so in its place. Values of
    Prefect's Secret blocks are taken out where its server answers; where it does not, that is said.

    Exit code 0: written. 2: it cannot be written, or the configuration is wrong.

    Example: lodeline diagnose --out lodeline.zip
    """
    import os
    import time

    from deployments.diagnostics import secrets_in_blocks, write_bundle
    from deployments.prefect.secret_blocks import secret_blocks
    from deployments.settings import load_settings
    from storage.errors import TryAgain

    now = time.time()
    target = out or Path(time.strftime("lodeline-%Y%m%dT%H%M%SZ.zip", time.gmtime(now)))
    port = os.environ.get("LODELINE_PREFECT__PORT", "4200")
    named = os.environ.get("LODELINE_PREFECT__API_URL") or os.environ.get("PREFECT_API_URL")
    blocks: dict[str, Any] = {}
    try:
        blocks = secret_blocks((named or f"http://127.0.0.1:{port}/api").rstrip("/"))
    except TryAgain as error:
        typer.echo(f"{error}: if you keep secrets there, search the zip for them before you send it", err=True)

    def of_blocks(name: str) -> str | None:
        value = blocks.get(name.lower().replace("_", "-"))
        return None if value is None else str(value)

    settings = load_settings(config, os.environ, of_blocks)
    try:
        names = write_bundle(settings, target, now, secrets_in_blocks(blocks))
    except FileExistsError as error:
        raise NeedsHuman(f"{target} is there already", remedy="Give another --out") from error
    except OSError as error:
        raise NeedsHuman(f"{target} cannot be written: {error.strerror}", remedy="Give another --out") from error
    typer.echo(f"{target}: {len(names)} files")
