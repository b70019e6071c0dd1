"""One process of a host at a time: exports, streams, predictions, monitors and trainings each have a lock of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import TryAgain
from storage.lake.disk import explained, locked_if_free, make_folder


@contextmanager
def alone(folder: Path, lock: str, doing: str) -> Iterator[None]:
    """Hold ``lock`` in ``folder``, which is made where there is none. ``doing`` ends the sentence of the error.

    Raises:
        TryAgain: another process holds it. NeedsHuman: the folder cannot be made.
    """
    with explained(str(folder)):
        make_folder(folder)
    with locked_if_free(folder / lock) as ours:
        if not ours:
            raise TryAgain(f"Another process {doing} just now")
        yield
