"""``lodeline abacus schedules``: refresh policies, which the service runs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from deployments.command.abacus_words import policy_lines

if TYPE_CHECKING:
    from tasks.abacus.sdk import Endpoints
    from tasks.abacus.settings import AbacusSettings


def schedules(abacus: AbacusSettings, endpoints: Endpoints, *, as_json: bool) -> None:
    """Print how every policy stands.

    Raises:
        Exit: 1, something is otherwise than declared.
    """
    import msgspec

    from tasks.abacus.refresh_policies import policy_states

    states = policy_states(abacus, endpoints)
    if as_json:
        told = [
            {
                "name": state.name, "cron": state.cron, "declared": state.is_declared, "next_run": state.next_run,
                "paused": state.is_paused, "last_run": state.last_run,
                "differences": [
                    {"what": one.what, "declared": one.declared, "found": one.found} for one in state.differences
                ],
            }
            for state in states
        ]  # fmt: skip
        typer.echo(msgspec.json.encode(told).decode())
    else:
        for line in policy_lines(states):
            typer.echo(line)
        if not states:
            typer.echo("No refresh policy is declared (refresh_policies of abacus_integration_config.yaml)")
    if any(state.differences for state in states):
        raise typer.Exit(1)
