"""An artifact of the run that tells how far it is. Work tells by storage.progress, from any thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from storage.progress import listening

EVERY_S = 2.0
"""How often the server is told, at most."""

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def progress_artifact(key: str, description: str) -> AsyncIterator[None]:
    """Show what is told in here as progress artifact ``key``, from the first that is told on. At the end it is at
    100 %, or where the work stopped. A server that does not take it is logged, and the work goes on.
    """
    shown = _Shown(key, description)
    with listening(shown.hear):
        beside = asyncio.create_task(shown.keep_up())
        try:
            yield
            shown.finish()
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
            await shown.show()


class _Shown:
    """What was heard last, and what the server knows of it."""

    def __init__(self, key: str, description: str) -> None:
        self._key, self._description = key, description
        self._heard: tuple[float, str] | None = None
        self._known: tuple[float, str] | None = None
        self._artifact: UUID | None = None

    def hear(self, part: float, what: str) -> None:
        """A listener."""
        self._heard = part, what

    def finish(self) -> None:
        """All is done; nothing is shown of work that told nothing."""
        if self._heard is not None:
            self._heard = 1.0, ""

    async def keep_up(self) -> None:
        """Show what is new, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.show()

    async def show(self) -> None:
        """Tell the server what it does not know yet."""
        heard = self._heard
        if heard is None or heard == self._known:
            return
        percent, what = round(100 * heard[0], 1), heard[1]
        said = f"{self._description}: {what}" if what else self._description
        try:
            if self._artifact is None:
                self._artifact = await acreate_progress_artifact(percent, key=self._key, description=said)
            else:
                await aupdate_progress_artifact(self._artifact, percent, description=said)
        except httpx.HTTPError as error:
            _LOG.info("the server does not take how far %s is: %s", self._key, error)
            return
        self._known = heard
