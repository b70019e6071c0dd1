"""A bar on stderr for long work, where that is a terminal: pipes, logs and --json never see one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[float, float, str], None]
"""Takes how much is done, of how much, and what the last was."""


@contextmanager
def progress(label: str, *, as_json: bool = False) -> Iterator[Show]:
    """Show a bar while in here, moved by what is given to the function that this yields, and by what work tells by
    storage.progress; it runs to and fro until the first of either. It is gone afterwards."""
    import sys

    from storage.progress import listening, told

    if as_json or not sys.stderr.isatty():
        yield lambda _done, _of, _what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(label, total=None, what="")

        def hear(part: float, what: str) -> None:
            bar.update(task, total=1.0, completed=part, what=what)

        with listening(hear):
            yield told
