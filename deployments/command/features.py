"""``lodeline features``: feature views: values as known at any time, and drift."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption
from deployments.command.rows import Format, FormatOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from deployments.settings import Settings
    from storage.features.reading import Reading
    from storage.features.view import FeatureView


class Action(StrEnum):
    """What to show."""

    LIST = "list"
    DESCRIBE = "describe"
    GET = "get"
    HISTORY = "history"
    ONLINE = "online"
    JOIN = "join"
    DRIFT = "drift"


def features(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: all views. describe: features of a view, with unit and source. get: values of an entity as "
            "they were known at a time. history: every version of its rows. online: newest values, of all entities "
            "where none is named. join: for each row of a file the values as they were known at its time. drift: how "
            "far features of the last measured day have moved."
        ),
    ],
    view: Annotated[str | None, typer.Argument(help="View, e.g. miner_hourly; with drift all by default.")] = None,
    entity: Annotated[
        str | None, typer.Argument(help="Entity, e.g. miner_0001; of several tags bitcoin/coingecko, %2F for a /.")
    ] = None,
    *,
    at: Annotated[str | None, typer.Option("--at", help=f"With get: the time; now by default. {MOMENT}")] = None,
    since: Annotated[str | None, typer.Option("--from", help=f"With history: first event time. {MOMENT}")] = None,
    until: Annotated[str | None, typer.Option("--to", help="With history: moment after the last.")] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", help="With history and join: only this feature; may be given again."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="With join: CSV or Parquet file with the entity's tags and a time in each row."),
    ] = None,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Show the feature store. docs/features.md says what its three times are, and why a value is null.

    A value that get tells is the one that a model would have been given then: rows that came later do not count.

    Exit code 0: shown, if with no rows. 2: an unknown view or feature, or the store does not answer.

    Example: lodeline features get miner_hourly miner_0001 --at 2026-11-25T12:00:00Z
    """
    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    settings = load_settings(config)
    if not settings.host.lake.enabled:
        raise NeedsHuman("This host has no lake", remedy="Ask where LODELINE_LAKE__ENABLED is not false")
    from storage.features.views import view_of

    if action is Action.LIST:
        print_rows(_views(settings), how)
        return
    if action is Action.DRIFT:
        print_rows(_drift(settings, None if view is None else view_of(view)), how)
        return
    if view is None:
        raise NeedsHuman(f"{action} of which view?", remedy="lodeline features list shows all")
    asked = view_of(view)
    if action is Action.DESCRIBE:
        print_rows(_features(asked), how)
    elif action is Action.JOIN:
        print_rows(_joined(settings, asked, labels, feature), how)
    elif action is Action.ONLINE:
        _print_readings(asked, _online(settings, asked, entity), how)
    elif entity is None:
        raise NeedsHuman(
            f"{action} of which entity?", remedy=f"lodeline features online {view} shows all that there are"
        )
    elif action is Action.GET:
        _print_readings(asked, [_get(settings, asked, entity, at)], how)
    else:
        print_rows(_history(settings, asked, entity, (since, until), feature), how)


