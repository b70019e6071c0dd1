"""``lodeline discover``: which miners are there?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import JsonOption

if TYPE_CHECKING:
    from tasks.miners.discovery.scan import Discovery, Progress


def discover(
    ranges: Annotated[
        list[str],
        typer.Argument(metavar="RANGE...", help="10.0.0.0/24, 10.0.0.5, 10.0.0.10-10.0.0.50 or 10.0.0.10-50."),
    ],
    *,
    port: Annotated[
        list[int] | None,
        typer.Option("--port", min=1, max=65_535, help="Port to try; may be given again. 80 and 4028 by default."),
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=4_096, help="Addresses asked at once.")] = 256,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.05, max=60, help="Seconds until a port must answer at the first try.")
    ] = 1.0,
    retries: Annotated[
        int,
        typer.Option(
            "--retries", min=0, max=5, help="Further tries for what did not answer in time, each more patient."
        ),
    ] = 1,
    write: Annotated[
        Path, typer.Option("--write", help="Folder for data_collection_config.yaml; it never replaces a file.")
    ] = Path(),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what is found and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the miners of some networks and write a configuration of them, to be read before it is used.

    Two stages: which addresses have an open port, and what answers there. One connection at a time to each address, and
    no login is sent. What answers and is no miner that Lodeline knows is listed with what it said. At most 65,536
    addresses; network and broadcast addresses are left out.

    Exit code 0: done, also when there is none. 2: a range is none, or the folder cannot be written to.

    Example: lodeline discover 10.0.0.0/24 10.0.1.0/24 --dry-run
    """
    import asyncio

    from tasks.miners.base_url import SOCKET_PORT
    from tasks.miners.discovery.draft import FILE_NAME, draft, write_beside
    from tasks.miners.discovery.ranges import addresses
    from tasks.miners.discovery.scan import WEB_PORT, Limits
    from tasks.miners.discovery.scan import discover as find

    asked = addresses(ranges)
    limits = Limits(
        ports=tuple(dict.fromkeys(port or (WEB_PORT, SOCKET_PORT))),
        concurrency=concurrency,
        timeout_s=timeout,
        retries=retries,
    )
    found = asyncio.run(find(asked, limits, _progress()))
    file = write_beside(write, draft(found, ranges)) if found.found and not dry_run else None
    if as_json:
        typer.echo(json.dumps(_as_json(found, file)))
        return
    for line in _in_words(found):
        typer.echo(line)
    if file is not None:
        then = f"lodeline check --config {file.parent}"
        if file.name == FILE_NAME:
            typer.echo(f"Written to {file}. Read it, then: {then}")
        else:
            typer.echo(
                f"Written to {file}, for {FILE_NAME} is there already and was left as it is. Read it, put what you "
                f"want of it there, then: {then}"
            )


def _progress() -> Progress:
    """Tells stderr: on a terminal in one line that changes, else at the end of each stage."""
    terminal = sys.stderr.isatty()

    def tell(stage: str, done: int, of: int) -> None:
        if terminal and (done == of or done % 16 == 0):
            typer.echo(f"\r{stage}: {done:,} of {of:,}   ", err=True, nl=done == of)
        elif not terminal and done == of:
            typer.echo(f"{stage}: {of:,} asked", err=True)

    return tell


def _in_words(discovery: Discovery) -> list[str]:
    rows = [
        (each.address, each.driver, each.model or "model unknown", each.firmware_version or "")
        for each in discovery.found
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if discovery.unidentified:
        lines.append("Answered, and no driver is known for it:")
        lines += [f"  {each.address}: {'; '.join(each.evidence)}" for each in discovery.unidentified]
    miners, answered, asked = len(discovery.found), discovery.answered, discovery.asked
    return [*lines, f"{asked:,} addresses asked, {answered:,} answered, {miners:,} miners found."]


def _as_json(discovery: Discovery, file: Path | None) -> dict[str, object]:
    return {
        "asked": discovery.asked,
        "answered": discovery.answered,
        "found": [
            {
                "address": each.address,
                "port": each.port,
                "driver": each.driver,
                "model": each.model,
                "firmware_version": each.firmware_version,
                "mac": each.mac,
                "evidence": each.evidence,
            }
            for each in discovery.found
        ],
        "unidentified": [
            {"address": each.address, "reason": each.reason, "evidence": each.evidence}
            for each in discovery.unidentified
        ],
        "file": None if file is None else str(file),
    }
