"""``python -m deployments.page``: the same as ``lodeline page``, for a process of its own."""

from __future__ import annotations

import sys

import typer

from deployments.command.errors import USER_ERROR, print_error
from deployments.command.page import page
from storage.errors import LodelineError

if __name__ == "__main__":
    try:
        typer.run(page)
    except LodelineError as error:
        print_error(error)
        sys.exit(USER_ERROR)
