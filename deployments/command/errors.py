"""What a command prints when it cannot go on: the error's own words, never a traceback for a user's mistake."""

from __future__ import annotations

from typing import Any

import typer
import typer.core

from storage.errors import ConfigurationError, LodelineError, NeedsHuman

USER_ERROR = 2
"""Exit code of bad configuration and of every other error that Lodeline raises on purpose."""


class CommandGroup(typer.core.TyperGroup):
    """Turns a LodelineError of any command, and a file that cannot be used, into text on stderr and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command asked for."""
        try:
            return super().invoke(ctx)
        except LodelineError as error:
            print_error(error)
            raise typer.Exit(USER_ERROR) from error
        except OSError as error:
            if error.filename is None:  # of no file: a closed pipe, which typer ends in silence, or a fault of ours
                raise
            print_error(_of_a_file(error))
            raise typer.Exit(USER_ERROR) from error


def _of_a_file(error: OSError) -> NeedsHuman:
    if isinstance(error, PermissionError):
        return NeedsHuman(
            f"{error.filename} may not be read or written by this user", remedy="Run this as the user that collects"
        )
    return NeedsHuman(f"{error.filename}: {error.strerror}", remedy="lodeline doctor looks at disk and folders")


def print_error(error: LodelineError) -> None:
    """Write ``error`` to stderr; faults of a configuration one a line, so that a script can read them."""
    if isinstance(error, ConfigurationError):
        for fault in error.faults:
            typer.echo(fault, err=True)
        number = len(error.faults)
        typer.echo(f"lodeline: {number} fault{'' if number == 1 else 's'}; nothing was started", err=True)
    else:
        typer.echo(f"lodeline: {error}", err=True)
