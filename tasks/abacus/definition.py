"""What a feature group of the configuration is in terms of our feature views: one table of names, all else checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from storage.declaration import Type
from storage.errors import ConfigurationError
from storage.features.view import Feature, FeatureView
from storage.features.views import VIEWS
from tasks.abacus.settings import FILE_NAME, FeatureGroupSettings, FeatureSettings

RECORD, KNOWN_AT = "record_id", "known_at"
"""Columns that every group has beside its own: the primary key (entity and time), and since when a row is known."""


class Sent(NamedTuple):
    """A feature as it is sent: ``feature`` of the view, divided by ``divisor``, in ``unit``."""

    feature: str
    divisor: float
    unit: str


VIEW_OF = {"miner_telemetry": "miner_hourly", "pool_performance": "pool_worker_hourly", "market_data": "market"}
"""Feature view of a group that names none; a group that has a view's own name is that view."""

_TH = 1e12
SENT: dict[str, dict[str, Sent]] = {
    "miner_hourly": {
        "hashrate_th_s": Sent("hashrate_hs", _TH, "TH/s"),
        "power_consumption_w": Sent("power_w", 1, "W"),
        "avg_temperature_c": Sent("chip_temp_avg_c", 1, "degC"),
        "max_temperature_c": Sent("chip_temp_max_c", 1, "degC"),
        "accepted_shares": Sent("shares_accepted", 1, "shares"),
        "rejected_shares": Sent("shares_rejected", 1, "shares"),
    },
    "pool_worker_hourly": {
        "effective_hashrate": Sent("hashrate_effective_hs", 1, "H/s"),
        "effective_hashrate_th_s": Sent("hashrate_effective_hs", _TH, "TH/s"),
        "reported_hashrate": Sent("hashrate_reported_hs", 1, "H/s"),
        "accepted_shares": Sent("shares_accepted", 1, "shares"),
        "rejected_shares": Sent("shares_rejected", 1, "shares"),
    },
}
SENT["miner_daily"] = SENT["miner_hourly"]
"""Names of features that are other than the view's own, by view: what they are there, and their unit here."""

_FITS = {
    "FLOAT": (Type.FLOAT, Type.INTEGER),
    "INTEGER": (Type.INTEGER, Type.FLOAT),
    "STRING": (Type.STRING,),
    "BOOLEAN": (Type.BOOLEAN,),
    "TIMESTAMP": (),
}
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One feature of a group: ``name`` and ``type`` over there, ``source`` and how it is sent from here."""

    name: str
    type: str
    sent: Sent
    source: Feature
    description: str


@dataclass(frozen=True)
class Definition:
    """One feature group. ``time`` is the column of the event time, ``lookup`` that of the entity asked for online."""

    name: str
    description: str
    view: FeatureView
    time: str
    lookup: str
    columns: tuple[ExportColumn, ...]

    @property
    def column_names(self) -> list[str]:
        """Columns of its rows, in order."""
        return [RECORD, self.time, KNOWN_AT, *self.view.entity, *(column.name for column in self.columns)]

    @property
    def types(self) -> dict[str, str]:
        """Data type of each column in the service's words."""
        own = {
            RECORD: "STRING",
            self.time: "DATETIME",
            KNOWN_AT: "DATETIME",
            **dict.fromkeys(self.view.entity, "STRING"),
        }
        return own | {column.name: "DATETIME" if column.type == "TIMESTAMP" else column.type for column in self.columns}

    @property
    def fingerprint(self) -> str:
        """12 hex digits of what decides what a row is: another one is another version, with a table of its own.

        Descriptions may be reworded.
        """
        lines = [
            f"{self.name} of {self.view.stored_name} {self.view.fingerprint} {self.time} {self.lookup}",
            *(f"{c.name} {c.type} {c.sent.feature} {c.sent.divisor:g} {c.sent.unit}" for c in self.columns),
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    @property
    def full_description(self) -> str:
        """Its description with that of each feature: the service has no place for those."""
        lines = [self.description or self.view.meaning, ""]
        for column in self.columns:
            unit = f" [{column.sent.unit}]" if column.sent.unit else ""
            lines.append(f"- {column.name}{unit}: {column.description or column.source.meaning}")
        return "\n".join(lines)


def definitions_of(groups: Iterable[FeatureGroupSettings]) -> tuple[Definition, ...]:
    """The groups of the configuration, each made of a feature view.

    Raises:
        ConfigurationError: a group or a feature that no view has; all such faults at once.
    """
    faults: list[str] = []
    made = [_definition(at, group, faults) for at, group in enumerate(groups)]
    if faults:
        raise ConfigurationError(faults)
    return tuple(definition for definition in made if definition is not None)


def _definition(at: int, group: FeatureGroupSettings, faults: list[str]) -> Definition | None:
    where = f"{FILE_NAME}: feature_groups[{at}] {group.name}"
    wanted = group.view or VIEW_OF.get(group.name, group.name)
    view = VIEWS.get(wanted)
    if view is None:
        faults.append(f"{where}: there is no feature view {wanted!r}; set view to one of {', '.join(VIEWS)}")
        return None
    before = len(faults)
    lookup = group.entity_id_column.replace(".", "_")  # the service takes no dots: coin.id is coin_id
    if lookup not in view.entity:
        faults.append(
            f"{where}: entity_id_column {group.entity_id_column}: view {view.name} is by {_words(view.entity)}"
        )
    time = group.timestamp_column.replace(".", "_")
    columns = [column for feature in group.features if (column := _column(where, view, feature, faults)) is not None]
    names = [RECORD, time, KNOWN_AT, *view.entity, *(column.name for column in columns)]
    faults.extend(f"{where}: column {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    faults.extend(
        f"{where}: {name!r} is no name of a table or column at Abacus.AI: letters, digits and _, a letter first"
        for name in [group.name, *names]
        if not _COLUMN.fullmatch(name)
    )
    if len(faults) > before:
        return None
    return Definition(group.name, group.description, view, time, lookup, tuple(columns))


def _column(where: str, view: FeatureView, feature: FeatureSettings, faults: list[str]) -> ExportColumn | None:
    known = SENT.get(view.name, {})
    by_name = {of.name: of for of in view.features}
    sent = known.get(feature.name) if feature.feature is None else None
    if sent is None:
        name = feature.feature or feature.name
        if name not in by_name:
            could = _words([*known, *by_name])
            faults.append(f"{where}: view {view.name} has no feature {name!r}; it has {could}")
            return None
        sent = Sent(name, 1, by_name[name].unit)
    source = by_name[sent.feature]
    if source.type not in _FITS[feature.type]:
        faults.append(
            f"{where}: feature {feature.name} is of type {feature.type}, in view {view.name} of {source.type}"
        )
        return None
    return ExportColumn(feature.name.replace(".", "_"), feature.type, sent, source, feature.description)


def _words(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
