"""Commands to one miner: joined where it takes that, one by one where it does not, and none again that it refused."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from tasks.miners.cgminer_socket.answers import Joined, Reply
from tasks.miners.decode import decode
from tasks.miners.driver import FailureKind, PollFailure
from tasks.miners.exchange import ask
from tasks.miners.reading import COSTS_ITS_FIELDS

_ASK_AGAIN_S = 86_400
"""What was refused is tried again after so long: the firmware may be another by then."""

_DENIED = 45
_JOINED = "joined"


class Commands:
    """What one miner takes. ``refused`` maps a command, or ``joined``, to the slot at which it was refused."""

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport) -> None:
        self._base_url = base_url
        self._transport = transport
        self.refused: dict[str, int] = {}

    async def read(self, names: Sequence[str], slot: int, flags: set[str]) -> dict[str, Reply]:
        """The replies to ``names``, without those that are refused; ``no_<name>`` in ``flags`` for what failed.

        What is refused is remembered only where something else was answered: while a miner starts it refuses all.

        Raises:
            PollFailure: the miner does not answer, or answered nothing of what was asked.
        """
        wanted = [name for name in names if not self._is_refused(name, slot)] or list(names)
        replies: dict[str, Reply] = {}
        refused: list[str] = []
        failures: list[PollFailure] = []
        if len(wanted) > 1 and not self._is_refused(_JOINED, slot):
            replies = await self._joined(wanted, flags)
            if not replies:
                refused.append(_JOINED)
        for name in wanted:
            if name in replies:
                continue
            try:
                replies[name] = await self._reply(name, flags)
            except _Refused as failure:
                refused.append(name)
                failures.append(failure)
            except PollFailure as failure:
                if failure.kind not in COSTS_ITS_FIELDS:
                    raise
                flags.add(f"no_{name}")
                failures.append(failure)
        if not replies:
            raise failures[0]
        self.refused |= dict.fromkeys(refused, slot)
        return replies

    def _is_refused(self, name: str, slot: int) -> bool:
        since = self.refused.get(name)
        return since is not None and 0 <= slot - since < _ASK_AGAIN_S

    async def _joined(self, names: Sequence[str], flags: set[str]) -> dict[str, Reply]:
        """What came of it; nothing where the miner does not take joined commands, in whatever words it says so."""
        path, own_flags = "+".join(names), set[str]()
        try:
            answer = decode(await self._send(path), Joined, own_flags, path)
        except PollFailure as failure:
            if failure.kind not in COSTS_ITS_FIELDS:
                raise
            return {}
        found = {name: replies[0] for name in names if (replies := getattr(answer, name, None))}
        taken = {name: reply for name, reply in found.items() if _refusal(name, reply) is None}
        if taken:
            flags |= own_flags
        return taken

    async def _reply(self, name: str, flags: set[str]) -> Reply:
        own_flags: set[str] = set()
        reply = decode(await self._send(name), Reply, own_flags, name)
        refusal = _refusal(name, reply)
        if refusal is not None:
            raise refusal
        flags |= own_flags
        return reply

    async def _send(self, path: str) -> bytes:
        command = msgspec.json.encode({"command": path})
        return (await ask(self._transport, httpx.Request("POST", f"{self._base_url}/{path}", content=command))).content


class _Refused(PollFailure):
    """The miner does not take this command."""


def _refusal(name: str, reply: Reply) -> PollFailure | None:
    """Why a reply is none, if it is none."""
    said = reply.status[0] if reply.status else None
    if said is not None and (said.status or "").upper() in ("E", "F"):
        kind: FailureKind = "auth" if said.code == _DENIED else "schema"
        return _Refused(kind, f"{name} is refused: {(said.message or 'without a reason')[:200]!r}")
    if getattr(reply, name) is None:
        return PollFailure("schema", f"the reply to {name} has no list {name.upper()!r}")
    return None
