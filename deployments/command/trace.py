"""``lodeline trace``: where does this point come from?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption

if TYPE_CHECKING:
    from tasks.lineage.trace import Trace


def trace(
    measurement: Annotated[str, typer.Argument(help="Measurement of the point, e.g. miner_telemetry.")],
    miner: Annotated[str, typer.Option("--miner", help="Id of the miner.")],
    at: Annotated[str, typer.Option("--at", help=f"Time of the point, or a time up to an hour later. {MOMENT}")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the way of a stored point: driver and version, requests, run, record of the spool, kept answers.

    What is gone by its retention is said so; the other links are shown all the same. The spool and the answers are
    those of this host: run it where the miner is polled.

    Exit code 0: the point is there. 2: it is not, or the configuration is wrong.

    Example: lodeline trace miner_telemetry --miner miner_0001 --at 2026-11-25T12:00:00Z
    """
    import time

    import msgspec

    from deployments.command.options import moment
    from deployments.settings import load_settings
    from storage.opening import open_lake, open_store
    from tasks.lineage.trace import trace as traced

    settings = load_settings(config)
    instant = moment(at)
    store, lake = open_store(settings.host), open_lake(settings.host)
    try:
        found = traced(
            store,
            lake,
            settings.host.spool_directory,
            measurement=measurement,
            miner_id=miner,
            at=instant,
            now=int(time.time()),
            keep_days=settings.retention.bucket_days()["mining_payload"],
        )
    finally:
        store.close()
        if lake is not None:
            lake.close()
    typer.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(in_words(found)))


def in_words(found: Trace) -> list[str]:
    """Lines for a human."""
    lines = [f"{found.measurement} of {found.miner_id} at {_clock(found.time)}, in {found.store}"]
    for row in found.rows:
        values = ", ".join(f"{name}={_shown(value)}" for name, value in row.items() if value is not None)
        lines.append(f"  point     {values}")
    asked = " at ".join(filter(None, (found.driver, found.address))) or "not known"
    lines.append(f"  read by   {asked}{f', Lodeline {found.version}' if found.version else ''}")
    for each in found.carried:
        place = "" if each.sequence is None else f", record {each.sequence}"
        still = " (still in the spool)" if each.on_disk else ""
        host = f" of {each.host}" if each.host else ""
        lines.append(f"  spooled   lane {each.lane}{host}, batch {each.batch_id or 'not known'}{place}{still}")
        if each.answers_in:
            lines.append(f"  the miner in batch {each.answers_in.batch_id}, record {each.answers_in.sequence}{still}")
        lines.append(f"  by run    {each.run_id or 'not known'}")
    for answer in found.answers:
        came = f"no answer: {answer.failure}" if answer.status is None else f"{answer.status}, {answer.size} bytes"
        identity = f", sha256 {answer.sha256[:16]}" if answer.sha256 else ""
        lines.append(f"  answer    {answer.path}: {came}{identity}")
    lines += [f"  note      {note}" for note in found.notes]
    return lines


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _clock(unix_s: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(unix_s, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
