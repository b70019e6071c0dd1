"""The first row of the fleet's page: hashrate of each algorithm, power, who answers, and how old all of it is."""

from __future__ import annotations

from deployments.page import markup
from deployments.page.markup import Html
from deployments.page.model import AlgorithmTotal, Fleet
from tasks import quantity


def tiles(fleet: Fleet) -> Html:
    """All tiles."""
    shown = [_of_algorithm(total) for total in fleet.totals if total.algorithm is not None or total.counted]
    of = len(fleet.lines)
    shown.append(
        _tile(
            "Power",
            markup.text(quantity.power(fleet.power_w)),
            [f"from {fleet.power_counted:,} of {of:,} miners"],
            "power",
        )
    )
    shown.append(_reachable(fleet))
    oldest = fleet.oldest_counted
    note = (
        markup.age(oldest, "oldest in the totals ", "") if oldest is not None else markup.text("nothing in the totals")
    )
    shown.append(
        markup.element(
            "div",
            markup.element("p", markup.text("Age of data"), class_="name"),
            markup.element("p", markup.age(fleet.newest, after=""), class_="big"),
            markup.note(note),
            class_="card tile",
            data_testid="age",
        )
    )
    return markup.joined(shown)


def _of_algorithm(total: AlgorithmTotal) -> Html:
    algorithm = total.algorithm
    notes = []
    if total.counted < total.miners:
        notes.append(f"from {total.counted:,} of {total.miners:,} miners")
    if total.expected_hs:
        of = "" if total.expecting == total.miners else f" of {total.expecting:,} miners"
        expected = quantity.hashrate(total.expected_hs, algorithm)
        notes.append(f"{total.delivered_hs / total.expected_hs:.0%} of {expected} expected{of}")
    else:
        notes.append("expected not known")
    if algorithm is not None:
        efficiency = quantity.efficiency(total.efficiency_j_th, algorithm)
        notes.append(f"{efficiency} at {quantity.power(total.power_w)}")
    return _tile(
        f"Hashrate, {quantity.algorithm_name(algorithm)}",
        markup.text(quantity.hashrate(total.hashrate_hs, algorithm)),
        notes,
        f"hashrate-{algorithm or 'unknown'}",
    )


def _reachable(fleet: Fleet) -> Html:
    of = len(fleet.lines)
    missing = f"{fleet.missing:,} of {of:,} missing" if fleet.missing else "none missing"
    return markup.element(
        "div",
        markup.element("p", markup.text("Reachable"), class_="name"),
        markup.element("p", markup.text(f"{of - fleet.missing:,} of {of:,}"), class_="big"),
        markup.note(markup.text(missing), bad=bool(fleet.missing)),
        class_="card tile",
        data_testid="reachable",
    )


def _tile(name: str, value: Html, notes: list[str], mark: str) -> Html:
    return markup.element(
        "div",
        markup.element("p", markup.text(name), class_="name"),
        markup.element("p", value, class_="big"),
        *(markup.note(markup.text(note)) for note in notes),
        class_="card tile",
        data_testid=mark,
    )
