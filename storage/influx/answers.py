"""What a write's answer means. Only 204 is success; whatever is not known is never taken for it.

Sources of the statuses: reference tables of InfluxDB 1.6.7 (measured), 2.9.1 and 3.10.1 (read), docs/decisions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from storage.errors import NeedsHuman, TryAgain
from storage.influx.connection import Answer, Dialect, raise_common_troubles


@dataclass(frozen=True, slots=True)
class Stored:
    """Every line is in."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The body is larger than the server, or a proxy, takes; nothing is stored."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """At least one line is refused for good; others may be stored or not.

    ``by_line`` maps indexes of refused lines to the server's words about each, where it names them (3.x). ``dropped``
    is the number of refused lines, where it says so (1.x, 2.x).
    """

    reason: str
    dropped: int | None = None
    by_line: dict[int, str] = field(default_factory=dict)


class _LineError(msgspec.Struct):
    line_number: int
    error_message: str


class _ErrorBody(msgspec.Struct):
    """``error`` is 1.x and 3.x, ``code`` and ``message`` are 2.x."""

    error: str | None = None
    code: str | None = None
    message: str | None = None
    data: list[_LineError] | None = None


_ERROR_BODY = msgspec.json.Decoder(_ErrorBody)
_DROPPED = re.compile(r"\bdropped[ =](\d+)")


class TooBusy(TryAgain):
    """The server gave a write up after its own time for one (1.x: 10 s), and goes on working at it."""


def judged(url: str, dialect: Dialect, bucket: str, answer: Answer) -> Stored | TooLarge | Refused:
    """What ``answer`` to a write into ``bucket`` means.

    Raises:
        TooBusy: 1.x had no time for so much at once.
        TryAgain: 5xx, busy, timed out, or a 2xx that is not 204: nobody knows what is stored.
        NeedsHuman: credentials, unknown bucket or retention policy, or an answer that no InfluxDB gives.
    """
    if answer.status == 204:
        return Stored()
    if answer.status == 413:
        return TooLarge(answer.text.strip() or "413 request entity too large")
    if answer.status in (400, 422):
        return _refused(url, answer)
    said = answer.text.strip()[:500] or "nothing"
    if answer.status == 404 or (dialect is Dialect.V1 and "retention policy not found" in answer.text):
        raise NeedsHuman(
            f"InfluxDB at {url} does not know bucket or database {bucket!r} ({answer.status}), it said: {said}",
            remedy="Run lodeline provision, or correct url and org",
        )
    if dialect is Dialect.V1 and answer.status == 500 and answer.text.strip() == '{"error":"timeout"}':
        raise TooBusy(f"InfluxDB at {url} answered {answer.status}, it said: {said}")
    raise_common_troubles(url, answer)
    if 200 <= answer.status < 300:
        raise TryAgain(f"{url} answered a write with {answer.status} instead of 204, it said: {said}")
    raise NeedsHuman(
        f"{url} answered a write with {answer.status}, it said: {said}",
        remedy="Check that the address is InfluxDB's own and what a proxy in between does",
    )


def _refused(url: str, answer: Answer) -> Refused:
    try:
        body = _ERROR_BODY.decode(answer.text)
        reason = body.message or body.error
    except msgspec.DecodeError:  # cut at 64 KiB, or not InfluxDB's
        body = _ErrorBody()
        reason = answer.text if answer.text.startswith(('{"error":', '{"code":')) else None
    if not reason:
        raise NeedsHuman(
            f"{url} answered a write with {answer.status} in words that are not InfluxDB's: {answer.text[:500]}",
            remedy="Check that the address is InfluxDB's own and what a proxy in between does",
        )
    dropped = _DROPPED.search(reason)
    return Refused(
        reason,
        dropped=int(dropped.group(1)) if dropped else None,
        by_line={error.line_number - 1: error.error_message for error in body.data or ()},
    )
