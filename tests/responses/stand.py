"""A simulated farm, a fleet that polls it, a watch and a responder, minute by minute on a clock of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from deployments.farm.farm import Farm
from storage.store import Store
from tasks.alerts.rules import RULES
from tasks.alerts.watch import Watch
from tasks.collection_settings import CollectionSettings
from tasks.miners.fleet import Fleet
from tasks.responses.book import ResponseBook
from tasks.responses.responding import Responder, RespondReport
from tasks.responses.response import Response
from tests.alerts.shelf import Shelf

T = 1_795_478_400
COOL = {"name": "cool", "rule": "cooling_failing", "action": "change_preset", "judge_after_minutes": 8}


class Stand:
    """What is under test; ``polled`` are the miners that the fleet asks, all of the farm are configured."""

    def __init__(self, folder: Path, farm: Farm, now: list[float], polled: tuple[int, ...], **responses: Any) -> None:
        self.folder, self.farm, self.now, self.store = folder, farm, now, Shelf()
        self.said = {"mode": "on", "fleet_share": 0.5, "at_once_per_site": 9, "actions": [COOL], **responses}
        asked = {str(action["rule"]) for action in self.said["actions"]} | {"response_wants_human"}
        content = farm.configuration(60) | {"responses": self.said}
        content["alerts"] = {"rules": {name: {"enabled": False} for name in RULES if name not in asked}}
        content["alerts"]["rules"]["cooling_failing"] = {"limit": 95.0}
        self.settings = CollectionSettings.model_validate(content)
        self.miners = [miner.model_copy(update={"adaptive": False}) for miner in self.settings.miners]
        self.fleet = Fleet([self.miners[index] for index in polled])
        self.watch = Watch(
            self._opened,
            folder,
            miners=[self.miners[index] for index in polled],
            pool_ids=frozenset(),
            settings=self.settings.alerts,
            send=lambda _url, _message: None,
        )
        self.responder = self.new_responder()

    def _opened(self) -> Store:
        return cast("Store", self.store)

    def new_responder(self, **over: Any) -> Responder:
        """One as after a restart."""
        usual: dict[str, Any] = {"miners": self.miners, "settings": self.settings.responses}
        return Responder(self._opened, self.folder, host="edge-1", alerts=self.settings.alerts, **usual | over)

    async def poll_and_look(self) -> None:
        """One minute: the fleet polls, the watch looks."""
        slot = int(self.now[0])
        self.farm.settle()
        self.store.write((await self.fleet.tick(slot)).frames)
        self.watch.look(slot + 5.0)

    async def minutes(self, number: int, then: Callable[[RespondReport], None] = lambda _: None) -> None:
        """So many minutes, each with a look and what is answered after it."""
        for _ in range(number):
            await self.poll_and_look()
            then(await asyncio.to_thread(self.responder.respond, self.now[0] + 5.0))
            self.now[0] += 60

    def responses(self) -> dict[str, Response]:
        """The responses by their subject; there is one of each in these tests."""
        book = ResponseBook.look_into(self.folder / "state")
        if book is None:
            return {}
        found = book.responses()
        book.close()
        by_subject = {one.subject: one for one in found}
        assert len(by_subject) == len(found), "none was answered twice"
        return by_subject

    def changes(self, index: int) -> tuple[int, int]:
        """Presets saved at a simulated miner, and restarts of its mining."""
        miner = self.farm._web(self.farm.miners[index].miner_id).miner
        return len(miner._chosen), len(miner._restarted)


@asynccontextmanager
async def stand(folder: Path, polled: tuple[int, ...], *, seed: int = 5, **responses: Any) -> AsyncIterator[Stand]:
    """A farm of 12 with ``polled`` of them under watch."""
    now = [float(T)]
    async with Farm(12, port=0, seed=seed, clock=lambda: now[0]) as farm:
        built = Stand(folder, farm, now, polled, **responses)
        try:
            yield built
        finally:
            built.watch.close()
            built.responder.close()
            await built.fleet.aclose()
