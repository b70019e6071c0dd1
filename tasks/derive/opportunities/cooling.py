"""Chips that are too hot for their preset, and chips so cool that a higher one would do no harm."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import HOURS, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

HOT_C, FULL_FANS_PERCENT, THROTTLED = 85.0, 95.0, 0.97
COLD_C, SLOW_FANS_PERCENT = 60.0, 50.0
CERTAINTY_HOT, CERTAINTY_COLD = 0.7, 0.4
LEAST_HOURS = 6


def _find(facts: Facts) -> Sequence[Found]:
    chip, duty = facts.chip_max_c, facts.fan_duty_percent
    if chip is None or duty is None or facts.hours < LEAST_HOURS or facts.hashrate_hs is None or not facts.nominal_hs:
        return []
    if facts.lost_fans or facts.lost_boards:  # those explain it, and are told by rules of their own
        return []
    air = "" if facts.ambient_c is None else f", air {facts.ambient_c:.0f} °C"
    evidence = f"hottest chip {chip:.0f} °C, fans at {duty:.0f}%{air} over {facts.hours} hours"
    part = facts.hashrate_hs / facts.nominal_hs
    if chip >= HOT_C and duty >= FULL_FANS_PERCENT and part < THROTTLED:
        return [
            Found(
                subject="too hot",
                description="Cool it better or take a lower preset: at full fans it throttles",
                impact=facts.worth_usd_day(facts.shortfall_hs),
                confidence=confidence(CERTAINTY_HOT, facts.hours, HOURS),
                evidence=f"{evidence}; hashrate {100 * part:.1f}% of the preset's",
                falsified_by="with cooler air or a lower preset the hashrate is as far below the preset's as before",
            )
        ]
    if chip <= COLD_C and duty <= SLOW_FANS_PERCENT and _is_highest_tried(facts):
        return [
            Found(
                subject="too cold",
                description="Try the next higher preset: there is room to the limits of heat",
                impact=None,
                confidence=confidence(CERTAINTY_COLD, facts.hours, HOURS),
                evidence=f"{evidence}; no miner of this model here has run a higher preset, so its gain is not known",
                falsified_by="in the higher preset chips exceed 85 °C, or its J/TH costs more than it earns",
            )
        ]
    return []


def _is_highest_tried(facts: Facts) -> bool:
    limits = [record.power_limit_w for record in facts.presets]
    return facts.power_limit_w is not None and all(limit <= facts.power_limit_w for limit in limits)


def _taken(facts: Facts, subject: str) -> bool:
    if facts.chip_max_c is None or facts.fan_duty_percent is None:
        return False
    if subject == "too hot":
        return facts.chip_max_c < HOT_C or facts.fan_duty_percent < FULL_FANS_PERCENT
    return not _is_highest_tried(facts) or facts.chip_max_c > COLD_C


def _known(facts: Facts) -> bool:
    return facts.chip_max_c is not None and facts.hours >= LEAST_HOURS


RULE = Rule("cooling", _find, _known, _taken)
