"""A fan that does not turn. Worth what the miner is short of, unless a board is lost, which is then the reason."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import RECENT, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

CERTAINTY = 0.95
LEAST_HOURS = 2


def _find(facts: Facts) -> Sequence[Found]:
    lost = {fan: hours for fan, hours in facts.lost_fans.items() if hours >= LEAST_HOURS}
    short = 0.0 if facts.lost_boards else facts.shortfall_hs
    worth = facts.worth_usd_day(short)
    impact = None if worth is None else worth / len(lost) if lost else worth
    return [
        Found(
            subject=f"fan {fan}",
            description=f"Replace fan {fan}: it does not turn",
            impact=impact,
            confidence=confidence(CERTAINTY, hours, min(RECENT, max(facts.fan_hours, LEAST_HOURS))),
            evidence=f"fan {fan} stood in {hours} of the last {facts.fan_hours} hours; hashrate {_percent(facts)}",
            falsified_by="the fan turns, or the hashrate stays as it is after it was replaced",
        )
        for fan, hours in sorted(lost.items())
    ]


def _percent(facts: Facts) -> str:
    if facts.hashrate_hs is None or not facts.nominal_hs:
        return "not known against the preset"
    return f"{100 * facts.hashrate_hs / facts.nominal_hs:.1f}% of the preset's"


def _taken(facts: Facts, subject: str) -> bool:
    return subject.removeprefix("fan ") not in facts.lost_fans


RULE = Rule("fan", _find, lambda facts: facts.fan_hours > 0, _taken)
