"""The watch for alerts, and whether it and the archive can tell anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator

from deployments.doctor.finding import Finding, odd, skipped, well, wrong
from deployments.settings import Settings
from storage.errors import NeedsHuman
from tasks.alerts.book import Book
from tasks.alerts.channels import NO_MAIL, addressed, check
from tasks.quantity import age

_MISSED = 3


def alerts(settings: Settings) -> Iterator[Finding]:
    """Whether somebody looks, and how the channels stand."""
    wanted = settings.collection.alerts
    if not wanted.enabled:
        yield skipped("alerts", "alerts.enabled is false")
        return
    if not wanted.channels and wanted.alertmanager_url is None:
        yield odd("channels", "none is configured: nobody is told of alerts", "Add one to alerts.channels")
    for channel in wanted.channels:
        try:
            check(channel.url)
        except NeedsHuman as error:
            yield wrong("channels", f"{channel.name}: {error}", error.remedy)
    book = Book.look_into(settings.host.data_directory / "state")
    if book is None:
        yield odd("alerts", "nobody has looked on this host", "Deploy flow watch-alerts once per store")
        return
    try:
        look, channels = book.last_look(), book.channels()
    finally:
        book.close()
    since = None if look is None else time.time() - look.at
    if since is None or since > _MISSED * wanted.check_interval_seconds + 60:
        ago = "never" if since is None else f"{age(since)} ago"
        yield wrong("alerts", f"the last look was {ago}", "Is flow watch-alerts running? lodeline doctor, line workers")
    else:
        yield well("alerts", f"looked {age(since)} ago")
    for one in channels:
        if one.trouble is not None:
            yield wrong("channels", f"{one.name}: {one.trouble}", "lodeline alerts test")


def archive_mail(settings: Settings) -> Iterator[Finding]:
    """Whether who is to be mailed what the archive does can be."""
    to = settings.retention.archiving.notification_email
    if to is None or settings.retention.general.archive_base_path is None:
        return
    channels = settings.collection.alerts.channels
    by = next((one.name for one in channels if addressed(one.url, to) is not None), None)
    if by is None:
        yield odd("archive mail", f"{to} is not told of the archive: {NO_MAIL}", "Add one to alerts.channels")
    else:
        yield well("archive mail", f"{to} is told by channel {by}")
