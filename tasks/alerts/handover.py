"""Handing alerts over to an Alertmanager (its v2 API), and the sign of life to something outside.

Alertmanager groups, silences, routes and repeats by itself; it is given every alert that fires and is not muted, at
every look, as Prometheus does: an alert that is not given again ends by its ``endsAt``
(prometheus.io/docs/alerting/latest/clients).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Rule

TIMEOUT_S = 10.0
TOLD_AS_OVER_S = 900.0
"""How long a resolved alert is still given, so that one hand-over that failed does not leave it firing there."""


def payload(
    alerts: Iterable[Alert], muted: Mapping[str, str], rules: Mapping[str, Rule], *, now: float, usual_s: float
) -> list[dict[str, Any]]:
    """Body of ``POST /api/v2/alerts``: labels that identify an alert, and its words as annotations."""
    found = []
    for alert in alerts:
        over = alert.phase is Phase.RESOLVED
        recent = over and now - (alert.resolved or 0.0) < TOLD_AS_OVER_S
        if alert.fired is None or alert.id in muted or not (alert.firing or recent):
            continue
        rule = rules.get(alert.rule)
        labels = {
            "alertname": alert.rule,
            "severity": str(alert.level),
            "subject": alert.subject,
            "entity": alert.entity,
            "site": alert.site,
            "service": "lodeline",
        }
        found.append(
            {
                "labels": {name: value for name, value in labels.items() if value},
                "annotations": {
                    "summary": alert.message,
                    **({"description": f"{rule.meaning} {rule.remedy}"} if rule is not None else {}),
                },
                "startsAt": _stamp(alert.fired),
                "endsAt": _stamp((alert.resolved or now) if over else now + 4 * usual_s),
            }
        )
    return found


def hand_over(url: str, alerts: list[dict[str, Any]], *, timeout_s: float = TIMEOUT_S) -> str | None:
    """POST ``alerts`` to the Alertmanager at ``url``; blocks. None: it took them; else why not."""
    try:
        reply = httpx.post(f"{url}/api/v2/alerts", json=alerts, timeout=timeout_s)
    except httpx.HTTPError as error:
        return f"{url} does not answer: {type(error).__name__}"
    return None if reply.is_success else f"{url} answered {reply.status_code}: {reply.text[:200]}"


def sign_of_life(url: SecretStr, *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Ask ``url``, as healthchecks and dead-man switches want it; blocks. None: it answered well; else why not."""
    try:
        reply = httpx.get(url.get_secret_value(), timeout=timeout_s, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"it does not answer: {type(error).__name__}"
    return None if reply.is_success else f"it answered {reply.status_code}"


def _stamp(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
