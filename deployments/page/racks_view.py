"""Racks as a heat map: a cell for each miner where it stands, coloured by hashrate or by chip temperature.

The browser draws it from the rows of the table, so that nothing is pushed for it; it is one stop of the keyboard, and
arrows go from cell to cell.
"""

from __future__ import annotations

import json

from nicegui import ui

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Card
from deployments.page.markup import Html
from deployments.page.model import Fleet
from tasks.alerts.facts import rack_of

BY = {"ratio": "hashrate, of expected", "chip": "hottest chip"}
_KEYS = {
    "ratio": (("bad", "below 50%"), ("low", "below 90%"), ("near", "below 98%"), ("good", "98% and more")),
    "chip": (("good", "below 70 °C"), ("near", "below 80 °C"), ("low", "below 90 °C"), ("bad", "90 °C and more")),
}
"""The colours, as page.js gives them."""


class RacksCard:
    """The map of one open page."""

    def __init__(self) -> None:
        self._by = "ratio"
        self._fleet: Fleet | None = None
        self._card = Card("Racks", "racks", self._choose)
        with self._card.section:
            ui.element("div").props("id=rack-map").classes("racks")

    def show_unread(self, answer: Answer[Fleet]) -> None:
        """While the fleet was never read."""
        self._card.show_unread(answer, "The fleet")

    def show(self, fleet: Fleet) -> None:
        """Say what is on the map; the cells follow the table's rows."""
        self._fleet = fleet
        placed = sum(bool(rack_of(line.location)) for line in fleet.lines)
        self._card.show(markup.text(told(placed, len(fleet.lines))), body(self._by))

    def _choose(self, by: str) -> None:
        self._by = by
        ui.run_javascript(f"lodeline.racks({json.dumps(by)})")
        if self._fleet is not None:
            self.show(self._fleet)


def told(placed: int, miners: int) -> str:
    """Where the racks are from."""
    if placed == miners:
        return "by location in the configuration"
    return f"{placed} of {miners} miners have a rack in their location (section miners)"


def body(by: str) -> Html:
    """What to colour by, and what the colours mean."""
    choices = markup.element(
        "div",
        *(markup.button(label, name, pressed=name == by) for name, label in BY.items()),
        class_="choice",
        role="group",
        aria_label="Colour racks by",
    )
    grey = (("none", "not known"), ("off", "paused"))
    keys = [
        markup.element("span", markup.element("span", class_=f"dot cell-{name}"), markup.text(label), class_="key")
        for name, label in (*_KEYS[by], *grey)
    ]
    return markup.joined((choices, markup.element("div", *keys, class_="keys")))
