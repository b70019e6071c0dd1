"""docs/commands.md, made from the command line itself: ``python -m deployments.command_reference``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import typer.main

from deployments.command import app
from deployments.markdown import markdown_table

DOCUMENT = Path(__file__).parent.parent / "docs" / "commands.md"

_INTRODUCTION = """# Commands

Made from the commands by `python -m deployments.command_reference`; a test fails when it is stale.

Exit codes are the same everywhere: 0 well, 1 not well, 2 a mistake of the user (one line of text each, never a
traceback). Text for people goes to stdout, what is wrong to stderr. With `--json` stdout has one JSON document: an
object, or a list where the command lists things (`audit`: an object a line). `--format json` is a list of rows. Into a
file or a pipe all of it is UTF-8.
"""


def command_reference() -> str:
    """The whole document."""
    group = typer.main.get_command(app)
    commands = getattr(group, "commands", {})
    return "\n".join([_INTRODUCTION, *(_command(name, command) for name, command in commands.items())])


def _command(name: str, command: typer.core.TyperCommand) -> str:
    text, _, example = inspect.cleandoc(command.help or "").partition("Example: ")
    rows = [
        (f"`{', '.join(param.opts)}`", getattr(param, "help", None) or "", _variables(getattr(param, "envvar", None)))
        for param in command.params
        if "--help" not in param.opts
    ]
    options = markdown_table(("option", "meaning", "variable"), rows)
    return f"## lodeline {name}\n\n{text.strip()}\n\n```\n{example.strip()}\n```\n\n{options}"


def _variables(names: str | list[str] | None) -> str:
    return ", ".join(f"`{name}`" for name in ([names] if isinstance(names, str) else names or []))


if __name__ == "__main__":
    DOCUMENT.write_text(command_reference(), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT} written\n")
