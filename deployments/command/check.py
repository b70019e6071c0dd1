"""``lodeline check``: is the configuration right?"""

from __future__ import annotations

import json

import typer

from deployments.command.errors import USER_ERROR
from deployments.command.options import ConfigOption, JsonOption
from storage.errors import ConfigurationError


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the configuration: all faults of all files at once, one a line on stderr. Starts nothing.

    Exit code 0: it is right. 2: it is not.

    Example: lodeline check --config /etc/lodeline
    """
    from deployments.settings import load_settings

    try:
        settings = load_settings(config)
    except ConfigurationError as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "faults": error.faults}))
            raise typer.Exit(USER_ERROR) from error
        raise
    summary = settings.summary()
    if as_json:
        typer.echo(json.dumps({"ok": True, "faults": [], **summary}))
    else:
        typer.echo("Configuration is right." if settings.folder else _NONE)
        for name, value in summary.items():
            typer.echo(f"  {name.replace('_', ' ')}: {_shown(value)}")


_NONE = "No configuration is given (--config, LODELINE_CONFIG): lodeline up would simulate all. What holds without:"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "none"
