"""The card of alerts: what fires by rule and site, each to acknowledge, and how the channels stand."""

from __future__ import annotations

import time

from nicegui import ui

from deployments.page import markup
from deployments.page.alerts import AlertGroup, AlertLine, Alerts
from deployments.page.card import Card
from deployments.page.markup import Html
from deployments.page.reading import PageReader
from storage.errors import LodelineError
from tasks.alerts.book import ChannelStanding

SHOWN = 12
"""Groups shown, and alerts of a group; of more it says how many."""
_LATE_S = 300.0


class AlertsCard:
    """What fires, with a button to acknowledge each and each group."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._card = Card("Alerts", "alerts", self._acknowledge)

    async def update(self) -> int:
        """Show what fires now; how many of it want to be looked at."""
        answer = await self._reader.alerts()
        if answer.value is None:
            self._card.show_unread(answer, "The book of alerts")
            return 0
        self._card.show(told(answer.value, time.time()), body(answer.value))
        return answer.value.loud

    async def _acknowledge(self, alert_ids: str) -> None:
        try:
            done = await self._reader.acknowledge(alert_ids.split(","))
        except LodelineError as error:
            ui.notify(str(error), type="negative")
            return
        if not done:
            ui.notify("It does not fire any more")
        await self.update()


def told(alerts: Alerts, now: float) -> Html:
    """How many want to be looked at, and when the watch last looked."""
    if alerts.looked is None:
        return markup.text("flow watch-alerts has not looked yet on this host")
    looked = markup.age(alerts.looked, "the watch last looked ")
    if now - alerts.looked > _LATE_S:
        return markup.joined((looked, markup.text(": is watch-alerts running?")))
    quiet = alerts.firing - alerts.loud
    said = f"{alerts.loud} to be looked at" + (f", {quiet} muted or acknowledged" if quiet else "")
    return markup.joined((markup.text(f"{said}; "), looked))


def body(alerts: Alerts) -> Html:
    """Groups, then channels."""
    parts = [_group(group) for group in alerts.groups[:SHOWN]]
    left = sum(len(group.lines) for group in alerts.groups[SHOWN:])
    if left:
        parts.append(markup.note(markup.text(f"and {left} more: lodeline alerts")))
    if not alerts.groups and alerts.looked is not None:
        parts.append(markup.empty("Nothing fires"))
    return markup.joined((*parts, _channels(alerts.channels)))


def _group(group: AlertGroup) -> Html:
    if len(group.lines) == 1:
        return _alone(group, group.lines[0])
    many = group.to_acknowledge
    button = markup.button("Acknowledge all", ",".join(many), name=f"Acknowledge all: {group.name}") if many else None
    summary = markup.element(
        "summary",
        _dot(group.level),
        markup.element("span", markup.text(f"{group.name}: {len(group.lines)}"), class_="what"),
        markup.element("span", markup.text(group.site), class_="why"),
    )
    lines = [_one_of(line) for line in group.lines[:SHOWN]]
    if len(group.lines) > SHOWN:
        lines.append(markup.note(markup.text(f"and {len(group.lines) - SHOWN} more: lodeline alerts")))
    details = markup.element("details", summary, *lines, class_="grow")
    return markup.element(
        "div",
        details,
        button or markup.NOTHING,
        class_="alert quiet" if group.quiet else "alert",
        data_testid=f"group-{group.rule}",
    )


def _alone(group: AlertGroup, line: AlertLine) -> Html:
    site = group.site if group.site and group.site not in line.subject else ""
    return markup.element(
        "div",
        _dot(line.level),
        markup.element("span", markup.text(f"{group.name}: "), _subject(line), class_="what"),
        markup.element("span", markup.text(line.why), class_="why"),
        _notes(line, site),
        markup.element("div", class_="grow"),
        _button(line, group.name),
        class_="alert quiet" if line.quiet else "alert",
        data_testid=f"alert-{line.id}",
    )


def _one_of(line: AlertLine) -> Html:
    return markup.element(
        "div",
        markup.element("span", _subject(line), class_="what"),
        markup.element("span", markup.text(line.why), class_="why"),
        _notes(line, ""),
        markup.element("div", class_="grow"),
        _button(line, ""),
        class_="alert",
        data_testid=f"alert-{line.id}",
    )


def _dot(level: str) -> Html:
    return markup.element("span", class_=f"dot bg-{level}", role="img", aria_label=level, title=level)


def _subject(line: AlertLine) -> Html:
    return markup.text(line.subject) if line.miner_id is None else markup.miner(line.miner_id, line.subject)


def _notes(line: AlertLine, site: str) -> Html:
    words = ", ".join(filter(None, (site, *line.notes)))
    since = markup.age(line.since, "for ", "")
    return markup.element("span", since, markup.text(f", {words}" if words else ""), class_="note")


def _button(line: AlertLine, name: str) -> Html:
    if line.acknowledged:
        return markup.NOTHING
    return markup.button("Acknowledge", line.id, name=f"Acknowledge {name} {line.subject}".replace("  ", " "))


def _channels(channels: tuple[ChannelStanding, ...]) -> Html:
    title = markup.element("h3", markup.text("Who is told"))
    if not channels:
        return markup.joined(
            (title, markup.empty("No channel is configured (section alerts): alerts are told only here"))
        )
    return markup.joined((title, *(_channel(one) for one in channels)))


def _channel(one: ChannelStanding) -> Html:
    failed = one.trouble is not None
    said = (
        markup.age(one.last_success, "last told OK ")
        if one.last_success is not None
        else markup.text("never told anything: lodeline alerts test")
    )
    more = [f"; {one.waiting} waiting"] * bool(one.waiting)
    if failed:
        why = markup.joined((markup.age(one.last_failure, "; failed "), markup.text(f": {one.trouble}")))
    else:
        why = markup.NOTHING
    state = "failed" if failed else "ok" if one.last_success is not None else "unknown"
    name = markup.element("b", markup.status(state, one.name))
    return markup.note(
        name, markup.text(" "), said, why, markup.text("".join(more)), mark=f"channel-{one.name}", bad=failed
    )
