"""Cards of one miner: advice, what is odd, money, alerts and events."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from deployments.page import markup
from deployments.page.alerts import Alerts
from deployments.page.card import Card, away
from deployments.page.markup import Html
from deployments.page.money_view import usd
from deployments.page.reading import PageReader
from deployments.page.story import Row, Story
from tasks import quantity


class StoryCards:
    """What is known of one miner beside its readings."""

    def __init__(self, reader: PageReader, miner_id: str) -> None:
        self._reader = reader
        self._miner_id = miner_id
        with ui.element("div").classes("two"):
            self._advice = Card("Worth changing", "advice")
            self._odd = Card("Odd", "odd")
            self._money = Card("Profit", "miner-money")
            self._events = Card("Events", "events")

    async def update(self) -> None:
        """Show what was read last."""
        answer = self._reader.background.story(self._miner_id)
        story = answer.value
        if story is None:
            for card, what in (
                (self._advice, "Advice"),
                (self._odd, "What is odd"),
                (self._money, "Money"),
                (self._events, "What happened"),
            ):
                card.show_unread(answer, what)
            return
        alerts = (await self._reader.alerts()).value
        gone = away(answer)
        self._advice.show(
            markup.text("found every hour from the last day"), markup.joined((gone, advice(story.advice)))
        )
        self._odd.show(markup.text("0 as usual, 1 very odd; against itself and its peers"), odd(story.scores))
        self._money.show(markup.text(f"days of {story.zone}, derived every hour"), money(story))
        self._events.show(markup.text("of seven days"), events(story, alerts, self._miner_id))


def advice(rows: Sequence[Row]) -> Html:
    """Open opportunities."""
    if not rows:
        return markup.empty("Nothing is worth changing, or flow advise has not run: it does at minute 39 of every hour")
    return markup.joined(_advice(row) for row in rows)


def _advice(row: Row) -> Html:
    gain, sure = row["potential_impact_usd_day"], row["confidence"]
    brings = "gain not known: a price is missing" if gain is None else f"{usd(gain)} a day"
    certainty = "" if sure is None else f", {sure:.0%} sure"
    evidence = f"Measured: {row['evidence']}" if row["evidence"] else ""
    wrong = f"Wrong if: {row['falsified_by']}" if row["falsified_by"] else ""
    return markup.element(
        "div",
        markup.element("span", markup.text(row["description"] or row["type"]), class_="what"),
        markup.element("span", markup.text(f"{brings}{certainty}"), class_="why"),
        markup.note(
            markup.text(". ".join(filter(None, (evidence, wrong)))), markup.age(_moment(row["time"]), "; found ")
        ),
        class_="alert",
        data_testid=f"advice-{row['type']}",
    )


_PERIODS = {"1h": "hour", "300s": "minutes"}


def odd(rows: Sequence[Row]) -> Html:
    """Anomaly scores."""
    if not rows:
        return markup.empty("Nothing was judged within three hours: flow derive-anomalies does it every hour")
    columns = ("Of", "Hashrate", "Temperature", "Power", "Shares", "Overall", "Why")
    return markup.table("Anomaly scores", columns, [_score(row) for row in rows], figures=columns[1:6])


def _score(row: Row) -> tuple[Html, ...]:
    names = ("hashrate", "temperature", "power", "shares", "overall")
    cells = [
        markup.element(
            "span", markup.text(quantity.number(row[name], "", 2)), class_="bad" if (row[name] or 0) >= 0.5 else None
        )
        for name in names
    ]
    period = _PERIODS.get(row["time_period"], row["time_period"])
    return (
        markup.age(_moment(row["from"]), f"{period}, begun "),
        *cells,
        markup.text((row["reasons"] or "as usual").replace(",", ", ").replace(":", ": ").replace("_", " ")),
    )


def money(story: Story) -> Html:
    """Today and seven days."""
    columns = ("Of", "Revenue", "Power", "Fees", "Profit", "Hours known")
    rows = [
        row
        for label, found in (("today", story.today), ("seven days", story.week))
        if (row := _money(label, found)) is not None
    ]
    if not rows:
        return markup.empty("No hour of it is derived yet: flow derive-metrics does it at minute 34")
    return markup.table("Profit of the miner", columns, rows, figures=columns[1:])


def _money(label: str, row: Row | None) -> tuple[Html, ...] | None:
    if row is None:
        return None
    amounts = [markup.text(usd(row[name])) for name in ("revenue", "electricity_cost", "fees", "profit")]
    return (markup.text(label), *amounts, markup.text(f"{row['hours_known']} of {row['hours']}"))


def events(story: Story, alerts: Alerts | None, miner_id: str) -> Html:
    """Alerts that fire, then what happened, the newest first."""
    firing = [
        markup.note(
            markup.status(line.level, f"{group.name}: {line.why}"),
            markup.age(line.since, ", fires since ", " "),
            bad=True,
        )
        for group in (alerts.groups if alerts else ())
        for line in group.lines
        if line.miner_id == miner_id
    ]
    if not story.events:
        return markup.joined((*firing, markup.empty("Nothing happened in seven days")))
    columns = ("When", "What", "In words")
    table = markup.table("Events of the miner", columns, [_event(row) for row in story.events])
    more = (
        markup.note(markup.text(f"and {story.more} more: lodeline query miner_event")) if story.more else markup.NOTHING
    )
    return markup.joined((*firing, table, more))


def _event(row: Row) -> tuple[Html, ...]:
    what = row["kind"].replace("_", " ") + (f", {row['subject']}" if row["subject"] not in ("", "miner", None) else "")
    return (
        markup.age(_moment(row["time"])),
        markup.status(row["severity"] or "unknown", what),
        markup.text(row["message"] or ""),
    )


def _moment(value: object) -> float:
    return float(value.timestamp())  # type: ignore[attr-defined]
