"""docs/data-dictionary.md, made from declaration and feature views: ``python -m deployments.data_dictionary``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from deployments.markdown import markdown_table
from storage.declaration import BUCKETS, MEASUREMENTS, Field, Kind, Measurement, Tier
from storage.declaration.rollup import rollup_columns
from storage.features.view import FeatureView
from storage.features.views import VIEWS
from storage.retention_settings import BUCKET_KEYS

DOCUMENT = Path(__file__).parent.parent / "docs" / "data-dictionary.md"

_RECORDS = {
    "R1": "miner_telemetry: miners, boards, fans, pools, errors, configuration",
    "R2": "pool_performance: what pools say",
    "R3": "market_data: prices, networks, indicators",
    "R4": "derived_metrics: what is worked out of the others",
    "pipeline": "Lodeline's own books",
}

_INTRODUCTION = """# Data dictionary

Made from `storage/declaration` by `python -m deployments.data_dictionary`; a test fails when it is stale.

- A row is one `time` (UTC, whole seconds: the slot of the poll), its tags, and its fields. The same tags and time again
  replace the row. A field that was not read is null: never zero, never the value before.
- Units are base units; only pages and exports show TH/s. `d1_shares` is work counted as shares of difficulty 1.
- Floats are stored with 16 significant bits (relative error below 1.6e-5). Fields marked *exact* keep every bit.
- Roll-ups are tables of their own, `<measurement>_hourly` and `<measurement>_daily`, stamped with the start of the
  window. `_count` counts the rows in which the field is not null; `_mean` of a day is sum of sums / sum of counts;
  `_inc` is the rise of a counter over the window, aware of resets. Columns are named `<field><suffix>`.
- `_seconds` are seconds of the window in which the field was known, `_true_seconds` and `_<state>_seconds` those in one
  state: a row stands until the next row of its series, for so long at most as its measurement says. What nobody knows
  is in no state. `_integral` is value x seconds (of W: J), `_integral / _seconds` the mean over time; `_mean` is over
  rows, of which there are more while something goes on. `_last_at` is the Unix time of the row of `_last`.
"""

_VIEWS = """## Feature views

Declared in `storage/features/views.py`; docs/features.md says how they are published and asked. A feature is a column
of its source, unchanged. A view whose definition changes gets another version, and both have a table of their own.
"""


def data_dictionary() -> str:
    """The whole document."""
    parts = [_INTRODUCTION, _buckets()]
    for record, meaning in _RECORDS.items():
        parts.append(f"## {record}: {meaning}\n" if record != "pipeline" else f"## {meaning}\n")
        parts += [_measurement(declared) for declared in MEASUREMENTS.values() if declared.record == record]
    parts += [_VIEWS, *map(_view, VIEWS.values())]
    return "\n".join(parts)


def _buckets() -> str:
    rows = [
        (
            f"`{bucket.name}`",
            bucket.meaning if bucket.in_influx else f"{bucket.meaning}; in the lake only",
            str(bucket.retention_days),
            f"`{BUCKET_KEYS[bucket.name]}`",
        )
        for bucket in BUCKETS.values()
    ]
    header = ("bucket, database or lake layer", "holds", "days kept", "key of data_retention_config.yaml")
    return f"## Buckets\n\n{markdown_table(header, rows)}"


def _measurement(measurement: Measurement) -> str:
    tiers = [
        (tier.value, f"`{measurement.stored_name(tier)}`", f"`{bucket}`", f"{BUCKETS[bucket].retention_days} days")
        for tier, bucket in measurement.buckets.items()
    ]
    tags = [(f"`{tag.name}`", tag.meaning) for tag in measurement.tags]
    rolled_up = Tier.HOURLY in measurement.buckets
    fields = [tuple(_field(field, measurement, rolled_up=rolled_up)) for field in measurement.fields]
    header = ("field", "type", "kind", "unit", "meaning", *(["roll-up columns"] if rolled_up else []))
    stands = f" A row stands for {measurement.stands_s} s at most." if measurement.stands_s else ""
    return "\n".join(
        [
            f"### {measurement.name}\n",
            f"{measurement.meaning[0].upper()}{measurement.meaning[1:]}.{stands}\n",
            markdown_table(("tier", "table", "bucket", "kept"), tiers),
            markdown_table(("tag", "meaning"), tags),
            markdown_table(header, fields),
        ]
    )


def _field(field: Field, measurement: Measurement, *, rolled_up: bool) -> Iterator[str]:
    yield f"`{field.name}`"
    yield f"{field.type}, exact" if field.exact else field.type.value
    yield field.kind.value
    yield field.unit or "-"
    values = (
        f": {', '.join(f'`{value}`' for value in field.values)}" if field.kind is Kind.STATE and field.values else ""
    )
    yield field.meaning + values
    if rolled_up:
        columns = (column.name for column in rollup_columns(measurement) if column.field is field)
        yield " ".join(f"`{column.removeprefix(field.name)}`" for column in columns)


def _view(view: FeatureView) -> str:
    condition = "".join(f", {tag} {value}" for tag, value in view.where.items())
    facts = [
        ("entity", ", ".join(f"`{tag}`" for tag in view.entity)),
        ("version, fingerprint", f"{view.version}, `{view.fingerprint}`"),
        ("made of", f"`{view.source_name}`{condition}"),
        ("time", f"end of the row's {view.width_s // 3600} h" if view.width_s else "time of the row"),
        ("good for", f"{view.ttl_s // 3600} h"),
    ]
    features = [
        (f"`{feature.name}`", feature.type.value, feature.unit or "-", feature.meaning, f"`{feature.source}`")
        for feature in view.features
    ]
    return "\n".join(
        [
            f"### view {view.name}\n",
            f"{view.meaning[0].upper()}{view.meaning[1:]}.\n",
            markdown_table(("view", view.name), facts),
            markdown_table(("feature", "type", "unit", "meaning", "made of"), features),
        ]
    )


if __name__ == "__main__":
    DOCUMENT.write_text(data_dictionary(), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT} written\n")
