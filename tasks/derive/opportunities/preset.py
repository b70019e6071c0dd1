"""The preset that earns most at today's price of power, among those that miners of this model have measurably run.

Profit of a preset: TH/s x USD/TH/day - kW x 24 x USD/kWh, from mean hashrate and power of the fleet's own hours in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import TERA, Facts, PresetRecord
from tasks.derive.opportunities.rule import Found, Rule, confidence, less

CERTAINTY = 0.8
WANTED_HOURS = 72
LEAST_HOURS = 12
LEAST_USD_DAY = 0.05
WARM_C, BUSY_FANS_PERCENT = 80.0, 90.0


def _find(facts: Facts) -> Sequence[Found]:
    measured = {record.power_limit_w: record for record in facts.presets if record.hours >= LEAST_HOURS}
    now = measured.get(facts.power_limit_w) if facts.power_limit_w is not None else None
    if now is None or facts.lost_fans or facts.lost_boards:
        return []
    profits = {record: _profit(facts, record) for record in measured.values() if record is now or _bears(facts, record)}
    known = {record: profit for record, profit in profits.items() if profit is not None}
    if now not in known:
        return []
    best = max(known, key=lambda record: (known[record], -record.power_limit_w))
    gain = known[best] - known[now]
    if best is now or gain < LEAST_USD_DAY:
        return []
    return [
        Found(
            subject=f"preset {best.power_limit_w} W",
            description=f"Take the preset of {best.power_limit_w} W in place of {now.power_limit_w} W",
            impact=gain,
            confidence=confidence(CERTAINTY, min(best.hours, now.hours), WANTED_HOURS),
            evidence=f"{_told(best)} against {_told(now)}, at {facts.usd_th_day:.4g} USD/TH/day and "
            f"{facts.usd_per_kwh:.4g} USD/kWh",
            falsified_by=f"after a day in it this miner's J/TH is above {best.efficiency_j_th:.1f} by more than 3%, "
            "or price of power or of coins have moved",
        )
    ]


def _bears(facts: Facts, record: PresetRecord) -> bool:
    """Whether its heat leaves room for more power than now."""
    if facts.power_limit_w is not None and record.power_limit_w <= facts.power_limit_w:
        return True
    if facts.chip_max_c is None or facts.fan_duty_percent is None:
        return False
    return facts.chip_max_c < WARM_C and facts.fan_duty_percent < BUSY_FANS_PERCENT


def _profit(facts: Facts, record: PresetRecord) -> float | None:
    return less(facts.worth_usd_day(record.hashrate_hs), facts.cost_usd_day(record.power_w))


def _told(record: PresetRecord) -> str:
    return (
        f"{record.power_limit_w} W: {record.hashrate_hs / TERA:.4g} TH/s, {record.efficiency_j_th:.1f} J/TH "
        f"({record.hours} hours of {record.miners} miners)"
    )


def _taken(facts: Facts, subject: str) -> bool:
    return subject == f"preset {facts.power_limit_w} W"


def _known(facts: Facts) -> bool:
    return facts.power_limit_w is not None and facts.usd_th_day is not None and facts.tariff is not None


RULE = Rule("preset", _find, _known, _taken)
