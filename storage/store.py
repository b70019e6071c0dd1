"""The port for reading and for writing tiers: one interface, served by InfluxDB 1.x, 2.x, 3.x and the embedded lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from storage.declaration import Measurement, Tier
from storage.frame import Frame

if TYPE_CHECKING:  # pyarrow comes with the extra [lake]; an edge host that only collects needs none
    import pyarrow as pa

Where = Mapping[str, str | Sequence[str]]
"""Tag conditions: tag name to one value or several (any of them)."""

AHEAD_S = 60
"""A row may be dated so much later than now and still tell of now: clocks of hosts differ by seconds."""


def credible(now: float) -> int:
    """Unix second from which on rows are misdated: ``before`` of :meth:`Store.newest` for whoever asks how things are.

    A clock that was ahead for a while leaves rows in the future. They would be the newest ones until that time has
    come, whatever is read meanwhile.
    """
    return int(now) + AHEAD_S


class Store(Protocol):
    """Reads all tiers and writes roll-ups.

    Tables returned have ``time`` (timestamp[s, UTC]), then tags (string), then fields with their declared types; rows
    are sorted by tags, then time. Null stays null. An empty answer is a typed empty table.
    All methods block and raise :class:`storage.errors.TryAgain` (or StoreError) when the store cannot answer, never
    an empty table instead.
    """

    @property
    def name(self) -> str:
        """``embedded`` or ``influxdb-1.6.7`` and the like."""
        ...

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
        """Rows with ``start <= time < stop`` (Unix seconds). ``columns`` are fields to read, all by default.

        A row in which all of ``columns`` are null may be left out: InfluxDB knows of no row but by its fields.
        Where one series and time was delivered more than once the row is merged field by field, newest non-null value
        first, which is what InfluxDB does with duplicate points.
        """
        ...

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
        """Aggregates of raw rows per window of ``every_s`` seconds, aligned to the epoch, stamped with its start.

        ``aggregates`` maps field to ``mean``, ``min``, ``max``, ``sum``, ``count`` or ``last``; result columns are
        ``<field>_<aggregate>``. ``by`` are tags to group by; none gives one row per window over all series. Windows
        without data have no row.

        Raises:
            ValueError: start or stop is not a multiple of every_s.
        """
        ...

    def newest(
        self, measurement: Measurement, since: int, *, before: int | None = None, where: Where | None = None
    ) -> pa.Table:
        """The newest raw row of every series with ``time >= since``, whole: a null in it stays null.

        ``before``: rows from then on are passed over, see :func:`credible`.
        """
        ...

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        """Make the rows of a rolled-up ``tier`` in ``[start, stop)`` exactly ``rows``; the same again changes nothing.

        InfluxDB overwrites point by point, so series missing in ``rows`` keep what they had there.
        """
        ...

    def write(self, frames: Sequence[Frame]) -> None:
        """Write raw rows that do not come through a spool (marks of the roll-up, events); durable when it returns.

        The same key (tags, time) again replaces: the newest write wins.
        """
        ...

    def close(self) -> None:
        """Let go of connections and locks."""
        ...
