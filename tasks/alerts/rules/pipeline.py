"""Rules over Lodeline itself. No data is an alert here, always."""

from __future__ import annotations

from tasks.alerts.facts import Facts
from tasks.alerts.rule import About, Finding, Found, Level, Rule
from tasks.health.status import STALE_TICKS, LaneStatus
from tasks.quantity import age
from tasks.responses.response import Phase

_SOON_DAYS = 3.0


def _standing_still(facts: Facts, limit: float | None) -> Found:
    if facts.status is None:
        return Found(())
    why = f": {facts.status.no_room}" if facts.status.no_room is not None else ""
    return Found(
        tuple(
            Finding(
                subject=f"lane {lane.lane}",
                entity=lane.lane,
                message=f"last tick of lane {lane.lane} was {age(lane.tick_age_s)} ago, "
                f"one is due every {lane.tick_every_s} s{why}",
                value=lane.tick_age_s,
            )
            for lane in facts.status.lanes
            if _stands_still(lane, limit or 0.0)
        )
    )


def _stands_still(lane: LaneStatus, ticks: float) -> bool:
    return lane.tick_age_s > ticks * lane.tick_every_s + lane.tick_s


def _store_away(facts: Facts, _limit: float | None) -> Found:
    found = []
    if facts.store_trouble is not None:
        found.append(Finding(subject="store", entity="store", message=f"reading fails: {facts.store_trouble}"))
    if facts.status is not None:
        for lane in facts.status.lanes:
            found += [
                Finding(
                    subject=f"lane {lane.lane} to {sink}",
                    entity=lane.lane,
                    message=f"{account.backlog} points of lane {lane.lane} wait for {sink}: {account.trouble}",
                    value=float(account.backlog),
                )
                for sink, account in lane.sinks.items()
                if account.trouble is not None
            ]
    return Found(tuple(found))


def _dead_letters(facts: Facts, limit: float | None) -> Found:
    return Found(
        tuple(
            Finding(
                subject=f"lane {letters.lane} to {letters.sink}",
                entity=letters.lane,
                message=f"{letters.sink} refused points of lane {letters.lane} {age(letters.age_s)} ago",
                value=letters.age_s,
            )
            for letters in facts.dead_letters
            if letters.age_s < (limit or 0.0)
        )
    )


def _disk_filling(facts: Facts, limit: float | None) -> Found:
    rows = facts.volumes[facts.volumes["days_until_full"].astype("float64") < (limit or 0.0)]
    return Found(
        tuple(
            Finding(
                subject=f"{row['host']} {row['volume']}",
                entity=row["host"],
                message=f"the disk of {row['volume']} at {row['host']} is full in {row['days_until_full']:.1f} days",
                value=float(row["days_until_full"]),
                level=Level.CRITICAL if row["days_until_full"] < _SOON_DAYS else None,
            )
            for _, row in rows.iterrows()
        )
    )


def _overloaded(facts: Facts, limit: float | None) -> Found:
    if facts.status is None:
        return Found(())
    found = []
    for lane in facts.status.lanes:
        if _stands_still(lane, STALE_TICKS):
            continue  # what its last tick says is not of now
        skipped = lane.failed_by_reason.get("skipped", 0)
        if not skipped and lane.loop_lag_ms < (limit or 0.0):
            continue
        found.append(
            Finding(
                subject=f"lane {lane.lane} at {lane.host}",
                entity=lane.host,
                message=f"{skipped} miners skipped by the last tick of lane {lane.lane}, "
                f"its event loop was {lane.loop_lag_ms / 1000:.1f} s late",
                value=lane.loop_lag_ms,
            )
        )
    return Found(tuple(found))


def _responses(facts: Facts, _limit: float | None) -> Found:
    return Found(
        tuple(
            Finding(
                subject=f"response {one.id}",
                entity=one.subject,
                message=one.in_words,
                level=Level.CRITICAL if one.phase is Phase.UNCLEAR else None,
            )
            for one in facts.responses
        )
    )


PIPELINE_RULES = (
    Rule(
        "lane_stands_still",
        Level.CRITICAL,
        About.PIPELINE,
        "Nothing is collected: a shift of this host has stopped ticking.",
        "Is the disk of the data directory full? Free space, and it goes on by itself. Else: is the worker alive, does "
        "Prefect start the shift? `lodeline status`, then the log of the flow.",
        _standing_still,
        for_s=0,
        keep_s=0,
        limit=float(STALE_TICKS),
        unit="ticks",
    ),
    Rule(
        "store_away",
        Level.CRITICAL,
        About.PIPELINE,
        "The store cannot be reached or refuses: collected data waits in the spool.",
        "Nothing is lost while the disk lasts. Start the database; `lodeline status` shows what waits.",
        _store_away,
        for_s=120,
        keep_s=60,
    ),
    Rule(
        "collector_overloaded",
        Level.WARNING,
        About.PIPELINE,
        "A collector of this host has more to do than it can: it skips miners, or its event loop is late.",
        "Find what takes the processor. Longer intervals or a second host help; `lodeline override shed host` at once.",
        _overloaded,
        for_s=300,
        keep_s=300,
        limit=1_000.0,
        unit="ms",
    ),
    Rule(
        "response_wants_human",
        Level.WARNING,
        About.PIPELINE,
        "An automated response failed, did not help, or was cut off so that nobody knows whether it was done.",
        "`lodeline responses show ID` has its evidence. Look at the miner, then `lodeline responses settle ID`.",
        _responses,
        for_s=0,
        keep_s=0,
    ),
    Rule(
        "points_refused",
        Level.WARNING,
        About.PIPELINE,
        "A store refused points for good in the last day; they lie in the lane's dead letters.",
        "Read `spool/<lane>/dead.<sink>.jsonl`: each line has the store's own words.",
        _dead_letters,
        for_s=0,
        keep_s=0,
        limit=86_400.0,
        unit="s",
    ),
    Rule(
        "disk_filling",
        Level.WARNING,
        About.PIPELINE,
        "The disk will soon be full at the pace of the last days; critical within three days.",
        "`lodeline disk` shows what grows; shorten retention or move the archive.",
        _disk_filling,
        for_s=0,
        keep_s=0,
        limit=14.0,
        unit="days",
        from_store=True,
    ),
)
