"""Work that is credited to nobody, to somebody else, or to the firmware's maker alone (worker_match)."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

WORDS = {
    "wrong_pool": ("Point it at its pool again", 0.9),
    "wrong_worker": ("Give it its worker's name again", 0.6),
    "missing_worker": ("Find out where its work goes: no pool sees its worker", 0.7),
    "fee_only": ("Set its pools: it mines for the firmware's maker alone", 0.9),
    "duplicate_worker": ("Give it a worker of its own: two miners share one", 0.5),
}
"""What to do for each state, and how sure it is."""
WANTED_HOURS = 3


def _find(facts: Facts) -> Sequence[Found]:
    if facts.worker_status not in WORDS:
        return []
    advice, certainty = WORDS[facts.worker_status]
    lost = facts.worker_status != "duplicate_worker"
    return [
        Found(
            subject=facts.worker_status,
            description=advice,
            impact=facts.worth_usd_day(facts.hashrate_hs) if lost else 0.0,
            confidence=confidence(certainty, facts.worker_hours, WANTED_HOURS),
            evidence=f"{facts.worker_hours} hours {facts.worker_status}"
            + (f": {facts.worker_reason}" if facts.worker_reason else ""),
            falsified_by="a worker of yours at a pool that is not configured here gets the work",
        )
    ]


def _taken(facts: Facts, _: str) -> bool:
    return facts.worker_status == "matched"


RULE = Rule("worker", _find, lambda facts: facts.worker_status is not None, _taken)
