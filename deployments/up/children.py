"""The processes of one run of ``lodeline up``: started, awaited, started again when they end, ended in order."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from deployments.up.child import Child, ChildEnded
from storage.errors import NeedsHuman

LOOK_S = 0.2

Found = TypeVar("Found")


class Stopped(Exception):
    """Somebody asked for the end while something was awaited."""


class Children:
    """Processes by name, with their logs in ``logs``; ``complain`` tells of one that is not as it should be, ``asked``
    is set by who wants the end.
    """

    def __init__(self, logs: Path, complain: Callable[[str], None]) -> None:
        self.asked = asyncio.Event()
        self._logs = logs
        self._complain = complain
        self._by_name: dict[str, Child] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Child:
        """Start a process that is to run until it is stopped."""
        self._by_name[name] = Child(name, command, environ, self._logs)
        return self._by_name[name]

    async def until_over(
        self, name: str, what: str, command: Sequence[str], environ: Mapping[str, str], for_s: float
    ) -> Child:
        """Run a process to its end; it, with its log. Raises as :meth:`until`."""
        child = Child(name, command, environ, self._logs)

        async def over() -> bool:
            return not child.alive

        try:
            await self.until(what, over, for_s)
        finally:
            child.kill()
        return child

    async def until(self, what: str, ready: Callable[[], Awaitable[Found | None]], for_s: float) -> Found:
        """Ask ``ready`` until it gives something that is true.

        Raises:
            Stopped, ChildEnded: that happened meanwhile.
            NeedsHuman: it takes longer than ``for_s`` seconds.
        """
        deadline = time.monotonic() + for_s
        while not (found := await ready()):
            if self.asked.is_set():
                raise Stopped
            for child in self._by_name.values():
                child.check()
            if time.monotonic() > deadline:
                tails = "\n".join(f"{child.name}:\n{child.tail(5)}" for child in self._by_name.values())
                raise NeedsHuman(f"{what} was not there within {for_s:.0f} s", remedy=f"Last log lines:\n{tails}")
            await asyncio.sleep(LOOK_S)
        return found

    async def until_told(self, what: str, child: Child, for_s: float) -> Any:
        """What ``child`` tells as a line of JSON once it is ready. Raises as :meth:`until`."""

        async def told() -> str | None:
            lines = child.log.read_text(encoding="utf-8").splitlines()
            return next((line for line in lines if line.startswith("{") and line.endswith("}")), None)

        return json.loads(await self.until(what, told, for_s))

    def start_again(self) -> None:
        """Start again what has ended, and say so. Raises ChildEnded for one that does so over and over."""
        for child in self._by_name.values():
            try:
                child.check()
            except ChildEnded as ended:
                child.restart()
                self._complain(f"{ended}\nStarted it again.")

    def close_logs(self, at: float) -> None:
        """Close the files of the day of ``at`` (Unix seconds), and go on in new ones."""
        for child in self._by_name.values():
            child.close_log(at)

    async def stop(self, name: str, patience_s: float) -> None:
        """End a process, where there is one of that name."""
        child = self._by_name.get(name)
        if child is not None and not await child.stop(patience_s):
            self._complain(f"{name} did not end within {patience_s:.0f} s and was killed.")

    def kill(self) -> None:
        """End all of them at once."""
        for child in self._by_name.values():
            child.kill()
