"""A store that takes nothing that was erased: who read it before an erasure may write after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from storage.declaration import Measurement, Tier
from storage.erasure.entity import WINDOW_S
from storage.erasure.tombstones import Tombstones
from storage.frame import Frame
from storage.store import Store, Where

if TYPE_CHECKING:  # comes with the extra [lake]
    import pyarrow as pa


class HonouringStore:
    """``store``, with rows that were erased left out of all that is written; see :class:`storage.store.Store`."""

    def __init__(self, store: Store, tombstones: Tombstones) -> None:
        self._store = store
        self._tombstones = tombstones

    @property
    def name(self) -> str:
        """Name of the store itself."""
        return self._store.name

    def read(
        self,
        measurement: Measurement,
        tier: Tier,
        start: int,
        stop: int,
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """See :meth:`storage.store.Store.read`."""
        return self._store.read(measurement, tier, start, stop, where=where, columns=columns)

    def windows(
        self,
        measurement: Measurement,
        start: int,
        stop: int,
        every_s: int,
        *,
        aggregates: Mapping[str, str],
        by: Sequence[str] = (),
        where: Where | None = None,
    ) -> pa.Table:
        """See :meth:`storage.store.Store.windows`."""
        return self._store.windows(measurement, start, stop, every_s, aggregates=aggregates, by=by, where=where)

    def newest(
        self, measurement: Measurement, since: int, *, before: int | None = None, where: Where | None = None
    ) -> pa.Table:
        """See :meth:`storage.store.Store.newest`."""
        return self._store.newest(measurement, since, before=before, where=where)

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        """See :meth:`storage.store.Store.replace`."""
        kept = self._tombstones.without_erased_rows(measurement, rows, WINDOW_S.get(tier, 1))
        self._store.replace(measurement, tier, start, stop, kept)

    def write(self, frames: Sequence[Frame]) -> None:
        """See :meth:`storage.store.Store.write`."""
        kept = [self._tombstones.without_erased(frame) for frame in frames]
        if frames := [frame for frame in kept if len(frame)]:
            self._store.write(frames)

    def close(self) -> None:
        """See :meth:`storage.store.Store.close`."""
        self._store.close()
