"""What one measurement is: tags, fields and the bucket of each tier. The only shape that storage knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from storage.declaration.bucket import BUCKETS, Tier
from storage.declaration.field import Field, Tag


@dataclass(frozen=True)
class Measurement:
    """One declared measurement.

    ``record`` is the record kind of MISSION.md it belongs to. ``buckets`` says where each tier lives; a tier that is
    missing is not kept. Raw rows are keyed by (tags, time): the same key again replaces.
    ``stands_s``: what a row says holds until the next row of its series, but for this many seconds at most; after them
    nobody knows. ``uptime``: the field that tells for how long, in seconds, what the row is of has been up.
    """

    name: str
    record: str
    meaning: str
    tags: tuple[Tag, ...]
    fields: tuple[Field, ...]
    buckets: dict[Tier, str]
    stands_s: int = 0
    uptime: str | None = None

    def __post_init__(self) -> None:
        names = [tag.name for tag in self.tags] + [field.name for field in self.fields]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(
                f"measurement {self.name}: {sorted(doubled)} declared twice (tag and field share one name)"
            )
        still = sorted({field.was for field in self.fields} & set(names))
        if still:
            raise ValueError(f"measurement {self.name}: {still} are declared still, so no other field was that")
        unknown = set(self.buckets.values()) - set(BUCKETS)
        if unknown:
            raise ValueError(f"measurement {self.name}: unknown buckets {sorted(unknown)}")

    @cached_property
    def tag_names(self) -> tuple[str, ...]:
        """Tag names, sorted as line protocol wants them."""
        return tuple(sorted(tag.name for tag in self.tags))

    @cached_property
    def in_influx(self) -> bool:
        """Whether InfluxDB keeps its raw rows; if not, only the lake does."""
        return BUCKETS[self.buckets[Tier.RAW]].in_influx

    @cached_property
    def field_by_name(self) -> dict[str, Field]:
        """Declared fields by name, in declared order."""
        return {field.name: field for field in self.fields}

    def stored_name(self, tier: Tier) -> str:
        """Name of the measurement or table of ``tier``. The tier is part of it, since tiers may share a bucket."""
        return self.name if tier is Tier.RAW else f"{self.name}_{tier}"

    def columns(self) -> Iterator[str]:
        """Column names of a raw row: ``time``, tags, fields."""
        yield "time"
        yield from self.tag_names
        yield from self.field_by_name
