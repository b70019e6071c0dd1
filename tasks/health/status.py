"""How the pipeline of this host stands, read from its files while it runs or after it stopped."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import msgspec

from storage.delivery.books import Books, books
from storage.downsample import watermarks
from storage.downsample.watermarks import Watermark
from storage.errors import NeedsHuman
from tasks.health.fleet import FleetHealth
from tasks.health.fleet import kept as kept_fleet
from tasks.health.room import lack_of_room
from tasks.miners.report import MinerStanding, Tally, TickReport, newest_reports
from tasks.overrides.file import OverrideFile
from tasks.overrides.override import Override, Overrides
from tasks.sources.budget import Account, kept_account
from tasks.sources.failure import SourceFailureKind
from tasks.sources.standing import RequestStanding, StandingsFile

STALE_TICKS = 3
"""Ticks that may be missed before a lane counts as standing still."""
LANES_WITHOUT_TICKS = frozenset({"backfill", "configuration", "replay"})
"""Lanes of work that is done now and then; a test holds them to those of their rooms."""
OWN_BOOKS = ("audit-", "disk-", "health-")
"""How the lanes begin, one per host, of what Lodeline keeps of itself: audit trail, disk, samples of the host."""
_ASSUMED_TICK_S = 300
_TAIL_BYTES = 64 * 1024


class LaneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One lane: its newest tick with ages in seconds, and its books by sink.

    ``failing`` are all miners whose last poll failed, in whichever tick, but those that an override is about;
    ``left_alone`` of them are not asked at each.
    ``sources`` are the requests of a lane of pools or markets, as they stand; such a lane has no miners. ``credits``:
    how the month's budget stands of those that have one, by source. ``tally``: what all ticks gave so far.
    """

    lane: str
    host: str
    store: str
    tick_age_s: float
    tick_every_s: int
    tick_s: float
    points: int
    newest_data_age_s: float | None
    polled: int
    failed: int
    failed_by_reason: dict[str, int]
    failing: tuple[MinerStanding, ...]
    left_alone: int
    none_answers: bool
    sinks: dict[str, Books]
    sources: tuple[RequestStanding, ...] = ()
    credits: dict[str, Account] = {}
    loop_lag_ms: float = 0.0
    tally: Tally = Tally()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole host. ``reasons`` says why it is not healthy; it is healthy when there are none.

    ``no_room``: why nothing more fits on the disk of the data directory; None where it does.
    ``rolled_up``: how far each measurement is, where this host rolls up. ``overrides``: those that hold.
    ``fleet``: how the business stood when this host last worked it out.
    """

    healthy: bool
    reasons: tuple[str, ...]
    data_directory: str
    lanes: tuple[LaneStatus, ...]
    rolled_up: dict[str, Watermark] = {}
    overrides: tuple[Override, ...] = ()
    fleet: FleetHealth | None = None
    no_room: str | None = None


def read_status(data_directory: Path, now: float) -> Status:
    """Read ticks and books under ``data_directory``; ``now`` is Unix time in seconds.

    Healthy means: the disk takes what comes, every lane ticks, at least one of the miners or sources it asked answers,
    and every sink takes what it is given. One that fails is counted and named, but one bad miner or pool makes no
    unhealthy pipeline.

    Raises:
        PermissionError: this user may not read the data directory.
    """
    reasons: list[str] = []
    state = data_directory / "state"
    if state.is_dir() and not os.access(state, os.R_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "Permission denied", str(state))  # glob would find nothing, silently
    no_room = lack_of_room(data_directory)
    if no_room is not None:
        reasons.append(f"{no_room}; what was collected is safe, nothing more is. Free space, it goes on by itself then")
    kept = books(data_directory / "spool")
    reports, faults = newest_reports(state)
    reasons += [f"{file} cannot be read: {fault}" for file, fault in faults.items()]
    try:
        by_hand = Overrides.at(OverrideFile(state).read(), now)
    except NeedsHuman as error:
        by_hand = Overrides()
        reasons.append(str(error))
    lanes = [_lane(report, file, kept.get(report.lane, {}), now, by_hand) for file, report in reports.items()]
    if not lanes and not reasons:
        reasons.append(f"nothing has been collected yet: there is no tick in {state}")
    without = {name for name in kept if name in LANES_WITHOUT_TICKS or name.startswith(OWN_BOOKS)}
    for name in sorted(set(kept) - {lane.lane for lane in lanes} - without):
        if all(account.backlog == 0 for account in kept[name].values()) and kept[name]:
            continue  # all of it is stored: the lane of a site, or of sources, that is no more
        reasons.append(f"lane {name} has a spool, but no tick in {state}")
    for name in sorted(without):
        reasons += [
            f"lane {name}: {account.backlog} points wait for {sink}: {account.trouble}"
            for sink, account in kept[name].items()
            if account.trouble
        ]
    for lane in lanes:
        reasons += _reasons(lane)
    return Status(
        healthy=not reasons,
        reasons=tuple(reasons),
        data_directory=str(data_directory),
        lanes=tuple(lanes),
        rolled_up=watermarks.kept(state),
        fleet=kept_fleet(state),
        overrides=by_hand.all,
        no_room=no_room,
    )


def _lane(report: TickReport, file: Path, sinks: dict[str, Books], now: float, by_hand: Overrides) -> LaneStatus:
    paused, held = by_hand.miners_by_hand(), by_hand.sources_by_hand()
    miners = [miner for miner in report.miners if miner.miner_id not in paused]
    sources = StandingsFile(file.parent, report.lane).read()
    told = [source.success_slot for source in sources] + [miner.last_success for miner in report.miners]
    answered = [success for success in told if success is not None]
    failing = sorted((miner for miner in miners if miner.failure), key=lambda miner: miner.last_success or 0)
    return LaneStatus(
        lane=report.lane,
        host=report.host,
        store=report.store,
        tick_age_s=now - report.slot,
        tick_every_s=(
            report.next_slot - report.slot
            if report.next_slot is not None
            else _tick_length(file.with_name(f"{file.stem}.ticks.jsonl"))
        ),
        tick_s=report.tick_s,
        points=report.points,
        newest_data_age_s=now - max(answered) if answered else None,
        polled=report.polled,
        failed=report.failed,
        failed_by_reason=report.failed_by_reason,
        failing=tuple(failing),
        left_alone=report.left_alone,
        none_answers=_none_answers([miner.failures_in_a_row for miner in miners])
        or _none_answers(
            [one.failures_in_a_row for one in sources if one.failure not in _NOT_ASKED and one.source not in held]
        ),
        sinks=sinks,
        sources=tuple(sources),
        credits=_credits(file.parent, sources, now),
        loop_lag_ms=report.loop_lag_ms,
        tally=report.tally,
    )


def _credits(state: Path, sources: list[RequestStanding], now: float) -> dict[str, Account]:
    found: dict[str, Account] = {}
    for name in dict.fromkeys(source.source for source in sources):
        account = kept_account(state, name, [source for source in sources if source.source == name], now)
        if account is not None:
            found[name] = account
    return found


_NOT_ASKED = frozenset({SourceFailureKind.GONE, SourceFailureKind.BUDGET})
"""Failures that are no fault of the collection: nobody was asked, and it is meant so."""


def _none_answers(failures_in_a_row: list[int]) -> bool:
    return bool(failures_in_a_row) and all(failures_in_a_row)


def _reasons(lane: LaneStatus) -> list[str]:
    reasons = []
    if lane.tick_age_s > STALE_TICKS * lane.tick_every_s + lane.tick_s:
        reasons.append(
            f"lane {lane.lane} stands still: its last tick was {lane.tick_age_s:.0f} s ago, "
            f"one is due every {lane.tick_every_s} s"
        )
    if lane.none_answers:  # not: none of this tick, which may have probed a single one
        whom = "sources" if lane.sources else f"{len(lane.failing)} miners"
        reasons.append(f"lane {lane.lane}: none of its {whom} answers")
    for sink, account in lane.sinks.items():
        if account.trouble is not None:
            reasons.append(f"lane {lane.lane}: {account.backlog} points wait for {sink}: {account.trouble}")
        elif account.backlog > STALE_TICKS * lane.points:
            reasons.append(
                f"lane {lane.lane}: {account.backlog} points wait for {sink}, "
                f"more than its last {STALE_TICKS} ticks brought; is the delivery running?"
            )
    return reasons


class _Slot(msgspec.Struct):
    slot: int


def _tick_length(file: Path) -> int:
    """Seconds between the last two ticks; five minutes where there are no two."""
    if not file.exists():
        return _ASSUMED_TICK_S
    size, tail = file.stat().st_size, _TAIL_BYTES
    slots = _last_slots(file, tail)
    while len(slots) < 2 and tail < size:
        tail *= 4
        slots = _last_slots(file, tail)
    return max(1, slots[-1] - slots[-2]) if len(slots) >= 2 else _ASSUMED_TICK_S


def _last_slots(file: Path, tail: int) -> list[int]:
    """Slots in the last ``tail`` bytes, rising, each once."""
    with file.open("rb") as ticks:
        ticks.seek(max(0, ticks.seek(0, os.SEEK_END) - tail))
        lines = ticks.read().splitlines()
    slots = set()
    for line in lines:
        # the first line read may be half of one, the last may be in the making
        with contextlib.suppress(msgspec.MsgspecError):
            slots.add(msgspec.json.decode(line, type=_Slot).slot)
    return sorted(slots)
