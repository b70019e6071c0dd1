"""A hashboard that does not mine: its part of the hashrate of the preset, else of the nameplate, less its power."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.derive.opportunities.facts import RECENT, Facts
from tasks.derive.opportunities.rule import Found, Rule, confidence, less

CERTAINTY = 0.9
LEAST_HOURS = 2


def _find(facts: Facts) -> Sequence[Found]:
    lost = {board: hours for board, hours in facts.lost_boards.items() if hours >= LEAST_HOURS}
    if not lost:
        return []
    part = None
    whole = facts.nominal_hs or facts.plate_hs
    if whole and facts.boards_expected:
        # what it is short of may be less than a whole board where the nominal follows the boards that are left
        part = whole / facts.boards_expected
    watts = None
    if part is not None and facts.power_w and facts.hashrate_hs:
        watts = facts.power_w / facts.hashrate_hs * part
    impact = less(facts.worth_usd_day(part), facts.cost_usd_day(watts))
    return [
        Found(
            subject=f"board {board}",
            description=f"Repair or replace board {board}: it does not mine",
            impact=impact,
            confidence=confidence(CERTAINTY, hours, min(RECENT, max(facts.board_hours, LEAST_HOURS))),
            evidence=f"board {board} did not mine in {hours} of the last {facts.board_hours} hours"
            + ("" if part is None else f"; its part is {part / 1e12:.4g} TH/s"),
            falsified_by="the board mines again by itself, or another board in its place does not",
        )
        for board, hours in sorted(lost.items())
    ]


def _taken(facts: Facts, subject: str) -> bool:
    return subject.removeprefix("board ") not in facts.lost_boards


RULE = Rule("board", _find, lambda facts: facts.board_hours > 0, _taken)
