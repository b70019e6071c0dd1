"""HTML of the cards: built and escaped here, so that what a miner calls itself is text and never markup. Pure.

An age is written as the time it is of; the browser shows it and counts on, so that nothing is pushed while nothing
changes.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import NewType
from urllib.parse import quote

from tasks import quantity

Html = NewType("Html", str)

NOTHING = Html("")


def text(value: str) -> Html:
    """``value`` escaped."""
    return Html(html.escape(value))


def element(tag: str, *children: Html, **attributes: str | None) -> Html:
    """An element; ``class_`` is its class, ``_`` in other names is ``-``; an attribute that is None is left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{''.join(children)}</{tag}>")


def joined(parts: Iterable[Html]) -> Html:
    """``parts`` one after the other."""
    return Html("".join(parts))


def age(moment: float | None, before: str = "", after: str = " ago") -> Html:
    """How long ago ``moment`` (Unix seconds) was, counting on in the browser; a dash where it is not known."""
    if moment is None:
        return text(quantity.DASH)
    clock = quantity.clock(moment)
    told = element("time", text(clock), title=clock, data_age_of=f"{moment:.0f}")
    return Html(f"{html.escape(before)}{told}{html.escape(after)}")


def miner(miner_id: str, label: str | None = None) -> Html:
    """A link to a miner's page, with its id where no ``label`` is given."""
    return element("a", text(label or miner_id), href=f"/miner/{quote(miner_id, safe='')}", title=miner_id)


def button(label: str, act: str, *, pressed: bool | None = None, name: str | None = None) -> Html:
    """A button that sends ``act`` to its card; ``pressed`` where it stays in; ``name`` where its label says too
    little."""
    said = None if pressed is None else str(pressed).lower()
    return element("button", text(label), type="button", data_act=act, aria_pressed=said, aria_label=name)


def note(*parts: Html, mark: str | None = None, bad: bool = False) -> Html:
    """A small line."""
    return element("p", *parts, class_="note bad" if bad else "note", data_testid=mark)


def status(condition: str, label: str) -> Html:
    """A word with the colour of a condition before it."""
    return element("span", text(label), class_=f"status is-{condition.replace(' ', '-')}")


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Html]],
    *,
    figures: Iterable[str] = (),
    greyed: Sequence[str | None] | None = None,
) -> Html:
    """A table that a phone shows as one card a row; the first column names the row. ``figures`` are set right;
    ``greyed``: of each row why it is grey, None where it is not."""
    right = frozenset(figures)

    def kind(column: str) -> str | None:
        return "fig" if column in right else None

    head = joined(element("th", text(column), scope="col", class_=kind(column)) for column in columns)
    body = joined(
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(
                element("td", element("span", cell), data_label=column, class_=kind(column))
                for column, cell in zip(columns[1:], row[1:], strict=True)
            ),
            class_="old" if why else None,
            title=why,
        )
        for row, why in zip(rows, greyed or [None] * len(rows), strict=True)
    )
    made = element(
        "table",
        element("caption", text(caption), class_="unseen"),
        element("thead", element("tr", head)),
        element("tbody", body),
        class_="rows",
    )
    return element("div", made, class_="scroll")


def fact(label: str, value: Html, *more: Html, mark: str | None = None) -> Html:
    """A labelled value with what belongs to it below."""
    name = element("span", text(label), class_="name")
    return element("div", name, element("span", value, class_="text"), *more, class_="fact", data_testid=mark)


def facts(*found: Html) -> Html:
    """Labelled values in a grid."""
    return element("div", *found, class_="facts")


def empty(why: str) -> Html:
    """Why there is nothing to show."""
    return element("p", text(why), class_="empty")
