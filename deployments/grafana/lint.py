"""Hold a dashboard to the declaration and to itself: ``python -m deployments.grafana.lint`` prints faults, exit code 1.

What only a running Grafana can tell is not checked here: whether it renders.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.grafana.influxql import Column, QueryFault, Select, ShowTagValues, parse
from deployments.grafana.notification import lint_notification
from deployments.grafana.units import GRAFANA_UNIT
from storage.declaration import MEASUREMENTS, Field, Measurement, Tier
from storage.declaration.field import Kind
from storage.declaration.rollup import rollup_columns

COLUMNS = 24
DASHBOARDS = Path(__file__).with_name("dashboards")
NOTIFICATION = Path(__file__).parent / "notification" / "lodeline.yaml"


def lint(dashboard: Mapping[str, Any], bucket_of: Mapping[str, str]) -> list[str]:
    """Faults of ``dashboard``. ``bucket_of`` maps the uid of each provisioned datasource to the bucket it reads."""
    faults = [f"dashboard: no {key}" for key in ("title", "description", "uid") if not dashboard.get(key)]
    if dashboard.get("timezone") != "utc":
        faults.append(f"dashboard: time zone is {dashboard.get('timezone')!r}, expected 'utc'")
    if dashboard.get("editable") is not False:
        faults.append("dashboard: it is generated, so it must not be editable")
    panels = dashboard["panels"]
    faults += _ids(panels)
    faults += _overlaps(panels)
    for panel in panels:
        faults += [f"panel {panel.get('id')} {panel.get('title')!r}: {fault}" for fault in _panel(panel, bucket_of)]
    for variable in dashboard["templating"]["list"]:
        faults += [f"variable {variable['name']}: {fault}" for fault in _variable(variable, bucket_of)]
    return faults


def _ids(panels: list[dict[str, Any]]) -> Iterator[str]:
    ids = [panel.get("id") for panel in panels]
    for doubled in sorted({number for number in ids if ids.count(number) > 1}, key=str):
        yield f"dashboard: panel id {doubled} is used {ids.count(doubled)} times"


def _overlaps(panels: list[dict[str, Any]]) -> Iterator[str]:
    taken: dict[tuple[int, int], Any] = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > COLUMNS:
            yield f"panel {panel['id']}: reaches beyond column {COLUMNS}"
        for cell in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            if cell in taken:
                yield f"panel {panel['id']}: overlaps panel {taken[cell]}"
                break
            taken[cell] = panel["id"]


def _panel(panel: Mapping[str, Any], bucket_of: Mapping[str, str]) -> Iterator[str]:
    if not panel.get("title"):
        yield "no title"
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "no description"
    elif "Source: " not in panel["description"] or "Null" not in panel["description"]:
        yield "its description tells neither source nor how null is shown"
    if not panel.get("targets"):
        yield "no query"
    unit = panel["fieldConfig"]["defaults"].get("unit", "none")
    units = [
        unit,
        *(p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "unit"),
    ]
    yield from (f"unit {name!r} is none of the known" for name in units if name not in GRAFANA_UNIT.values())
    references = [target["refId"] for target in panel.get("targets", ())]
    if len(references) != len(set(references)):
        yield "a refId is used twice"
    for target in panel.get("targets", ()):
        uid = target["datasource"]["uid"]
        if uid != panel["datasource"]["uid"]:
            yield f"target {target['refId']} reads another datasource than its panel"
        if uid not in bucket_of:
            yield f"datasource {uid!r} is not provisioned"
            continue
        try:
            statement = parse(target["query"])
        except QueryFault as fault:
            yield f"target {target['refId']}: {fault}"
            continue
        if isinstance(statement, ShowTagValues):
            yield f"target {target['refId']}: a panel shows no tag values"
            continue
        yield from (f"target {target['refId']}: {fault}" for fault in _select(statement, bucket_of[uid]))
        if statement.interval is not None and statement.fill != "none" and _all_count(statement):
            yield f"target {target['refId']}: a count without fill(none) is 0 where nobody counted"
        if panel["type"] != "table":
            yield from _unit_faults(statement, bucket_of[uid], unit)
        for tag in re.findall(r"\$tag_(\w+)", target.get("alias", "")):
            if tag not in statement.group_by:
                yield f"target {target['refId']}: alias names tag {tag!r}, which is not grouped by"
        if statement.limit is None and not any(column.aggregated for column in statement.columns):
            yield f"target {target['refId']}: neither aggregated nor limited, it fetches every row of the span"


def lint_query(query: str, bucket: str) -> list[str]:
    """Faults of a query that no panel shows, e.g. one of an alert; its span is ``$timeFilter``."""
    try:
        statement = parse(query)
    except QueryFault as fault:
        return [str(fault)]
    return list(_select(statement, bucket)) if isinstance(statement, Select) else ["expected SELECT"]


def _variable(variable: Mapping[str, Any], bucket_of: Mapping[str, str]) -> Iterator[str]:
    uid = variable["datasource"]["uid"]
    if uid not in bucket_of:
        yield f"datasource {uid!r} is not provisioned"
        return
    try:
        statement = parse(variable["query"])
    except QueryFault as fault:
        yield str(fault)
        return
    if not isinstance(statement, ShowTagValues):
        yield "expected SHOW TAG VALUES"
        return
    found = _stored(statement.measurement, bucket_of[uid])
    if found is None:
        yield f"measurement {statement.measurement!r} is not in bucket {bucket_of[uid]}"
        return
    for name in (statement.key, *statement.compared):
        if name not in found[0].tag_names:
            yield f"{statement.measurement} has no tag {name!r}"


def _stored(name: str, bucket: str) -> tuple[Measurement, Tier] | None:
    """The measurement and tier that are stored under ``name`` in ``bucket``."""
    return next(
        (
            (measurement, tier)
            for measurement in MEASUREMENTS.values()
            for tier, where in measurement.buckets.items()
            if where == bucket and measurement.stored_name(tier) == name
        ),
        None,
    )


def _fields_of(measurement: Measurement, tier: Tier) -> dict[str, Field]:
    """Stored column to the declared field that it is of."""
    if tier is Tier.RAW:
        return dict(measurement.field_by_name)
    return {column.name: column.field for column in rollup_columns(measurement)}


def _select(select: Select, bucket: str) -> Iterator[str]:
    if isinstance(select.source, Select):
        yield from _select(select.source, bucket)
        known = {column.name for column in select.source.columns}
        tags = set(select.source.group_by)
        values: Mapping[str, Field] = {}
        if select.source.interval is not None and select.source.fill != "none" and _all_count(select.source):
            yield "an inner count without fill(none) counts empty windows as 0"
    else:
        found = _stored(select.source, bucket)
        if found is None:
            yield f"measurement {select.source!r} is not in bucket {bucket}"
            return
        values = _fields_of(*found)
        known, tags = set(values), set(found[0].tag_names)
        if not select.bounded:
            yield "not bounded by $timeFilter"
    where = select.source if isinstance(select.source, str) else "the inner query"
    # A tag is a column only beside a field: a server answers tags alone with nothing, and no error.
    plain = {column.unit_of for column in select.columns if not column.aggregated} - {None}
    columns = known | (tags if plain & known else set())
    yield from (
        f"{where} has no field {name!r}"
        for column in select.columns
        for name in column.fields
        if name not in (known if column.aggregated else columns)
    )
    yield from (f"{where} has no tag {name!r} to group by" for name in select.group_by if name not in tags)
    for name, value in select.compared:
        if name not in known | tags:
            yield f"{where} has neither field nor tag {name!r}"
        declared = values.get(name)
        if declared is not None and declared.values and value is not None and value not in declared.values:
            yield f"{name} is never {value!r}; it is one of {', '.join(declared.values)}"
    for name in (name for column in select.columns for name in column.numbers):
        declared = values.get(name)
        if declared is not None and name in _not_numbers(declared):
            yield f"{name} is no number; the server fails the whole statement"


def _not_numbers(declared: Field) -> tuple[str, ...]:
    """Columns of a field, raw and rolled up, that hold words or truth values."""
    return (declared.name, f"{declared.name}_last") if declared.kind in (Kind.STATE, Kind.TEXT) else ()


def _all_count(select: Select) -> bool:
    return all(column.counts for column in select.columns)


def _unit_faults(select: Select, bucket: str, unit: str) -> Iterator[str]:
    """A column that still has the unit of its field must be shown in that unit, a count as a plain number."""
    for column in select.columns:
        if column.counts and unit not in ("none", "short"):
            yield f"a count is shown as {unit!r}"
        declared = _declared_unit(select, column, bucket)
        if declared is not None and not column.counts and GRAFANA_UNIT.get(declared) != unit:
            yield f"column {column.name!r} is in {declared!r}, shown as {unit!r}"


_UNITS_OF_THEIR_OWN = ("_count", "_seconds", "_integral", "_last_at")
"""Ends of rolled-up columns that have another unit than their field."""


def _declared_unit(select: Select, column: Column, bucket: str) -> str | None:
    if column.unit_of is None:
        return None
    if isinstance(select.source, Select):
        inner = next((inner for inner in select.source.columns if inner.name == column.unit_of), None)
        return None if inner is None else _declared_unit(select.source, inner, bucket)
    found = _stored(select.source, bucket)
    if found is None:
        return None
    declared = _fields_of(*found).get(column.unit_of)
    if declared is not None and declared.unit == "" and "unit" in found[0].field_by_name:
        return None  # the row names its own unit
    if declared is None or column.unit_of.endswith(_UNITS_OF_THEIR_OWN) or declared.kind in (Kind.STATE, Kind.TEXT):
        return None
    return declared.unit


def main() -> int:
    """Lint every committed dashboard, and whom alerts are told."""
    from deployments.grafana.build import DATASOURCES

    faults = [
        f"{path.name}: {fault}"
        for path in sorted(DASHBOARDS.glob("*.json"))
        for fault in lint(json.loads(path.read_text()), DATASOURCES)
    ]
    faults += [f"{NOTIFICATION.name}: {fault}" for fault in lint_notification(yaml.safe_load(NOTIFICATION.read_text()))]
    print("\n".join(faults) or "no fault")  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
