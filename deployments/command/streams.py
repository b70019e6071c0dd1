"""What is printed, where: characters that the reader understands, and a reader that has gone."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

import typer


def make_readable() -> None:
    """Let no character end a command: files and pipes get UTF-8, whatever the locale; a terminal that does not know a
    sign, such as that of degrees, shows its number in the place of it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            known = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=known, errors="backslashreplace")


def patient(*, err: bool) -> Callable[[str], None]:
    """Prints lines for as long as somebody reads them, at once each. For a command that works on when nobody does: who
    follows it by ``| head`` or loses the terminal has not asked it to end."""
    heard = True

    def say(line: str) -> None:
        nonlocal heard
        if not heard:
            return
        try:
            typer.echo(line, err=err)
        except OSError:  # the pipe is closed, or the terminal gone
            heard = False
            stream = sys.stderr if err else sys.stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python writes what is left when it ends
            if not err:
                typer.echo("lodeline: nobody reads stdout any more; the work goes on, unseen", err=True)

    return say
