"""``lodeline audit``: what was done to data and configuration, and is it all there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from deployments.settings import Settings
    from storage.audit.entry import AuditEntry
    from storage.audit.verify import Verified


def audit(
    *,
    start: Annotated[str | None, typer.Option("--from", help=f"First time; all by default. {MOMENT}")] = None,
    stop: Annotated[str | None, typer.Option("--to", help=f"Time after the last; now by default. {MOMENT}")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be given again.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only subjects that contain this.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Walk the chain, and compare its end with what the stores have.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the audit trail of this host, or check that nothing in it was changed, removed, inserted or cut off.

    With --json an object a line.

    Exit code 0: well. 1: with --verify, something does not fit; the first line that does not is named. 2: a mistake.

    Example: lodeline audit --kind configuration_changed --from 2026-11-01
    """
    from deployments.settings import load_settings

    settings = load_settings(config)
    if verify:
        _verify(settings, as_json=as_json)
        return
    found = _chosen(settings, start, stop, kind or [], subject)
    for entry in found:
        typer.echo(_as_json(entry) if as_json else in_words(entry))
    if not found:
        typer.echo("The audit trail of this host has no such entry", err=True)


def _chosen(
    settings: Settings, start: str | None, stop: str | None, kinds: list[str], subject: str | None
) -> list[AuditEntry]:
    import sys

    from deployments.command.options import moment
    from storage.audit.entry import AuditKind
    from storage.audit.trail import Trail
    from storage.errors import NeedsHuman

    unknown = sorted(set(kinds) - set(AuditKind))
    if unknown:
        raise NeedsHuman(f"no kind {', '.join(unknown)}", remedy=f"There are {', '.join(AuditKind)}")
    first = 0 if start is None else moment(start)
    end = sys.maxsize if stop is None else moment(stop)
    folder = settings.host.data_directory / "audit"
    entries = [
        entry
        for path in sorted(folder.glob("*.jsonl"))
        for entry in Trail.open(settings.host.data_directory, path.stem).entries()
        if first <= entry.time_ms / 1000 < end
        and (not kinds or entry.kind in kinds)
        and (subject is None or subject in (entry.subject or ""))
    ]
    return sorted(entries, key=lambda entry: entry.time_ms)


def _verify(settings: Settings, *, as_json: bool) -> None:
    import json

    from storage.audit.anchors import anchors_of
    from storage.audit.verify import verify

    found: dict[str, tuple[Path, Verified]] = {}
    anchors, trouble = anchors_of(settings.host)
    folder = settings.host.data_directory / "audit"
    for name in sorted({*anchors, *(path.stem for path in folder.glob("*.jsonl"))}):
        path = folder / f"{name}.jsonl"
        found[name] = (path, verify(path, anchors.get(name)))
    if as_json:
        said = {
            name: {"entries": one.entries, "line": one.line, "fault": one.fault} for name, (_, one) in found.items()
        }
        typer.echo(json.dumps({"hosts": said, "anchor": trouble or "compared"}))
    else:
        for path, one in found.values():
            what = "whole" if one.is_whole else f"line {one.line}: {one.fault}"
            typer.echo(f"{path}: {one.entries:,} entries, {what}")
        typer.echo(f"The end was not compared: {trouble}" if trouble else "The end was compared with the stores.")
    if not all(one.is_whole for _, one in found.values()):
        raise typer.Exit(1)


def in_words(entry: AuditEntry) -> str:
    """One line for a human."""
    import datetime as dt

    at = dt.datetime.fromtimestamp(entry.time_ms // 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    if entry.is_redacted:
        return f"{at} {entry.host} {entry.actor}: {entry.kind} (content erased)"
    detail = ", ".join(f"{name} {value}" for name, value in (entry.detail or {}).items() if value is not None)
    return f"{at} {entry.host} {entry.actor}: {entry.kind} {entry.subject}{f' ({detail})' if detail else ''}"


def _as_json(entry: AuditEntry) -> str:
    import msgspec

    return msgspec.json.encode(entry).decode()
