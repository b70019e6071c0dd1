"""Why one miner is polled as it is, read from what its collector remembers of it (tasks/miners/memory.py)."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from storage.errors import NeedsHuman
from tasks.miners.breaker import BreakerState
from tasks.miners.memory import SUFFIX, Happened, MemoryFile, MinerMemory
from tasks.overrides.file import OverrideWatch


class MinerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One miner of ``lane``. Times are Unix seconds, ages seconds; ``why`` says in words what set the interval."""

    miner_id: str
    lane: str
    driver: str
    detected_driver: str | None
    answers: bool
    state: str | None
    interval_s: int
    why: str
    next_poll: float
    last_polled: int | None
    last_success: int | None
    failures_in_a_row: int
    failure: str | None
    detail: str | None
    breaker: str
    open_since: float | None
    configuration_interval_s: int
    configuration_why: str
    last_configuration: int | None
    configuration_failures: int
    quality_flags: str | None
    by_hand: str | None
    events: tuple[Happened, ...]


def read_miner(data_directory: Path, miner_id: str, now: float) -> MinerStatus:
    """What is known of ``miner_id`` under ``data_directory``; ``now`` is Unix time in seconds.

    Raises:
        NeedsHuman: no collector of this host has polled such a miner.
        PermissionError: this user may not read the data directory.
    """
    state = data_directory / "state"
    known: list[str] = []
    for path in sorted(state.glob(f"*{SUFFIX}")):
        lane = path.name.removesuffix(SUFFIX)
        memories = MemoryFile(state, lane).memories()
        if miner_id in memories:
            by_hand = OverrideWatch(state).look(now).of_miner(miner_id)
            return _status(lane, memories[miner_id], by_hand.in_words() if by_hand is not None else None, now)
        known += memories
    near = difflib.get_close_matches(miner_id, known, n=3)
    raise NeedsHuman(
        f"nothing is known of miner {miner_id!r}: no collector has polled it with its state in {state}",
        remedy=f"Did you mean {' or '.join(near)}?" if near else "Look for its id in data_collection_config.yaml",
    )


def _status(lane: str, memory: MinerMemory, by_hand: str | None, now: float) -> MinerStatus:
    return MinerStatus(
        miner_id=memory.miner_id,
        lane=lane,
        driver=memory.driver,
        detected_driver=memory.detected,
        answers=memory.succeeded is not None and not memory.failures_in_a_row,
        state=memory.state,
        interval_s=memory.telemetry.interval_s,
        why=memory.telemetry.why,
        next_poll=memory.next_poll(now),
        last_polled=memory.polled,
        last_success=memory.succeeded,
        failures_in_a_row=memory.failures_in_a_row,
        failure=memory.failure,
        detail=memory.detail,
        breaker=memory.breaker.state(now).value,
        open_since=memory.breaker.open_since,
        configuration_interval_s=memory.configuration.interval_s,
        configuration_why=memory.configuration.why,
        last_configuration=memory.configured,
        configuration_failures=memory.configuration_failures,
        quality_flags=memory.quality_flags,
        by_hand=by_hand,
        events=memory.events,
    )


def in_words(found: MinerStatus, now: float) -> list[str]:
    """Lines for a human."""
    return [
        f"Miner {found.miner_id} in lane {found.lane}, driver {_driver(found)}: {found.state or 'never read'}",
        *([f"  by hand      {found.by_hand}"] if found.by_hand else []),
        f"  polled every {found.interval_s} s: {found.why}",
        f"  breaker      {_breaker(found, now)}",
        f"  next poll    {_next(found, now)}",
        f"  last asked   {_away(found.last_polled, now)}",
        f"  last answer  {_away(found.last_success, now)}",
        f"  failures     {_failures(found)}",
        f"  settings     read every {found.configuration_interval_s} s ({found.configuration_why}), "
        f"last {_away(found.last_configuration, now)}"
        + (f", {found.configuration_failures} failures in a row" if found.configuration_failures else ""),
        f"  flags        {(found.quality_flags or 'none').replace(',', ', ')}",
        *(f"  {_away(event.time, now)}: {event.message}" for event in reversed(found.events)),
    ]


def _driver(found: MinerStatus) -> str:
    return f"{found.driver} (found to be {found.detected_driver})" if found.detected_driver else found.driver


def _breaker(found: MinerStatus, now: float) -> str:
    if found.open_since is None:
        return "closed"
    since = _away(found.open_since, now)
    if found.breaker == BreakerState.OPEN:
        return f"open since {since}: not asked, and without rows, until the next poll probes it"
    return f"half-open, open since {since}: the next poll decides"


def _next(found: MinerStatus, now: float) -> str:
    overdue_s = now - (found.next_poll or now)
    said = _away(found.next_poll, now)
    return f"was due {said}: does the collector run?" if overdue_s > 2 * found.interval_s else said


def _failures(found: MinerStatus) -> str:
    if not found.failures_in_a_row:
        return "none since the last answer"
    return f"{found.failures_in_a_row} in a row, the last: {found.failure}, {found.detail}"


def _away(time: float | None, now: float) -> str:
    """A time as its distance, which needs no time zone."""
    if time is None:
        return "never"
    seconds = abs(now - time)
    if seconds < 1:
        return "now"
    amount = next((f"{seconds / each:.0f} {unit}" for each, unit in _UNITS if seconds >= 2 * each), f"{seconds:.0f} s")
    return f"{amount} ago" if time < now else f"in {amount}"


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
