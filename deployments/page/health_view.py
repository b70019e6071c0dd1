"""The card of the pipeline's health."""

from __future__ import annotations

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Card, away
from deployments.page.health import Health, Machines, Row, SourceLine, sources_of
from deployments.page.markup import Html
from deployments.page.reading import PageReader
from storage.disk_budget.words import size_in_words
from tasks import quantity
from tasks.health.status import LaneStatus


class HealthCard:
    """Lanes, sources, credits and disks."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._card = Card("Pipeline", "pipeline")

    async def update(self) -> None:
        """Show how it stands now, and what was measured last."""
        answer, machines = await self._reader.health(), self._reader.background.machines()
        if not self._card.is_news(answer, machines):
            return
        if answer.value is None:
            self._card.show_unread(answer, "The state of the pipeline")
        else:
            self._card.show(told(answer.value), body(answer.value, machines))


def told(health: Health) -> Html:
    """Whether it is well."""
    reasons = len(health.status.reasons)
    words = "healthy" if not reasons else f"not healthy: {reasons} reason{'s' if reasons > 1 else ''}"
    return markup.joined(
        (markup.status("ok" if not reasons else "failed", words), markup.text(", from this host's files"))
    )


def body(health: Health, machines: Answer[Machines]) -> Html:
    """All of it."""
    status = health.status
    measured = machines.value
    reasons = [markup.note(markup.text(reason), bad=True) for reason in status.reasons]
    by_hand = [
        markup.note(markup.text(f"{one.target} {one.subject}: {one.in_words()}"), mark="by-hand")
        for one in status.overrides
    ]
    return markup.joined(
        (
            *reasons,
            *by_hand,
            _lanes(health, measured),
            markup.element("h3", markup.text("Sources")),
            _sources(sources_of(status), measured),
            *_credits(status.lanes),
            markup.element("h3", markup.text("Hosts and disks")),
            away(machines),
            _hosts(measured) if measured is not None or machines.trouble is None else markup.NOTHING,
        )
    )


def _lanes(health: Health, measured: Machines | None) -> Html:
    if not health.status.lanes:
        return markup.empty("No collector has reported a tick yet")
    columns = (
        "Lane",
        "Last tick",
        "Asked",
        "Newest data",
        "Store",
        "Waiting",
        "Newest stored",
        "Lag, 95 of 100",
        "Lost",
    )
    rows = [
        row
        for lane in health.status.lanes
        for row in (
            [_lane(health, lane, sink, measured) for sink in sorted(lane.sinks)]
            or [_lane(health, lane, None, measured)]
        )
    ]
    return markup.table("Lanes and what waits in them", columns, rows, figures=(columns[5], columns[7]))


def _lane(health: Health, lane: LaneStatus, sink: str | None, measured: Machines | None) -> tuple[Html, ...]:
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(lane.failed_by_reason.items()))
    asked = f"{lane.polled:,}, failed {lane.failed:,}" + (f" ({reasons})" if reasons else "")
    if lane.left_alone:
        asked += f", {lane.left_alone:,} left alone"
    newest = None if lane.newest_data_age_s is None else health.at - lane.newest_data_age_s
    late = lane.tick_age_s > 3 * lane.tick_every_s
    ticked = markup.element(
        "span",
        markup.age(health.at - lane.tick_age_s),
        class_="bad" if late else None,
        title=f"every {lane.tick_every_s} s, took {lane.tick_s:.1f} s",
    )
    name = markup.element("span", markup.text(lane.lane), title=f"on {lane.host}")
    first = (name, ticked, markup.text(asked), markup.age(newest))
    if sink is None:
        dash = markup.text(quantity.DASH)
        return (*first, markup.text(f"{lane.store}, delivery not started"), dash, dash, dash, dash)
    books = lane.sinks[sink]
    row = measured.deliveries.get((lane.host, lane.lane, sink)) if measured else None
    lag = None if row is None else row["lag_p95_s"]
    lost = [f"{books.dead_lettered:,} dead letters"] * bool(books.dead_lettered) + [f"{books.shed:,} shed"] * bool(
        books.shed
    )
    trouble = markup.note(markup.text(books.trouble), bad=True) if books.trouble else markup.NOTHING
    return (
        *first,
        markup.joined((markup.text(sink), trouble)),
        markup.text(f"{books.backlog:,}"),
        markup.age(books.lag.slot if books.lag else None),
        markup.element(
            "span", markup.text(quantity.age(lag)), title=None if row else "nothing measured in the last hour"
        ),
        markup.element("span", markup.text(", ".join(lost) or "nothing"), class_="bad" if lost else None),
    )


def _sources(sources: list[SourceLine], measured: Machines | None) -> Html:
    if not sources:
        return markup.empty("No pool and no market source is asked on this host")
    columns = ("Source", "Last success", "Answered", "Now failing", "Why")
    rows = []
    for one in sources:
        row = measured.sources.get(one.source) if measured else None
        ratio = None if row is None else row["success_ratio"]
        hour = (
            f"of {row['asked']} in the hour from {row['time']:%H:%M} UTC" if row is not None else "not worked out yet"
        )
        rows.append(
            (
                markup.element("span", markup.text(one.source), title=f"lane {one.lane}"),
                markup.age(one.success) if one.success is not None else markup.text("never"),
                markup.element("span", markup.text(quantity.DASH if ratio is None else f"{ratio:.0%}"), title=hour),
                markup.element(
                    "span",
                    markup.text(f"{one.failing} of {one.requests}" if one.failing else "none"),
                    class_="bad" if one.failing else None,
                ),
                markup.text(one.why),
            )
        )
    return markup.table("Sources", columns, rows, figures=("Answered",))


def _credits(lanes: tuple[LaneStatus, ...]) -> list[Html]:
    said = []
    for lane in lanes:
        for source, account in lane.credits.items():
            words = f"{source}: {account.used:,.0f} of {account.credits:,.0f} credits of this month used, "
            words += f"{account.forecast:,.0f} by its end at these intervals"
            said.append(
                markup.note(markup.text(words), mark=f"credits-{source}", bad=account.forecast > account.credits)
            )
    return said


def _hosts(measured: Machines | None) -> Html:
    if measured is None:
        return markup.empty("What hosts measured of themselves is being read")
    said = [_volume(row) for row in measured.volumes]
    said += [_host(row) for row in measured.hosts]
    return markup.joined(said) if said else markup.empty("No host has measured itself yet (flow guard-disk, shifts)")


def _volume(row: Row) -> Html:
    free, total = row["free"], row["total"]
    part = f" ({free / total:.0%})" if free is not None and total else ""
    size = (
        quantity.DASH
        if free is None or total is None
        else f"{size_in_words(free)} of {size_in_words(total)} free{part}"
    )
    days = row["days_until_full"]
    left = "never full, or not known yet" if days is None else f"full in {days:,.0f} d"
    due = f"; due: {row['actions']}" if row["actions"] else ""
    words = f"{row['host']}, {row['volume']}: {size}, {left}{due}; measured "
    moment = row["time"].timestamp()
    return markup.note(markup.text(words), markup.age(moment), mark="volume", bad=bool(row["actions"]))


def _host(row: Row) -> Html:
    busy, available, total = row["cpu_busy"], row["memory_available"], row["memory_total"]
    parts = [f"{busy:.0%} of {row['cpus']} cores busy" if busy is not None else f"{row['cpus']} cores, use not known"]
    if available is not None and total:
        parts.append(f"{size_in_words(available)} of {size_in_words(total)} memory free")
    if row["temperature_c"] is not None:
        parts.append(f"{row['temperature_c']:.0f} °C")
    wrong = ["slowed down for heat or power"] * bool(row["throttled"]) + ["too little voltage"] * bool(
        row["under_voltage"]
    )
    moment = row["time"].timestamp()
    words = f"{row['host']}: {', '.join((*parts, *wrong))}; measured "
    return markup.note(markup.text(words), markup.age(moment), mark="host", bad=bool(wrong))
