"""Whose turn it is to publish: one publication at a time on a lake, from whichever host.

Two at once would each find a row missing and add it, and one could add a row that is known from before a moment that
the other has told to be settled: an export would have gone past it. On a disk a kernel lock keeps them apart. An object
store has no locks: there a turn is a row of the table ``features/turns`` that says whose it is and until when, and the
commit that takes it is refused where another came first. Who holds a turn prolongs it before he writes. A host that
died with it is waited for until the turn is over, by clocks that may be ``CLOCKS_S`` apart.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator

import pyarrow as pa

from storage.arrow_schema import FILE_TIME
from storage.declaration import Measurement, Tag
from storage.errors import TryAgain
from storage.features.table import FOLDER, TURNS
from storage.lake.disk import locked_if_free
from storage.lake.history import checkpoint
from storage.lake.layout import Layout, Period
from storage.lake.location import LakeLocation, entries
from storage.lake.maintenance import vacuum
from storage.lake.object_store import ObjectLocation
from storage.lake.parquet import read_file
from storage.lake.table import LakeTable

LASTS_S = 900
CLOCKS_S = 60
_SCHEMA = pa.schema([("time", FILE_TIME), ("holder", pa.string()), ("until", pa.int64())])


class Turn:
    """A turn that is held by a kernel lock: nobody can take it."""

    def keep(self) -> None:
        """Prolong it where it has to be. Called before each write.

        Raises:
            TryAgain: somebody else has it, or the store does not answer.
        """


class _Leased(Turn):
    """A turn on an object store."""

    def __init__(self, root: ObjectLocation, clock: Callable[[], float]) -> None:
        identity = Measurement(TURNS, FOLDER, "whose turn it is to publish", (Tag("holder", ""),), (), {})
        self._table = LakeTable.undeclared(root, identity, FOLDER, _SCHEMA, Layout(Period.YEAR, ("holder",)))
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._until = 0.0

    def take(self) -> bool:
        """Whether it is ours now, for ``LASTS_S``."""
        return self._write(int(self._clock()) + LASTS_S)

    def keep(self) -> None:
        if self._clock() < self._until - LASTS_S / 2:
            return
        if not self.take():
            raise TryAgain("another host publishes features meanwhile: this one had stood still for too long")

    def give_back(self) -> None:
        """Let others begin at once."""
        if self._write(0):
            vacuum(self._table)
            checkpoint(self._table)

    def _write(self, until: int) -> bool:
        """Have the row say that it is ours until then; False where it is somebody else's."""
        ours = pa.Table.from_pylist([{"time": 0, "holder": self._holder, "until": until}], schema=_SCHEMA)

        def swap() -> bool:
            snapshot = self._table.opened_for_writing()
            for row in (row for part in snapshot.parts for row in read_file(part.path, _SCHEMA).to_pylist()):
                if row["holder"] != self._holder and row["until"] + CLOCKS_S > self._clock():
                    return False
            self._table.commit(snapshot.handle, self._table.write(ours), snapshot.parts, strict=True)
            return True

        if not self._table.exclusively(swap):
            return False
        self._until = until
        return True


@contextlib.contextmanager
def turn(root: LakeLocation, clock: Callable[[], float] = time.time) -> Iterator[Turn | None]:
    """Hold the turn to publish into the lake under ``root``; None at once where somebody else has it.

    ``clock``: Unix seconds.

    Raises:
        StoreError, NeedsHuman: the lake cannot be read or written.
    """
    if isinstance(root, ObjectLocation):
        leased = _Leased(root, clock)
        if not leased.take():
            yield None
            return
        try:
            yield leased
        finally:
            leased.give_back()
    else:
        with locked_if_free(root / FOLDER / ".publish.lock") as ours:
            yield Turn() if ours else None


@contextlib.contextmanager
def nothing_published(root: LakeLocation) -> Iterator[None]:
    """Keep publication away: what it read before an erasure it would add after it. Nothing where no feature ever was.

    Raises:
        TryAgain: it is under way. StoreError, NeedsHuman: the lake cannot be read or written.
    """
    if not entries(root / FOLDER):
        yield
        return
    with turn(root) as ours:
        if ours is None:
            raise TryAgain("Features are being published just now")
        yield
