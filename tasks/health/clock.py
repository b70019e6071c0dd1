"""This machine's clock against another's, by the ``Date`` of an answer over HTTP."""

from __future__ import annotations

import email.utils
import time

import httpx

from storage.influx.settings import InfluxSettings

PATIENCE_S = 2.0
_HALF_S = 0.5
"""``Date`` has whole seconds, rounded down: on the mean half of one is missing."""


def skew_s(date: str | None, now: float) -> float | None:
    """Seconds that ``now`` is ahead of a ``Date`` header (RFC 9110, 6.6.1); None where it is none, or unreadable."""
    if date is None:
        return None
    try:
        return now - email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def offset_to_influxdb(settings: InfluxSettings | None) -> float | str:
    """Seconds that this clock is ahead of that of InfluxDB, right to about a second; a text: why nobody knows."""
    if settings is None:
        return "no_influxdb"
    sent = time.time()
    try:
        reply = httpx.get(f"{settings.url}/ping", timeout=PATIENCE_S, trust_env=False)
    except httpx.HTTPError:
        return "no_answer"
    skew = skew_s(reply.headers.get("date"), (sent + time.time()) / 2)
    return "no_date" if skew is None else skew - _HALF_S
