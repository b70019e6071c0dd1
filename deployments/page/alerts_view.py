"""The card of alerts on the fleet's page; it is not there while nothing fires."""

from __future__ import annotations

import time
from urllib.parse import quote

from nicegui import ui

from deployments.page.alerts import AlertLine, Alerts
from deployments.page.reading import PageReader
from storage.errors import LodelineError
from tasks import quantity

SHOWN = 12
"""Alerts shown; of more it says how many."""
_LATE_S = 300.0


class AlertsCard:
    """What fires, with a button to acknowledge each."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._shown: object = None
        with ui.element("section").classes("card").props("data-testid=alerts") as self._card:
            with ui.element("div").classes("head"):
                ui.label("Alerts").classes("title")
                self._sub = ui.label().classes("sub")
            self._list = ui.element("div")
        self._card.set_visibility(False)

    async def update(self) -> None:
        """Show what fires now."""
        answer = await self._reader.alerts()
        alerts = answer.value
        if alerts is None:
            if answer.trouble:
                self._show_trouble(answer.trouble)
            return
        late = alerts.looked is not None and time.time() - alerts.looked > _LATE_S
        self._card.set_visibility(bool(alerts.lines) or late)
        self._sub.text = self._summary(alerts, late=late)
        if alerts.lines != self._shown:
            self._shown = alerts.lines
            self._list.clear()
            with self._list:
                for line in alerts.lines[:SHOWN]:
                    self._alert(line)
                if len(alerts.lines) > SHOWN:
                    ui.label(f"and {len(alerts.lines) - SHOWN} more: lodeline alerts").classes("note")

    def _summary(self, alerts: Alerts, *, late: bool) -> str:
        if late and alerts.looked is not None:
            return f"the watch last looked {quantity.age(time.time() - alerts.looked)} ago: is watch-alerts running?"
        quiet = len(alerts.lines) - alerts.loud
        return f"{alerts.loud} to be looked at" + (f", {quiet} muted or acknowledged" if quiet else "")

    def _show_trouble(self, trouble: str) -> None:
        self._card.set_visibility(True)
        self._sub.text = trouble

    def _alert(self, line: AlertLine) -> None:
        with ui.element("div").classes("alert quiet" if line.quiet else "alert").props(f"data-testid=alert-{line.id}"):
            ui.element("span").classes(f"dot bg-{line.level}").tooltip(line.level)
            if line.miner_id is None:
                ui.label(line.what).classes("what")
            else:
                ui.link(line.what, f"/miner/{quote(line.miner_id, safe='')}").classes("what")
            ui.label(line.why).classes("why")
            ui.label(", ".join(line.notes)).classes("note")
            ui.element("div").classes("grow")
            if not line.acknowledged:
                with ui.element("button").on("click", lambda: self._acknowledge(line.id)):
                    ui.label("Acknowledge")

    async def _acknowledge(self, alert_id: str) -> None:
        try:
            done = await self._reader.acknowledge(alert_id)
        except LodelineError as error:
            ui.notify(str(error), type="negative")
            return
        if not done:
            ui.notify("It does not fire any more")
        await self.update()
