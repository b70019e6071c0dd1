"""What is known of each miner and must survive a restart: one line a miner in ``<data>/state/<lane>.miners.jsonl``.

Each tick appends the lines of the miners it polled, of which the last counts; from time to time the file is replaced
by one without the older lines. It is written after the tick is spooled: what a crash loses is read again. A line, or a
part of one, that is cut off or of another version costs that part only.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints
from weakref import ref

import msgspec

from tasks.miners.breaker import CLOSED, Breaker, BreakerState
from tasks.miners.cadence import Cadence
from tasks.miners.events import Glimpse
from tasks.miners.report import MinerStanding
from tasks.normalize.history import History

SUFFIX = ".miners.jsonl"
_APPENDED_SHARE = 4
"""How many times its own length is appended to the file before it is replaced."""
_LOG = logging.getLogger(__name__)


class Happened(msgspec.Struct, frozen=True):
    """An event of the miner, in words, and the slot that showed it."""

    time: int
    message: str


class MinerMemory(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What is known of one miner. Times are slots: whole Unix seconds.

    ``polled`` and ``configured`` are the last tries, ``succeeded`` the last telemetry. ``failure`` is why the last poll
    gave none, with its ``detail`` for a human; ``skipped`` when there was no time to ask. ``detected`` is the driver
    that was found to fit, where that had to be found out. ``anomaly`` says what is odd about it while that
    lasts, ``by_hand`` what somebody has set. ``events`` are the newest few, oldest first; ``history`` and
    ``glimpse`` are what judging and events compare the next reading with.
    """

    miner_id: str
    driver: str
    telemetry: Cadence
    configuration: Cadence
    breaker: Breaker = CLOSED
    polled: int | None = None
    succeeded: int | None = None
    failures_in_a_row: int = 0
    failure: str | None = None
    detail: str | None = None
    configured: int | None = None
    configuration_failures: int = 0
    detected: str | None = None
    state: str | None = None
    uptime_s: int | None = None
    quality_flags: str | None = None
    history: History | None = None
    glimpse: Glimpse | None = None
    anomaly: str | None = None
    by_hand: str | None = None
    events: tuple[Happened, ...] = ()

    def next_poll(self, now: float) -> float:
        """Earliest time of the next poll."""
        if self.breaker.state(now) is BreakerState.OPEN:
            return self.breaker.probe_at
        return now if self.polled is None else self.telemetry.next(self.polled)

    def standing(self, now: float) -> MinerStanding:
        """The part of it that a tick report tells."""
        return MinerStanding(
            miner_id=self.miner_id,
            last_polled=self.polled or 0,
            last_success=self.succeeded,
            failures_in_a_row=self.failures_in_a_row,
            failure=self.failure,
            driver=self.driver,
            interval_s=self.telemetry.interval_s,
            breaker=self.breaker.state(now).value,
            open_since=self.breaker.open_since,
            next_poll=self.next_poll(now),
        )


class MemoryFile:
    """The file of ``lane`` in ``folder``. One process writes, any number read."""

    def __init__(self, folder: Path, lane: str) -> None:
        self.path = folder / f"{lane}{SUFFIX}"
        self._written: dict[str, ref[MinerMemory]] = {}
        """What was written, without keeping it: a tick replaces every memory, and two of each would lie there."""
        self._whole = 0
        self._appended = 0

    def write(self, memories: Sequence[MinerMemory]) -> None:
        """Keep ``memories``, those of all miners. Not fsynced, and a disk that does not take it is logged: a miner that
        is not remembered costs its pace and no reading."""
        written = {memory.miner_id: ref(memory) for memory in memories}
        changed = [memory for memory in memories if self._written.get(memory.miner_id, _nothing)() is not memory]
        try:
            if written.keys() == self._written.keys() and self._appended <= _APPENDED_SHARE * self._whole:
                self._append(changed)
            else:
                self._replace(memories)
            self._written = written
        except OSError as error:
            _LOG.warning("what is known of the miners cannot be kept in %s: %s", self.path, error)
            self._written = {}  # the next tick writes the whole file

    def _append(self, memories: Sequence[MinerMemory]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            for lines in _lines(memories):
                if os.write(descriptor, lines) != len(lines):
                    raise OSError(f"no room for {len(lines)} bytes")
                self._appended += len(lines)
        finally:
            os.close(descriptor)

    def _replace(self, memories: Sequence[MinerMemory]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".jsonl.new")
        with draft.open("wb") as file:
            whole = sum(map(file.write, _lines(memories)))
        draft.replace(self.path)
        self._whole, self._appended = whole, 0

    def read(self) -> dict[str, Mapping[str, Any]]:
        """Each miner's line with the parts that this version understands, by miner id; give it to :func:`recalled`.

        Nothing before the first tick.
        """
        newest: dict[str, bytes] = {}
        try:
            with self.path.open("rb") as file:
                for line in file:
                    try:
                        newest[msgspec.json.decode(line, type=_Named).miner_id] = line
                    except msgspec.DecodeError:
                        _LOG.warning("%s: a line is cut off or of another version", self.path)
        except FileNotFoundError:
            return {}
        return {miner_id: _understood(line) for miner_id, line in newest.items()}

    def memories(self) -> dict[str, MinerMemory]:
        """Each miner that this version understands well enough, by id, as its collector left it."""
        found = {}
        for miner_id, parts in self.read().items():
            if {"driver", "telemetry", "configuration"} <= parts.keys():
                found[miner_id] = MinerMemory(**parts)
        return found


def recalled(fresh: MinerMemory, parts: Mapping[str, Any]) -> MinerMemory:
    """``fresh`` with what was remembered; identity and driver are those of ``fresh``."""
    return msgspec.structs.replace(fresh, **{**parts, "miner_id": fresh.miner_id, "driver": fresh.driver})


_TYPES = get_type_hints(MinerMemory)


def _nothing() -> None:
    """In place of a reference where there is none."""


class _Named(msgspec.Struct):
    miner_id: str


_LINES_AT_ONCE = 256
"""Some 400 kB; all lines of a large fleet in one piece would be a tenth of what its ticks need."""

_encode_lines = msgspec.json.Encoder().encode_lines


def _lines(memories: Sequence[MinerMemory]) -> Iterator[bytes]:
    for start in range(0, len(memories), _LINES_AT_ONCE):
        yield _encode_lines(memories[start : start + _LINES_AT_ONCE])


def _understood(line: bytes) -> dict[str, Any]:
    parts = msgspec.json.decode(line, type=dict[str, Any])
    understood = {}
    for name, kind in _TYPES.items():
        if name in parts:
            try:
                understood[name] = msgspec.convert(parts[name], kind)
            except msgspec.ValidationError as error:
                _LOG.warning("miner %s: %s forgotten: %s", parts.get("miner_id"), name, error)
    return understood
