"""What rules of alerts look at: how everything stands now, gathered once a look."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from storage.declaration import Measurement, Tier
from storage.declaration.derived import ANOMALY_SCORE
from storage.declaration.event import MINER_EVENT
from storage.declaration.market import MARKET_DATA
from storage.declaration.miner import MINER_FAN, MINER_TELEMETRY
from storage.declaration.pipeline import (
    EXPORT_STATE,
    PIPELINE_DELIVERY,
    PIPELINE_HOST,
    PIPELINE_VOLUME,
    SOURCE_REQUEST,
)
from storage.declaration.pool import POOL_ACCOUNT, POOL_PERFORMANCE, WORKER_MATCH
from storage.errors import NeedsHuman
from storage.store import Store, credible
from tasks.alerts.behind import behind
from tasks.health.status import Status, read_status
from tasks.miners.settings import MinerSettings
from tasks.overrides.file import OverrideWatch
from tasks.overrides.override import NOTHING_BY_HAND, Overrides
from tasks.responses.book import ResponseBook
from tasks.responses.response import Phase, Response

if TYPE_CHECKING:  # pandas comes with the extra [lake], and rules are declared, and configured, without it
    import pandas as pd

    from tasks.overrides.told import ToldOverrides

STALE_INTERVALS = 2.5
"""A row older than so many polling intervals is stale: two polls are missing and a third is late."""
_LEAST_LOOK_BACK_S = 900
_POOL_LOOK_BACK_S = 6 * 3_600
_REJECTS_LOOK_BACK_S = 2 * 3_600
_MATCH_LOOK_BACK_S = 3 * 3_600
_SWITCH_LOOK_BACK_S = 3 * 3_600
"""By then the hour after a switch is compared with what pools credit, and the match says where the work goes."""
_ANOMALY_LOOK_BACK_S = 2 * 3_600
_HOUR_S = 3_600
_DAY_S = 86_400
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """A file of points that a store refused for good, ``age_s`` seconds since the newest came."""

    lane: str
    sink: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """How everything stands at ``now`` (Unix seconds).

    Tables are of the newest rows, with the measurement's columns and ``age_s``, seconds since the row.

    Attributes:
        miners: one row a configured miner, by ``miner_id``: ``site``, ``rack``, ``interval_s``, the columns of
            miner_telemetry, ``fresh`` (its newest row is not stale) and ``answers`` (fresh, and of a poll that the
            miner answered). Without a row, its columns are null.
        fans: rows of miner_fan of miners that answer.
        workers, accounts: of pool_performance and pool_account, last six hours. Of a worker too
            ``recent_reject_ratio``, by the growth of its work in the last two hours, and ``recent_s``, what of them it
            is of; null where the pool tells no work or too little time is known.
        matches: of worker_match, the newest of each configured miner in the last three hours.
        switches: one row a configured miner that mines at another pool than three hours ago: ``old``, ``new``,
            ``age_s`` since it changed last.
        anomalies: of anomaly_score by hour, of the last two hours.
        prices: of market_data, last day.
        requests: one row a request of a pool or market source in the last six hours, whichever host asked: ``source``,
            ``request``, ``failure`` of its newest try (null: data came), ``ok_age_s`` since data came (null: not in
            these hours), ``first_age_s`` since its first try of these hours.
        rates: one row a pool or market source, whichever host asked: ``source``, ``asked`` and ``answered`` of the
            last hour.
        volumes: of pipeline_volume, last day.
        hosts, deliveries, exports: of pipeline_host, pipeline_delivery and export_state, last day.
        hosts_misdated: the newest of pipeline_host that no right clock can have dated.
        behind: by ``measurement`` that is rolled up or derived by the hour and behind with it: ``late_s``, since the
            oldest hour that waits could have been done.
        pool_ids: of the configuration.
        status: of this host's pipeline, from its files.
        store_trouble: why the store does not answer; all tables are empty then.
        dead_letters: files of points that a store refused for good.
        by_hand: overrides that hold now; what they are about is not judged.
        responses: automated responses that somebody has to look at.
        site_sizes, rack_sizes: how many miners are configured at each.
    """

    now: float
    miners: pd.DataFrame
    fans: pd.DataFrame
    workers: pd.DataFrame
    accounts: pd.DataFrame
    matches: pd.DataFrame
    switches: pd.DataFrame
    anomalies: pd.DataFrame
    prices: pd.DataFrame
    requests: pd.DataFrame
    rates: pd.DataFrame
    volumes: pd.DataFrame
    hosts: pd.DataFrame
    hosts_misdated: pd.DataFrame
    deliveries: pd.DataFrame
    exports: pd.DataFrame
    behind: pd.DataFrame
    pool_ids: frozenset[str] = frozenset()
    status: Status | None = None
    store_trouble: str | None = None
    dead_letters: tuple[DeadLetters, ...] = ()
    by_hand: Overrides = NOTHING_BY_HAND
    responses: tuple[Response, ...] = ()
    site_sizes: Mapping[str, int] = field(default_factory=dict)
    rack_sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)


_POSITION = re.compile(r"(?P<rack>.*?\S)[\s_/-]*position[\s_-]*\w+|(?P<path>.+)/[^/]*", re.IGNORECASE)


def rack_of(location: str) -> str:
    """The rack of a place written ``rack_1_position_2`` or ``hall/rack/position``; empty where neither is meant."""
    match = _POSITION.fullmatch(location.strip())
    return (match["rack"] or match["path"]).strip() if match else ""


def gather(
    store: Store | None,
    data_directory: Path,
    miners: Sequence[MinerSettings],
    now: float,
    *,
    pool_ids: frozenset[str] = frozenset(),
    closed_pool_ids: frozenset[str] = frozenset(),
    store_trouble: str | None = None,
    told: ToldOverrides | None = None,
) -> Facts:
    """Ask the store and read the files of this host.

    Args:
        store: None where it could not be opened: what needs it is empty then.
        data_directory: of this host.
        miners: of the configuration, those that are polled.
        now: Unix seconds.
        pool_ids: ids of the configured pools.
        closed_pool_ids: those of them that the operator knows to have closed; no table has rows of them.
        store_trouble: why there is no store.
        told: asks the store for what other hosts have set by hand of their miners; None: there are none.

    Raises:
        TryAgain, StoreError: the store does not answer.
        PermissionError: this user may not read the data directory.
    """
    roster = roster_of(miners)
    longest_s = max((float(seconds) for seconds in roster["interval_s"]), default=0.0)
    since = int(now - max(_LEAST_LOOK_BACK_S, 2 * STALE_INTERVALS * longest_s))

    def newest(measurement: Measurement, after: int, before: int | None = credible(now)) -> pd.DataFrame:
        if store is None:
            return _with_age(_empty(measurement), now)
        return _with_age(store.newest(measurement, after, before=before).to_pandas(), now)

    standing = judged(roster, newest(MINER_TELEMETRY, since))
    fans = newest(MINER_FAN, since)
    requests = _empty(SOURCE_REQUEST)
    if store is not None:
        start, stop = int(now) - _POOL_LOOK_BACK_S, int(now) + 1
        requests = store.read(SOURCE_REQUEST, Tier.RAW, start, stop, columns=["ok", "failure"]).to_pandas()
    requests = requests[~requests["source"].isin(closed_pool_ids)]
    switched = _empty(MINER_EVENT)
    if store is not None:
        start, stop = int(now) - _SWITCH_LOOK_BACK_S, int(now) + 1
        switched = store.read(
            MINER_EVENT, Tier.RAW, start, stop, where={"kind": "pool_switched"}, columns=["old", "new"]
        ).to_pandas()
    accounts = newest(POOL_ACCOUNT, int(now) - _POOL_LOOK_BACK_S)
    answering = standing.index[standing["answers"]]
    return Facts(
        now=now,
        miners=standing,
        fans=fans[fans["miner_id"].isin(answering)],
        workers=_with_recent(newest(POOL_PERFORMANCE, int(now) - _POOL_LOOK_BACK_S), store, now),
        accounts=accounts[~accounts["pool_id"].isin(closed_pool_ids)],
        matches=_of_miners(newest(WORKER_MATCH, int(now) - _MATCH_LOOK_BACK_S), standing),
        switches=_at_another_pool(_with_age(switched, now), standing),
        anomalies=_of_miners(newest(ANOMALY_SCORE, int(now) - _ANOMALY_LOOK_BACK_S), standing),
        prices=newest(MARKET_DATA, int(now) - _DAY_S),
        requests=tried(requests, now),
        rates=_rates(requests, now),
        volumes=newest(PIPELINE_VOLUME, int(now) - _DAY_S),
        hosts=newest(PIPELINE_HOST, int(now) - _DAY_S),
        hosts_misdated=newest(PIPELINE_HOST, credible(now), None),
        deliveries=newest(PIPELINE_DELIVERY, int(now) - _DAY_S),
        exports=newest(EXPORT_STATE, int(now) - _DAY_S),
        behind=behind(store, now),
        pool_ids=pool_ids,
        store_trouble=store_trouble,
        status=read_status(data_directory, now),
        by_hand=by_hand(data_directory / "state", store, told, now),
        responses=_responses(data_directory / "state", now),
        dead_letters=_dead_letters(data_directory / "spool", now),
        site_sizes=roster.groupby("site").size().to_dict(),
        rack_sizes=roster.groupby(["site", "rack"]).size().to_dict(),
    )


def by_hand(state: Path, store: Store | None, told: ToldOverrides | None, now: float) -> Overrides:
    """What holds by hand: by the file of this host, and of miners that other hosts poll by what they told."""
    here = OverrideWatch(state).look(now)
    if told is None or store is None:
        return here
    return Overrides((*here.all, *told.look(store, now)))


def roster_of(miners: Sequence[MinerSettings]) -> pd.DataFrame:
    """Configured miners by ``miner_id``: ``site``, ``rack``, ``interval_s`` (the slowest they are polled at)."""
    import pandas as pd

    return pd.DataFrame(
        {
            "site": [miner.site for miner in miners],
            "rack": [rack_of(miner.location) for miner in miners],
            "interval_s": [float(miner.telemetry_bounds().slowest_s) for miner in miners],
        },
        index=pd.Index([miner.id for miner in miners], name="miner_id", dtype="str"),
    )


def judged(roster: pd.DataFrame, telemetry: pd.DataFrame) -> pd.DataFrame:
    """``roster`` with each miner's newest row of ``telemetry``, and whether it is fresh and was answered."""
    newest = telemetry.sort_values("age_s").drop_duplicates("miner_id").set_index("miner_id")
    # site and model are the configuration's: a renamed site must not be told by yesterday's name
    standing = roster.join(newest.drop(columns=["site"]))
    standing["fresh"] = standing["age_s"].notna() & (standing["age_s"] <= STALE_INTERVALS * standing["interval_s"])
    standing["answers"] = standing["fresh"] & standing["reachable"].eq(True).fillna(False)
    return standing


