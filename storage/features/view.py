"""What a feature view is: an entity, its features with unit, meaning and lineage, and how long a value is good for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.declaration import Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.lake.layout import Period

EVENT, KNOWN, BACKFILLED = "time", "known", "backfilled"
"""Columns of every published table beside the entity's: the end of a row's window, since when (Unix seconds) it is
known, and whether that is reckoned, since the row is older than the feature store."""

ENTITY = "entity"
"""Column of rows in memory: the entity's tags as one text (rows.entity_key)."""

REMEMBERED_S = 7 * 86400
"""A row that is older than its TTL by more than this is as if it had never been: reason ``absent``, not ``expired``."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. ``source`` is the tag or the column of the view's source that it is taken from, unchanged."""

    name: str
    type: Type
    unit: str
    meaning: str
    source: str


@dataclass(frozen=True)
class FeatureView:
    """Features of one entity from one measurement and tier.

    ``entity`` are the tags that tell two entities apart. ``width_s`` is how long a source row lasts from its time on:
    its event time is the end of that, since nobody can know an hour before it is over. ``ttl_s``: a value older than
    this at the moment of the question is null, reason ``expired``. ``lag_s``: from a row's end until it is usually
    published, by which rows from before the feature store are dated. ``newest_by``: of two series of one entity and
    time (a miner that changed its site) the one counts in which this column is greater.
    """

    name: str
    version: int
    meaning: str
    measurement: Measurement
    tier: Tier
    entity: tuple[str, ...]
    width_s: int
    ttl_s: int
    lag_s: int
    features: tuple[Feature, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    newest_by: str | None = None

    def __post_init__(self) -> None:
        names = [*self.entity, *(feature.name for feature in self.features)]
        own = (EVENT, KNOWN, BACKFILLED, ENTITY)
        doubled = {name for name in names if names.count(name) > 1 or name in own}
        if doubled:
            raise ValueError(f"view {self.name}: {sorted(doubled)} declared twice, or the name of a column of its own")
        renamed = [f.name for f in self.features if f.source in self.measurement.tag_names and f.source != f.name]
        if renamed:
            raise ValueError(f"view {self.name}: {renamed} are tags, which keep their names: erasing goes by them")
        strangers = sorted({*self.entity, *self.where} - set(self.measurement.tag_names))
        if strangers:
            raise ValueError(f"view {self.name}: {self.measurement.name} has no tag {strangers}")

    @property
    def stored_name(self) -> str:
        """Name of its table: a version has one of its own."""
        return f"{self.name}_v{self.version}"

    @property
    def source_name(self) -> str:
        """Table that it is made of."""
        return self.measurement.stored_name(self.tier)

    @property
    def period(self) -> Period:
        """Length of a partition."""
        return Period.MONTH if self.width_s >= 86400 else Period.DAY

    @property
    def source_columns(self) -> list[str]:
        """Columns of the source that are no tags."""
        wanted = [feature.source for feature in self.features] + ([self.newest_by] if self.newest_by else [])
        return [name for name in dict.fromkeys(wanted) if name not in self.measurement.tag_names]

    @property
    def tag_names(self) -> list[str]:
        """Tags of the source that its rows have: those of the entity, then those that are features."""
        tags = self.measurement.tag_names
        return [*self.entity, *(feature.name for feature in self.features if feature.source in tags)]

    @property
    def feature_names(self) -> list[str]:
        """Names of its features, in declared order."""
        return [feature.name for feature in self.features]

    def feature(self, name: str) -> Feature:
        """The feature of that name.

        Raises:
            ValueError: there is none.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise ValueError(f"view {self.name} has no feature {name!r}; it has {', '.join(self.feature_names)}")

    @property
    def fingerprint(self) -> str:
        """12 hex digits of all that decides what a value is and when it is given: another one is another version.

        Meanings may be reworded; units, sources, types, TTL and entity may not.
        """
        lines = [
            f"{self.name} of {self.source_name} {sorted(self.where.items())}",
            f"by {self.entity} each {self.width_s} ttl {self.ttl_s} newest {self.newest_by}",
            *(f"{f.name} {f.type.value} {f.unit} {f.source}" for f in self.features),
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def features_of(measurement: Measurement, tier: Tier, columns: Mapping[str, str]) -> tuple[Feature, ...]:
    """Features by the column of the tier (or the tag) that they are; type, unit and meaning are the declaration's.

    Raises:
        ValueError: a column that the tier does not have.
    """
    tags = {tag.name: tag.meaning for tag in measurement.tags}
    rolled = {} if tier is Tier.RAW else {column.name: column for column in rollup_columns(measurement)}
    made = []
    for name, of in columns.items():
        if of in tags:
            made.append(Feature(name, Type.STRING, "", tags[of], of))
        elif tier is Tier.RAW and of in measurement.field_by_name:
            declared = measurement.field_by_name[of]
            made.append(Feature(name, declared.type, declared.unit, declared.meaning, of))
        elif of in rolled:
            made.append(Feature(name, rolled[of].type, rolled[of].unit, rolled[of].meaning, of))
        else:
            raise ValueError(f"{measurement.stored_name(tier)} has no column {of!r}")
    return tuple(made)
