"""Which miner is which worker, and why a pool credits less than a miner tells. Pure; ``worker_match`` of one hour.

Join: the user in the miner's configuration and the pool's name of the worker, both in lower case, the account before
the first dot put once; inner dots stay. Where a pool's account is not configured the worker's name alone may meet. The
URL decides between two pools that have an account of one name.

What is expected of a miner is what the configuration says of it. Where it says nothing: the worker that it was in most
of the hours of the day before, so a move between accounts of yours is told for half a day and is what is expected from
then on. An account that nobody configured stays wrong for ever. docs/pools.md has the table of states.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tasks.pools.configured import Expected, PoolName
from tasks.pools.worker_name import account_of, worker_id
from tasks.pools.workers.hours import WorkerHour
from tasks.pools.workers.miners import MinerHour

EXPECTED_S = 24 * 3_600
"""How far before the hour it is looked for what a miner usually is."""
LEAST_KNOWN_S = 1_800.0
"""Seconds of the hour that the miner's hashrate must be known for, or there is no gap."""
WHOLE_S = 3_000.0
"""Below these the reason says that not all of the hour is known."""

HOSTS = {
    "litecoinpool": "litecoinpool", "viabtc": "viabtc", "mining_dutch": "mining-dutch", "f2pool": "f2pool",
    "prohashing": "prohashing",
}  # fmt: skip
"""What is in a pool's addresses, by its kind."""

