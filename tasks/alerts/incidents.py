"""Incidents at PagerDuty: opened and resolved under one key (developer.pagerduty.com/docs/events-api-v2-overview).

apprise understands the address, and sends no key: each of its messages opens an incident, the one that tells the end of
an alert too. So the event is sent from here, one for each alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from pydantic import SecretStr

from tasks.alerts.rule import Level

if TYPE_CHECKING:
    from apprise.plugins.pagerduty import NotifyPagerDuty

    from tasks.alerts.telling import Message

_SCHEME = "pagerduty"
_SUMMARY = 1_024
"""Characters that a summary may have."""
_SEVERITIES = {Level.INFO: "info", Level.WARNING: "warning", Level.CRITICAL: "critical"}


def keeps_incidents(url: SecretStr) -> bool:
    """Whether an alert is an incident there, which ends when it is over: each is told by itself."""
    return url.get_secret_value().partition("://")[0].lower() == _SCHEME


def tell(service: NotifyPagerDuty, message: Message, *, timeout_s: float) -> str | None:
    """Open or resolve the incident of ``message``; blocks. None: it was taken; else why not."""
    from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP

    event = {
        "routing_key": service.integration_key,
        "event_action": "resolve" if message.over else "trigger",
        "dedup_key": f"lodeline {' '.join(message.alerts) or message.title}",
        "client": "Lodeline",
        "payload": {
            "summary": message.title[:_SUMMARY],
            "severity": _SEVERITIES[message.level],
            "source": service.source,
            "component": service.component,
            "custom_details": {"alert": message.body},
        },
    }
    try:
        reply = httpx.post(PAGERDUTY_API_LOOKUP[service.region_name], json=event, timeout=timeout_s)
    except httpx.HTTPError as error:
        return f"it does not answer: {type(error).__name__}"
    return None if reply.is_success else f"it answered {reply.status_code}: {reply.text[:200]}"
