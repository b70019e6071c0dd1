"""``lodeline alerts channels`` and ``test``: whether anybody can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from deployments.settings import Settings
    from tasks.alerts.book import Book

NOT_TAKEN = 1


def show_channels(book: Book, *, as_json: bool) -> None:
    """How they stand, by what the book of alerts has of them."""
    import time

    import msgspec

    from tasks.quantity import age

    found, now = book.channels(), time.time()
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for one in found:
        success = "never" if one.last_success is None else f"{age(now - one.last_success)} ago"
        trouble = f"; fails: {one.trouble}" if one.trouble else ""
        waiting = f"; {one.waiting} messages wait" if one.waiting else ""
        typer.echo(f"{one.name}: last taken {success}{trouble}{waiting}")
    if not found:
        typer.echo("No channel was ever used")


def test_channels(settings: Settings, names: list[str]) -> None:
    """Send a test to each of ``names``, all where none is given; exit code 1 where one does not take it."""
    import time

    from storage.errors import NeedsHuman
    from tasks.alerts.book import Book
    from tasks.alerts.channels import send
    from tasks.alerts.handover import hand_over, sign_of_life
    from tasks.alerts.rule import Level
    from tasks.alerts.telling import Message
    from tasks.alerts.watch import ALERTMANAGER, DEAD_MAN

    wanted = settings.collection.alerts
    ways: dict[str, Callable[[], str | None]] = {}
    for channel in wanted.channels:
        message = Message(
            channel=channel.name,
            title="[test] Lodeline",
            body=f"A test of channel {channel.name}: alerts of {', '.join(channel.levels)} come here.",
            level=Level.INFO,
            over=False,
            alerts=(),
        )
        ways[channel.name] = lambda channel=channel, message=message: send(channel.url, message)  # type: ignore[misc]
    if wanted.alertmanager_url is not None:
        ways[ALERTMANAGER] = lambda: hand_over(str(wanted.alertmanager_url), [])
    if wanted.dead_man_url is not None:
        address = wanted.dead_man_url
        ways[DEAD_MAN] = lambda: sign_of_life(address)
    unknown = sorted(set(names) - set(ways))
    if unknown:
        raise NeedsHuman(f"no channel {', '.join(unknown)} is configured", remedy="See section alerts.channels")
    if not ways:
        raise NeedsHuman("no channel is configured", remedy="Add one to alerts.channels of data_collection_config.yaml")
    book = Book.open(settings.host.data_directory / "state")
    failed = False
    try:
        for name, way in ways.items():
            if names and name not in names:
                continue
            try:
                trouble = way()
            except NeedsHuman as error:
                trouble = str(error)
            book.note_channel(name, time.time(), trouble)
            failed |= trouble is not None
            typer.echo(f"{name}: {'taken' if trouble is None else trouble}")
    finally:
        book.close()
    if failed:
        raise typer.Exit(NOT_TAKEN)