Key = tuple[str, str]
"""Pool and worker."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a miner's user leads. ``pool_id`` None: to no account that is configured."""

    pool_id: str | None
    worker_id: str | None


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is known of miners besides their readings.

    ``usual``: the worker that each was in the EXPECTED_S before (:func:`usual_of`). ``stated``: where the configuration
    says that they should mine.
    """

    usual: Mapping[str, Key]
    stated: Mapping[str, Expected]

    def pool_of(self, miner_id: str) -> str | None:
        """The pool that a miner should mine at."""
        stated, usual = self.stated.get(miner_id), self.usual.get(miner_id)
        return stated.pool_id if stated is not None else usual[0] if usual is not None else None

    def worker_of(self, miner_id: str) -> Key | None:
        """The worker that a miner should be."""
        stated, usual = self.stated.get(miner_id), self.usual.get(miner_id)
        if stated is not None and stated.worker_id is not None:
            return stated.pool_id, stated.worker_id
        return usual if usual is not None and usual[0] == self.pool_of(miner_id) else None


@dataclass(frozen=True, slots=True)
class _Pools:
    """The pools of the configuration and what they tell in the hour. ``told``: those that told of any worker."""

    names: Sequence[PoolName]
    workers: Mapping[Key, WorkerHour]
    told: frozenset[str]


def match_hour(
    hour: int,
    miners: Sequence[MinerHour],
    workers: Iterable[WorkerHour],
    pools: Sequence[PoolName],
    expectations: Expectations,
) -> list[Row]:
    """Rows of ``worker_match`` for one hour."""
    known = {pool.id for pool in pools}
    at_pool: dict[Key, WorkerHour] = {}
    for worker in workers:
        key = (worker.pool_id, worker.worker_id)
        held = at_pool.get(key)
        if worker.pool_id in known and (held is None or (held.hashrate_hs or 0.0) < (worker.hashrate_hs or 0.0)):
            at_pool[key] = worker
    there = _Pools(pools, at_pool, frozenset(pool_id for pool_id, _ in at_pool))
    rows: list[Row] = []
    grouped: dict[_Place, list[MinerHour]] = defaultdict(list)
    for miner in miners:
        supposed = expectations.worker_of(miner.miner_id)
        if miner.user is not None:
            grouped[_place(miner.user, miner.url, there, expectations.pool_of(miner.miner_id))].append(miner)
        elif miner.fee_only:
            rows.append(_row(hour, _Place(None, None), miner, "fee_only", ["only the firmware's fee was mined for"]))
        elif supposed is not None:
            grouped[_Place(*supposed)].append(miner)
        else:
            silent = _silence(miner) if miner.hashrate_hs is None else "the miner does not say its pool"
            rows.append(_row(hour, _Place(None, None), miner, "not_told", [silent]))
    for place, group in grouped.items():
        rows += _group(hour, place, _one_each(group), there, expectations)
    met = {(place.pool_id, place.worker_id) for place in grouped}
    present = {miner.miner_id for miner in miners}
    known_miners = expectations.usual.keys() | expectations.stated.keys()
    absent = {
        supposed: miner_id
        for miner_id in sorted(known_miners - present)
        if (supposed := expectations.worker_of(miner_id)) is not None
    }
    for key, worker in at_pool.items():
        if key not in met and (worker.seen or (worker.hashrate_hs or 0.0) > 0.0):
            rows.append(_of_nobody(worker, absent.get(key)))
    return rows


def usual_of(rows: Iterable[Row], hour: int) -> dict[str, Key]:
    """The worker that each miner was in most of the hours in EXPECTED_S before ``hour``, of several the latest; by rows
    of ``worker_match``."""
    hours: dict[str, dict[Key, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if hour - EXPECTED_S <= row["time"] < hour and (placed := placement(row)) is not None:
            miner_id, key = placed
            hours[miner_id][key].append(row["time"])
    return {
        miner_id: max(times, key=lambda key: (len(times[key]), max(times[key]), key))
        for miner_id, times in hours.items()
    }


def placement(row: Row) -> tuple[str, Key] | None:
    """Miner, and the worker that it was; None of a row that does not say both."""
    if row["status"] in ("superseded", "unknown_worker"):
        return None
    if not (row["miner_id"] and row["pool_id"] and row["worker_id"]):
        return None
    return row["miner_id"], (row["pool_id"], row["worker_id"])


def _one_each(group: Sequence[MinerHour]) -> list[MinerHour]:
    """Parts of one miner that are one worker, at two addresses of the pool, together."""
    found: dict[str, MinerHour] = {}
    for part in group:
        held, hashrate = found.get(part.miner_id), part.hashrate_hs
        if held is not None and held.hashrate_hs is not None and hashrate is not None:
            hashrate += held.hashrate_hs
        found[part.miner_id] = replace(part, hashrate_hs=hashrate)
    return list(found.values())


def _place(user: str, url: str | None, pools: _Pools, expected: str | None) -> _Place:
    """Where ``user`` leads. Where several pools see it and the URL does not tell: to ``expected`` if it hashes there,
    else to the one where it hashes most."""

    def hashrate(key: Key) -> tuple[bool, float]:
        found = at_pool[key].hashrate_hs or 0.0
        return found > 0.0 and key[0] == expected, found

    at_pool = pools.workers
    plain = worker_id(None, user)
    kind = _kind(url)
    fitting = [pool for pool in pools.names if kind is None or pool.kind == kind]
    hits: list[Key] = []
    own: list[Key] = []
    for pool in fitting:
        if pool.account is None:
            hits += [
                key for name in dict.fromkeys((plain, plain.partition(".")[2])) if (key := (pool.id, name)) in at_pool
            ]
        elif account_of(plain) == pool.account.strip().lower():
            own.append((pool.id, worker_id(pool.account, plain)))
    hits += [key for key in own if key in at_pool]
    if hits:
        return _Place(*max(hits, key=hashrate))
    if own:
        return _Place(*own[0])
    open_to_all = next((pool for pool in fitting if pool.account is None), None)
    if open_to_all is not None and (kind is not None or len(fitting) == 1):
        return _Place(open_to_all.id, plain)
    return _Place(None, plain)


def _kind(url: str | None) -> str | None:
    """The kind of pool that an address is of; None where it names none, as that of a proxy."""
    if not url:
        return None
    try:
        host = (urlsplit(url if "://" in url else f"stratum+tcp://{url}").hostname or "").lower()
    except ValueError:  # a bracket of IPv6 that does not close; it is what somebody typed into a miner
        return None
    return next((kind for kind, word in HOSTS.items() if word in host), None)


def _group(
    hour: int, place: _Place, group: Sequence[MinerHour], pools: _Pools, expectations: Expectations
) -> list[Row]:
    """The miners of one worker."""
    worker = pools.workers.get((place.pool_id or "", place.worker_id or ""))
    hashrates = [miner.hashrate_hs for miner in group]
    total = None if None in hashrates else sum(value for value in hashrates if value is not None)
    several = len(group) > 1
    reasons: list[str] = []
    if place.pool_id is None:
        reasons.append(f"it mines as {place.worker_id}, which is no account that is configured")
    elif place.pool_id not in pools.told:
        reasons.append(f"{place.pool_id} told nothing of its workers in this hour")
    elif worker is None:
        reasons.append(f"{place.pool_id} does not tell of {place.worker_id}")
    if several:
        reasons.append(f"{len(group)} miners are this worker")
    gaps, why = _gaps(group, total, worker)
    reasons += why
    rows: list[Row] = []
    for miner in group:
        status, more = None, ["the miner does not say its pool: it is taken for what it should be"]
        if miner.user is not None:
            status, more = _misplaced(place, miner.miner_id, pools, expectations)
        elif miner.hashrate_hs is None:
            more = []
        if status is None:
            status = _met(place, worker, pools, several=several)
        row = _row(hour, place, miner, status, [*more, *reasons])
        if worker is not None and worker.hashrate_hs is not None:
            if not several:
                row["hashrate_pool_hs"] = worker.hashrate_hs
            elif total and miner.hashrate_hs is not None:
                row["hashrate_pool_hs"] = worker.hashrate_hs * miner.hashrate_hs / total
        rows.append({**row, **gaps})
    return rows


def _misplaced(place: _Place, miner_id: str, pools: _Pools, expectations: Expectations) -> tuple[str | None, list[str]]:
    """``wrong_pool`` or ``wrong_worker`` and what was expected; None where the miner mines where it should."""
    stated, before = expectations.stated.get(miner_id), expectations.usual.get(miner_id)
    if stated is not None:
        pool_id, worker = stated.pool_id, stated.worker_id
        reason = f"it should be {worker} at {pool_id}" if worker is not None else f"it should mine at {pool_id}"
    elif before is not None:
        pool_id, worker = before
        reason = f"it was {worker} at {pool_id}"
    elif place.pool_id is None and all(pool.account is not None for pool in pools.names):
        return "wrong_pool", []
    else:
        return None, []
    if place.pool_id != pool_id:
        return "wrong_pool", [reason]
    return ("wrong_worker", [reason]) if worker is not None and place.worker_id != worker else (None, [])


def _met(place: _Place, worker: WorkerHour | None, pools: _Pools, *, several: bool) -> str:
    if place.pool_id is not None and place.pool_id not in pools.told:
        return "not_told"
    if worker is None:
        return "missing_worker"
    return "duplicate_worker" if several else "matched"


def _silence(miner: MinerHour) -> str:
    return "the miner was unreachable" if miner.state == "unreachable" else "the miner told no hashrate"


def _gaps(
    group: Sequence[MinerHour], total: float | None, worker: WorkerHour | None
) -> tuple[dict[str, float | None], list[str]]:
    """The gap between ``total`` and what the pool credits, in its parts; and why there is none."""
    none: dict[str, float | None] = dict.fromkeys(
        ("gap_ratio", "gap_devfee_ratio", "gap_rejected_ratio", "gap_unexplained_ratio")
    )
    silent = [miner for miner in group if miner.hashrate_hs is None]
    if silent:
        return none, [_silence(silent[0]) if len(group) == 1 else f"{silent[0].miner_id}: {_silence(silent[0])}"]
    if worker is None:
        return none, []
    if worker.hashrate_hs is None:
        return none, ["the pool tells no hashrate of it"]
    if total is None or total <= 0.0:
        return none, [f"the miner did not hash: {group[0].state or 'its state is not told'}"]
    least = min(miner.known_s for miner in group)
    if least < LEAST_KNOWN_S:
        return none, [f"the miner is known for {least / 60:.0f} min of the hour only"]
    why = ["the pool tells a mean of a day only"] if worker.way == "long" else []
    if least < WHOLE_S:
        why.append(f"the miner is known for {least / 60:.0f} min of the hour")
    if worker.seen is False:
        why.append("the pool sees it offline")
    gap = 1.0 - worker.hashrate_hs / total
    devfee = _weighed(group, total, "devfee_ratio")
    if devfee is None:
        why.append("the firmware's fee is not told: it is in what is left")
    rejected = worker.reject_ratio
    if rejected is None:
        rejected = _weighed(group, total, "rejected_ratio")
    if rejected is None:
        why.append("what was rejected is not told: it is in what is left")
    else:  # of what was left for the user
        rejected *= 1.0 - (devfee or 0.0)
    return {
        "gap_ratio": gap,
        "gap_devfee_ratio": devfee,
        "gap_rejected_ratio": rejected,
        "gap_unexplained_ratio": gap - (devfee or 0.0) - (rejected or 0.0),
    }, why


def _weighed(group: Sequence[MinerHour], total: float, name: str) -> float | None:
    """A ratio of the miners together, weighed by hashrate; None unless all tell it."""
    ratios: list[float | None] = [getattr(miner, name) for miner in group]
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) < len(group):
        return None
    return sum(ratio * (miner.hashrate_hs or 0.0) for ratio, miner in zip(known, group, strict=True)) / total


def _of_nobody(worker: WorkerHour, absent: str | None) -> Row:
    """The row of a worker that no miner told to be; ``absent``: who should be it, and told nothing now."""
    reason = "no miner mines for it" if absent is None else "the miner told nothing"
    if absent is None and "#" in worker.worker_id:  # as tasks.pools.viabtc calls them
        reason = f"the pool has several workers called {worker.worker_id.partition('#')[0]}"
    return {
        "time": worker.hour, "pool_id": worker.pool_id, "worker_id": worker.worker_id, "miner_id": absent,
        "status": "unknown_worker" if absent is None else "matched", "hashrate_miner_hs": None,
        "hashrate_pool_hs": worker.hashrate_hs, "reason": reason,
    }  # fmt: skip


def _row(hour: int, place: _Place, miner: MinerHour, status: str | None, reasons: Sequence[str]) -> dict[str, Any]:
    return {
        "time": hour, "pool_id": place.pool_id, "worker_id": place.worker_id, "miner_id": miner.miner_id,
        "status": status, "hashrate_miner_hs": miner.hashrate_hs, "hashrate_pool_hs": None,
        "reason": "; ".join(dict.fromkeys(reasons)),
    }  # fmt: skip
