"""``lodeline doctor``: what is wrong with this set-up, and what to do about it."""

from __future__ import annotations

import typer

from deployments.command.options import ConfigOption, JsonOption

WRONG = 1


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at all that a set-up can get wrong: packages, data directory, disk, open files, ports, InfluxDB, lake,
    clocks, Prefect with its pool, deployments and workers, the shifts of this host, alerts and their channels.

    Changes nothing. What is not configured is skipped and says so. Reads the configuration first; lodeline check tells
    all faults of that.

    Exit code 0: nothing is wrong. 1: something is, with what to do about it. 2: the configuration is wrong.

    Example: lodeline doctor --config /etc/lodeline
    """
    import dataclasses

    import msgspec

    from deployments.doctor.examine import examine
    from deployments.doctor.finding import Verdict
    from deployments.settings import load_settings

    settings = load_settings(config)
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            typer.echo(f"{finding.verdict:<8} {finding.what}: {finding.found}")
            if finding.remedy:
                typer.echo(f"{'':<9}→ {finding.remedy}")
    if as_json:
        typer.echo(msgspec.json.encode([dataclasses.asdict(finding) for finding in findings]).decode())
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise typer.Exit(WRONG)
