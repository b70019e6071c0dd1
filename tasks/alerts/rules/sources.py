"""Sources of pools and markets that give no data, as rules of both ask for them."""

from __future__ import annotations

from tasks.alerts.facts import Facts
from tasks.alerts.rule import Finding, Found, missing
from tasks.quantity import age


def failing_sources(facts: Facts, limit: float | None, *, pools: bool) -> Found:
    """Sources whose newest try failed and that gave no data for ``limit`` seconds, one finding a source.

    ``pools``: those that are pools of this configuration or its accounts; else all others.
    """
    rows = facts.requests[facts.requests["failure"].notna()]
    rows = rows[rows["source"].isin(facts.pool_ids) == pools]
    without_s = rows["ok_age_s"].fillna(rows["first_age_s"]).astype("float64")
    rows = rows.assign(without_s=without_s)[without_s >= (limit or 0.0)]
    found = []
    for source, requests in rows.groupby("source"):
        worst = requests.loc[requests["without_s"].idxmax()]
        since = f"no data for {age(worst['without_s'])}"
        if missing(worst["ok_age_s"]):
            since = f"no data for {age(worst['without_s'])} at least"
        found.append(
            Finding(
                subject=str(source),
                entity=str(source),
                message=f"{source}: {since}; {worst['request']} fails: {str(worst['failure']).replace('_', ' ')}",
                value=float(worst["without_s"]),
            )
        )
    return Found(tuple(found))
