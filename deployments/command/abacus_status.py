"""``lodeline abacus status``: how each feature group stands, here and at Abacus.AI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from deployments.command.abacus_words import policy_lines, said, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.settings import Settings
    from tasks.abacus.export_state import ExportState
    from tasks.abacus.exporting import GroupState
    from tasks.abacus.settings import AbacusSettings


def status(settings: Settings, abacus: AbacusSettings, *, as_json: bool) -> None:
    """Print it. Where the service does not answer: what this host knows by itself, then that error.

    Raises:
        Exit: 1, something is otherwise than declared. TryAgain, NeedsHuman: the service does not say.
    """
    import asyncio
    import time

    import msgspec

    from storage.errors import LodelineError
    from tasks.abacus.connection import find_endpoints
    from tasks.abacus.export_state import export_states
    from tasks.abacus.exporting import group_states
    from tasks.abacus.refresh_policies import policy_states

    now, here = int(time.time()), export_states(abacus, settings.host)
    try:
        endpoints = asyncio.run(find_endpoints(abacus))
        groups = group_states(abacus, endpoints, settings.host)
        policies = policy_states(abacus, endpoints)
    except LodelineError:
        if not as_json:
            for name in dict.fromkeys(state.group for state in here):
                typer.echo("\n".join([f"{name}:", *_lines_here(here, name, now)]))
        raise
    if as_json:
        typer.echo(msgspec.json.encode([_as_json(state, here, now) for state in groups]).decode())
    else:
        for state in groups:
            typer.echo("\n".join(_lines(state, here, now)))
        for line in policy_lines(policies):
            typer.echo(line)
    if any(policy.differences for policy in policies) or any(
        state.registered is None or state.differences for state in groups
    ):
        raise typer.Exit(1)


def _lines(state: GroupState, here: Sequence[ExportState], now: int) -> list[str]:
    definition, journal = state.definition, state.journal
    head = f"{definition.name}: view {definition.view.stored_name}, definition {definition.fingerprint}"
    if state.registered is None:
        made = (
            "nothing is there yet" if state.version == 1 else f"its definition changed: version {state.version} is due"
        )
        lines = [head, f"  not registered: {made} (lodeline abacus register)"]
        return lines + _lines_here(here, definition.name, now)
    lines = [head, f"  table {state.registered.table}, version {state.version}"]
    if journal is None or journal.watermark is None:
        lines.append("  never exported")
    else:
        lines.append(
            f"  exported through {utc(journal.watermark)}: {journal.rows_sent} rows in {journal.batches} batches, "
            f"{journal.rows_rejected} rejected"
        )
    if journal is not None and journal.batch is not None:
        batch = journal.batch
        parts = -(-batch.size // batch.part_bytes)
        lines.append(f"  on its way: batch {batch.number}, {batch.rows} rows, {len(batch.parts)} of {parts} parts")
    stream = state.stream
    if stream is not None and stream.watermark is not None:
        lines.append(
            f"  streamed through {utc(stream.watermark)}: {stream.rows_sent} rows, {stream.rows_rejected} rejected, "
            f"{len(stream.waiting)} micro-batches wait, {stream.windows_skipped} windows were too old"
        )
    lines += _lines_here(here, definition.name, now)
    return lines + [f"  {said(difference)}" for difference in state.differences]


def _lines_here(here: Sequence[ExportState], name: str, now: int) -> list[str]:
    """How far each way of the group is, by this host's own notes."""
    from tasks.quantity import age

    lines = []
    for state in here:
        if state.group != name:
            continue
        far = "nothing is there" if state.watermark is None else f"{age(max(0, now - state.watermark))} old"
        behind = f"unknown ({state.reason})" if state.rows_behind is None else f"{state.rows_behind} rows"
        letters = f", {state.dead_letters} dead letters (lodeline abacus rejected)" if state.dead_letters else ""
        lines.append(f"  {state.way}: {far}, behind by {behind}{letters}")
        note = state.note
        if note.failure and note.failed_at is not None:
            last = "never went well" if note.well_at is None else f"went well last {utc(note.well_at)}"
            lines.append(f"    failed {utc(note.failed_at)}, {note.failures} in a row, {last}: {note.failure}")
        if state.overdue_s(now):
            lines.append(f"    due since {utc(state.due_at)}")
    return lines


def _as_json(state: GroupState, here: Sequence[ExportState], now: int) -> dict[str, object]:
    journal = state.journal
    return {
        "name": state.definition.name,
        "view": state.definition.view.stored_name,
        "definition": state.definition.fingerprint,
        "version": state.version,
        "table": state.registered.table if state.registered else None,
        "watermark": journal.watermark if journal else None,
        "rows_sent": journal.rows_sent if journal else 0,
        "rows_rejected": journal.rows_rejected if journal else 0,
        "batches": journal.batches if journal else 0,
        "on_its_way": journal.batch is not None if journal else False,
        "differences": [
            {"what": difference.what, "declared": difference.declared, "found": difference.found}
            for difference in state.differences
        ],
        "ways": [
            {
                "way": one.way, "watermark": one.watermark, "rows_behind": one.rows_behind, "reason": one.reason,
                "overdue_s": one.overdue_s(now), "dead_letters": one.dead_letters, "failures": one.note.failures,
                "failure": one.note.failure, "failed_at": one.note.failed_at, "well_at": one.note.well_at,
            }
            for one in here
            if one.group == state.definition.name
        ],
    }  # fmt: skip
