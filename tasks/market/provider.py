"""What the providers of prices have in common: times, waits that follow from refusals, answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from tasks.normalize.number import number
from tasks.resilience.http import Api, Reply
from tasks.sources.cache import AnswerCache
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Answer

MINUTE_S = 60.0
Judge = Callable[[Reply], SourceFailure | None]
"""Says what an answer says that went wrong."""

_AHEAD_S = 300.0
"""How much later than the slot a provider's time may be: it is asked after the slot, and clocks differ."""


def iso_time(said: object) -> float | None:
    """Unix seconds of an ISO 8601 time; one without a zone is UTC. None for everything else."""
    if not isinstance(said, str):
        return None
    try:
        found = datetime.fromisoformat(said)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def age_s(told_at: float | None, slot: int) -> float | None:
    """How old at ``slot`` is what was true at ``told_at``; None where that is not known, or is in the future."""
    if told_at is None or not 0 < told_at <= slot + _AHEAD_S:
        return None
    return max(0.0, slot - told_at)


def until_next_day_s(now: float) -> float:
    """Seconds from ``now`` (Unix) until the next UTC day begins."""
    return 86_400.0 - now % 86_400.0


def until_next_month_s(now: float) -> float:
    """Seconds from ``now`` (Unix) until the next UTC month begins."""
    first = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1).timestamp() - now


def answers_of(replies: Iterable[Reply]) -> list[Answer]:
    """The pages of an answer as they are kept in the lake."""
    return [
        Answer(
            reply.status, reply.text, reply.size, reply.address, reply.received_ms, page,
            from_cache=reply.kept_s is not None, age_s=reply.kept_s or 0.0,
        )
        for page, reply in enumerate(replies, 1)
    ]  # fmt: skip


async def kept_or_asked(
    cache: AnswerCache, path: str, params: Mapping[str, str | int], ask: Callable[[], Awaitable[Reply]], *,
    slot: int, fresh_s: float,
) -> Reply:  # fmt: skip
    """The answer of ``path`` that is at most ``fresh_s`` old at ``slot``, else what ``ask`` gives, which is kept.

    Asked before the provider renews it, an answer is the same again and costs a credit.
    """
    key = f"{path}?{urlencode(sorted(params.items()))}"
    kept = cache.take(key, fresh_s, slot)
    if kept is not None:
        return Reply(200, kept.data, "", 0, {}, path, kept.received_ms, 0, slot - kept.received_ms / 1000)
    reply = await ask()
    with suppress(ValueError):  # of its masked text, since it may repeat the key; a mask may have cut it as JSON
        await asyncio.to_thread(cache.keep, key, json.loads(reply.text), reply.received_ms)
    return reply


async def get(api: Api, path: str, params: Mapping[str, str | int], judge: Judge) -> Reply:
    """The answer of ``path``, which ``judge`` finds nothing wrong with.

    Raises:
        SourceFailure: no JSON came, or ``judge`` says what is wrong with it.
    """
    reply = await api.get(path, dict(params))
    failure = judge(reply)
    if failure is None:
        return reply
    failure.args = (api.masked(str(failure)),)  # it quotes the provider, who may quote the key
    if failure.kind is SourceFailureKind.RATE_LIMITED:
        asked = number(reply.headers.get("retry-after")) or 0.0
        failure.retry_after_s = max(asked, failure.retry_after_s or MINUTE_S)
        await api.slow_down(failure.retry_after_s)
    raise failure
