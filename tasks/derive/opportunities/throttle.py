"""Hours of the next day in which power costs more than mining earns: stop, or throttle, in them.

Break-even price = USD/TH/day x TH/s / (kW x 24), in USD/kWh; the gain is what is lost above it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import HOURS, TERA, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

CERTAINTY = 0.85
LEAST_USD_DAY = 0.01


def break_even_usd_per_kwh(facts: Facts) -> float | None:
    """The price of power at which this miner earns nothing; None where an input is not known."""
    worth = facts.worth_usd_day(facts.hashrate_hs)
    return None if worth is None or not facts.power_w else worth / (facts.power_w / 1_000 * 24)


def _find(facts: Facts) -> Sequence[Found]:
    limit = break_even_usd_per_kwh(facts)
    if limit is None or not facts.tariff or facts.power_w is None or facts.hashrate_hs is None:
        return []
    above = [price - limit for price in facts.tariff if price > limit]
    gain = sum(above) * facts.power_w / 1_000
    if gain < LEAST_USD_DAY:
        return []
    whole = len(above) == len(facts.tariff)
    return [
        Found(
            subject="stop" if whole else "hours",
            description="Stop it: power costs more than it earns at every hour"
            if whole
            else f"Pause it in {len(above)} of the next 24 hours: power costs more than it earns in them",
            impact=gain,
            confidence=confidence(CERTAINTY, facts.hours, HOURS),
            evidence=f"{facts.hashrate_hs / TERA:.4g} TH/s at {facts.power_w:.0f} W and {facts.usd_th_day:.4g} "
            f"USD/TH/day break even at {limit:.4f} USD/kWh; the tariff goes from {min(facts.tariff):.4f} to "
            f"{max(facts.tariff):.4f}",
            falsified_by="the break-even price rises above the tariff: coins, difficulty or J/TH change; or a contract "
            "makes unused power cost as much",
        )
    ]


def _taken(facts: Facts, subject: str) -> bool:
    return facts.idle_hours >= (HOURS - 2 if subject == "stop" else 1)


def _known(facts: Facts) -> bool:
    return facts.idle_hours > 0 or (break_even_usd_per_kwh(facts) is not None and facts.tariff is not None)


RULE = Rule("throttle", _find, _known, _taken)
