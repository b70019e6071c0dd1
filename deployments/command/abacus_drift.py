"""``lodeline abacus monitor`` and ``drift``: the service's drift monitors, and what they say beside what is measured
here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from deployments.command.abacus_words import utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deployments.settings import Settings
    from tasks.abacus.monitoring import BesideRow
    from tasks.abacus.sdk import Endpoints
    from tasks.abacus.settings import AbacusSettings


def monitor(settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    """Bring every monitor as far as it goes, and print how far.

    Raises:
        NeedsHuman: there is none. Exit: 1, one is in trouble.
    """
    import msgspec

    from tasks.abacus.monitoring import run_monitors

    _require_monitors(abacus)
    results = run_monitors(abacus, endpoints, settings.host)
    if as_json:
        typer.echo(msgspec.json.encode(results).decode())
    else:
        for result in results:
            report = result.report
            if report is None:
                told = result.trouble
            elif report.waits:
                told = f"waits {report.waits}"
            else:
                day = "" if report.day is None else f" of {utc(report.day)[:10]}"
                told = f"drift{day}: {report.features} features fetched" if report.features else f"drift{day} is there"
                told += f"; drifted: {', '.join(report.drifted)}" if report.drifted else ""
            typer.echo(f"{result.name}: {told}")
    if any(result.trouble for result in results):
        raise typer.Exit(1)


def drift(settings: Settings, abacus: AbacusSettings, *, as_json: bool) -> None:
    """Print PSI and KS of every group's features as measured here and by the service, and where they differ."""
    import time

    import msgspec

    from storage.opening import open_store
    from tasks.abacus.definition import definitions_of
    from tasks.abacus.monitoring import beside, watched_groups

    watched = watched_groups(abacus)
    store = open_store(settings.host)
    try:
        rows = beside(store, definitions_of(abacus.feature_groups), int(time.time()))
    finally:
        store.close()
    if as_json:
        typer.echo(msgspec.json.encode([_as_json(row) for row in rows]).decode())
        return
    if not rows:
        typer.echo("No drift was measured in the last eight days (flow measure-drift, and monitor-drift)")
        return
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            unwatched = "" if group in watched else "; not in drift_monitors, so the service says nothing"
            typer.echo(f"{group}, {utc(row.day)[:10]}{unwatched}")
        mark = "  <- they differ" if row.differs else ""
        typer.echo(f"  {row.feature}: here {_side(row.here)}; service {_side(row.there)}{mark}")


def _side(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return "not measured"
    numbers = [f"{name} {side[name]:.3f}" for name in ("psi", "ks") if side[name] is not None]
    reason = f" ({side['reason']})" if side["reason"] else ""
    return f"{side['status']}{reason}" + (f" {', '.join(numbers)}" if numbers else "")


def _as_json(row: BesideRow) -> dict[str, object]:
    def told(side: Mapping[str, Any] | None) -> dict[str, object] | None:
        return None if side is None else {name: side[name] for name in ("status", "psi", "ks", "reason")}

    return {
        "group": row.group,
        "feature": row.feature,
        "day": row.day,
        "here": told(row.here),
        "service": told(row.there),
        "differs": row.differs,
    }


def _require_monitors(abacus: AbacusSettings) -> None:
    from storage.errors import NeedsHuman

    if not abacus.drift_monitors:
        raise NeedsHuman(
            "No drift is monitored", remedy="Name groups in drift_monitors of abacus_integration_config.yaml"
        )
