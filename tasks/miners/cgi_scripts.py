"""Reading the CGI scripts of stock firmware: which of them a poll can do without."""

from __future__ import annotations

from typing import TypeVar

import httpx
import msgspec

from tasks.miners.decode import Shape, decode
from tasks.miners.digest import DigestAccess
from tasks.miners.driver import PollFailure, Target
from tasks.miners.reading import COSTS_ITS_FIELDS

SYSTEM = "/cgi-bin/get_system_info.cgi"
SETTINGS = "/cgi-bin/get_miner_conf.cgi"

System = TypeVar("System", bound=msgspec.Struct)
Settings = TypeVar("Settings", bound=msgspec.Struct)


class CgiScripts:
    """The scripts of one miner, behind HTTP Digest."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._access = DigestAccess(target, transport)

    async def read(self, path: str, shape: type[Shape], flags: set[str]) -> Shape:
        """The answer of a path that a poll needs; ``flags`` gets what had to be mended.

        Raises:
            PollFailure: there is none, or it is not of this shape.
        """
        return decode(await self._access.get(path), shape, flags, path)

    async def read_if_told(self, path: str, shape: type[Shape], flags: set[str]) -> Shape | None:
        """The answer of a path that a poll can do without: a wrong answer is a flag, no answer is a failure.

        Raises:
            PollFailure: the miner itself does not answer, or refuses the login.
        """
        own_flags: set[str] = set()
        try:
            found = await self.read(path, shape, own_flags)
        except PollFailure as failure:
            if failure.kind not in COSTS_ITS_FIELDS:
                raise
            flags.add(f"no_{path.rpartition('/')[2].removesuffix('.cgi')}")
            return None
        flags |= own_flags
        return found

    async def system_and_settings(
        self, system: type[System], settings: type[Settings]
    ) -> tuple[System | None, Settings | None]:
        """What it is and what it is set to. Either may be missing, but not both.

        Raises:
            PollFailure: neither can be read.
        """
        told = await self.read_if_told(SYSTEM, system, set())
        if told is None:
            return None, await self.read(SETTINGS, settings, set())
        return told, await self.read_if_told(SETTINGS, settings, set())
