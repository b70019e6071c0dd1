"""What a request to a pool gave, put together: one coin of the account after the other, one page after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from storage.frame import Frame
from storage.records.pool import PoolRecords
from tasks.market.coins import COINS
from tasks.pools.judging import judged_frames
from tasks.resilience.http import Reply
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Answer, Gathered


@dataclass(frozen=True, slots=True)
class Part:
    """What was asked of one coin: its records, the replies that they were made from, and what is odd about them."""

    records: PoolRecords
    replies: Sequence[Reply] = field(default=())
    notices: Sequence[str] = field(default=())


def algorithm_of(coin: str) -> str:
    """What is mined for ``coin``; ``unknown`` where it has several algorithms or none."""
    return COINS[coin].algorithm or "unknown"


def answer_of(reply: Reply, page: int = 1) -> Answer:
    """``reply`` as it is kept in the lake."""
    return Answer(reply.status, reply.text, reply.size, reply.address, reply.received_ms, page)


async def each_coin(coins: Iterable[str], ask: Callable[[str], Awaitable[Part]]) -> Gathered:
    """Ask for each coin in turn. One that the pool does not know, or answers in another shape, is skipped and noticed.

    Raises:
        SourceFailure: of any other kind, since it would meet the other coins as well, with what the coins before it
            gave; or every coin was skipped.
    """
    frames: list[Frame] = []
    answers: list[Answer] = []
    notices: list[str] = []
    tries = 0
    skipped: SourceFailure | None = None
    for coin in coins:
        try:
            part = await ask(coin)
        except SourceFailure as failure:
            if failure.kind is not SourceFailureKind.UNEXPECTED:
                failure.frames, failure.answers = frames, answers
                raise
            skipped = failure
            notices.append(f"{coin} is left out: {failure}")
            continue
        frames += judged_frames(part.records)
        answers += [answer_of(reply, page) for page, reply in enumerate(part.replies, start=len(answers) + 1)]
        notices += part.notices
        tries += sum(reply.tries for reply in part.replies)
    if skipped is not None and not frames and not answers:
        raise skipped
    return Gathered(frames, answers, notices, tries=tries)
