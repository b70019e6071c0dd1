"""Asking the service online: a prediction from an entity's features of now, and the row that a feature group serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from storage.errors import NeedsHuman
from storage.features.online import OnlineStore
from storage.features.reading import Reading
from storage.features.rows import entity_values
from storage.frame import Value
from storage.settings import StorageSettings
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import Definition, definitions_of
from tasks.abacus.prediction import predictions_of
from tasks.abacus.registration import connected
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings


@dataclass(frozen=True, slots=True)
class Answer:
    """``value`` in ``unit``, predicted from ``features`` of event time ``event`` (Unix seconds)."""

    prediction: str
    entity: str
    value: float
    unit: str
    event: int
    features: dict[str, Value]


def ask_now(
    settings: AbacusSettings,
    endpoints: Endpoints,
    storage: StorageSettings,
    name: str,
    entity: str,
    *,
    clock: Callable[[], float] = time.time,
) -> Answer:
    """What prediction ``name`` says of the newest features of ``entity``, those of the online store. Nothing is stored.

    Raises:
        NeedsHuman: there is no such prediction or entity, or the answer has no number under ``value_column``.
        TryAgain: the service does not answer.
    """
    predictions = {one.name: one for one in predictions_of(settings)}
    if name not in predictions:
        raise NeedsHuman(f"There is no prediction {name!r}", remedy=f"There are: {', '.join(predictions) or 'none'}")
    prediction = predictions[name]
    if not storage.online_features_file.is_file():
        raise NeedsHuman("No feature is published on this host", remedy="Run flow publish-features")
    with OnlineStore(storage.online_features_file) as online:
        reading = online.get(prediction.definition.view, entity, int(clock()))
    row = query_of(prediction.definition, reading)
    deployment = prediction.settings.deployment_id
    answer = _asked(
        settings, endpoints, f"prediction {name}", lambda sdk, token: sdk.predict(token, deployment, query_data=row)
    )
    value = answer.get(prediction.settings.value_column) if isinstance(answer, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        told = ", ".join(answer) if isinstance(answer, dict) else type(answer).__name__
        raise NeedsHuman(
            f"prediction {name}: the answer has no number {prediction.settings.value_column}; it has {told}",
            remedy="Name it in predictions of abacus_integration_config.yaml",
        )
    event = reading.event or 0
    return Answer(name, entity, float(value), prediction.column.sent.unit, event, row)


def look_up(settings: AbacusSettings, endpoints: Endpoints, name: str, entity: str) -> dict[str, Any]:
    """The newest row that feature group ``name`` serves of ``entity`` over there.

    Raises:
        NeedsHuman: there is no such group, its deployment is not named, or it has no row. TryAgain: no answer.
    """
    groups = {one.name: one for one in settings.feature_groups}
    definitions = {one.name: one for one in definitions_of(settings.feature_groups)}
    if name not in groups:
        raise NeedsHuman(f"There is no feature group {name!r}", remedy=f"There are: {', '.join(groups) or 'none'}")
    deployment, view = groups[name].deployment_id, definitions[name].view
    if deployment is None:
        raise NeedsHuman(f"Feature group {name} is not deployed", remedy=f"Name its deployment_id in {name}")
    query = dict(zip(view.entity, entity_values(view, entity), strict=True))
    rows = _asked(
        settings,
        endpoints,
        f"feature group {name}",
        lambda sdk, token: sdk.lookup_features(token, deployment, query, limit_results=1),
    )
    found = rows[0] if isinstance(rows, list) and rows else rows
    if not isinstance(found, dict) or not found:
        raise NeedsHuman(f"Feature group {name} has no row of {entity} over there", remedy="Run lodeline abacus export")
    return found


def query_of(definition: Definition, reading: Reading) -> dict[str, Value]:
    """What is known of an entity now, as the group's columns in the group's units. Pure.

    Raises:
        NeedsHuman: nothing is known of it.
    """
    if reading.event is None:
        raise NeedsHuman(
            f"Nothing is known of {reading.entity} now",
            remedy=f"lodeline features online {definition.view.name} shows all that there are",
        )
    row: dict[str, Value] = dict(
        zip(definition.view.entity, entity_values(definition.view, reading.entity), strict=True)
    )
    row[definition.time] = datetime.fromtimestamp(reading.event, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for column in definition.columns:
        value = reading.values[column.sent.feature]
        if value is not None and column.type in ("FLOAT", "INTEGER"):
            number = float(value) / column.sent.divisor
            value = round(number) if column.type == "INTEGER" else number
        row[column.name] = value
    return row


def _asked(settings: AbacusSettings, endpoints: Endpoints, what: str, ask: Callable[[Any, str], Any]) -> Any:
    with connected(settings, endpoints) as (abacus, registry):
        token = _token(abacus, registry.project.require())
        try:
            return abacus.call(what, lambda sdk: ask(sdk, token))
        except Refusal as refusal:
            if refusal.is_missing:
                raise NeedsHuman(str(refusal), remedy="Is its deployment there?") from refusal
            raise


def _token(abacus: Abacus, project: str) -> str:
    """A token of the project, made where there is none."""
    made = abacus.call(
        "a deployment token",
        lambda sdk: next(iter(sdk.list_deployment_tokens(project) or []), None) or sdk.create_deployment_token(project),
    )
    return str(made.deployment_token)
