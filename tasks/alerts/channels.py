"""Sending one message, by apprise: e-mail, SMS, push, PagerDuty, Slack, Telegram, webhooks and some 170 more.

apprise says yes or no by a status; its result's truth value is also no where nothing was tried. Its addresses hold
secrets: none is logged, and what a service answers is stripped of every part of the address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from storage.errors import NeedsHuman
from tasks.alerts.incidents import keeps_incidents, tell
from tasks.alerts.rule import Level
from tasks.alerts.telling import Message

if TYPE_CHECKING:
    from apprise import Apprise
    from apprise.plugins.pagerduty import NotifyPagerDuty

TIMEOUT_S = 15.0
_SECRET_FROM = 4
_WEBHOOKS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_MAIL = frozenset({"mailto", "mailtos"})
NO_MAIL = "no channel of alerts.channels is a mailto:// or mailtos:// address"
_RECIPIENTS = frozenset({"to", "cc", "bcc"})


def send(
    url: SecretStr, message: Message, *, attached: Sequence[Path] = (), timeout_s: float = TIMEOUT_S
) -> str | None:
    """Send ``message`` to ``url`` with files ``attached``, which :func:`takes_files`; blocks. None: the service took
    it; else why it did not, without secrets.

    Raises:
        NeedsHuman: apprise does not know such an address, or is not installed.
    """
    try:
        from apprise import NotifyFormat, NotifyType
        from apprise.result import AppriseResultStatus
    except ImportError as error:
        raise _missing() from error
    opened = _opened(url)
    if keeps_incidents(url):
        trouble = tell(cast("NotifyPagerDuty", opened[0]), message, timeout_s=timeout_s)
        return None if trouble is None else stripped(trouble, url)
    kinds = {Level.INFO: NotifyType.INFO, Level.WARNING: NotifyType.WARNING, Level.CRITICAL: NotifyType.FAILURE}
    said: list[str] = []
    result = opened.notify(
        title=message.title,
        body=message.body or message.title,
        notify_type=NotifyType.SUCCESS if message.over else kinds[message.level],
        body_format=NotifyFormat.TEXT,
        attach=[str(path) for path in attached] or None,
        timeout=timeout_s,
        log_callback=lambda entry, _service: said.append(entry.message) if entry.level != "INFO" else None,
    )
    if result.status == AppriseResultStatus.SUCCESS:
        return None
    if result.status == AppriseResultStatus.TIMEOUT:
        return f"no answer within {timeout_s:.0f} s"
    return stripped("; ".join(said) or f"not taken: {result.status.name.lower()}", url)


def takes_files(url: SecretStr) -> bool:
    """Whether the service takes files with a message. Raises NeedsHuman as :func:`check` does."""
    return all(service.attachment_support for service in _opened(url))


def addressed(url: SecretStr, to: str) -> SecretStr | None:
    """``url`` of an e-mail service (``mailto://``, ``mailtos://``) with ``to`` for its only recipient; None for any
    other. apprise takes recipients from the path and from to, cc and bcc of the query."""
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in _MAIL:
        return None
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _RECIPIENTS]
    return SecretStr(urlunsplit((parts.scheme, parts.netloc, "", urlencode([*kept, ("to", to)]), "")))


def check(url: SecretStr) -> None:
    """Whether apprise knows such an address. Raises NeedsHuman where it does not."""
    _opened(url)


def _opened(url: SecretStr) -> Apprise:
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError as error:
        raise _missing() from error

    opened = Apprise(asset=AppriseAsset(async_mode=False, storage_mode=None))
    if not opened.add(url.get_secret_value()):
        scheme = url.get_secret_value().partition("://")[0]
        shown = f"{scheme}://…" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else "the address"
        raise NeedsHuman(
            f"apprise does not understand {shown}",
            remedy="Write the channel's url as apprise's documentation has it for that service",
        )
    return opened


def _missing() -> NeedsHuman:
    return NeedsHuman("alerts need apprise, which is not installed", remedy="Install lodeline[alerts]")


def stripped(text: str, url: SecretStr) -> str:
    """``text`` with every part of ``url`` that may be a secret replaced; of plain webhooks the host stays.

    Of most services what stands in the place of a host is a token, e.g. ``slack://token/token/token``.
    """
    for part in sorted(parts_of(url), key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def parts_of(url: SecretStr) -> set[str]:
    """Parts of ``url`` that may be secrets by themselves."""
    address = url.get_secret_value()
    scheme = address.partition("://")[0]
    host = urlsplit(address).hostname if scheme in _WEBHOOKS else None
    parts = set(re.split(r"[/:@?&=,#\s]+", address)) - {scheme, host}
    return {part for part in parts if len(part) >= _SECRET_FROM}
