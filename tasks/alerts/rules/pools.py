"""Rules over pools and the accounts there."""

from __future__ import annotations

from tasks.alerts.facts import Facts
from tasks.alerts.rule import About, Finding, Found, Level, Rule, missing
from tasks.alerts.rules.miners import HASHING
from tasks.alerts.rules.sources import failing_sources
from tasks.quantity import age


def _offline(facts: Facts, limit: float | None) -> Found:
    rows = facts.workers[facts.workers["status"].isin(["offline", "expired"])]
    silent_s = rows["last_share_age_s"].astype("float64") + rows["age_s"].astype("float64")
    rows = rows[silent_s.isna() | (silent_s >= (limit or 0.0))]
    known = _workers_of_idle_miners(facts)
    rows = rows[[key not in known for key in zip(rows["pool_id"], rows["worker_id"], strict=True)]]
    return Found(
        tuple(
            Finding(
                subject=f"{row['pool_id']} {row['worker_id']} {row['algorithm']}",
                entity=row["worker_id"],
                within=row["pool_id"],
                message=f"{row['pool_id']} does not see worker {row['worker_id']}"
                + (
                    ""
                    if missing(row["last_share_age_s"])
                    else f": last share {age(row['last_share_age_s'] + row['age_s'])} ago"
                ),
                value=None if missing(row["last_share_age_s"]) else float(row["last_share_age_s"] + row["age_s"]),
            )
            for _, row in rows.iterrows()
        )
    )


def _workers_of_idle_miners(facts: Facts) -> set[tuple[str, str]]:
    """Pool and worker of miners that say themselves that they do not mine, or say nothing: their own rules tell that,
    and of one that was paused on purpose there is nothing to tell."""
    placed = facts.matches[facts.matches["pool_id"].notna() & facts.matches["worker_id"].notna()]
    miners = facts.miners
    idle = miners.index[
        ~miners["answers"]
        | ~miners["state"].isin(HASHING)
        | (miners["hashrate_hs"].astype("float64") <= 0.0).fillna(value=False)
    ]
    placed = placed[placed["miner_id"].isin(idle)]
    return set(zip(placed["pool_id"], placed["worker_id"], strict=True))


def _rejecting(facts: Facts, limit: float | None) -> Found:
    """By the ratio that the pool tells of a window of time; where it tells none, by the growth of its counters."""
    workers = facts.workers
    told = workers["reject_ratio"].astype("float64").where(workers["time_window"].notna())
    ratio = told.fillna(workers["recent_reject_ratio"].astype("float64"))
    rows = workers.assign(told=told, ratio=ratio)[ratio > (limit or 0.0)]
    return Found(
        tuple(
            Finding(
                subject=f"{row['pool_id']} {row['worker_id']} {row['algorithm']}",
                entity=row["worker_id"],
                within=row["pool_id"],
                message=f"{row['pool_id']} rejects {row['ratio']:.1%} of worker {row['worker_id']} "
                f"over {age(row['recent_s']) if missing(row['told']) else row['time_window']}",
                value=float(row["ratio"]),
            )
            for _, row in rows.iterrows()
        )
    )


def _refused(facts: Facts, _limit: float | None) -> Found:
    rows = facts.accounts[facts.accounts["status"].isin(["gone", "refused"])]
    return Found(
        tuple(
            Finding(
                subject=f"{row['pool_id']} {row['coin_id']}",
                entity=row["pool_id"],
                message=f"{row['pool_id']}: the account is {row['status']}",
            )
            for _, row in rows.iterrows()
        )
    )


def _nobody_there(facts: Facts, _limit: float | None) -> Found:
    """Accounts of which the pool sees no worker in any coin; in one of several nobody may ever have mined."""
    told = facts.accounts[facts.accounts["status"].isin(["live", "all_offline"])]
    return Found(
        tuple(
            Finding(
                subject=str(pool),
                entity=str(pool),
                message=f"{pool} sees none of the account's workers",
            )
            for pool, rows in told.groupby("pool_id")
            if (rows["status"] == "all_offline").all()
        )
    )


POOL_RULES = (
    Rule(
        "pool_away",
        Level.WARNING,
        About.POOL,
        "A pool does not tell how the miners do there.",
        "If the pool's own page works, look at key, address and firewall; `lodeline status` tells the reason.",
        lambda facts, limit: failing_sources(facts, limit, pools=True),
        for_s=0,
        keep_s=0,
        limit=1_800.0,
        unit="s",
        muted_by=frozenset({"pool_account_lost"}),
    ),
    Rule(
        "pool_account_lost",
        Level.CRITICAL,
        About.POOL,
        "The pool refuses the account, or has closed: what is mined there may earn nothing.",
        "Log in at the pool; if it is gone, point the miners to another one.",
        _refused,
        for_s=0,
        keep_s=0,
    ),
    Rule(
        "pool_all_offline",
        Level.CRITICAL,
        About.POOL,
        "The pool sees no worker of the account at all.",
        "Look at the line to the pool and at the miners' pool settings: they mine nothing, or for somebody else.",
        _nobody_there,
        for_s=300,
        keep_s=300,
    ),
    Rule(
        "worker_offline",
        Level.WARNING,
        About.POOL,
        "The pool does not see a worker that it knows.",
        "If its miner mines, it mines for somebody else or its shares do not arrive: compare its pool settings.",
        _offline,
        for_s=300,
        keep_s=300,
        limit=1_200.0,
        unit="s",
        muted_by=frozenset({"pool_away", "pool_all_offline"}),
    ),
    Rule(
        "worker_rejected",
        Level.WARNING,
        About.POOL,
        "The pool rejects much of a worker's work: by its own ratio, else by its counters of the last two hours.",
        "Stale shares mean a slow line to the pool; invalid ones mean wrong nonces of the miner.",
        _rejecting,
        for_s=600,
        keep_s=600,
        limit=0.05,
        unit="ratio",
    ),
)
