"""What the page asks the store and the state files, and how often at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.page.alerts import Alerts, acknowledge_alerts, read_alerts
from deployments.page.answer import Answer, Answers
from deployments.page.background import Background
from deployments.page.configured import USUAL_ENVIRONMENT, Configured
from deployments.page.detail import Detail, build_detail
from deployments.page.health import Health, read_health
from deployments.page.history import (
    FLEET_AGGREGATES,
    MINER_AGGREGATES,
    FleetHistory,
    Grid,
    MinerHistory,
    Span,
    fleet_history,
    grid_of,
    miner_history,
    with_short_gaps_closed,
)
from deployments.page.model import STALE_INTERVALS, Fleet, MinerLine, RosterEntry, Row, build_fleet
from storage.declaration import Measurement, Tier
from storage.declaration.miner import (
    MINER_BOARD,
    MINER_CONFIGURATION,
    MINER_ERROR,
    MINER_FAN,
    MINER_POOL,
    MINER_TELEMETRY,
)
from storage.store import Store, credible
from tasks.miners.report import MinerStanding, newest_reports
from tasks.normalize.interpolation import LONGEST_GAP, NEEDED, interpolated_rows
from tasks.overrides.file import OverrideWatch

if TYPE_CHECKING:
    import pyarrow as pa

_DAY_S = 86400
_LOOK_BACK_S = 7 * _DAY_S
_SELDOM_S = 60.0
"""How long what seldom changes is kept: configuration rows, expected hashrates, rows of silent miners."""


class PageReader:
    """Everything the views show, as shared :class:`Answer` objects.

    Args:
        open_store: opens the store at the first question; called again when that fails.
        state: folder ``state`` of the data directory, with the lanes' tick reports.
        roster: configured miners; empty when only a data directory is known.
        refresh_s: how old an answer about now may be.
        assumed_interval_s: polling interval of miners that no roster names.
        patience_s: how long a viewer waits for a fresh answer before it is shown the last one.
        acknowledgement_hours: how long an alert that is acknowledged on the page stays so.
        configured: what the configuration says beside the roster.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        state: Path,
        roster: Sequence[RosterEntry] = (),
        *,
        refresh_s: float = 5.0,
        assumed_interval_s: int = 120,
        patience_s: float = 3.0,
        acknowledgement_hours: float = 8.0,
        configured: Configured = Configured(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._open_store = open_store
        self._opened: Store | None = None
        self._state = state
        self._overrides = OverrideWatch(state)
        self._roster = tuple(roster)
        self._refresh_s = refresh_s
        self._assumed_interval_s = assumed_interval_s
        self._acknowledgement_hours = acknowledgement_hours
        self._channels = configured.channels
        self.label = "" if configured.environment == USUAL_ENVIRONMENT else configured.environment
        """Of the installation, for every page of it; empty where it needs none."""
        self._clock = clock
        self._store_thread = ThreadPoolExecutor(1, "page-store")
        self._file_thread = ThreadPoolExecutor(1, "page-state")
        self._answers = Answers(self._store_thread, patience_s=patience_s, clock=clock)
        self._files = Answers(self._file_thread, patience_s=patience_s, clock=clock)
        self._seldom: dict[str, tuple[float, list[Row]]] = {}
        self.background = Background(open_store, configured, clock=clock)
        """What is derived every hour; its answers are there at once."""

    @property
    def refresh_s(self) -> float:
        """How often it is worth asking."""
        return self._refresh_s

    @property
    def store_name(self) -> str | None:
        """Name of the store once it is open."""
        return self._opened.name if self._opened is not None else None

    async def fleet(self) -> Answer[Fleet]:
        """The fleet now."""
        return await self._answers.get("fleet", self._refresh_s, self._ask_fleet)

    async def alerts(self) -> Answer[Alerts]:
        """Alerts of this host; independent of the store."""
        return await self._files.get("alerts", self._refresh_s / 2, lambda: read_alerts(self._state, self._channels))

    async def health(self) -> Answer[Health]:
        """How the pipeline of this host stands; independent of the store."""
        return await self._files.get(
            "health", 2 * self._refresh_s, lambda: read_health(self._state.parent, self._clock())
        )

    async def acknowledge(self, alert_ids: Sequence[str]) -> int:
        """Acknowledge alerts in the name of the page; how many of them still fire."""
        done = await asyncio.get_running_loop().run_in_executor(
            self._file_thread, acknowledge_alerts, self._state, alert_ids, self._clock(), self._acknowledgement_hours
        )
        self._files.drop("alerts")
        return done

    async def history(self, span: Span) -> Answer[FleetHistory]:
        """The fleet over ``span``."""
        return await self._answers.get(
            f"history {span.key}", self._history_keep_s(span), lambda: self._ask_history(span)
        )

    async def detail(self, miner_id: str) -> Answer[Detail]:
        """One miner with its parts, as of the fleet's newest answer; the value is None when nobody knows the miner."""
        answer = await self.fleet()
        fleet = answer.value
        line = next((line for line in fleet.lines if line.miner_id == miner_id), None) if fleet else None
        if fleet is None or line is None:
            return Answer(None, answer.read_at, answer.away_since, answer.trouble)
        judged_at = fleet.judged_at
        return await self._answers.get(f"miner {miner_id}", self._refresh_s, lambda: self._ask_detail(line, judged_at))

    async def miner_history(self, miner_id: str, span: Span) -> Answer[MinerHistory]:
        """One miner over ``span``."""
        return await self._answers.get(
            f"miner {miner_id} {span.key}",
            self._history_keep_s(span),
            lambda: self._ask_miner_history(miner_id, span),
        )

    def close(self) -> None:
        """Close the store and let the threads end."""
        self.background.close()
        self._answers.close()
        self._files.close()
        if self._opened is not None:
            self._store_thread.submit(self._opened.close)
        self._store_thread.shutdown(wait=False)
        self._file_thread.shutdown(wait=False)

    def _history_keep_s(self, span: Span) -> float:
        """A window that is over changes only by late data: asking once per window, or minute, is enough."""
        return min(max(self._grid(span).every_s / 4, self._refresh_s), _SELDOM_S)

    @property
    def _interval_s(self) -> int:
        return max((entry.interval_s for entry in self._roster), default=self._assumed_interval_s)

    def _grid(self, span: Span) -> Grid:
        return grid_of(span, self._clock(), self._interval_s)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = self._open_store()
        return self._opened

    def _ask_fleet(self) -> Fleet:
        now = self._clock()
        newest = self._newest_telemetry(now)
        known = {row["miner_id"] for row in newest}
        silent = {entry.miner_id for entry in self._roster} - known
        if silent or not newest:
            newest += [row for row in self._seldom_rows("silent", self._long_ago) if row["miner_id"] not in known]
        standings = self._standings()
        nominal: dict[str, float] = {}
        if silent or any(row.get("hashrate_nominal_hs") is None for row in newest):
            nominal = {
                row["miner_id"]: row["hashrate_nominal_hs_last"]
                for row in self._seldom_rows("nominal", self._nominal)
                if row["hashrate_nominal_hs_last"] is not None
            }
        return build_fleet(
            newest,
            self._seldom_rows("configuration", self._configurations),
            self._roster,
            standings,
            nominal,
            now=now,
            assumed_interval_s=self._assumed_interval_s,
            by_hand=self._overrides.look(now),
        )

    def _newest_telemetry(self, now: float) -> list[Row]:
        recent_s = max(2 * STALE_INTERVALS * self._interval_s, 900)
        return rows_of(self._store().newest(MINER_TELEMETRY, int(now - recent_s), before=credible(now)))

    def _long_ago(self) -> list[Row]:
        now = int(self._clock())
        return rows_of(self._store().newest(MINER_TELEMETRY, now - _LOOK_BACK_S, before=credible(now)))

    def _configurations(self) -> list[Row]:
        now = int(self._clock())
        return rows_of(self._store().newest(MINER_CONFIGURATION, now - _LOOK_BACK_S, before=credible(now)))

    def _nominal(self) -> list[Row]:
        """Newest expected hashrate of each miner in the last day; rows come sorted by time within a miner."""
        stop = int(self._clock()) // 3600 * 3600 + 3600
        table = self._store().windows(
            MINER_TELEMETRY, stop - _DAY_S, stop, 3600, aggregates={"hashrate_nominal_hs": "last"}, by=["miner_id"]
        )
        return rows_of(table)

    def _seldom_rows(self, key: str, ask: Callable[[], list[Row]]) -> list[Row]:
        """Rows kept for a minute; an empty answer is asked again, since a new fleet fills within seconds."""
        held = self._seldom.get(key)
        if held is None or not held[1] or self._clock() - held[0] >= _SELDOM_S:
            held = self._seldom[key] = (self._clock(), ask())
        return held[1]

    def _ask_history(self, span: Span) -> FleetHistory:
        grid = self._grid(span)
        columns = self._windows(grid, span, FLEET_AGGREGATES, None)
        algorithms = {
            row["miner_id"]: None if row["algorithm"] == "unknown" else row["algorithm"]
            for row in self._seldom_rows("configuration", self._configurations)
        }
        return fleet_history(columns, grid, algorithms)

    def _ask_miner_history(self, miner_id: str, span: Span) -> MinerHistory:
        grid = self._grid(span)
        history = miner_history(self._windows(grid, span, MINER_AGGREGATES, miner_id), grid)
        if span.hourly or not any(None in line for line in history.lines.values()):
            return history
        around_s = (LONGEST_GAP + 1) * self._interval_s
        table = self._store().read(
            MINER_TELEMETRY,
            Tier.RAW,
            grid.start - around_s,
            grid.stop + around_s,
            where={"miner_id": miner_id},
            columns=list(dict.fromkeys([*MINER_AGGREGATES, *NEEDED])),
        )
        intervals = {entry.miner_id: entry.interval_s for entry in self._roster}
        rows = interpolated_rows(rows_of(table), cadence_s=lambda miner: intervals.get(miner, self._assumed_interval_s))
        return with_short_gaps_closed(history, rows)

    def _windows(
        self, grid: Grid, span: Span, aggregates: dict[str, str], miner_id: str | None
    ) -> dict[str, list[Any]]:
        where = None if miner_id is None else {"miner_id": miner_id}
        if span.hourly:
            names = [f"{field}_{aggregate}" for field, aggregate in aggregates.items()]
            table = self._store().read(MINER_TELEMETRY, Tier.HOURLY, grid.start, grid.stop, where=where, columns=names)
        else:
            table = self._store().windows(
                MINER_TELEMETRY,
                grid.start,
                grid.stop,
                grid.every_s,
                aggregates=aggregates,
                by=["miner_id"],
                where=where,
            )
        return columns_of(table)

    def _ask_detail(self, line: MinerLine, judged_at: float) -> Detail:
        seen = line.time if line.time is not None else int(judged_at)

        def newest(measurement: Measurement, since: int) -> list[Row]:
            before, where = credible(judged_at), {"miner_id": line.miner_id}
            return rows_of(self._store().newest(measurement, since, before=before, where=where))

        telemetry = newest(MINER_TELEMETRY, seen)
        configuration = newest(MINER_CONFIGURATION, int(judged_at) - _LOOK_BACK_S)
        return build_detail(
            line,
            max(telemetry, key=lambda row: row["time"], default=None),
            max(configuration, key=lambda row: row["time"], default=None),
            boards=newest(MINER_BOARD, seen - _DAY_S),
            fans=newest(MINER_FAN, seen - _DAY_S),
            pools=newest(MINER_POOL, seen - _DAY_S),
            errors=newest(MINER_ERROR, seen - _DAY_S),
            standing=self._standing(line.miner_id),
            judged_at=judged_at,
        )

    def _standing(self, miner_id: str) -> MinerStanding | None:
        return next((standing for standing in self._standings() if standing.miner_id == miner_id), None)

    def _standings(self) -> list[MinerStanding]:
        """Of all miners in the newest tick of each lane; a file that cannot be read costs only itself."""
        reports, _ = newest_reports(self._state)
        return [standing for report in reports.values() for standing in report.miners]


def columns_of(table: pa.Table) -> dict[str, list[Any]]:
    """A store's table by column, ``time`` as Unix seconds."""
    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        columns[name] = (column.cast("int64") if name == "time" else column).to_pylist()
    return columns


def rows_of(table: pa.Table) -> list[Row]:
    """A store's table by row, ``time`` as Unix seconds."""
    columns = columns_of(table)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