def _views(settings: Settings) -> pa.Table:
    import pyarrow as pa

    from storage.arrow_schema import ANSWER_TIME
    from storage.features.books import Books
    from storage.features.views import VIEWS
    from storage.opening import lake_location

    books, views = Books(lake_location(settings.host)), list(VIEWS.values())
    settled = [books.settled(view) for view in views]
    if not any(settled):
        typer.echo("Nothing is published yet: flow publish-features does it every 15 minutes", err=True)
    return pa.table(
        {
            "view": [view.name for view in views],
            "version": [view.version for view in views],
            "entity": ["/".join(view.entity) for view in views],
            "features": [len(view.features) for view in views],
            "made_of": [view.source_name for view in views],
            "ttl_h": [view.ttl_s // 3600 for view in views],
            "published_until": pa.array(settled, pa.int64()).cast(ANSWER_TIME),
            "meaning": [view.meaning for view in views],
        }
    )


def _features(view: FeatureView) -> pa.Table:
    import pyarrow as pa

    ttl = f"{view.ttl_s // 3600} h"
    typer.echo(f"{view.name} version {view.version} ({view.fingerprint}): {view.meaning}; good for {ttl}", err=True)
    columns = {
        "feature": view.feature_names,
        "type": [feature.type.value for feature in view.features],
        "unit": [feature.unit for feature in view.features],
        "made_of": [f"{view.source_name}.{feature.source}" for feature in view.features],
        "meaning": [feature.meaning for feature in view.features],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _get(settings: Settings, view: FeatureView, entity: str, at: str | None) -> Reading:
    import time

    from deployments.command.options import moment
    from storage.features.offline import OfflineStore
    from storage.opening import lake_location

    return OfflineStore(lake_location(settings.host)).get(view, entity, int(time.time()) if at is None else moment(at))


def _online(settings: Settings, view: FeatureView, entity: str | None) -> list[Reading]:
    import time

    from storage.features.online import OnlineStore
    from storage.features.rows import entity_values

    if entity is not None:
        entity_values(view, entity)
    if not settings.host.online_features_file.is_file():
        typer.echo("Nothing is published on this host: flow publish-features does it every 15 minutes", err=True)
        return []
    now = int(time.time())
    with OnlineStore(settings.host.online_features_file) as online:
        return [online.get(view, one, now) for one in ([entity] if entity is not None else online.entities(view))]


def _history(
    settings: Settings,
    view: FeatureView,
    entity: str,
    span: tuple[str | None, str | None],
    names: Sequence[str] | None,
) -> pa.Table:
    from deployments.command.options import moment
    from storage.arrow_schema import END_OF_TIME_S
    from storage.features.offline import OfflineStore
    from storage.opening import lake_location

    _require_features(view, names)
    start, stop = moment(span[0]) if span[0] else 0, moment(span[1]) if span[1] else END_OF_TIME_S
    return OfflineStore(lake_location(settings.host)).history(view, entity, start, stop, names)


def _joined(settings: Settings, view: FeatureView, labels: Path | None, names: Sequence[str] | None) -> pa.Table:
    from storage.errors import NeedsHuman
    from storage.features.labels import joined_labels, read_labels
    from storage.features.offline import OfflineStore
    from storage.opening import lake_location

    if labels is None:
        raise NeedsHuman("join with what?", remedy="Give --labels FILE, CSV or Parquet")
    _require_features(view, names)
    return joined_labels(OfflineStore(lake_location(settings.host)), view, read_labels(labels, view), names)


def _require_features(view: FeatureView, names: Sequence[str] | None) -> None:
    from storage.errors import NeedsHuman

    try:
        for name in names or ():
            view.feature(name)
    except ValueError as error:
        raise NeedsHuman(str(error), remedy=f"lodeline features describe {view.name}") from error


def _drift(settings: Settings, view: FeatureView | None) -> pa.Table:
    import time

    import pyarrow as pa
    import pyarrow.compute as pc

    from storage.opening import open_store
    from tasks.features.drifting import newest_drift

    store = open_store(settings.host)
    try:
        rows = newest_drift(store, int(time.time()), view)
    finally:
        store.close()
    if not rows.num_rows:
        typer.echo("No drift of the last seven days: flow measure-drift measures it at 04:25 UTC", err=True)
    units = {(one.stored_name, feature.name): feature.unit for one in _all(view) for feature in one.features}
    pairs = zip(rows["view"].to_pylist(), rows["feature"].to_pylist(), strict=True)
    rows = rows.append_column("unit", pa.array([units.get(pair) for pair in pairs], pa.string()))
    return rows.take(pc.sort_indices(rows, [("psi", "descending")]))


def _all(view: FeatureView | None) -> Sequence[FeatureView]:
    from storage.features.views import VIEWS

    return [view] if view is not None else list(VIEWS.values())


def _print_readings(view: FeatureView, readings: Sequence[Reading], how: Format) -> None:
    """For people a line a feature, for programs a row a reading."""
    from deployments.command.rows import print_rows

    print_rows(_lines(view, readings) if how is Format.TABLE else _rows(view, readings), how)


def _lines(view: FeatureView, readings: Sequence[Reading]) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, list[str | None]] = {name: [] for name in ("entity", "feature", "value", "unit", "reason")}
    for reading in readings:
        typer.echo(f"{reading.entity} at {_time(reading.at)}: row of {_time(reading.event)}, known since "
                   f"{_time(reading.known)}", err=True)  # fmt: skip
        for feature in view.features:
            value = reading.values[feature.name]
            columns["entity"].append(reading.entity)
            columns["feature"].append(feature.name)
            columns["value"].append(
                f"{value:.10g}" if isinstance(value, float) else None if value is None else str(value)
            )
            columns["unit"].append(feature.unit)
            columns["reason"].append(reading.reasons.get(feature.name))
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _rows(view: FeatureView, readings: Sequence[Reading]) -> pa.Table:
    import pyarrow as pa

    from storage.arrow_schema import ANSWER_TIME, ARROW_TYPES

    own = [("entity", pa.string()), *((name, ANSWER_TIME) for name in ("at", "event", "known"))]
    schema = pa.schema([*own, *((feature.name, ARROW_TYPES[feature.type]) for feature in view.features)])
    rows = [
        {"entity": one.entity, "at": one.at, "event": one.event, "known": one.known, **one.values} for one in readings
    ]
    reasons = [",".join(f"{name}={why}" for name, why in one.reasons.items()) for one in readings]
    return pa.Table.from_pylist(rows, schema=schema).append_column("reasons", pa.array(reasons, pa.string()))


def _time(seconds: int | None) -> str:
    import datetime as dt

    return "-" if seconds is None else f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
