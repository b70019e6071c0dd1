"""Run as a program: a responder that is ended by SIGKILL at a given point, once for each point, and then runs again.

Prints one JSON object: by point the phase of its response after the second run, and how often the act was done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from storage.audit.trail import Trail
from storage.store import Store
from tasks.alerts.book import Book, Look
from tasks.alerts.settings import AlertSettings
from tasks.responses.acting import Hands, Plan
from tasks.responses.book import ResponseBook
from tasks.responses.responding import Responder
from tasks.responses.response import Act, Response
from tasks.responses.settings import ResponseSettings
from tests.alerts.shelf import Shelf, rows
from tests.alerts.world import WELL, miner
from tests.responses.test_deciding import alert

T = 1_800_000_000.0


class Counting(Hands):
    """Acts by a line in a file."""

    def __init__(self, file: Path) -> None:
        super().__init__({}, file.parent)
        self.file = file

    async def plan(self, act: Act, subject: str, *, hours: float, slot: int) -> Plan:
        return Plan("a lower preset", {"preset": "3250"}, "2830")

    async def do(self, response: Response, plan: Plan, *, hours: float, now: float) -> str:
        with self.file.open("a") as file:
            file.write(f"{response.id}\n")
        return "the miner took it"


def prepared(folder: Path, now: float = T) -> Responder:
    """A miner m1 whose alert fires, as the last look left it."""
    book = Book.open(folder / "state")
    with book.transaction():
        book.replace_alerts([alert(seen=now - 5, fired=T - 480)])
        book.note_look(Look(at=now - 5))
    book.close()
    shelf = Shelf()
    shelf.write(
        [rows("miner_telemetry", {"miner_id": "m1", "model": "S19", "site": "north", **WELL}, time=int(now) - 5)]
    )
    action = {"name": "cool", "rule": "cooling_failing", "action": "change_preset"}
    return Responder(
        lambda: cast("Store", shelf),
        folder,
        host="edge-1",
        miners=[miner("m1")],
        settings=ResponseSettings.model_validate({"mode": "on", "actions": [action]}),
        alerts=AlertSettings(),
        hands=Counting(folder / "acts"),
    )


def die(*_args: Any, **_named: Any) -> None:
    """As after a power cut, but for what the system still writes."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(kind: type, name: str, time: int = 1) -> Callable[[], None]:
    """Die at the ``time``-th call of a method, before it does anything."""
    return lambda: _replace(kind, name, time, after=False)


def after(kind: type, name: str, time: int = 1) -> Callable[[], None]:
    """Die at the ``time``-th call of a method, as soon as it is done."""
    return lambda: _replace(kind, name, time, after=True)


def _replace(kind: type, name: str, time: int, *, after: bool) -> None:
    own, calls = getattr(kind, name), iter(range(1, 100))

    def method(*args: Any, **named: Any) -> Any:
        last = next(calls) == time
        if last and not after:
            die()
        found = own(*args, **named)
        if last:
            die()
        return found

    async def coroutine(*args: Any, **named: Any) -> Any:
        if not after:
            die()
        await own(*args, **named)
        die()

    setattr(kind, name, coroutine if name == "do" else method)


POINTS: dict[str, Callable[[], None]] = {
    "before the evidence": before(ResponseBook, "save_evidence"),
    "after the evidence": after(ResponseBook, "save_evidence"),
    "after the intent": after(ResponseBook, "note"),
    "before the audit trail": before(Trail, "record"),
    "after the audit trail": after(Trail, "record"),
    "before the act": before(Counting, "do"),
    "after the act": after(Counting, "do"),
    "before the outcome": before(ResponseBook, "note", 2),
    "after the outcome": after(ResponseBook, "note", 2),
    "before the outcome is audited": before(Trail, "record", 2),
}


def main(folder: Path) -> None:
    told = {}
    for number, (point, arrange) in enumerate(POINTS.items()):
        here = folder / str(number)
        child = os.fork()
        if child == 0:
            arrange()
            prepared(here).respond(T)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        for minute in (1, 2):
            prepared(here, T + 60 * minute).respond(T + 60 * minute)
        book = ResponseBook.open(here / "state")
        phases = [str(one.phase) for one in book.responses()]
        book.close()
        acts = (here / "acts").read_text().splitlines() if (here / "acts").exists() else []
        told[point] = [killed, phases, len(acts)]
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
