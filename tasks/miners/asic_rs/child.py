"""``python -m tasks.miners.asic_rs.child``: reads miners through pyasic-rs for a collector, see wire.py.

The library has a process of its own since its runtime may abort the process it runs in, above all when that ends
(PyO3/pyo3-async-runtimes#40): this one leaves by ``os._exit`` when its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from tasks.miners.asic_rs.wire import LONGEST_LINE, Question, Reply


class Handle(Protocol):
    """What the library has of one miner."""

    def get_data(self, /, exclude: list[Any] | None = None) -> Awaitable[Any]:
        """Read it; never raises on account of the miner."""
        ...

    def set_auth(self, /, username: str, password: str) -> None:
        """Log in with these."""
        ...


class Factory(Protocol):
    """What finds out which miner is at an address."""

    def get_miner(self, /, ip: str) -> Awaitable[Handle | None]:
        """The miner there; None where there is none that it knows."""
        ...


class Reader:
    """Reads miners; keeps what the library has of each.

    Args:
        exclude: what is not read: chips cost as much as all the rest, and nobody here keeps them.
    """

    def __init__(self, factory: Factory, exclude: list[Any]) -> None:
        self._factory = factory
        self._exclude = exclude
        self._handles: dict[str, Handle] = {}

    async def answer(self, question: Question) -> Reply:
        """Never raises. The deadline is ours: the library has one of five seconds for a request, and none for all."""
        try:
            async with asyncio.timeout(question.deadline_s):
                return await self._read(question)
        except TimeoutError:
            return Reply(question.number, "deadline", f"no whole reading within {question.deadline_s:g} s")
        except Exception as error:  # noqa: BLE001 - told to the collector, which counts it
            self._handles.pop(question.address, None)
            return Reply(question.number, "failed", f"{type(error).__name__}: {error}")

    async def _read(self, question: Question) -> Reply:
        handle = self._handles.get(question.address) or await self._factory.get_miner(question.address)
        if handle is None:
            return Reply(question.number, "unknown", "the library knows no miner there")
        if question.username is not None and question.password is not None:
            handle.set_auth(question.username, question.password)
        data = (await handle.get_data(exclude=self._exclude)).model_dump()
        self._handles[question.address] = handle
        if data.get("mac") is None and data.get("hashrate") is None:
            del self._handles[question.address]  # it may be another firmware now: identified anew at the next reading
        if isinstance(data.get("uptime"), timedelta):
            data["uptime"] = data["uptime"].total_seconds()
        return Reply(question.number, "read", data=msgspec.Raw(msgspec.json.encode(data, enc_hook=str)))


async def serve(reader: Reader, questions: asyncio.StreamReader, answers: Any) -> None:
    """Answer every line of ``questions`` on the binary file ``answers``, as soon as its answer is there."""
    under_way: set[asyncio.Task[None]] = set()

    async def one(line: bytes) -> None:
        reply = await reader.answer(msgspec.json.decode(line, type=Question))
        answers.write(msgspec.json.encode(reply) + b"\n")
        answers.flush()

    async for line in questions:
        task = asyncio.create_task(one(line))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def _main() -> None:
    from pyasic_rs import MinerFactory
    from pyasic_rs.data import DataField

    questions = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    exclude = [DataField.Chips, DataField.TuningCapabilities, DataField.LightFlashing]
    await serve(Reader(MinerFactory(), exclude), questions, sys.stdout.buffer)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the collector, which ends this process's input
    try:
        asyncio.run(_main())
    finally:
        os._exit(0)
