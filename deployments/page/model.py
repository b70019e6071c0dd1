"""From rows to what the page shows. Pure: no clock, no store, no NiceGUI; tested by tables.

Every count is the length of a list that the page also shows, and every sum leaves out what is missing and says of how
many it is. Times are Unix seconds, hashrates H/s, power W, efficiency J/TH.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks import quantity
from tasks.miners.report import MinerStanding
from tasks.miners.settings import MinerSettings
from tasks.overrides.override import NOTHING_BY_HAND, Kind, Override, Overrides

Row = Mapping[str, Any]
"""One row of a measurement, ``time`` in Unix seconds."""

STALE_INTERVALS = 2.5
"""A row older than this many polling intervals is stale: two polls are missing and a third is late."""


class Condition(StrEnum):
    """What the page says of a miner; a group of stored states, or what only a reader can tell."""

    MINING = "mining"
    DEGRADED = "degraded"
    STARTING = "starting"
    PAUSED = "paused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    BY_HAND = "paused by hand"
    STALE = "stale"
    UNKNOWN = "no data"


_CONDITION_OF_STATE = {
    "mining": Condition.MINING,
    "degraded": Condition.DEGRADED,
    "starting": Condition.STARTING,
    "tuning": Condition.STARTING,
    "paused": Condition.PAUSED,
    "stopped": Condition.PAUSED,
    "failed": Condition.FAILED,
    "unreachable": Condition.UNREACHABLE,
}
MISSING = frozenset({Condition.UNREACHABLE, Condition.BY_HAND, Condition.STALE, Condition.UNKNOWN})
"""Conditions in which nothing is known of a miner now."""


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One configured miner, and how often it is polled at least."""

    miner_id: str
    model: str
    site: str
    interval_s: int
    location: str = ""

    @classmethod
    def of(cls, miner: MinerSettings) -> RosterEntry:
        """The entry of a configured miner."""
        return cls(miner.id, miner.model, miner.site, miner.telemetry_bounds().slowest_s, miner.location)

    @property
    def stale_after_s(self) -> float:
        """Age at which its newest row is stale."""
        return STALE_INTERVALS * self.interval_s


@dataclass(frozen=True, slots=True)
class MinerLine:
    """One miner now. Readings are None where the miner did not say, does not answer, is not asked, or its row is stale.

    ``state`` and ``reason`` are those of an override where one is about it."""

    miner_id: str
    model: str
    site: str
    algorithm: str | None
    condition: Condition
    state: str
    reason: str
    time: int | None
    last_success: int | None
    hashrate_hs: float | None = None
    expected_hs: float | None = None
    power_w: float | None = None
    efficiency_j_th: float | None = None
    chip_temp_max_c: float | None = None
    fan_duty_percent: float | None = None
    fans_running: int | None = None
    boards_mining: int | None = None
    boards_expected: int | None = None
    shares_accepted: int | None = None
    shares_rejected: int | None = None
    uptime_s: int | None = None
    error_count: int | None = None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """Expected hashrate that ``miners`` miners of one condition do not deliver."""

    condition: Condition
    hashrate_hs: float
    miners: int


