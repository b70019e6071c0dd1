"""What is exported, its columns with units and meanings, and its rows a stretch of time after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from storage.across_tiers import AcrossTiers, Archive, Piece
from storage.across_tiers.question import representatives
from storage.arrow_schema import ANSWER_TIME, ARROW_TYPES
from storage.configuration.section import nearest
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.declaration.rollup import RollupColumn, rollup_columns
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.errors import NeedsHuman
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.joined import joined_hours, joined_meanings, joined_schema
from tasks.exports.settings import SERIES

WHY = ("reason", "reasons", "quality_flags", "operational_reason", "financial_reason")
"""Columns that say why another is null: they come along whatever is chosen."""

_RESOLUTIONS: Mapping[Tier, int | None] = {Tier.RAW: None, Tier.HOURLY: HOUR_S, Tier.DAILY: DAY_S}
_LABELS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """``what``: a measurement or ``series``; ``[start, stop)`` in Unix seconds. ``where``: tags and the values that
    they may have. ``fields``: None for all."""

    what: str
    start: int
    stop: int
    tier: Tier = Tier.RAW
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fields: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the file."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows up to ``stop`` (Unix seconds), in the columns of the export, sorted by time, then labels."""

    stop: int
    rows: pa.Table
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Exported:
    """What is asked for, ready to be read: ``stretches`` reads it once, in order."""

    asked: Asked
    meaning: str
    columns: Sequence[Column]
    stretches: Callable[[], Iterator[Stretch]]


def exported(
    asked: Asked,
    store: Store,
    archive: Archive | None,
    *,
    fleet: Fleet,
    retention_days: Mapping[str, int],
    now: int,
) -> Exported:
    """What ``asked`` says, of ``store`` and ``archive`` as of ``now`` (Unix seconds). ``retention_days`` by bucket is
    RetentionSettings.bucket_days. Reads nothing yet.

    Raises:
        NeedsHuman: what is asked for is not there: measurement, tag, column, miner, or the time is none.
    """
    if asked.start >= asked.stop:
        raise NeedsHuman("the start is not before the end", remedy="Give an earlier --from or a later --to")
    if asked.what == SERIES:
        return _series(asked, store, fleet)
    declared = MEASUREMENTS.get(asked.what)
    if declared is None:
        meant = nearest(asked.what, [*MEASUREMENTS, SERIES])
        hint = f"Did you mean {meant}" if meant else "docs/data-dictionary.md lists them"
        raise NeedsHuman(f"There is no measurement {asked.what!r}", remedy=hint)
    strangers = sorted(set(asked.where) - set(declared.tag_names))
    if strangers:
        raise NeedsHuman(
            f"{asked.what} has no tag {', '.join(strangers)}", remedy=f"It has {', '.join(declared.tag_names)}"
        )
    columns = _columns(declared, asked)

    def stretches() -> Iterator[Stretch]:
        across = AcrossTiers(store, archive, retention_days, now)
        parts = across.in_parts(
            declared,
            asked.start,
            asked.stop,
            resolution_s=_RESOLUTIONS[asked.tier],
            where=asked.where,
            columns=[one.name for one in columns[1 + len(declared.tag_names) :]],
        )
        for stop, answer in parts:
            yield Stretch(stop, answer.table, answer.pieces)

    return Exported(asked, declared.meaning, columns, stretches)


def _columns(declared: Measurement, asked: Asked) -> list[Column]:
    fields = declared.field_by_name
    rolled = {} if asked.tier is Tier.RAW else {column.name: column for column in rollup_columns(declared)}
    chosen = list(fields) if asked.fields is None else list(dict.fromkeys(asked.fields))
    unknown = [name for name in chosen if name not in fields and name not in rolled]
    if unknown:
        meant = nearest(unknown[0], [*fields, *rolled])
        hint = f"Did you mean {meant}" if meant else f"It has {', '.join(fields)}"
        more = "; columns of roll-ups need a tier" if asked.tier is Tier.RAW else ""
        raise NeedsHuman(f"{asked.what} has no field {', '.join(unknown)}{more}", remedy=hint)
    chosen += [name for name in WHY if name in fields and name not in chosen]
    time = "time of the reading" if asked.tier is Tier.RAW else "start of the window"
    meanings = {tag.name: tag.meaning for tag in declared.tags}
    return [
        Column("time", ANSWER_TIME, "", f"{time}, UTC"),
        *(Column(tag, pa.string(), "", meanings[tag]) for tag in declared.tag_names),
        *(_column(declared, name, rolled.get(name), asked.tier) for name in chosen),
    ]


def _column(declared: Measurement, name: str, rolled: RollupColumn | None, tier: Tier) -> Column:
    if rolled is not None:
        return Column(name, ARROW_TYPES[rolled.type], rolled.unit, rolled.meaning)
    of = declared.field_by_name[name]
    stands_for_it = representatives(declared)[name]
    word = {"mean": "mean", "last": "newest"}[stands_for_it.aggregate]
    how = "" if tier is Tier.RAW else f"{word} of the window: "
    return Column(name, ARROW_TYPES[stands_for_it.type], of.unit, how + of.meaning)


def _series(asked: Asked, store: Store, fleet: Fleet) -> Exported:
    if set(asked.where) - {"miner_id"}:
        raise NeedsHuman("series is chosen by miner alone", remedy="Give --entity miner_id=...")
    miners = sorted(set(asked.where.get("miner_id", fleet.miners)))
    unknown = sorted(set(miners) - set(fleet.miners))
    if unknown:
        raise NeedsHuman(f"no miner {', '.join(unknown)} is configured", remedy="lodeline check counts those that are")
    schema, meanings = joined_schema(), joined_meanings()
    strange = [name for name in asked.fields or () if name not in schema.names]
    if strange:
        meant = nearest(strange[0], schema.names)
        hint = f"Did you mean {meant}" if meant else "docs/derived-metrics.md lists them"
        raise NeedsHuman(f"series has no column {', '.join(strange)}", remedy=hint)
    chosen = schema.names if asked.fields is None else [*schema.names[:_LABELS], *asked.fields, *WHY]
    names = [name for name in dict.fromkeys(chosen) if name in schema.names]

    def stretches() -> Iterator[Stretch]:
        for rows in joined_hours(store, fleet, asked.start, asked.stop, miners):
            last = rows["time"].cast(pa.int64())
            stop = max(last[place].as_py() for place in (0, len(last) - 1)) + HOUR_S
            ordered = rows.select(names).sort_by([("time", "ascending"), ("miner_id", "ascending")])
            place = f"{store.name}, all sources on one index"
            start = min(last[place].as_py() for place in (0, len(last) - 1))
            yield Stretch(stop, ordered, [Piece(start, stop, Tier.HOURLY, place, rows.num_rows, "joined")])

    columns = [Column(name, schema.field(name).type, *meanings[name]) for name in names]
    return Exported(asked, "miners hour by hour: telemetry, pools, market, what is derived", columns, stretches)
