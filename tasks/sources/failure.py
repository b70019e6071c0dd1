"""Why a source gave no data, told apart by what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from storage.errors import LodelineError
from storage.frame import Frame
from tasks.sources.source import Answer


class SourceFailureKind(StrEnum):
    """Reasons, as declared in storage/declaration/pipeline.py SOURCE_FAILURES."""

    UNREACHABLE = "unreachable"
    """Refused, no route, TLS not trusted, connection cut."""
    TIMEOUT = "timeout"
    """No whole answer within the deadline."""
    NOT_JSON = "not_json"
    """HTML or text where JSON was due, whatever the status: an outage page, a block page."""
    UNEXPECTED = "unexpected"
    """JSON of another shape than documented."""
    RATE_LIMITED = "rate_limited"
    """Asked too fast; the next try is due after ``retry_after_s``."""
    QUOTA_EXHAUSTED = "quota_exhausted"
    """The account's day or month is used up: no try before ``retry_after_s`` can help."""
    REFUSED = "refused"
    """Key missing, wrong or without permission: a human must act."""
    SERVER_ERROR = "server_error"
    """Status 5xx, or an error of the service's own in a good status."""
    GONE = "gone"
    """The service has closed."""
    BUDGET = "budget"
    """Not asked: it would have overdrawn the month's budget."""


class SourceFailure(LodelineError):
    """No data from a source, and why. Its text names source and request, and holds no secret.

    ``retry_after_s``: the wait that the source asked for, or that follows from the kind; None: the usual back-off.
    ``frames``: rows to spool all the same: what came before the failure, and what the failure itself says, e.g. that a
    pool has closed. ``answers``: what the former were made from.
    """

    def __init__(self, kind: SourceFailureKind, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.frames: Sequence[Frame] = ()
        self.answers: Sequence[Answer] = ()


class HeldBack(SourceFailure):
    """Not asked, since this host has asked as often as it may: RATE_LIMITED by ourselves, nobody refused anything."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(SourceFailureKind.RATE_LIMITED, message, retry_after_s=retry_after_s)


class Noticed(SourceFailure):
    """Known without asking anybody, e.g. of a stream that is down: looking again costs nothing, no back-off."""