@dataclass(frozen=True, slots=True)
class AlgorithmTotal:
    """Sums over the miners of one algorithm, never over two. ``counted`` of ``miners`` gave a hashrate.

    Not every firmware says what to expect: ``expected_hs`` is of ``expecting`` miners, and ``delivered_hs`` is what
    the same miners deliver; only these two may be compared.
    """

    algorithm: str | None
    miners: int
    counted: int
    hashrate_hs: float | None
    expecting: int
    expected_hs: float | None
    delivered_hs: float
    power_w: float | None
    efficiency_j_th: float | None
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet at ``judged_at``: ages, and with them stale and not, are as of then."""

    judged_at: float
    lines: tuple[MinerLine, ...]
    totals: tuple[AlgorithmTotal, ...]
    power_w: float | None
    power_counted: int

    @property
    def missing(self) -> int:
        """Miners of which nothing is known now."""
        return sum(line.condition in MISSING for line in self.lines)

    @property
    def newest(self) -> int | None:
        """Time of the newest row of all."""
        return max((line.time for line in self.lines if line.time is not None), default=None)

    @property
    def oldest_counted(self) -> int | None:
        """Time of the oldest row that a total includes."""
        return min(
            (line.time for line in self.lines if line.time is not None and line.hashrate_hs is not None), default=None
        )

    def by_condition(self) -> dict[Condition, list[MinerLine]]:
        """Lines of each condition, in the order of :class:`Condition`; their lengths are the counts shown."""
        return {c: [line for line in self.lines if line.condition is c] for c in Condition}


def build_fleet(
    newest: Iterable[Row],
    configurations: Iterable[Row],
    roster: Sequence[RosterEntry],
    standings: Iterable[MinerStanding],
    nominal_hs: Mapping[str, float],
    *,
    now: float,
    assumed_interval_s: int,
    by_hand: Overrides = NOTHING_BY_HAND,
) -> Fleet:
    """Join the newest telemetry rows with what else is known of each miner.

    Args:
        newest: newest row of each series of ``miner_telemetry``.
        configurations: newest rows of ``miner_configuration``, for the algorithm.
        roster: configured miners; each has a line, polled or not. Without a roster every miner that has a row has one.
        standings: of the newest ticks, for when a miner last answered.
        nominal_hs: newest expected hashrate of miners whose newest row has none.
        now: Unix time that ages are taken from.
        assumed_interval_s: polling interval of miners that are not in the roster.
        by_hand: overrides that hold now.
    """
    rows = _newest_by_miner(newest)
    algorithms = {miner: row.get("algorithm") for miner, row in _newest_by_miner(configurations).items()}
    standing_of = {standing.miner_id: standing for standing in standings}
    entries = {entry.miner_id: entry for entry in roster}
    if not roster:
        known = [*rows, *(miner for miner in standing_of if miner not in rows)]
        for miner in known:
            row = rows.get(miner, {})
            entries[miner] = RosterEntry(miner, row.get("model") or "", row.get("site") or "", assumed_interval_s)
    lines = tuple(
        _line(
            entry,
            rows.get(miner),
            algorithms.get(miner),
            standing_of.get(miner),
            nominal_hs.get(miner),
            override=by_hand.of_miner(miner) if by_hand.all else None,
            now=now,
        )
        for miner, entry in sorted(entries.items())
    )
    groups = {line.algorithm for line in lines}
    powers = [line.power_w for line in lines if line.power_w is not None]
    return Fleet(
        judged_at=now,
        lines=lines,
        totals=tuple(
            _total(algorithm, [line for line in lines if line.algorithm == algorithm])
            for algorithm in sorted(groups, key=lambda name: (name is None, name != "sha256d", name or ""))
        ),
        power_w=sum(powers) if powers else None,
        power_counted=len(powers),
    )


def _newest_by_miner(rows: Iterable[Row]) -> dict[str, Row]:
    """One row a miner: a miner whose model or site was renamed has two series, of which the newer counts."""
    found: dict[str, Row] = {}
    for row in rows:
        held = found.get(row["miner_id"])
        if held is None or row["time"] > held["time"]:
            found[row["miner_id"]] = row
    return found


def _line(
    entry: RosterEntry,
    row: Row | None,
    algorithm: str | None,
    standing: MinerStanding | None,
    nominal_hs: float | None,
    *,
    override: Override | None,
    now: float,
) -> MinerLine:
    algorithm = None if algorithm == "unknown" else algorithm
    condition = _condition(row, now, entry.stale_after_s)
    if condition is Condition.STALE and row is not None and _left_alone(row, standing, now - entry.stale_after_s):
        condition = Condition.UNREACHABLE
    if override is not None and override.kind is Kind.PAUSE:
        condition = Condition.BY_HAND
    last_success = standing.last_success if standing else None
    if row is not None and row.get("reachable"):
        last_success = max(last_success or 0, row["time"])
    readings = row if row is not None and condition not in MISSING else {}
    expected = readings.get("hashrate_nominal_hs")
    state = condition.value if row is None or condition in MISSING else str(row["state"])
    reason = _reason(condition, row, standing, entry, now)
    if override is not None:
        state = override.what
        reason = override.in_words() + (f"; {reason}" if reason and condition is not Condition.BY_HAND else "")
    return MinerLine(
        miner_id=entry.miner_id,
        model=entry.model,
        site=entry.site,
        algorithm=algorithm,
        condition=condition,
        state=state,
        reason=reason,
        time=None if row is None else row["time"],
        last_success=last_success,
        expected_hs=nominal_hs if expected is None else expected,
        location=entry.location,
        **{name: readings.get(name) for name in _READINGS},
    )


_READINGS = (
    "hashrate_hs", "power_w", "efficiency_j_th", "chip_temp_max_c", "fan_duty_percent", "fans_running", "boards_mining",
    "boards_expected", "shares_accepted", "shares_rejected", "uptime_s", "error_count",
)  # fmt: skip


def _condition(row: Row | None, now: float, stale_after_s: float) -> Condition:
    if row is None:
        return Condition.UNKNOWN
    if now - row["time"] > stale_after_s:
        return Condition.STALE
    if row.get("reachable") is False:
        return Condition.UNREACHABLE
    return _CONDITION_OF_STATE.get(row.get("state") or "", Condition.UNKNOWN)


def _left_alone(row: Row, standing: MinerStanding | None, now: float) -> bool:
    """Whether there is no newer row because the miner did not answer, and is asked again only after ``now``."""
    if standing is None or standing.open_since is None or row.get("reachable") is not False:
        return False
    return standing.next_poll is not None and now < standing.next_poll


def _reason(
    condition: Condition, row: Row | None, standing: MinerStanding | None, entry: RosterEntry, now: float
) -> str:
    if condition is Condition.BY_HAND:
        return ""
    if row is None:
        return "never polled"
    if condition is Condition.UNKNOWN:
        return "answered without a state"
    if condition is Condition.STALE:
        return f"polled every {entry.interval_s} s, no row since {quantity.clock(row['time'])}"
    if condition is Condition.UNREACHABLE:
        failure = str(row.get("failure") or "no reason stored").replace("_", " ")
        if standing is not None and standing.failures_in_a_row > 1:
            often = f"{failure}, {standing.failures_in_a_row} polls in a row"
            probe = standing.next_poll if standing.open_since is not None else None
            return f"{often}; next probe at {quantity.clock(probe)}" if probe is not None and probe > now else often
        return failure
    found = []
    mining, expected = row.get("boards_mining"), row.get("boards_expected")
    if mining is not None and expected is not None and mining < expected and condition is not Condition.PAUSED:
        found.append(f"{mining} of {expected} boards mine")
    if row.get("error_count"):
        found.append(f"{row['error_count']} error{'s' if row['error_count'] > 1 else ''} reported")
    if row.get("quality_flags"):
        found.append(str(row["quality_flags"]).replace(",", ", "))
    return "; ".join(found)


def _total(algorithm: str | None, lines: list[MinerLine]) -> AlgorithmTotal:
    hashing = [line for line in lines if line.hashrate_hs is not None]
    expecting = [
        line
        for line in lines
        if line.expected_hs is not None and (line.hashrate_hs is not None or line.condition in MISSING)
    ]
    powers = [line.power_w for line in lines if line.power_w is not None]
    both = [(line.power_w, line.hashrate_hs) for line in hashing if line.power_w is not None]
    work = sum(hashrate or 0.0 for _, hashrate in both)
    return AlgorithmTotal(
        algorithm=algorithm,
        miners=len(lines),
        counted=len(hashing),
        hashrate_hs=sum(line.hashrate_hs or 0.0 for line in hashing) if hashing else None,
        expecting=len(expecting),
        expected_hs=sum(line.expected_hs or 0.0 for line in expecting) if expecting else None,
        delivered_hs=sum(line.hashrate_hs or 0.0 for line in expecting),
        power_w=sum(powers) if powers else None,
        efficiency_j_th=sum(watts or 0.0 for watts, _ in both) / (work / 1e12) if work > 0 else None,
        losses=_losses(expecting),
    )


def _losses(expecting: list[MinerLine]) -> tuple[Loss, ...]:
    """What is expected and not delivered, by condition; a missing miner delivers nothing that anybody knows of."""
    found = []
    for condition in Condition:
        short = [
            (line.expected_hs or 0.0) - (line.hashrate_hs or 0.0) for line in expecting if line.condition is condition
        ]
        if short and sum(short) > 0:
            found.append(Loss(condition, sum(short), len(short)))
    return tuple(sorted(found, key=lambda loss: -loss.hashrate_hs))
