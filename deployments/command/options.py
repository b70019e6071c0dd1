"""Options that several commands share, so that they read and behave alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storage.errors import NeedsHuman

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from tasks.collection_settings import CollectionSettings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Folder with data_collection_config.yaml, data_retention_config.yaml and abacus_integration_config.yaml; "
        "docs/configuration.md says what is in them.",
        envvar="LODELINE_CONFIG",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_END = 7_258_118_400
"""2200-01-01 in Unix seconds."""
_NAMED = 5
"""Miners that a mistake names; of more it says how many."""

MOMENT = "ISO 8601, e.g. 2026-11-25T12:00:00Z, UTC where no zone is named; or Unix seconds."


def time_zone(name: str) -> ZoneInfo:
    """The zone that a user named.

    Raises:
        NeedsHuman: there is none of that name.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise NeedsHuman(f"there is no time zone {name!r}", remedy="Name one as in Europe/Berlin, or UTC") from error


def moment(text: str, zone: str = "UTC") -> int:
    """Unix seconds of a time that a user wrote, in ``zone`` where it names none.

    Raises:
        NeedsHuman: it is none, of a time of which nothing can be stored, or there is no such zone.
    """
    import datetime as dt

    usual = time_zone(zone)
    try:
        if text.isdecimal() and len(text) > len("20261125"):
            found = int(text)
        else:
            said = dt.datetime.fromisoformat(text)
            found = int((said if said.tzinfo else said.replace(tzinfo=usual)).timestamp())
    except (ValueError, OverflowError) as error:
        raise NeedsHuman(f"{text!r} is not a time", remedy=f"Write it as {MOMENT}") from error
    if not 0 <= found < _END:
        raise NeedsHuman(f"{text!r} is not between 1970 and 2200", remedy="Nothing is stored of such a time")
    return found


def known_miners(collection: CollectionSettings, ids: Iterable[str] | None) -> None:
    """Refuse ids that the configuration does not name.

    Raises:
        NeedsHuman: names those, and what may be meant.
    """
    from storage.configuration.section import nearest

    known = [one.id for one in collection.miners]
    unknown = sorted(set(ids or ()) - set(known))
    if not unknown:
        return
    meant = nearest(unknown[0], known)
    if not known:
        remedy = "No miner is: give --config, or set LODELINE_CONFIG to its folder"
    elif meant is not None:
        remedy = f"Did you mean {meant}?"
    else:
        remedy = f"There are {', '.join(known[:_NAMED])}" + (f" and {len(known) - _NAMED} more" * (len(known) > _NAMED))
    raise NeedsHuman(f"no miner {', '.join(unknown)} is configured", remedy=remedy)


def person() -> str:
    """Who runs this command, for audit trail and books."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