def _of_miners(rows: pd.DataFrame, standing: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each configured miner, with its site and rack; of two at one time the one that is matched."""
    known = rows[rows["miner_id"].isin(standing.index)]
    if "status" in known.columns:
        known = known[~known["status"].isin(["superseded", "not_told"])]
        known = known.assign(amiss=known["status"] != "matched").sort_values(["age_s", "amiss"])
    else:
        known = known[known["time_period"] == "1h"].sort_values("age_s")
    newest = known.drop_duplicates("miner_id").drop(columns=["site", "rack"], errors="ignore")
    return newest.join(standing[["site", "rack"]], on="miner_id")


def _at_another_pool(events: pd.DataFrame, standing: pd.DataFrame) -> pd.DataFrame:
    """Miners whose last switch did not lead back to where the first one began, with their site and rack."""
    rows = events[events["miner_id"].isin(standing.index)].sort_values("age_s", ascending=False)
    found = rows.groupby("miner_id", as_index=False).agg(
        old=("old", "first"), new=("new", "last"), age_s=("age_s", "min")
    )
    return found[found["old"] != found["new"]].join(standing[["site", "rack"]], on="miner_id")


def tried(requests: pd.DataFrame, now: float) -> pd.DataFrame:
    """Rows of source_request by request: how its newest try went, and when data last came."""
    rows = _with_age(requests, now).sort_values("age_s", ascending=False)
    keys = ["source", "request"]
    by_request = rows.groupby(keys, sort=True)
    found = by_request.agg(failure=("failure", lambda column: column.iloc[-1]), first_age_s=("age_s", "max"))
    came = rows[rows["ok"].eq(True).fillna(False).astype(bool)].groupby(keys)["age_s"].min()
    return found.join(came.rename("ok_age_s")).reset_index()


def _with_recent(workers: pd.DataFrame, store: Store | None, now: float) -> pd.DataFrame:
    from tasks.pools.workers.hours import WORK, recent_rejects

    if store is None:
        return workers.assign(recent_reject_ratio=float("nan"), recent_s=float("nan"))
    start, stop = int(now) - _REJECTS_LOOK_BACK_S, int(now) + 1
    recent = recent_rejects(store.read(POOL_PERFORMANCE, Tier.RAW, start, stop, columns=WORK))
    return workers.merge(recent, how="left", on=["pool_id", "worker_id", "algorithm"])


def _rates(requests: pd.DataFrame, now: float) -> pd.DataFrame:
    """Of each source the requests of the last hour that were sent, and those that brought data."""
    rows = _with_age(requests.copy(), now)
    rows = rows[(rows["age_s"] < _HOUR_S) & rows["failure"].ne("budget")]
    came = rows["ok"].eq(True).fillna(False).astype("int64")
    by_source = rows.assign(answered=came, asked=1).groupby("source", sort=True)
    return by_source[["asked", "answered"]].sum().reset_index()


def _with_age(rows: pd.DataFrame, now: float) -> pd.DataFrame:
    seconds = rows["time"].dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[s]").astype("int64")
    rows["age_s"] = now - seconds
    return rows


def _empty(measurement: Measurement) -> pd.DataFrame:
    from storage.arrow_schema import answer_schema

    return answer_schema(measurement, Tier.RAW).empty_table().to_pandas()


def _responses(state: Path, now: float) -> tuple[Response, ...]:
    """Those that nobody has settled; all but the unclear ones for a day."""
    try:
        book = ResponseBook.look_into(state)
    except NeedsHuman as error:
        _log.error("responses are not looked at: %s", error)
        return ()
    if book is None:
        return ()
    try:
        wanting = [one for one in book.unfinished() if one.wants_human]
    finally:
        book.close()
    return tuple(one for one in wanting if one.phase is Phase.UNCLEAR or now - (one.ended or now) < _DAY_S)


def _dead_letters(spool: Path, now: float) -> tuple[DeadLetters, ...]:
    found = []
    for file in sorted(spool.glob("*/dead.*.jsonl")):
        state = file.stat()
        if state.st_size:
            sink = file.name.removeprefix("dead.").removesuffix(".jsonl")
            found.append(DeadLetters(file.parent.name, sink, now - state.st_mtime))
    return tuple(found)
