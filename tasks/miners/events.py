"""What happened to a miner between two readings. Pure: no I/O, no clock.

What a reading does not say is no change: null, a state in which boards or fans tell nothing, an answer that had to be
mended. Whether it answers, its state, boards, fans and the pool in use count as changed once two readings in a row say
so; a single bad poll, and one that alternates, tells nothing. Uptime, counters and settings are believed at once.

| kind | told when | severity |
|---|---|---|
| started | uptime fell, or is shorter than the time since the last reading | warning |
| unreachable, reachable | two polls in a row gave no reading, or gave one again | warning, info |
| state_changed | it failed, was paused or stopped, or works again | critical for failed, else info |
| firmware_changed | the version is another | warning |
| configuration_changed | preset, frequency, power limit, pool or its user is another | info |
| identity_changed | another hardware address answers | warning |
| board_lost, board_back | a board that mined failed or left the list, or mines again | critical, info |
| fan_lost, fan_back | a fan that turned stands still, or turns again | critical, info |
| pool_switched | the pool in use is another | warning |
| counters_reset | shares at the same pool fell without a start | info |
| anomaly_began, anomaly_ended | told by the detector on the stream: docs/anomalies.md | warning, info |
| override_began, override_ended | somebody paused it or forced its state, or no more: docs/operations.md | info |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from storage.records.events import MinerEvent
from storage.records.miner import MinerConfiguration, MinerTelemetry

_START_S = 120
"""An uptime is rounded down to a minute by some firmwares, and read up to a minute after its slot."""

_CLOCK_CHANGED = 0.02
"""Least relative change of a frequency: of some firmwares it is the measured clock, which wavers."""

_WORKS = "working"
_STATES = {
    "mining": _WORKS, "degraded": _WORKS, "starting": _WORKS, "tuning": _WORKS,
    "failed": "failed", "paused": "paused", "stopped": "stopped",
}  # fmt: skip
_PARTS_TELL = frozenset({"mining", "degraded", "tuning", "failed"})
"""States in which a board that is not listed is lost, and a fan that stands still too."""

_SETTINGS = ("overclock_profile", "frequency_mhz", "power_limit_w", "pool_url", "pool_user")
_WANTS_CONFIGURATION = frozenset({"started", "firmware_changed", "identity_changed"})

_SEVERITY = {
    "started": "warning", "unreachable": "warning", "firmware_changed": "warning", "identity_changed": "warning",
    "pool_switched": "warning", "board_lost": "critical", "fan_lost": "critical",
}  # fmt: skip
"""Those that are not ``info``."""

Setting = str | int | float


class Aspect(msgspec.Struct, frozen=True, array_like=True):
    """One thing that two readings must agree on: what it is, and what the last reading said if that is another."""

    value: str
    doubted: str | None = None


class Glimpse(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a miner to see what changes. Times are slots.

    ``read`` is the last reading, ``silent_since`` the first poll that gave none, until two in a row give one again.
    ``counters`` are accepted shares by pool, ``settings`` the last known value of each setting.
    """

    time: int
    read: int | None = None
    silent_since: int | None = None
    uptime_s: int | None = None
    uptime_read: int | None = None
    counters: dict[str, int] = {}
    settings: dict[str, Setting] = {}
    aspects: dict[str, Aspect] = {}


def wants_configuration(events: Iterable[MinerEvent]) -> bool:
    """Whether something happened after which the miner may be set differently: read its configuration at once."""
    return any(event.kind in _WANTS_CONFIGURATION for event in events)


