"""``lodeline abacus forget``: an entity that was erased here, out of what Abacus.AI has, as far as that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from deployments.settings import Settings
    from tasks.abacus.sdk import Endpoints
    from tasks.abacus.settings import AbacusSettings


def forget_there(
    settings: Settings, abacus: AbacusSettings, endpoints: Endpoints, name: str, entity: str, *, as_json: bool
) -> None:
    """Delete it, and print what is left.

    Raises:
        NeedsHuman: it is not erased here. Exit: 1, something is left there.
    """
    import socket

    import msgspec

    from storage.audit.trail import Trail
    from tasks.abacus.forgetting import forget

    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    actor = "lodeline abacus forget"
    found = forget(abacus, endpoints, settings.host, name, entity, trail=trail, actor=actor)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        for table, rows in found.deleted.items():
            typer.echo(f"{table}: {rows} rows deleted")
        for table in found.unseen:
            typer.echo(f"{table}: it has more rows than the service shows; older ones of the entity may be left")
        for table, versions in found.versions.items():
            typer.echo(f"{table}: {versions} versions can only be deleted as a whole there, with all others' rows")
    if found.unseen or found.versions:
        raise typer.Exit(1)
