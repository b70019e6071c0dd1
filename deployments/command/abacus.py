"""``lodeline abacus``: feature groups at Abacus.AI: registered, exported, compared."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.abacus_drift import drift, monitor
from deployments.command.abacus_forget import forget_there
from deployments.command.abacus_schedules import schedules
from deployments.command.abacus_status import status
from deployments.command.abacus_words import said, utc
from deployments.command.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from deployments.settings import Settings
    from tasks.abacus.sdk import Endpoints
    from tasks.abacus.settings import AbacusSettings


class Action(StrEnum):
    """What to do."""

    STATUS = "status"
    REGISTER = "register"
    EXPORT = "export"
    STREAM = "stream"
    PREDICT = "predict"
    PREDICTIONS = "predictions"
    SCHEDULES = "schedules"
    MONITOR = "monitor"
    DRIFT = "drift"
    RETRAIN = "retrain"
    ASK = "ask"
    LOOKUP = "lookup"
    FORGET = "forget"
    REJECTED = "rejected"


def abacus(
    action: Annotated[
        Action,
        typer.Argument(
            help="status: how every feature group stands, here and at Abacus.AI, and what is otherwise there than "
            "declared; where it does not answer, how they stand here. register: make and mend them there. export: send "
            "what is new now. stream: send windows that are closed now. predict: start batch predictions that are due, "
            "fetch those that are over, and score. predictions: how each stands. schedules: refresh policies there. "
            "monitor: run the drift monitors there whose day is due, and fetch what they saw. drift: that beside the "
            "drift that is measured here. "
            "retrain: start trainings that are due by time or drift. "
            "ask NAME ENTITY: what a prediction says of an entity's features of now. lookup NAME ENTITY: the row of a "
            "feature group that is served over there. forget NAME ENTITY: delete there what can be of an entity that "
            "was erased here. "
            "rejected: rows that did not go, or did not come, with the reason."
        ),
    ],
    name: Annotated[str | None, typer.Argument(help="A prediction (ask) or feature group (lookup, forget).")] = None,
    entity: Annotated[
        str | None, typer.Argument(help="Entity, e.g. miner_0001; of several tags bitcoin/coingecko, %2F for a /.")
    ] = None,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the feature groups of abacus_integration_config.yaml, export them, and see how they stand.

    A definition that changed gets tables of its own, NAME_v2 and so on; nothing is changed in silence. An export goes
    on where the last one stopped, whatever ended it; flow export-features does the same by its schedule.

    Exit code 0: well. 1: something is otherwise than declared, or a group is in trouble; it is named. 2: the
    configuration is wrong, or Abacus.AI does not answer or does not know the key.

    Example: lodeline abacus export
    """
    import importlib.util

    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    settings = load_settings(config)
    if settings.abacus is None:
        raise NeedsHuman(
            "Nothing goes to Abacus.AI", remedy="Put abacus_integration_config.yaml into the folder of configuration"
        )
    if importlib.util.find_spec("abacusai") is None or importlib.util.find_spec("deltalake") is None:
        raise NeedsHuman("The packages for Abacus.AI are not installed", remedy="Install lodeline[abacus,lake]")
    if action is Action.REJECTED:
        _rejected(settings, settings.abacus, as_json=as_json)
        return
    if (action in (Action.ASK, Action.LOOKUP, Action.FORGET)) != (entity is not None):
        raise NeedsHuman(
            f"{action} is asked {'of a name and an entity' if entity is None else 'without a name'}",
            remedy="lodeline abacus ask NAME ENTITY, the same with lookup and forget",
        )
    if action is Action.PREDICTIONS:
        _predictions(settings, settings.abacus, as_json=as_json)
        return
    if action is Action.DRIFT:
        drift(settings, settings.abacus, as_json=as_json)
        return
    _exchange(settings, settings.abacus, action, name, entity, as_json=as_json)


