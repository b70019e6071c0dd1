"""The card of the ten worst."""

from __future__ import annotations

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Card
from deployments.page.day import Day
from deployments.page.day_view import NAMES
from deployments.page.markup import Html
from deployments.page.model import Fleet
from deployments.page.states_view import css
from deployments.page.worst import ON_PURPOSE, Worst, worst
from tasks import quantity


class WorstCard:
    """Who lacks most of what is expected."""

    def __init__(self) -> None:
        self._card = Card("Ten worst", "worst")

    def show_unread(self, answer: Answer[Fleet]) -> None:
        """While the fleet was never read."""
        self._card.show_unread(answer, "The fleet")

    def show(self, fleet: Fleet, day: Day | None) -> None:
        """Of ``fleet``, with causes of ``day`` where it is read."""
        if not self._card.is_news(fleet, day):
            return
        mostly = {miner: NAMES[cause] for miner, cause in day.mostly.items()} if day is not None else {}
        self._card.show(
            markup.text("by the part of their expected hashrate that is lost now"), body(fleet, worst(fleet, mostly))
        )


def body(fleet: Fleet, found: list[Worst]) -> Html:
    """The table, and who is not in it."""
    paused = sum(line.condition in ON_PURPOSE for line in fleet.lines)
    unknown = sum(line.expected_hs is None and line.condition not in ON_PURPOSE for line in fleet.lines)
    left_out = [f"{paused} paused"] * bool(paused) + [f"{unknown} of which it is not known what to expect"] * bool(
        unknown
    )
    note = markup.note(markup.text(f"Not among them: {', '.join(left_out)}")) if left_out else markup.NOTHING
    if not found:
        well = (
            "No miner is below what is expected of it" if unknown < len(fleet.lines) else "Nothing is known to be lost"
        )
        return markup.joined((markup.empty(well), note))
    columns = ("Miner", "State", "Lost", "Of expected", "Why")
    table = markup.table(
        "Miners that lack most", columns, [_row(one) for one in found], figures=("Lost", "Of expected")
    )
    return markup.joined((table, note))


def _row(one: Worst) -> tuple[Html, ...]:
    line = one.line
    return (
        markup.miner(line.miner_id),
        markup.status(css(line.condition), line.state),
        markup.text(quantity.hashrate(one.lost_hs, line.algorithm)),
        markup.text(f"{one.share:.0%}"),
        markup.text(one.reason),
    )
