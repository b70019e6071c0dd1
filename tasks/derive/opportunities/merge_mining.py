"""Coins that could be mined along on the same hashes, and that the miner's pool does not credit."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import HOURS, TERA, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence

CERTAINTY = 0.6


def _find(facts: Facts) -> Sequence[Found]:
    pay = facts.coin_pays.get(facts.coins or "")
    if pay is None or not facts.credited_coins or not facts.hashrate_hs:
        return []
    return [
        Found(
            subject=coin,
            description=f"Mine {coin} along: {facts.pool_id} does not credit it",
            impact=usd_th_day * facts.hashrate_hs / TERA * facts.kept,
            confidence=confidence(CERTAINTY, pay.hours, HOURS),
            evidence=f"{coin} earns {usd_th_day:.4g} USD/TH/day on the same hashes; in a week {facts.pool_id} credited "
            f"{', '.join(sorted(facts.credited_coins))} alone",
            falsified_by=f"the pool pays {coin} as part of another coin, or its fee for it is as high",
        )
        for coin, usd_th_day in sorted(pay.by_coin.items())
        if coin not in facts.credited_coins and usd_th_day > 0
    ]


def _taken(facts: Facts, subject: str) -> bool:
    return subject in facts.credited_coins


RULE = Rule("merge_mining", _find, lambda facts: bool(facts.credited_coins), _taken)
