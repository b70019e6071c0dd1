"""Another coin of the same algorithm that earns more on the same hashes, by its difficulty, reward and price."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import HOURS, TERA, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

CERTAINTY = 0.5
LEAST_RATIO = 1.03
"""Coins of one algorithm pull each other's difficulty along: a smaller lead is gone before a miner has moved."""
LEAST_HOURS = 18


def _find(facts: Facts) -> Sequence[Found]:
    pays = {coins: pay for coins, pay in facts.coin_pays.items() if pay.hours >= LEAST_HOURS}
    if facts.coins not in pays or not facts.hashrate_hs:
        return []
    now = pays[facts.coins]
    best = max(pays, key=lambda coins: (pays[coins].usd_th_day, coins))
    if best == facts.coins or pays[best].usd_th_day < LEAST_RATIO * now.usd_th_day:
        return []
    return [
        Found(
            subject=best,
            description=f"Mine {best} in place of {facts.coins}",
            impact=(pays[best].usd_th_day - now.usd_th_day) * facts.hashrate_hs / TERA * facts.kept,
            confidence=confidence(CERTAINTY, min(pays[best].hours, now.hours), HOURS),
            evidence=f"{best} earned {pays[best].usd_th_day:.4g} USD/TH/day before fees, {facts.coins} "
            f"{now.usd_th_day:.4g}, means of the last day",
            falsified_by="the lead falls below 3% over a day, as difficulty follows the price",
        )
    ]


def _taken(facts: Facts, subject: str) -> bool:
    return subject == facts.coins


RULE = Rule("coin", _find, lambda facts: facts.coins in facts.coin_pays, _taken)
