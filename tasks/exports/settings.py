"""Section ``exports`` of data_collection_config.yaml: files that are written by themselves, one for each period."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from storage.configuration import CronExpression, Name, Section, TimeZoneName
from storage.configuration.section import nearest
from storage.declaration import MEASUREMENTS, Tier
from storage.declaration.rollup import rollup_columns
from tasks.reports.period import Kind

SERIES = "series"
"""Stands for miners hour by hour with all sources on one index (tasks.derive.joined)."""


class Format(StrEnum):
    """Of files. CSV: times in ISO 8601, UTC; null is empty, an empty text is ``""``. JSON: one array of objects, a row
    on each line. Parquet: units and meanings are metadata of the fields."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


class ExportSettings(Section):
    """One export, to ``<data>/exports/<name>/<name>-<period>.<format>``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    """Your name for it, of its folder and files: small letters, digits, ``_`` and ``-``."""
    what: Name
    """Measurement (docs/data-dictionary.md), or ``series``: miners hour by hour with all sources on one index."""
    tier: Literal["raw", "hourly", "daily"] | None = None
    """Rows as they were polled, or windows; ``raw`` where not set. A series is hourly."""
    fields: tuple[str, ...] = ()
    """Fields, of windows also columns of roll-ups, e.g. power_w_max; all where none is named."""
    entity: tuple[Annotated[str, Field(pattern=r"^[a-z_]+=.+$")], ...] = ()
    """Tags and values as ``tag=value``, e.g. site=hall; of one tag any of its values. All rows where none is named."""
    window: Literal["day", "week", "month"] = "day"
    """What a file holds: a day, a week from Monday to Sunday, or a calendar month."""
    timezone: TimeZoneName = "UTC"
    """Zone of windows and of the schedule. Times in files are UTC."""
    format: Format = Format.CSV
    """Format of the files."""
    schedule: CronExpression = "35 1 * * *"
    """When it is looked for what is due; a period is due once it is over for 15 minutes, for an hour where rows are not
    as they were polled but rolled up or derived."""
    keep: int = Field(default=31, ge=1, le=4_000)
    """Files that are kept; older ones go."""

    @property
    def kind(self) -> Kind:
        """Its periods, as reports have them."""
        return {"day": Kind.DAILY, "week": Kind.WEEKLY, "month": Kind.MONTHLY}[self.window]

    @model_validator(mode="after")
    def _is_there(self) -> ExportSettings:
        if self.what == SERIES:
            if self.tier not in (None, "hourly"):
                raise ValueError("what is series, which is hourly: leave out tier")
            if set(self.where) - {"miner_id"}:
                raise ValueError("series is chosen by miner_id alone")
            return self
        declared = MEASUREMENTS.get(self.what)
        if declared is None:
            meant = nearest(self.what, [*MEASUREMENTS, SERIES])
            hint = f"did you mean {meant}?" if meant else "docs/data-dictionary.md lists them"
            raise ValueError(f"there is no measurement {self.what!r}; {hint}")
        strangers = sorted(set(self.where) - set(declared.tag_names))
        if strangers:
            raise ValueError(f"{self.what} has no tag {', '.join(strangers)}; it has {', '.join(declared.tag_names)}")
        known = set(declared.field_by_name)
        if self.tier not in (None, "raw"):
            known |= {column.name for column in rollup_columns(declared)}
        unknown = [name for name in self.fields if name not in known]
        if unknown:
            meant = nearest(unknown[0], known)
            hint = f"; did you mean {meant}?" if meant else ""
            raise ValueError(f"{self.what} has no field {', '.join(unknown)}{hint}")
        return self

    @property
    def where(self) -> dict[str, list[str]]:
        """``entity`` by tag."""
        found: dict[str, list[str]] = {}
        for condition in self.entity:
            tag, _, value = condition.partition("=")
            found.setdefault(tag, []).append(value)
        return found

    @property
    def of_tier(self) -> Tier:
        """The tier of its rows."""
        return Tier(self.tier or (Tier.HOURLY if self.what == SERIES else Tier.RAW))
