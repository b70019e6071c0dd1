"""The child processes that run the library, and which miner belongs to which."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from typing import cast
from weakref import WeakKeyDictionary

import msgspec

from tasks.miners.asic_rs.wire import LONGEST_LINE, Question, Reply

MINERS_PER_CHILD = 200
"""The library holds 0.3 MB and six sockets a miner: 60 MB and 1,200 open files a child."""

COMMAND = (sys.executable, "-m", "tasks.miners.asic_rs.child")
_START_AGAIN_S = 5.0
_END_S = 2.0
_LOG = logging.getLogger(__name__)


class ChildGone(Exception):
    """The child ended, or cannot be started; says how. The next question may find a new one."""


class Child:
    """One child process, started by the first question and again, after a while, when it has ended."""

    def __init__(self, command: Sequence[str] = COMMAND, clock: Callable[[], float] = time.monotonic) -> None:
        self._command = command
        self._clock = clock
        self._process: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._starting = asyncio.Lock()
        self._started: float | None = None
        self._asked = 0

    async def ask(
        self, address: str, deadline_s: float, username: str | None = None, password: str | None = None
    ) -> Reply:
        """One reading of one miner.

        Raises:
            ChildGone: the process ended before it answered.
        """
        process = await self._running()
        self._asked += 1
        question = Question(self._asked, address, deadline_s, username, password)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[question.number] = answer
        try:
            _input(process).write(msgspec.json.encode(question) + b"\n")
            return await answer
        finally:
            self._waiting.pop(question.number, None)

    async def aclose(self) -> None:
        """End it: its input ends, and it leaves; killed when it does not."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            _input(process).close()
            try:
                async with asyncio.timeout(_END_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._listener is not None:
            await self._listener

    async def _running(self) -> Process:
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self._process
            now = self._clock()
            if self._started is not None and now - self._started < _START_AGAIN_S:
                raise ChildGone("the process that runs pyasic-rs has just ended; it is started again in a moment")
            self._started = now
            if self._listener is not None:
                await self._listener
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
                )
            except OSError as error:
                raise ChildGone(f"the process that runs pyasic-rs cannot be started: {error}") from error
            self._process = process
            self._listener = asyncio.create_task(self._listen(process))
            return process

    async def _listen(self, process: Process) -> None:
        """Hand replies to those that wait for them, until the process ends."""
        output = cast("asyncio.StreamReader", process.stdout)
        try:
            async for line in output:
                reply = msgspec.json.decode(line, type=Reply)
                answer = self._waiting.get(reply.number)
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except (ValueError, msgspec.DecodeError) as error:  # a line too long, or none of ours: nothing can be trusted
            _LOG.error("the process that runs pyasic-rs wrote what is no answer: %s", error)
            process.kill()
        code = await process.wait()
        if self._process is process:
            _LOG.warning("the process that runs pyasic-rs ended with %d", code)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ChildGone(f"the process that runs pyasic-rs ended with {code}"))


def _input(process: Process) -> asyncio.StreamWriter:
    return cast("asyncio.StreamWriter", process.stdin)


class Children:
    """As many as the miners need; each miner stays with one."""

    def __init__(self, make: Callable[[], Child] = Child, most: int = MINERS_PER_CHILD) -> None:
        self._make = make
        self._most = most
        self._children: dict[Child, int] = {}

    def join(self) -> Child:
        """The child for one more miner."""
        child = next((child for child, miners in self._children.items() if miners < self._most), None)
        if child is None:
            child = self._make()
        self._children[child] = self._children.get(child, 0) + 1
        return child

    async def leave(self, child: Child) -> None:
        """One miner less; a child without miners ends."""
        self._children[child] -= 1
        if not self._children[child]:
            del self._children[child]
            await child.aclose()


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Children] = WeakKeyDictionary()


def children() -> Children:
    """Those of the running event loop."""
    return _BY_LOOP.setdefault(asyncio.get_running_loop(), Children())
