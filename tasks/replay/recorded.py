"""Polls as they were kept, and a transport that answers as the miner did then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from storage.declaration import Tier
from storage.declaration.payload import RAW_PAYLOAD
from storage.records.miner import Miner
from tasks.miners.payloads import MOST_BYTES, path_of
from tasks.miners.redaction import as_bytes
from tasks.miners.transport import ResponseTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.store import Store

NOWHERE = "http://replay.invalid"
"""Base of all requests: nothing is ever sent."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answer, or why none came."""

    status: int | None
    failure: str | None
    body: str | None
    cut_off: bool


@dataclass(frozen=True, slots=True)
class KeptPoll:
    """All that one miner answered at one slot, by path."""

    slot: int
    miner: Miner
    address: str
    driver: str
    version: str
    answers: dict[str, KeptAnswer] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether no answer was too long to be kept whole."""
        return not any(answer.cut_off for answer in self.answers.values())


def kept_polls(
    lake: Store, start: int, stop: int, miner_ids: Sequence[str] | None = None
) -> dict[str, dict[int, KeptPoll]]:
    """Polls with ``start <= slot < stop`` (Unix seconds) by miner and slot, in order of time."""
    where = None if miner_ids is None else {"miner_id": miner_ids}
    polls: dict[str, dict[int, KeptPoll]] = {}
    for row in lake.read(RAW_PAYLOAD, Tier.RAW, start, stop, where=where).to_pylist():
        slot = int(row["time"].timestamp())
        of_miner = polls.setdefault(row["miner_id"], {})
        if slot not in of_miner:
            miner = Miner(row["miner_id"], row["model"] or "", row["site"] or "")
            of_miner[slot] = KeptPoll(slot, miner, row["address"] or "", row["driver"] or "", row["version"] or "")
        body = row["body"]
        cut_off = body is not None and row["size"] is not None and row["size"] > MOST_BYTES
        of_miner[slot].answers[row["path"]] = KeptAnswer(row["status"], row["failure"], body, cut_off)
    return {miner_id: dict(sorted(of_miner.items())) for miner_id, of_miner in sorted(polls.items())}


class Recorded(httpx.AsyncBaseTransport):
    """Answers from the poll that :meth:`turn_to` set.

    A path that this poll did not ask gets the newest answer of the polls before, since drivers ask for some things only
    every ten minutes. One that was never asked gets a 404: a driver that wants more today goes without it.
    """

    def __init__(self) -> None:
        self._now: Mapping[str, KeptAnswer] = {}
        self._known: dict[str, KeptAnswer] = {}

    def turn_to(self, poll: KeptPoll) -> None:
        """Answer as the miner did at ``poll``."""
        self._now = poll.answers
        self._known |= poll.answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """What was kept for the path of ``request``; raises the httpx exception that stands for a kept failure."""
        path = path_of(request)
        kept = self._now.get(path) or self._known.get(path)
        if kept is None:
            return httpx.Response(httpx.codes.NOT_FOUND, request=request)
        if kept.status is None:
            raise _error(kept.failure, request)
        return httpx.Response(kept.status, stream=httpx.ByteStream(as_bytes(kept.body or "")), request=request)


def _error(failure: str | None, request: httpx.Request) -> httpx.HTTPError:
    message = f"kept failure: {failure}"
    match failure:
        case "connect_timeout":
            return httpx.ConnectTimeout(message, request=request)
        case "deadline":
            return httpx.ReadTimeout(message, request=request)
        case "too_large":
            return ResponseTooLarge(message, request=request)
        case "refused" | "unreachable":
            error = httpx.ConnectError(message, request=request)
            error.__cause__ = ConnectionRefusedError() if failure == "refused" else None
            return error
    return httpx.RemoteProtocolError(message, request=request)
