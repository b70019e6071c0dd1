"""Books of what was asked: a row of ``source_request`` for each request, of ``source_payload`` for each answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib.metadata import version

from storage.frame import Frame, Value, build_frame
from tasks.sources.asked import Asked
from tasks.sources.failure import SourceFailureKind
from tasks.sources.source import Answer


def books_of(
    asked: Sequence[Asked], *, host: str, run_id: str, together: Callable[[str], bool | None] = lambda _: None
) -> list[Frame]:
    """Rows of ``asked``. ``together`` says whether the rate of a source is kept with others; None: it asks alone."""
    if not asked:
        return []
    columns: dict[str, list[Value]] = {
        "host": [host] * len(asked),
        "source": [one.source for one in asked],
        "request": [one.request.name for one in asked],
        "ok": [one.failure is None for one in asked],
        "failure": [None if one.failure is None else str(one.failure.kind) for one in asked],
        "latency_ms": [one.latency_ms for one in asked],
        "rows": [one.rows for one in asked],
        "tries": [None if one.gathered is None else one.gathered.tries for one in asked],
        "credits": [None if one.gathered is None else one.gathered.credits for one in asked],
        "credits_left": [one.credits_left for one in asked],
        "retry_after_s": [None if one.failure is None else one.failure.retry_after_s for one in asked],
        "from_cache": [one.from_cache for one in asked],
        "age_s": [one.age_s for one in asked],
        "rate_shared": [together(one.source) for one in asked],
        "run_id": [run_id] * len(asked),
    }
    return [build_frame("source_request", [one.slot for one in asked], columns), *_payload_frames(asked)]


def _payload_frames(asked: Sequence[Asked]) -> list[Frame]:
    """A row of each answer that came, and one of each failure, behind those that came before it."""
    rows: list[tuple[Asked, Answer | None, int]] = []
    for one in asked:
        rows += [(one, answer, answer.page) for answer in one.answers if not answer.from_cache]
        if one.failure is not None and one.failure.kind is not SourceFailureKind.BUDGET:
            rows.append((one, None, 1 + max((answer.page for answer in one.answers), default=0)))
    if not rows:
        return []
    columns: dict[str, list[Value]] = {
        "source": [one.source for one, _, _ in rows],
        "request": [one.request.name for one, _, _ in rows],
        "page": [str(page) for _, _, page in rows],
        "status": [answer.status if answer else None for _, answer, _ in rows],
        "failure": [str(one.failure.kind) if one.failure and not answer else None for one, answer, _ in rows],
        "body": [answer.body if answer else None for _, answer, _ in rows],
        "sha256": [hashlib.sha256(answer.body.encode()).hexdigest() if answer else None for _, answer, _ in rows],
        "size": [answer.size if answer else None for _, answer, _ in rows],
        "address": [answer.address if answer else None for _, answer, _ in rows],
        "version": [version("lodeline")] * len(rows),
        "received_ms": [answer.received_ms if answer else None for _, answer, _ in rows],
    }
    return [build_frame("source_payload", [one.slot for one, _, _ in rows], columns)]
