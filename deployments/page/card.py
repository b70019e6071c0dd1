"""A card: a titled section of the page whose body is markup, pushed only where it changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.markup import Html


class Markup(ui.element, component="markup.js"):
    """Markup that knows its buttons: ``on_act`` gets what a button with ``data-act`` says."""

    def __init__(self, on_act: Callable[[str], Awaitable[None] | None] | None = None) -> None:
        super().__init__()
        self._props["content"] = ""
        if on_act is not None:
            self.on("act", lambda event: on_act(_said(event.args)))

    def show(self, content: Html) -> None:
        """Push ``content`` where it is other than what is shown."""
        if content != self._props["content"]:
            self._props["content"] = content
            self.update()


class Card:
    """A section with a title, a line that tells source and age, and a body. ``mark`` is its id."""

    def __init__(
        self, title: str, mark: str, on_act: Callable[[str], Awaitable[None] | None] | None = None, *, classes: str = ""
    ) -> None:
        self._shown: tuple[object, ...] = ()
        self.section = ui.element("section").classes(f"card {classes}")
        self.section.props(f'id={mark} data-testid={mark} aria-label="{title}"')
        with self.section:
            with ui.element("div").classes("head"):
                with ui.element("h2").classes("title"):
                    ui.label(title)
                self._told = Markup()
                self._told.classes("sub")
            self.body = Markup(on_act)

    def is_news(self, *shown: object) -> bool:
        """Whether anything of ``shown`` is other than at the last call: markup is made only of what is new."""
        if shown == self._shown:
            return False
        self._shown = shown
        return True

    def show(self, told: Html, body: Html) -> None:
        """``told``: where the numbers are from and how old they are."""
        self._told.show(told)
        self.body.show(body)

    def show_unread(self, answer: Answer[object], what: str) -> None:
        """While ``answer`` has no value yet: that it is being read, or why it cannot be."""
        self.show(markup.NOTHING, markup.empty(answer.trouble or f"{what} is being read"))


def away(answer: Answer[object]) -> Html:
    """That the store is away and how old the values shown are; nothing while it answers."""
    if answer.away_since is None:
        return markup.NOTHING
    read = answer.read_at
    shown = markup.NOTHING if read is None else markup.age(read, "; shown is what was read ")
    since = markup.age(answer.away_since, "Store away for ", "")
    return markup.note(since, shown, markup.text(f": {answer.trouble}"), bad=True)


def _said(args: Any) -> str:
    return str(args[0] if isinstance(args, list) else args)