def events_between(
    before: Glimpse | None, record: MinerTelemetry, configuration: MinerConfiguration | None
) -> tuple[tuple[MinerEvent, ...], Glimpse]:
    """Events that ``record`` and ``configuration`` (None: not read) show, and what to keep for the next call.

    Without ``before`` there is nothing to compare with, hence no event. The same slot again gives none either.
    """
    if before is not None and before.time == record.time:
        return (), before
    before = before or Glimpse(time=record.time)
    story = _Story(before, record)
    read = record.reachable
    started = read and _started(before, record)
    if started:
        story.add("started", "miner", "started anew", _seconds(before.uptime_s), _seconds(record.uptime_s))
    aspects = _settle(before, record, story)
    counters = before.counters if not started else {}
    if read:
        counters = _count(counters, record, story)
    uptime_known = read and record.uptime_s is not None
    after = Glimpse(
        time=record.time,
        read=record.time if read else before.read,
        silent_since=None if aspects["answer"] == Aspect("reachable") else before.silent_since or record.time,
        uptime_s=record.uptime_s if uptime_known else before.uptime_s,
        uptime_read=record.time if uptime_known else before.uptime_read,
        counters=counters,
        settings=_set(before.settings, configuration, story) if configuration else before.settings,
        aspects=aspects,
    )
    return tuple(story.events), after


class _Story:
    """The events of one record as they are found."""

    def __init__(self, before: Glimpse, record: MinerTelemetry) -> None:
        self.events: list[MinerEvent] = []
        self._before = before
        self._record = record

    def add(self, kind: str, subject: str, words: str, old: str | None, new: str | None) -> None:
        """Tell one more; ``words`` go on where the miner's name ends."""
        record = self._record
        change = f": {'unknown' if old is None else old} → {new}" if new is not None else ""
        self.events.append(
            MinerEvent(
                time=record.time,
                miner=record.miner,
                kind=kind,
                subject=subject,
                severity="critical" if (kind, new) == ("state_changed", "failed") else _SEVERITY.get(kind, "info"),
                message=f"{record.miner.miner_id} {words}{change}",
                old=old,
                new=new,
            )
        )

    def settled(self, name: str, old: str, new: str) -> None:
        """Tell that an aspect is another, as two readings say."""
        match name.partition(" ")[0], new:
            case "answer", "unreachable":
                self.add("unreachable", "miner", f"does not answer ({self._record.failure})", None, None)
            case "answer", _:
                self.add("reachable", "miner", f"answers again{self._silence()}", None, None)
            case "state", _:
                self.add("state_changed", "state", "changed its state", old, new)
            case "board", "mining":
                self.add("board_back", name, f"{name} is back", old, new)
            case "board", _:
                if old == "mining":  # else it was lost before, and the firmware found another word for it
                    self.add("board_lost", name, f"{name} is lost", old, new)
            case "fan", "ok":
                self.add("fan_back", name, f"{name} turns again", old, new)
            case "fan", _:
                self.add("fan_lost", name, f"{name} is lost", old, new)
            case _:
                self.add("pool_switched", "pool", "switched its pool", old, new)

    def _silence(self) -> str:
        until, since = self._before.read, self._before.silent_since
        return (
            f" after {until - since} s of silence" if until is not None and since is not None and until > since else ""
        )


def _started(before: Glimpse, record: MinerTelemetry) -> bool:
    if record.uptime_s is None or before.uptime_s is None or before.uptime_read is None:
        return False
    return record.uptime_s < before.uptime_s or record.uptime_s + _START_S < record.time - before.uptime_read


def _seconds(uptime_s: int | None) -> str | None:
    return None if uptime_s is None else f"{uptime_s} s"


_part = lru_cache(maxsize=1_024)(" ".join)
"""The name of a part, ``board 1``, and an aspect of one value: the same for all miners, of which each keeps ten."""
_aspect = lru_cache(maxsize=4_096)(Aspect)


def _settle(before: Glimpse, record: MinerTelemetry, story: _Story) -> dict[str, Aspect]:
    """Take in what ``record`` says of each aspect; tell those that settled on another value."""
    aspects = dict(before.aspects)
    for name, said in _aspects(before, record):
        known = aspects.get(name)
        if known is None or known.value == said:
            aspects[name] = _aspect(said)
        elif known.doubted != said:
            aspects[name] = _aspect(known.value, said)
        else:
            aspects[name] = _aspect(said)
            story.settled(name, known.value, said)
    return aspects


