"""All rules: a line each."""

from __future__ import annotations

from tasks.derive.opportunities import (
    board,
    coin,
    cooling,
    fan,
    merge_mining,
    pool,
    preset,
    throttle,
    worker,
)
from tasks.derive.opportunities.rule import Rule

RULES: tuple[Rule, ...] = (
    fan.RULE,
    board.RULE,
    cooling.RULE,
    preset.RULE,
    throttle.RULE,
    pool.RULE,
    coin.RULE,
    merge_mining.RULE,
    worker.RULE,
)
