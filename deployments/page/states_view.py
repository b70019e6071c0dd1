"""How many miners are in which condition, as a bar and as buttons that choose what the table lists."""

from __future__ import annotations

from deployments.page import markup
from deployments.page.markup import Html
from deployments.page.model import AlgorithmTotal, Condition, Fleet
from tasks import quantity


def css(condition: Condition) -> str:
    """The condition as a class."""
    return condition.value.replace(" ", "-")


def states(fleet: Fleet, only: Condition | None) -> Html:
    """Bar, buttons, and what is lost by condition now."""
    groups = fleet.by_condition()
    said = ", ".join(f"{len(lines)} {condition.value}" for condition, lines in groups.items() if lines)
    bar = markup.element(
        "div",
        *(
            markup.element(
                "div",
                class_=f"bg-{css(condition)}",
                style=f"flex: {len(lines)} 0 0",
                title=f"{condition.value}: {len(lines)}",
            )
            for condition, lines in groups.items()
            if lines
        ),
        class_="bar",
        role="img",
        aria_label=said or "no miners",
    )
    keys = markup.element(
        "div",
        *(_key(condition, len(lines), pressed=condition is only) for condition, lines in groups.items()),
        class_="keys",
        role="group",
        aria_label="List miners of one state",
    )
    lost = "; ".join(_lost(total) for total in fleet.totals if total.losses)
    said = f"Expected and not delivered now: {lost}" if lost else ""
    return markup.joined((bar, keys, markup.element("p", markup.text(said), class_="lost", data_testid="lost")))


def _lost(total: AlgorithmTotal) -> str:
    losses = [
        f"{quantity.hashrate(loss.hashrate_hs, total.algorithm)} by {loss.miners} {loss.condition.value}"
        for loss in total.losses
    ]
    return f"{quantity.algorithm_name(total.algorithm)} {', '.join(losses)}"


def _key(condition: Condition, count: int, *, pressed: bool) -> Html:
    return markup.element(
        "button",
        markup.element("span", class_=f"dot bg-{css(condition)}"),
        markup.text(condition.value),
        markup.element("b", markup.text(str(count))),
        type="button",
        class_="key" + (" on" if pressed else "") + ("" if count else " zero"),
        data_act=condition.value,
        aria_pressed=str(pressed).lower(),
        data_testid=f"state-{css(condition)}",
    )