def _exchange(
    settings: Settings, abacus: AbacusSettings, action: Action, name: str | None, entity: str | None, *, as_json: bool
) -> None:
    """Do what the service has to be asked for."""
    import asyncio

    from tasks.abacus.connection import find_endpoints
    from tasks.abacus.definition import definitions_of
    from tasks.abacus.exporting import find_endpoints_for
    from tasks.abacus.run_notes import Way

    definitions_of(abacus.feature_groups)  # a mistake is told before anybody is asked
    if action is Action.STATUS:
        status(settings, abacus, as_json=as_json)
        return
    way = {Action.EXPORT: Way.BATCH, Action.STREAM: Way.STREAM}.get(action)
    if way is None:
        endpoints = asyncio.run(find_endpoints(abacus))
    else:
        endpoints = asyncio.run(find_endpoints_for(way, abacus, settings.host))
    if action is Action.REGISTER:
        _register(abacus, endpoints, as_json=as_json)
    elif action is Action.EXPORT:
        _export(settings, abacus, endpoints, as_json=as_json)
    elif action is Action.SCHEDULES:
        schedules(abacus, endpoints, as_json=as_json)
    elif action is Action.MONITOR:
        monitor(settings, abacus, endpoints, as_json=as_json)
    elif action is Action.PREDICT:
        _predict(settings, abacus, endpoints, as_json=as_json)
    elif action is Action.FORGET and name is not None and entity is not None:
        forget_there(settings, abacus, endpoints, name, entity, as_json=as_json)
    elif name is not None and entity is not None:
        _ask(settings, abacus, endpoints, action, name, entity)
    elif action is Action.RETRAIN:
        _retrain(settings, abacus, endpoints, as_json=as_json)
    else:
        _stream(settings, abacus, endpoints, as_json=as_json)


