"""What becomes of advice: opened once, changed where it matters, taken or refuted, and never twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.derive.opportunities.deciding import UNHEARD_S, new_rows
from tasks.derive.opportunities.facts import Facts
from tasks.derive.opportunities.rule import Found, Rule

T = 1_800_000_000
HOUR = 3_600


class Advice:
    """One rule about one miner, hour after hour, on rows as a store would hold them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.hour = T
        self.holds: Found | None = None
        self.is_known, self.is_taken = True, False

    @property
    def rule(self) -> Rule:
        def find(_facts: Facts) -> Sequence[Found]:
            return [] if self.holds is None else [self.holds]

        return Rule("fan", find, lambda _facts: self.is_known, lambda _facts, _subject: self.is_taken)

    def run(self, *, miners: int = 1) -> list[dict[str, Any]]:
        newest = self.rows[-1:]
        frame = new_rows([Facts(miner_id="m1")] * miners, newest, self.hour, [self.rule])
        made = [
            {"time": time, **{name: column[number] for name, column in frame.columns.items()}}
            for number, time in enumerate(frame.times)
        ]
        self.rows += [{"outcome": None, "potential_impact_usd_day": None, **row} for row in made]
        self.hour += HOUR
        return made


def fan(impact: float | None = 1.0, confidence: float = 0.9) -> Found:
    return Found(
        subject="fan 1", description="Replace fan 1", impact=impact, confidence=confidence, evidence="it stood",
        falsified_by="it turns",
    )  # fmt: skip


def test_it_is_opened_once_and_changed_only_where_it_matters() -> None:
    advice = Advice()
    advice.holds = fan()
    (row,) = advice.run()
    assert (row["status"], row["potential_impact_usd_day"], row["outcome"]) == ("open", 1.0, "")
    assert advice.run() == []
    advice.holds = fan(1.05)  # a twentieth
    assert advice.run() == []
    advice.holds = fan(1.2)
    assert [one["potential_impact_usd_day"] for one in advice.run()] == [1.2]
    advice.holds = fan(1.2, confidence=0.5)
    assert [one["confidence"] for one in advice.run()] == [0.5]
    advice.holds = fan(None, confidence=0.5)
    assert len(advice.run()) == 1, "a gain that nobody knows any more is news"


def test_what_was_done_is_taken_and_what_holds_no_longer_is_refuted() -> None:
    for taken, status in ((True, "taken"), (False, "refuted")):
        advice = Advice()
        advice.holds = fan()
        advice.run()
        advice.holds, advice.is_taken = None, taken
        (row,) = advice.run()
        assert row["status"] == status
        assert row["outcome"]
        assert row["description"] == "Replace fan 1", "what it was is kept"
        assert advice.run() == []


def test_it_opens_again_when_it_comes_back() -> None:
    advice = Advice()
    advice.holds = fan()
    advice.run()
    advice.holds = None
    advice.run()
    advice.holds = fan()
    assert [row["status"] for row in advice.run()] == ["open"]


def test_what_nobody_knows_of_stays_open_for_a_week() -> None:
    advice = Advice()
    advice.holds = fan()
    advice.run()
    advice.holds, advice.is_known = None, False
    advice.hour = T + UNHEARD_S
    assert advice.run() == []
    (row,) = advice.run()
    assert (row["status"], row["outcome"]) == ("refuted", "nothing was heard of it for a week")


def test_a_miner_that_is_no_longer_configured_is_not_known() -> None:
    advice = Advice()
    advice.holds = fan()
    advice.run()
    assert advice.run(miners=0) == []
