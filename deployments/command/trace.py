"""``lodeline trace``: where does this point come from?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption
from storage.errors import NeedsHuman

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.declaration import Measurement


def trace(
    measurement: Annotated[str, typer.Argument(help="Measurement of the point, e.g. miner_telemetry.")],
    *,
    at: Annotated[
        str, typer.Option("--at", help=f"Time of the point, or a later time: the newest before it. {MOMENT}")
    ],
    miner: Annotated[
        str | None,
        typer.Option("--miner", help="Id of the miner: the same as --where miner_id=ID.", show_default=False),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Tag and value, e.g. pool_id=f2; the same tag again: any of the values."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the way of a stored point back to where it came from.

    Of what a miner told: driver and version, requests, run, record of the spool, kept answers. Of what a pool or a
    market told, with --where for its tags: source, request, run, kept answers. Of what is worked out: the rows that
    it is made of, and how to trace those.

    What is gone by its retention is said so; the other links are shown all the same. The spool and the answers are
    those of this host: run it where the miner is polled, or the source asked.

    Exit code 0: the point is there. 2: it is not, or the configuration is wrong.

    Example: lodeline trace miner_telemetry --miner miner_0001 --at 2026-11-25T12:00:00Z
    """
    import time

    import msgspec

    from deployments.command.options import moment
    from deployments.command.query import tag_conditions
    from deployments.command.trace_words import in_words
    from deployments.settings import load_settings
    from storage.opening import open_lake, open_store
    from tasks.lineage.any_point import trace_any

    settings = load_settings(config)
    conditions = tag_conditions(where or [])
    if miner is not None:
        if "miner_id" in conditions:
            raise NeedsHuman("--miner and --where miner_id exclude each other", remedy="Leave one of them out")
        conditions["miner_id"] = [miner]
    declared = _declared(measurement, conditions)
    instant = moment(at)
    store, lake = open_store(settings.host), open_lake(settings.host)
    try:
        found = trace_any(
            store,
            lake,
            settings.host.spool_directory,
            declared,
            where=conditions,
            at=instant,
            now=int(time.time()),
            keep_days=settings.retention.bucket_days()["mining_payload"],
        )
    finally:
        store.close()
        if lake is not None:
            lake.close()
    typer.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(in_words(found)))


def _declared(name: str, conditions: Mapping[str, list[str]]) -> Measurement:
    from storage.configuration.section import nearest
    from storage.declaration import MEASUREMENTS

    declared = MEASUREMENTS.get(name)
    if declared is None:
        meant = nearest(name, list(MEASUREMENTS))
        hint = f"Did you mean {meant}" if meant else "docs/data-dictionary.md lists them"
        raise NeedsHuman(f"There is no measurement {name!r}", remedy=hint)
    wrong = sorted(set(conditions) - set(declared.tag_names))
    if wrong:
        raise NeedsHuman(
            f"{name} has no tag {', '.join(wrong)}", remedy=f"Take of its tags: {', '.join(declared.tag_names)}"
        )
    return declared
