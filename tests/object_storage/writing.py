"""What killed processes of these tests do."""

from __future__ import annotations

import os
import signal

from storage.lake.location import LakeLocation
from storage.lake.sink import LakeSink
from storage.lake.table import LakeTable
from tests.lake.rows import tick


def die_before_commit(root: LakeLocation, sequence: int) -> None:
    """Put the data file of a record and die before any commit names it."""
    LakeTable.commit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    LakeSink(root, "host").deliver([tick(sequence)])


def die_after_commit(root: LakeLocation, sequence: int) -> None:
    """Commit a record and die before anybody is told."""
    commit = LakeTable.commit

    def last_words(self: LakeTable, *given, **named) -> None:
        commit(self, *given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    LakeTable.commit = last_words  # type: ignore[method-assign]
    LakeSink(root, "host").deliver([tick(sequence)])
