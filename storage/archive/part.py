"""One archived file and what the catalogue knows of it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from storage.declaration import MEASUREMENTS, Measurement, Tier


class State(StrEnum):
    """How far a file is on its way, or what became of it."""

    COPIED = "copied"
    """Written and verified; its rows may still be in the source as well."""
    MOVED = "moved"
    """Its rows have left the source, or leave it by themselves: InfluxDB ends retention on its own."""
    DAMAGED = "damaged"
    """Its bytes are no longer those that were written."""


class ArchivedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One file under the archive's root.

    ``date`` is the first day of the period that all rows lie in, ``[start, stop)`` that period, ``first`` and ``last``
    the times of its ends, all but the date in Unix seconds. ``low`` and ``high`` are the ends of each tag, of which a
    null one counts as the empty string. ``content`` is a sum over the rows that does not depend on their order.
    ``footer`` is the SHA-256 of what the file ends with, where it tells what is where; entries of before have none.
    ``source`` names the file that it was made from, ``source_version`` the version of the table that had it; rows that
    were copied out of a store name themselves, and count the copies of their period.
    """

    measurement: str
    tier: Tier
    date: str
    start: int
    stop: int
    path: str
    rows: int
    bytes: int
    sha256: str
    content: str
    first: int
    last: int
    low: dict[str, str]
    high: dict[str, str]
    fingerprint: str
    source: str
    source_version: int
    order: int
    archived_s: int
    lodeline: str
    state: State
    footer: str | None = None

    @property
    def declared(self) -> Measurement:
        """Declaration of the measurement."""
        return MEASUREMENTS[self.measurement]

    def holds(self, tag: str, value: str) -> bool:
        """False where no row can have ``value`` in ``tag``."""
        return tag in self.low and self.low[tag] <= value <= self.high[tag]
