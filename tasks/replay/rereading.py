"""One miner's kept polls through the driver of today, in order, as a collector would have read them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from storage.errors import FrameError
from storage.frame import Frame
from storage.records.miner import configuration_frames, telemetry_frames
from tasks.miners.driver import MinerDriver, MinerSession, PollFailure, Target
from tasks.miners.drivers import DRIVERS
from tasks.normalize.judging import History, judge
from tasks.replay.recorded import NOWHERE, KeptPoll, Recorded


@dataclass(slots=True)
class Reread:
    """What became of kept polls: ``frames`` of those at ``slots``; the others by slot with the reason. ``failed`` ones
    give no reading, as then or newly so; ``unreadable`` ones could not be tried."""

    frames: list[Frame] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)


class Rereader:
    """Reads one miner's polls again; keeps what a collector keeps of a miner between polls."""

    def __init__(self, drivers: Mapping[str, MinerDriver] = DRIVERS) -> None:
        self._drivers = drivers
        self._transport = Recorded()
        self._sessions: dict[str, MinerSession] = {}
        self._history: History | None = None

    async def read(self, polls: Iterable[KeptPoll], configured: Set[int] = frozenset()) -> Reread:
        """Read ``polls`` again; the configuration as well at slots in ``configured``. Raises nothing for a poll."""
        reread = Reread()
        for poll in polls:
            self._transport.turn_to(poll)
            session = self._session(poll)
            if session is None:
                reread.unreadable[poll.slot] = f"driver {poll.driver} is not known any more"
            elif not poll.whole:
                reread.unreadable[poll.slot] = "an answer was too long to be kept whole"
            else:
                await self._read(poll, session, poll.slot in configured, reread)
        return reread

    async def _read(self, poll: KeptPoll, session: MinerSession, with_configuration: bool, reread: Reread) -> None:
        try:
            record = await session.telemetry(poll.slot)
        except PollFailure as failure:
            reread.failed[poll.slot] = failure.kind
            return
        except Exception as error:  # noqa: BLE001 - told; a driver under work must not end the replay of the others
            reread.unreadable[poll.slot] = f"error in driver {poll.driver}: {type(error).__name__}: {error}"
            return
        judged = judge(record, self._history)
        self._history = judged.history
        configurations = []
        if with_configuration:
            with contextlib.suppress(PollFailure):  # then it stays as it is stored
                configurations.append(await session.configuration(poll.slot))
        try:
            reread.frames += [*telemetry_frames([judged.record]), *configuration_frames(configurations)]
        except FrameError as error:
            reread.unreadable[poll.slot] = str(error)
            return
        reread.slots.append(poll.slot)

    def _session(self, poll: KeptPoll) -> MinerSession | None:
        if poll.driver not in self._sessions:
            driver = self._drivers.get(poll.driver)
            if driver is None:
                return None
            self._sessions[poll.driver] = driver.session(_target(poll), self._transport)
        return self._sessions[poll.driver]


def _target(poll: KeptPoll) -> Target:
    return Target(miner=poll.miner, address=poll.address, base_url=NOWHERE)