def _aspects(before: Glimpse, record: MinerTelemetry) -> Iterator[tuple[str, str]]:
    yield "answer", "reachable" if record.reachable else "unreachable"
    if not record.reachable:
        return
    state = _STATES.get(record.state)
    if state is not None:
        yield "state", state
    yield from _boards(before, record)
    if record.state in _PARTS_TELL:
        yield from ((_part(("fan", fan.fan)), fan.status) for fan in record.fans if fan.status in ("ok", "lost"))
    pool = pool_in_use(record)
    if pool is not None:
        yield "pool", pool


def _boards(before: Glimpse, record: MinerTelemetry) -> Iterator[tuple[str, str]]:
    listed = set()
    for board in record.boards:
        listed.add(_part(("board", board.board)))
        if board.status == "mining":
            yield _part(("board", board.board)), "mining"
        elif board.status in ("failure", "disconnected"):
            yield _part(("board", board.board)), board.status
    if listed and record.state in _PARTS_TELL and not _damaged(record):
        for name in before.aspects:
            if name.startswith("board ") and name not in listed:
                yield name, "not listed"


def _damaged(record: MinerTelemetry) -> bool:
    """Whether a board may be missing because the answer could not be read as a whole."""
    flags = (record.quality_flags or "").split(",")
    return any(flag in ("repaired", "duplicate_board") or flag.startswith("unreadable:") for flag in flags)


def pool_in_use(record: MinerTelemetry) -> str | None:
    """Address of the user's pool that is mined at; None where that cannot be told, say while the maker's is."""
    own = [pool for pool in record.pools if not pool.is_fee]
    for status in ("active", "working"):
        found = [pool.url for pool in own if pool.status == status]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _count(counters: dict[str, int], record: MinerTelemetry, story: _Story) -> dict[str, int]:
    """Accepted shares by pool. Of totals alone one could not tell a reset from a pool that left the list."""
    now = {
        f"{pool.slot} {pool.url}": pool.shares_accepted
        for pool in record.pools
        if not pool.is_fee and pool.shares_accepted is not None
    }
    if not record.pools and record.shares_accepted is not None:
        now = {"all": record.shares_accepted}
    fallen = [name for name, shares in now.items() if shares < counters.get(name, 0)]
    if fallen:
        old, new = (sum(each[name] for name in fallen) for each in (counters, now))
        story.add("counters_reset", "shares", "began to count shares anew", str(old), str(new))
    return now or counters


def _set(known: dict[str, Setting], configuration: MinerConfiguration, story: _Story) -> dict[str, Setting]:
    """Take in what is set; tell what is set differently."""
    settings = dict(known)
    names = ("firmware_version", "mac", *_SETTINGS)
    read = {name: value for name in names if (value := getattr(configuration, name)) is not None}
    if "power_limit_w" in read:  # to a power target the firmware finds the clock by itself: nobody set it
        read.pop("frequency_mhz", None)
        settings.pop("frequency_mhz", None)
    for name, new in read.items():
        old = known.get(name)
        if old is None or _differs(name, old, new):
            settings[name] = new
        if old is None or not _differs(name, old, new):
            continue
        if name == "firmware_version":
            story.add("firmware_changed", name, "has another firmware", str(old), str(new))
        elif name == "mac":
            story.add("identity_changed", name, "is another device at this address", str(old), str(new))
        else:
            words = f"has another {name}"
            story.add("configuration_changed", name, words, _figure(old), _figure(new))
    return settings


def _differs(name: str, old: Setting, new: Setting) -> bool:
    if name == "frequency_mhz" and not isinstance(old, str) and not isinstance(new, str):
        return abs(new - old) > _CLOCK_CHANGED * abs(old)
    return old != new


def _figure(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
