"""Another pool of the farm that pays more for the same work, by what both say they pay, after their fees.

The counterfactual is made of the pools' own estimates (pool_profitability), not of what they credited: the other pool
has credited this miner nothing. An estimate flagged as suspect is not taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import HOURS, TERA, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

CERTAINTY = 0.5
LEAST_RATIO = 1.02
LEAST_HOURS = 12


def _find(facts: Facts) -> Sequence[Found]:
    pays = {pool: pay for pool, pay in facts.pool_pays.items() if pay.hours >= LEAST_HOURS}
    if facts.pool_id not in pays or not facts.hashrate_hs:
        return []
    now = pays[facts.pool_id]
    best = max(pays, key=lambda pool: (pays[pool].usd_th_day, pool))
    if best == facts.pool_id or pays[best].usd_th_day < LEAST_RATIO * now.usd_th_day:
        return []
    gain = (pays[best].usd_th_day - now.usd_th_day) * facts.hashrate_hs / TERA * facts.kept
    return [
        Found(
            subject=f"pool {best}",
            description=f"Mine at {best} in place of {facts.pool_id}",
            impact=gain,
            confidence=confidence(CERTAINTY, min(pays[best].hours, now.hours), HOURS),
            evidence=f"{best} pays {pays[best].usd_th_day:.4g} USD/TH/day after fees, {facts.pool_id} "
            f"{now.usd_th_day:.4g}, means of the last day",
            falsified_by="over a week one miner at each pool is credited the same per hash (pool_reconciliation)",
        )
    ]


def _taken(facts: Facts, subject: str) -> bool:
    return subject == f"pool {facts.pool_id}"


RULE = Rule("pool", _find, lambda facts: facts.pool_id in facts.pool_pays, _taken)