def _register(abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    import msgspec

    from tasks.abacus.exporting import register_groups
    from tasks.abacus.refresh_policies import policy_states

    found = register_groups(abacus, endpoints)
    policies = policy_states(abacus, endpoints, mend=True)
    done_of = [*(done for *_, done in found), *(state.differences for state in policies)]
    open_ones = [difference for done in done_of for difference in done if difference.mend is None]
    if as_json:
        told = [
            {
                "name": definition.name, "table": registered.table, "version": registered.version,
                "is_new": registered.is_new, "changed": [difference.what for difference in done if difference.mend],
            }
            for definition, registered, done in found
        ]  # fmt: skip
        typer.echo(msgspec.json.encode(told).decode())
    else:
        for definition, registered, done in found:
            made = "made" if registered.is_new else "changed" if done else "as declared"
            typer.echo(f"{definition.name}: table {registered.table}, version {registered.version}, {made}")
            if not registered.is_settled:
                typer.echo("  keys, types and units follow with the first export: the service knows no columns yet")
            for difference in done if not registered.is_new else []:
                typer.echo(f"  {said(difference)}")
        for state in policies:
            typer.echo(f"policy {state.name}: {'changed' if state.differences else 'as declared'}")
            for difference in state.differences:
                typer.echo(f"  {said(difference)}")
    if open_ones:
        raise typer.Exit(1)


def _export(settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    import msgspec

    from tasks.abacus.exporting import export_groups

    results = export_groups(abacus, endpoints, settings.host)
    if as_json:
        told = [
            {"name": result.name, "trouble": result.trouble, "report": result.report, "is_new": result.is_new}
            for result in results
        ]
        typer.echo(msgspec.json.encode(told).decode())
    else:
        for result in results:
            report = result.report
            if report is None:
                typer.echo(f"{result.name}: {result.trouble}")
                continue
            through = f", through {utc(report.watermark)}" if report.watermark is not None else ""
            rejected = f", {report.rejected} rejected (lodeline abacus rejected)" if report.rejected else ""
            typer.echo(f"{result.name}: {report.rows} rows to {report.table}{rejected}{through}")
            if report.note:
                typer.echo(f"  {report.note}")
            if result.trouble:
                typer.echo(f"  {result.trouble}")
    if any(result.trouble for result in results):
        raise typer.Exit(1)


def _stream(settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    import msgspec

    from tasks.abacus.exporting import stream_groups

    results = stream_groups(abacus, endpoints, settings.host)
    if as_json:
        told = [{"name": result.name, "trouble": result.trouble, "report": result.report} for result in results]
        typer.echo(msgspec.json.encode(told).decode())
    else:
        for result in results:
            report = result.report
            if report is None or report.watermark is None:
                typer.echo(f"{result.name}: {result.trouble}")
                continue
            rejected = f", {report.rejected} rejected (lodeline abacus rejected)" if report.rejected else ""
            skipped = f", {report.skipped} windows too old" if report.skipped else ""
            through = utc(report.watermark)
            typer.echo(f"{result.name}: {report.rows} rows to {report.table}{rejected}{skipped}, through {through}")
    if any(result.trouble for result in results):
        raise typer.Exit(1)


def _predict(settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    import msgspec

    from tasks.abacus.predicting import fetch_predictions

    _require_predictions(abacus)
    results = fetch_predictions(abacus, endpoints, settings.host)
    if as_json:
        typer.echo(msgspec.json.encode(results).decode())
    else:
        for result in results:
            report = result.report
            told = result.trouble
            if report is not None:
                is_there = f"{report.rows} predictions of {report.batches} batches, {result.scores} scores"
                going = f"; a batch is {report.status}" if report.status else ""
                rejected = f", {report.rejected} rejected (lodeline abacus rejected)" if report.rejected else ""
                past = f", {report.past} lines of the past left out" if report.past else ""
                gone = f", {report.erased} lines of what was erased left out" if report.erased else ""
                told = f"{is_there}{rejected}{past}{gone}{going}" + (f"; {told}" if told else "")
            typer.echo(f"{result.name}: {told}")
    if any(result.trouble for result in results):
        raise typer.Exit(1)


def _retrain(settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    import socket

    import msgspec

    from storage.audit.trail import Trail
    from storage.errors import NeedsHuman
    from tasks.abacus.retraining import retrain_models

    if not abacus.retraining:
        raise NeedsHuman("No model is retrained", remedy="Name some in retraining of abacus_integration_config.yaml")
    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    results = retrain_models(abacus, endpoints, settings.host, trail=trail, actor="lodeline abacus retrain")
    if as_json:
        typer.echo(msgspec.json.encode(results).decode())
    else:
        for result in results:
            done = "training started" if result.started else "no training"
            typer.echo(f"{result.name}: {result.trouble or f'{done}: {result.why}'}")
    if any(result.trouble for result in results):
        raise typer.Exit(1)


def _ask(  # noqa: PLR0917
    settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, action: Action, name: str, entity: str
) -> None:
    import msgspec

    from tasks.abacus.on_demand import ask_now, look_up

    if action is Action.ASK:
        typer.echo(msgspec.json.encode(ask_now(abacus, endpoints, settings.host, name, entity)).decode())
    else:
        typer.echo(msgspec.json.encode(look_up(abacus, endpoints, name, entity)).decode())


def _predictions(settings: Settings, abacus: AbacusSettings, *, as_json: bool) -> None:
    import msgspec

    from tasks.abacus.predicting import prediction_states

    _require_predictions(abacus)
    for prediction, journal in prediction_states(abacus, settings.host):
        if as_json:
            typer.echo(msgspec.json.encode(journal).decode())
            continue
        over = "never fetched" if journal.finished_at is None else f"last fetched {utc(journal.finished_at)}"
        going = f", batch {journal.version} is under way" if journal.version else ""
        typer.echo(
            f"{prediction.name}: {prediction.definition.name}.{prediction.column.name}, {over}: {journal.rows} "
            f"predictions of {journal.batches} batches, {journal.rows_rejected} rejected{going}"
        )


def _require_predictions(abacus: AbacusSettings) -> None:
    from storage.errors import NeedsHuman

    if not abacus.predictions:
        raise NeedsHuman("There are no predictions", remedy="Name some in abacus_integration_config.yaml")


def _rejected(settings: Settings, abacus: AbacusSettings, *, as_json: bool) -> None:
    import msgspec

    from tasks.abacus.exporting import journals

    for file in journals(abacus, settings.host):
        for row in file.rejected():
            if as_json:
                typer.echo(msgspec.json.encode({"table": file.folder.name, **msgspec.to_builtins(row)}).decode())
            else:
                typer.echo(f"{file.folder.name} {row.record_id}: {row.reason} (by {row.by})")
